// A training that is watched: how the gradient of one and the same set of sequences fades, before it and while it goes on.
// needs: training halflife
globalThis.rv ||= {};

(() => {
  const SEQUENCES = 16; // on which the half-life is measured
  const EVERY = 50; // training steps from one half-life to the next

  // `options` are those of rv.Run, which `run` is once the training has begun. `halfLives` holds {step, halfLife, gain, sizes}.
  rv.Lane = class {
    constructor(options) {
      this.options = options;
      this.run = null;
      this.halfLives = [];
      this.over = false;
      this._work = this._train();
    }

    get steps() { return this.run?.steps ?? 0; }

    // Go on until performance.now() is past `end`; true once the first half-life, or a training step, is there.
    advance(end) {
      this._end = end;
      do {
        const { value, done } = this._work.next();
        if (value || done) return true;
      } while (performance.now() < end);
      return false;
    }

    *_train() {
      const run = new rv.Run(this.options), probe = this._probe(run);
      yield* this._measure(probe);
      yield true;
      this.run = run;
      while (!run.over) {
        if (!run.step(this._end)) yield false;
        else {
          if (run.steps % EVERY === 0 || run.over) {
            probe.theta.set(run.net.theta);
            yield* this._measure(probe);
          }
          this.over = run.over;
          yield true;
        }
      }
    }

    // The same network on sequences of the test part, whose loss reads the last answer alone.
    _probe({ task, shape, options: { seed }, net: { theta } }) {
      const net = new rv.Network({ ...shape, answers: "last", batch: SEQUENCES });
      net.theta.set(theta);
      const answers = shape.answers === "every" ? shape.steps : 1;
      const drawn = { x: net.x, y: new net.y.constructor(answers * SEQUENCES), steps: shape.steps, batch: SEQUENCES, inputs: shape.inputs };
      rv.batch(task, drawn, "test", seed);
      net.y.set(drawn.y.subarray(-SEQUENCES));
      return net;
    }

    *_measure(probe) {
      for (const _ of probe.pieces()) yield false;
      const gain = rv.gain(probe);
      this.halfLives.push({ step: this.steps, gain, halfLife: rv.halfLife(gain), sizes: probe.sizes() });
    }
  };
})();
