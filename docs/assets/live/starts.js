// First weights, drawn as rnnvanish and torch draw them, in their order.
// needs: network orthogonal
globalThis.rv ||= {};

(() => {
  const KEEPS = 1; // the gate that keeps the state: f of an LSTM, z of a GRU
  const gated = (net, name) => {
    if (net.cell === "Elman") throw new RangeError(`${name} needs a gate that keeps the state: LSTM or GRU, not Elman`);
  };
  const slopeBelowZero = (net, name) => {
    const slope = { relu: 0, leaky_relu: 0.01, prelu: 0.25 }[net.cell === "Elman" ? net.activation : ""];
    if (slope === undefined) throw new RangeError(`${name} needs the Elman network with relu, leaky_relu or prelu`);
    return slope;
  };
  // A weight or bias of each layer by gates, such as [i, f, g, o]: views.
  const gates = (layer, name) => {
    const all = layer.weights[name], count = layer.cell.gates.length, size = all.length / count;
    return Array.from({ length: count }, (_, i) => all.subarray(i * size, (i + 1) * size));
  };
  // The sum of both biases of a gate: the input's become zero, as rnnvanish does.
  const setBias = (layer, gate, values) => {
    gates(layer, "bias_ih")[gate].fill(0);
    gates(layer, "bias_hh")[gate].set(values);
  };
  const glorot = (to, random, inputs, outputs) => {
    const bound = Math.sqrt(3) * Math.sqrt(2 / (inputs + outputs));
    random.fillUniform(to, -bound, bound);
  };
  // As torch.nn.Linear draws itself.
  const linear = (random, inputs, weight, bias) => {
    const bound = Math.sqrt(3) * (Math.sqrt(2 / (1 + Math.sqrt(5) ** 2)) / Math.sqrt(inputs));
    random.fillUniform(weight, -bound, bound);
    if (bias) random.fillUniform(bias, -1 / Math.sqrt(inputs), 1 / Math.sqrt(inputs));
  };
  const readout = (net, random) => linear(random, net.units, net.weights["out.weight"], net.weights["out.bias"]);
  // The layers of a Recurrent, each after torch.nn.Linear's own draws, which are thrown away; then the read-out.
  const learner = (net, random) => {
    const names = ["weight_ih", "bias_ih", "weight_hh", "bias_hh"];
    net.drawLayers(random, [...names, ...names]);
    readout(net, random);
  };
  const attention = (net, random) => {
    for (const name of ["query.weight", "key.weight", "match.weight"])
      if (net.attention) linear(random, net.units, net.weights[name]);
  };

  // Each changes only what its paper is about: call `torch` or `module` first. `random` is an rv.Twister, of doubles or
  // of floats. What is drawn evenly is torch's to the last bit, and so are normal doubles; normal floats and orthogonal
  // matrices of floats are equal to 1e-6.
  rv.starts = {
    // torch.manual_seed(seed), then rnnvanish's Learner(cell, task, units, layers): layers, read-out, attention.
    torch(net, random) {
      learner(net, random);
      attention(net, random);
    },
    // torch.manual_seed(seed), then torch.nn.RNN, LSTM or GRU(inputs, units, layers), then nn.Linear(units, outputs).
    module(net, random) {
      net.drawLayers(random);
      readout(net, random);
    },
    // Glorot(): all weights of a gate from U(-b, b), b = √(6 / (inputs + outputs)).
    glorot(net, random) {
      for (const layer of net._layers)
        for (const [name, inputs] of Object.entries({ weight_ih: layer.inputs, weight_hh: net.units }))
          for (const gate of gates(layer, name)) glorot(gate, random, inputs, net.units);
    },
    // He(): weights of rectifiers from N(0, 2 / ((1 + a²) inputs)), a their slope below zero.
    he(net, random) {
      const slope = slopeBelowZero(net, "he");
      for (const { weights, inputs } of net._layers)
        for (const [weight, fan] of [
          [weights.weight_ih, inputs],
          [weights.weight_hh, net.units],
        ])
          random.fillNormal(weight, Math.sqrt(2 / (1 + slope ** 2)) / Math.sqrt(fan));
    },
    // OrthogonalStart(gain): the recurrent matrix of each gate.
    orthogonal(net, random, gain = 1) {
      for (const layer of net._layers)
        for (const gate of gates(layer, "weight_hh")) rv.orthogonal(gate, net.units, net.units, random, gain);
    },
    // Identity(scale): the recurrent matrix; biases are 0.
    identity(net, random, scale = 1) {
      slopeBelowZero(net, "identity");
      for (const { weights } of net._layers) {
        weights.weight_hh.fill(0);
        for (let i = 0; i < net.units; i++) weights.weight_hh[i * (net.units + 1)] = scale;
        weights.bias_ih.fill(0);
        weights.bias_hh.fill(0);
      }
    },
    // OpenGate(bias): of the gate that keeps the state.
    open(net, random, bias = 1) {
      gated(net, "open");
      for (const layer of net._layers) setBias(layer, KEEPS, new Float64Array(net.units).fill(bias));
    },
    // Chrono(span): that bias from ln U(1, span - 1), that of an LSTM's input gate its opposite.
    chrono(net, random, span = 40) {
      gated(net, "chrono");
      if (!(span > 2)) throw new RangeError(`chrono needs a span above 2 steps, not ${span}`);
      for (const layer of net._layers) {
        const bias = random.fillUniform(new Float64Array(net.units), 1, span - 1).map(Math.log);
        const drawn = random.single ? bias.map(Math.fround) : bias;
        setBias(layer, KEEPS, drawn);
        if (net.cell === "LSTM") setBias(layer, 0, drawn.map((each) => -each));
      }
    },
    // Keras: xavier_uniform_(weight_ih), orthogonal_(weight_hh), each as a whole; biases 0, but 1 of an LSTM's f.
    keras(net, random) {
      for (const layer of net._layers) {
        const { weights, wide, inputs } = layer;
        glorot(weights.weight_ih, random, inputs, wide);
        rv.orthogonal(weights.weight_hh, wide, net.units, random);
        weights.bias_ih.fill(0);
        weights.bias_hh.fill(0);
        if (net.cell === "LSTM") setBias(layer, KEEPS, new Float64Array(net.units).fill(1));
      }
    },
  };

  // All weights of a network, as Learner(..., mitigations=START) draws them: attention after the start, which may be
  // several, [["orthogonal"], ["open", 3]].
  rv.draw = (net, random, start = "torch", option = undefined) => {
    const all = Array.isArray(start) ? start : [[start, option]];
    for (const [name] of all) rv.oneOf("start", name, Object.keys(rv.starts));
    if (all[0]?.[0] === "module") return rv.starts.module(net, random);
    learner(net, random);
    for (const [name, value] of all) if (name !== "torch") rv.starts[name](net, random, value);
    attention(net, random);
  };
})();
