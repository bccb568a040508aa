// A stack of recurrent layers and a linear read-out: forward, then back through time with every dL/ds_t.
// needs: numbers cells
globalThis.rv ||= {};

(() => {
  const CHOICES = {
    activation: ["tanh", "sigmoid", "relu", "leaky_relu", "prelu"],
    readout: ["softmax", "logistic", "linear"],
    answers: ["last", "every"],
  };
  // The norm of `count` numbers from `at` on, as parts of the largest, whose square does not underflow.
  rv.norm = (of, at, count) => {
    let most = 0, sum = 0;
    for (let i = at; i < at + count; i++) most = Math.max(most, Math.abs(of[i]));
    if (most) for (let i = at; i < at + count; i++) sum += (of[i] / most) ** 2;
    return most * Math.sqrt(sum);
  };
  rv.PIECE = 400000; // multiplications of a piece of work, where it can be cut: a millisecond, four on a phone

  // One layer over time. At [t][sequence][unit]: H and C, the states after step t (t = 0: the initial one), and dH and
  // dC, the gradients by them. At [t][sequence][gate]: A; and dA and dR, by what it gets from the input and the state.
  class Layer {
    constructor(net, index) {
      const { units, steps, batch, Real } = net;
      this.units = units;
      this.batch = batch;
      this.activation = net.activation;
      this.inputs = index ? units : net.inputs;
      this.cell = net.math.cells[net.cell];
      this.wide = this.cell.gates.length * units;
      const states = () => new Real((steps + 1) * batch * units);
      const gates = () => new Real(steps * batch * this.wide);
      this.H = states();
      this.dH = states();
      if (net.cell === "LSTM") Object.assign(this, { C: states(), dC: states() });
      this.A = gates();
      this.dA = gates();
      this.dR = net.cell === "GRU" ? gates() : this.dA;
      this.R = new Real(batch * this.wide); // U h + its bias, of the step at hand
      this.kept = net.cell === "Elman" ? null : new Real(steps * batch * units); // LSTM: tanh(c); GRU: R of n
      this.turned = new Real(this.wide * Math.max(units, this.inputs));
      this.weights = {};
      this.grads = {};
      this.shapes = {
        weight_ih: [this.wide, this.inputs],
        weight_hh: [this.wide, units],
        bias_ih: [this.wide],
        bias_hh: [this.wide],
        ...(net.cell === "Elman" && net.activation === "prelu" ? { slope: [1] } : {}),
      };
      this.outputs = this.H.subarray(batch * units); // what the layer above reads
      if (net.layerSkip && index) this.outputs = this.outputs.slice();
    }
  }

  rv.Network = class {
    constructor(options = {}) {
      const known = {
        ...{ cell: "LSTM", activation: "tanh", inputs: 1, units: 16, outputs: 2, steps: 40, batch: 32, layers: 1 },
        ...{ readout: "softmax", answers: "last", layerSkip: false, timeSkip: 0, timeWeight: 0.9, attention: false },
        ...{ scored: Infinity, tolerance: 0.04 }, // of "every" answer so many last ones, and within what, count as right
        single: false,
      };
      for (const name in options) rv.oneOf("option", name, Object.keys(known));
      Object.assign(this, known, options);
      this.math = this.single ? rv.single : rv;
      this._check();
      this.Real = this.single ? Float32Array : Float64Array;
      const { units, outputs, steps, batch, layers, answers, Real } = this;
      this._layers = Array.from({ length: layers }, (_, index) => new Layer(this, index));
      this._attention = this.attention ? new rv.Attention(this) : null;
      this._name();
      this.x = new Real(steps * batch * this.inputs); // [t][sequence][feature]
      this.first = answers === "last" ? steps - 1 : 0; // the first step with an answer
      const rows = (steps - this.first) * batch;
      this.y = this.readout === "linear" ? new Float64Array(rows * outputs) : new Int32Array(rows);
      this.logits = new Real(rows * outputs);
      this.dLogits = new Real(rows * outputs);
      this.turned = new Real(outputs * units);
      this.ones = new Real(steps * batch).fill(1);
      this.loss = this.right = NaN;
    }

    _check() {
      for (const [name, known] of Object.entries({ cell: Object.keys(rv.cells), ...CHOICES }))
        rv.oneOf(name, this[name], known);
      for (const name of ["inputs", "units", "outputs", "steps", "batch", "layers"])
        if (!(this[name] >= 1) || this[name] % 1)
          throw new RangeError(`${name}: a whole number from 1 on is needed, not ${this[name]}`);
      if (this.readout === "logistic" && this.outputs !== 1) throw new RangeError("a logistic read-out has one output");
      if (this.single && !rv.single) throw new RangeError("single precision needs single.js");
      if (this.attention && (!rv.Attention || this.single))
        throw new RangeError("attention needs attention.js, and double precision");
    }

    // All weights in one array, all gradients in another, and views of them by torch's names.
    _name() {
      const shapes = {};
      this._layers.forEach((layer, i) => {
        for (const name in layer.shapes) shapes[`${name}_l${i}`] = layer.shapes[name];
      });
      const { units, outputs } = this;
      Object.assign(shapes, this._attention?.shapes, { "out.weight": [outputs, units], "out.bias": [outputs] });
      const size = (shape) => shape.reduce((product, side) => product * side, 1);
      const total = Object.values(shapes).reduce((sum, shape) => sum + size(shape), 0);
      Object.assign(this, { shapes, theta: new this.Real(total), grad: new this.Real(total), weights: {}, grads: {} });
      let at = 0;
      for (const name in shapes) {
        const end = at + size(shapes[name]), [, own, layer] = /^(\w+)_l(\d+)$/.exec(name) ?? [];
        for (const [all, flat] of [["weights", this.theta], ["grads", this.grad]]) {
          this[all][name] = flat.subarray(at, end);
          if (own) this._layers[layer][all][own] = this[all][name];
        }
        at = end;
      }
      for (const { weights } of this._layers) weights.slope?.fill(0.25);
    }

    // Weights of all layers, drawn evenly within 1/√units as torch.nn's layers are, in the order of `names`.
    drawLayers(random, names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]) {
      const bound = 1 / Math.sqrt(this.units);
      for (const { weights } of this._layers) for (const name of names) random.fillUniform(weights[name], -bound, bound);
    }

    // The states of a layer after each step, and the gradients by them.
    layer(index) {
      const { H, C, dH, dC } = this._layers[index];
      return { H, C, dH, dC };
    }

    // Run over x, score against y, and return the loss, a mean over all answers: cross-entropy in nats, squared error.
    forward() {
      for (const _ of this._forward());
      return this.loss;
    }
    // Back through time, after `forward`.
    backward() {
      for (const _ of this._backward());
    }
    // The same two in pieces: `begin`, then `go(end)` until it says true; it returns once performance.now() is `end`.
    begin(learns = true) {
      this._pieces = this.pieces(learns);
    }
    go(end = Infinity) {
      while (!this._pieces.next().done) if (performance.now() >= end) return false;
      return true;
    }

    *pieces(learns = true) {
      yield* this._forward();
      if (learns) yield* this._backward();
    }

    // Work over steps first to last, so many at a time as make a piece.
    *_cut(first, each, work) {
      const most = Math.max(1, Math.floor(rv.PIECE / each));
      for (let t = first; t < this.steps; t += most) {
        work(t, Math.min(most, this.steps - t));
        yield;
      }
    }

    *_forward() {
      for (let i = 0; i < this.layers; i++) yield* this._layerForward(i);
      const { batch, units, outputs, first, logits, weights } = this, top = this._layers.at(-1).outputs;
      if (this._attention) yield* this._attention.forward(top, weights);
      const [from, start] = this._attention ? [this._attention.outputs, first] : [top, 0];
      yield* this._cut(first, batch * units * outputs, (t, count) => {
        const at = (t - first) * batch * outputs, rows = count * batch;
        for (let r = 0; r < rows; r++) logits.set(weights["out.bias"], at + r * outputs);
        this.math.mulNT(from, (t - start) * batch * units, weights["out.weight"], 0, logits, at, rows, outputs, units);
      });
      this._score();
    }

    *_layerForward(index) {
      const { batch, units, steps, timeSkip, timeWeight, math } = this, layer = this._layers[index];
      const { H, A, R, wide, inputs, weights } = layer, count = batch * units;
      const x = index ? this._layers[index - 1].outputs : this.x;
      yield* this._cut(0, batch * wide * inputs, (t, some) => {
        for (let r = 0; r < some * batch; r++) A.set(weights.bias_ih, (t * batch + r) * wide);
        math.mulNT(x, t * batch * inputs, weights.weight_ih, 0, A, t * batch * wide, some * batch, wide, inputs);
      });
      for (let t = 0; t < steps; t++) {
        for (let b = 0; b < batch; b++) R.set(weights.bias_hh, b * wide);
        math.mulNT(H, t * count, weights.weight_hh, 0, R, 0, batch, wide, units);
        layer.cell.forward(layer, t);
        const now = (t + 1) * count, old = now - timeSkip * count;
        if (timeSkip && old >= 0) math.add(timeWeight, H, old, H, now, count);
        yield;
      }
      if (this.layerSkip && index) {
        layer.outputs.set(H.subarray(count));
        math.add(1, x, 0, layer.outputs, 0, steps * count);
      }
    }

    *_backward() {
      this.grad.fill(0);
      for (const { dH, dC } of this._layers) {
        dH.fill(0);
        dC?.fill(0);
      }
      this._attention?.dOutputs.fill(0);
      const { batch, units, outputs, first, dLogits, weights, grads, ones, turned, math } = this;
      const top = this._layers.at(-1);
      const seen = this._attention ?? { outputs: top.outputs, dOutputs: top.dH.subarray(batch * units) };
      const start = this._attention ? first : 0;
      rv.transpose(weights["out.weight"], turned, outputs, units);
      yield* this._cut(first, 2 * batch * units * outputs, (t, count) => {
        const at = (t - first) * batch * outputs, from = (t - start) * batch * units, rows = count * batch;
        math.mulTN(dLogits, at, seen.outputs, from, grads["out.weight"], 0, outputs, units, rows);
        math.mulTN(dLogits, at, ones, 0, grads["out.bias"], 0, outputs, 1, rows);
        math.mulNT(dLogits, at, turned, 0, seen.dOutputs, from, rows, units, outputs);
      });
      if (this._attention) yield* this._attention.backward(top.outputs, top.dH.subarray(batch * units), weights, grads);
      for (let i = this.layers - 1; i >= 0; i--) yield* this._layerBackward(i);
    }

    *_layerBackward(index) {
      const { batch, units, steps, timeSkip, timeWeight, ones, math } = this, layer = this._layers[index];
      const { H, dH, dA, dR, wide, inputs, turned, weights, grads } = layer, count = batch * units;
      const below = this._layers[index - 1];
      if (this.layerSkip && index) below.dH.set(dH.subarray(count), count); // so far that of the outputs alone
      rv.transpose(weights.weight_hh, turned, wide, units);
      for (let t = steps - 1; t >= 0; t--) {
        const now = (t + 1) * count, old = now - timeSkip * count;
        if (timeSkip && old >= 0) math.add(timeWeight, dH, now, dH, old, count);
        layer.cell.backward(layer, t);
        math.mulNT(dR, t * batch * wide, turned, 0, dH, t * count, batch, units, wide);
        yield;
      }
      const x = index ? below.outputs : this.x;
      if (index) rv.transpose(weights.weight_ih, turned, wide, inputs);
      yield* this._cut(0, batch * wide * (units + 2 * inputs), (t, some) => {
        const at = t * batch * wide, rows = some * batch;
        math.mulTN(dA, at, x, t * batch * inputs, grads.weight_ih, 0, wide, inputs, rows);
        math.mulTN(dR, at, H, t * count, grads.weight_hh, 0, wide, units, rows);
        math.mulTN(dA, at, ones, 0, grads.bias_ih, 0, wide, 1, rows);
        if (dR !== dA) math.mulTN(dR, at, ones, 0, grads.bias_hh, 0, wide, 1, rows);
        if (index) math.mulNT(dA, at, turned, 0, below.dH, (t + 1) * count, rows, inputs, wide);
      });
      if (dR === dA) grads.bias_hh.set(grads.bias_ih);
    }

    // The loss, its gradient by the logits, and the share of answers that are right.
    _score() {
      const { logits, dLogits, outputs, y, readout, batch, scored } = this, count = logits.length / outputs;
      let loss = 0, right = 0, asked = 0;
      for (let r = 0; r < count; r++) {
        const [cost, good] = SCORES[readout](logits, dLogits, r * outputs, outputs, y, r, this.tolerance);
        loss += cost;
        if (count - r <= scored * batch) {
          right += good;
          asked++;
        }
      }
      const answers = readout === "linear" ? count * outputs : count;
      for (let i = 0; i < dLogits.length; i++) dLogits[i] /= answers;
      this.loss = loss / answers;
      this.right = right / asked;
    }

    // The size of dL/ds_t, for t = 0 to steps: the norm over the whole state, root mean square over sequences, each
    // with a loss of its own. `to` is filled, or made.
    sizes(to = new Float64Array(this.steps + 1), index = this.layers - 1) {
      const { dH, dC } = this._layers[index], { batch, units, steps } = this, count = batch * units;
      for (let t = 0; t <= steps; t++) // the loss is a mean, of which each sequence has 1 / batch
        to[t] = Math.hypot(rv.norm(dH, t * count, count), dC ? rv.norm(dC, t * count, count) : 0) * Math.sqrt(batch);
      return to;
    }
  };

  // Of one answer: its loss, whether it is right; and the gradient, written into `d`.
  const SCORES = {
    softmax(v, d, at, outputs, y, r) {
      let best = 0, sum = 0;
      for (let k = 1; k < outputs; k++) if (v[at + k] > v[at + best]) best = k;
      const most = v[at + best];
      for (let k = 0; k < outputs; k++) sum += Math.exp(v[at + k] - most);
      for (let k = 0; k < outputs; k++) d[at + k] = Math.exp(v[at + k] - most) / sum - (k === y[r]);
      return [most + Math.log(sum) - v[at + y[r]], best === y[r]];
    },
    logistic(v, d, at, outputs, y, r) {
      d[at] = 1 / (1 + Math.exp(-v[at])) - y[r];
      const cost = Math.max(v[at], 0) - v[at] * y[r] + Math.log1p(Math.exp(-Math.abs(v[at])));
      return [cost, v[at] > 0 === (y[r] === 1)];
    },
    linear(v, d, at, outputs, y, r, tolerance) {
      let cost = 0, good = 0;
      for (let k = 0; k < outputs; k++) {
        const miss = v[at + k] - y[r * outputs + k];
        d[at + k] = 2 * miss;
        cost += miss * miss;
        good += Math.abs(miss) <= tolerance;
      }
      return [cost, good / outputs];
    },
  };
})();
