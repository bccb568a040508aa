// A training as `rnnvanish train` does it.
// needs: numbers network starts tasks optimizers
globalThis.rv ||= {};

// With the weights, batches and tests of `rnnvanish train --until_solved`, in double precision, as --trainer.precision
// 64-true has it. Its options are those of rv.Network and these:
//   task, lag; start, option: of rv.starts; optimizer: "adam" or "sgd"; rate; clip: largest norm, 0 for any; clipValue:
//   largest number; seed; batch; most: steps; epoch: steps between two tests; every: steps between rows of gradients.
// Weights that are drawn evenly are equal to the last bit, normal numbers in batches to 4e-7 (see rv.batch): losses
// begin to differ in the seventh digit. Solved is the step of the first of two tests in a row, of 500 sequences each,
// that find 95 % of the answers to a classification right, or a loss of a tenth of the floor.
rv.Run = class {
  constructor(options = {}) {
    const given = {
      ...{ cell: "LSTM", units: 16, task: "recall", lag: 40, start: "torch", optimizer: "adam", rate: 0.005 },
      ...{ clip: options.clipValue ? 0 : 1, clipValue: 0, seed: 0, batch: 64, most: 2000, epoch: 100, every: 5 },
      ...options,
    };
    const { task: name, lag, start, option, optimizer, rate, clip, clipValue, seed, most, epoch, every, ...shape } = given;
    const task = rv.tasks[name], optimizers = { adam: rv.Adam, sgd: rv.SGD };
    rv.oneOf("task", name, Object.keys(rv.tasks));
    rv.oneOf("optimizer", optimizer, Object.keys(optimizers));
    if (!(lag >= task.least)) throw new RangeError(`lag: ${task.least} or more is needed, not ${lag}`);
    this.options = given;
    this.task = task;
    this.shape = { ...shape, ...task.shape(lag) }; // of the network
    this.net = new rv.Network(this.shape);
    rv.draw(this.net, new rv.Twister(seed, true), start, option);
    this.optimizer = new optimizers[optimizer](this.net, rate);
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
      if (clipValue) rv.clipValue(net.grad, clipValue);
      if (clip) rv.clipNorm(net.grad, clip);
      this.optimizer.step();
      this.steps++;
      if (this.steps % epoch === 0) yield* this._test();
      this.over ||= this.solved !== null || this.steps >= most || !Number.isFinite(net.loss);
      yield true;
    }
  }

  // Score the weights on 500 sequences that they have not seen, 50 at a time.
  *_test() {
    const { net, task, options } = this, { inputs, steps } = net, count = 500, some = 50;
    this._tested ??= new rv.Network({ ...this.shape, batch: some });
    const tested = this._tested, array = (like) => new like.constructor((like.length / some) * count);
    if (!this._unseen) {
      this._unseen = { inputs, steps, batch: count, x: array(tested.x), y: array(tested.y) };
      rv.batch(task, this._unseen, "test", options.seed);
    }
    const columns = (from, to, rows, at) => {
      const width = to.length / (rows * some);
      for (let t = 0; t < rows; t++) {
        const start = (t * count + at) * width;
        to.set(from.subarray(start, start + some * width), t * some * width);
      }
    };
    tested.theta.set(net.theta);
    let loss = 0, right = 0;
    for (let at = 0; at < count; at += some) {
      columns(this._unseen.x, tested.x, steps, at);
      columns(this._unseen.y, tested.y, steps - tested.first, at);
      yield* tested.pieces(false);
      loss += (tested.loss * some) / count;
      right += (tested.right * some) / count;
    }
    const good = net.readout === "linear" ? loss <= 0.1 * task.floor(options.lag) : right >= 0.95 - 1e-6;
    if (good && this.tests.at(-1)?.good) this.solved = this.tests.at(-1).step;
    this.tests.push({ step: this.steps, loss, right, good });
  }
};
