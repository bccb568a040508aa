// A plain network as torch draws it: torch.manual_seed(seed), nn.RNN of any number of layers, nn.Linear; in double precision.
// needs: numbers network
globalThis.rv ||= {};

// `options` are those of rv.Network. Returns the network, and the rv.Twister with which to draw on.
rv.plain = (seed, options) => {
  const net = new rv.Network({ cell: "Elman", ...options }), random = new rv.Twister(seed), bound = 1 / Math.sqrt(net.units);
  net.drawLayers(random);
  for (const name of ["out.weight", "out.bias"]) random.fillUniform(net.weights[name], -bound, bound);
  return { net, random };
};
