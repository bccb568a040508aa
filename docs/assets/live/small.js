// The small network of the first sections, as rnnvanish.experiments.small draws it.
// needs: numbers network
globalThis.rv ||= {};

(() => {
  const FEATURES = 3, UNITS = 32, BATCH = 8;

  // Small(seed, steps): a torch.nn.RNN that guesses a number from noise. `scale` times its recurrent weights.
  rv.small = (seed, steps, scale = 1) => {
    const shape = { cell: "Elman", inputs: FEATURES, units: UNITS, steps, batch: BATCH, outputs: 1, readout: "linear" };
    const net = new rv.Network(shape), random = new rv.Twister(seed, true);
    net.drawLayers(random);
    random.single = false; // the rest are doubles
    random.fillNormal(net.weights["out.weight"]);
    for (let i = 0; i < UNITS; i++) net.weights["out.weight"][i] /= Math.sqrt(UNITS);
    random.fillNormal(net.x);
    random.fillNormal(net.y);
    for (let i = 0; i < UNITS * UNITS; i++) net.weights.weight_hh_l0[i] *= scale;
    return net;
  };

  // From now on the loss is the sum of the last states, as where rnnvanish.probes are given no other.
  rv.sumLast = (net) => {
    net.weights["out.weight"].fill(1);
    net._score = () => net.dLogits.fill(1);
    return net;
  };
})();
