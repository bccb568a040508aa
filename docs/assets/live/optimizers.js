// Clipping and optimisers, as torch has them.
globalThis.rv ||= {};

// Shorten a gradient to a norm, as torch.nn.utils.clip_grad_norm_ does; returns the norm that it had.
rv.clipNorm = (g, most) => {
  let sum = 0;
  for (let i = 0; i < g.length; i++) sum += g[i] * g[i];
  const norm = Math.sqrt(sum), factor = Math.min(1, most / (norm + 1e-6));
  for (let i = 0; i < g.length; i++) g[i] *= factor;
  return norm;
};
rv.clipValue = (g, most) => {
  for (let i = 0; i < g.length; i++) g[i] = Math.min(most, Math.max(-most, g[i]));
};

rv.SGD = class {
  constructor(net, rate) {
    Object.assign(this, { net, rate });
  }
  step() {
    const { theta, grad } = this.net;
    for (let i = 0; i < theta.length; i++) theta[i] -= this.rate * grad[i];
  }
};

rv.Adam = class {
  constructor(net, rate) {
    Object.assign(this, { net, rate, steps: 0, mean: net.theta.slice().fill(0), square: net.theta.slice().fill(0) });
  }
  step() {
    const { mean, square, net: { theta, grad } } = this, b1 = 0.9, b2 = 0.999;
    this.steps++;
    const rate = this.rate / (1 - b1 ** this.steps), root = Math.sqrt(1 - b2 ** this.steps);
    for (let i = 0; i < theta.length; i++) {
      mean[i] += (grad[i] - mean[i]) * (1 - b1);
      square[i] = b2 * square[i] + (1 - b2) * grad[i] * grad[i];
      theta[i] -= (rate * mean[i]) / (Math.sqrt(square[i]) / root + 1e-8);
    }
  }
};
