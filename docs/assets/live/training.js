// Training: clipping, optimisers as torch has them, and a run as `rnnvanish train` does it.
// needs: numbers network starts tasks
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

// A training as `rnnvanish train --until_solved` does it, in double precision (there: --trainer.precision 64-true), with its
// weights, batches and tests; the options are those of rv.Network and these:
//   task, lag; start, option: of rv.starts; optimizer: "adam" or "sgd"; rate; clip: largest norm, 0 for any; clipValue; seed;
//   batch; most: steps at most; epoch: steps between two tests; every: steps between two rows of gradients.
// Weights are equal to the last bit where they are drawn evenly, batches to 4e-7 (see rv.batch), so that losses begin to
// differ in the seventh digit. Solved is the step of the first of two tests in a row that find it so, of 500 sequences: 95 %
// of the answers to a classification right, or a tenth of the floor.
rv.Run = class {
  constructor(options = {}) {
    const given = { cell: "LSTM", units: 16, task: "recall", lag: 40, start: "torch", optimizer: "adam", rate: 0.005, clip: 1 };
    Object.assign(given, { clipValue: 0, seed: 0, batch: 64, most: 2000, epoch: 100, every: 5 }, options);
    const task = rv.tasks[given.task];
    if (!task) throw new RangeError(`task: one of ${Object.keys(rv.tasks).join(", ")} is needed, not ${given.task}`);
    if (!(given.lag >= (task.least ?? 1))) throw new RangeError(`lag: ${task.least ?? 1} or more is needed, not ${given.lag}`);
    this.options = given;
    this.task = task;
    this.net = new rv.Network({ ...given, ...task.shape(given.lag) });
    rv.draw(this.net, new rv.Twister(given.seed, true), given.start, given.option);
    this.optimizer = new { adam: rv.Adam, sgd: rv.SGD }[given.optimizer](this.net, given.rate);
    this.steps = 0;
    this.losses = [];
    this.tests = []; // {step, loss, right}
    this.rows = []; // {step, sizes: |dL/ds_t| for t = 0 to steps, of the last layer}
    this.right = NaN; // of the last batch
    this.solved = null;
    this.over = false;
    this._work = this._train();
  }

  // Go on until performance.now() is past `end`; true once a training step is finished.
  step(end = Infinity) {
    do {
      const { value, done } = this._work.next();
      if (value || done) return true;
    } while (performance.now() < end);
    return false;
  }

  *_train() {
    const { net, task, losses, options: { clip, clipValue, seed, most, epoch, every } } = this;
    while (!this.over) {
      rv.batch(task, net, "train", seed, Math.floor(this.steps / epoch), this.steps % epoch);
      yield* net.pieces();
      losses.push(net.loss);
      this.right = net.right;
      if (this.steps % every === 0) this.rows.push({ step: this.steps, sizes: net.sizes() });
      if (clip) rv.clipNorm(net.grad, clip);
      if (clipValue) rv.clipValue(net.grad, clipValue);
      this.optimizer.step();
      this.steps++;
      if (this.steps % epoch === 0) yield* this._test();
      this.over ||= this.solved !== null || this.steps >= most || !Number.isFinite(net.loss);
      yield true;
    }
  }

  *_test() {
    const count = 500, some = 50, { net, task, options } = this, { inputs, steps } = net, last = this.tests.at(-1);
    this._tested ??= new rv.Network({ ...options, ...task.shape(options.lag), batch: some });
    const tested = this._tested;
    tested.theta.set(net.theta);
    const answers = tested.y.length / some;
    if (!this._all) {
      this._all = { inputs, steps, batch: count, x: new Float64Array(steps * count * inputs), y: new tested.y.constructor(answers * count) };
      rv.batch(task, this._all, "test", options.seed);
    }
    const columns = (from, to, rows, width, at) => {
      for (let t = 0; t < rows; t++) to.set(from.subarray((t * count + at) * width, (t * count + at + some) * width), t * some * width);
    };
    let loss = 0, right = 0;
    for (let at = 0; at < count; at += some) {
      columns(this._all.x, tested.x, steps, inputs, at);
      columns(this._all.y, tested.y, answers, 1, at);
      yield* tested.pieces(false);
      loss += (tested.loss * some) / count;
      right += (tested.right * some) / count;
    }
    const good = net.readout === "linear" ? loss <= 0.1 * task.floor(options.lag) : right >= 0.95 - 1e-6;
    if (good && last?.good) this.solved = last.step;
    this.tests.push({ step: this.steps, loss, right, good });
  }
};
