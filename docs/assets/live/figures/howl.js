// <rv-howl>: a gradient that grows at each step back, as sound does between a microphone and its loudspeaker; and a training
// with it, clipped and not clipped, in which the loss becomes no number.
// needs: figure plain optimizers slices shares sheet
"use strict";

(() => {
  const [UNITS, LAG, BATCH, MOST] = [32, 40, 32, 100];
  const [LOUD, FOURTH, LOUDEST] = [5, 0.25, 42]; // pixels of a 1, its power, pixels at most
  const [LOW, HIGH] = [-1, 6]; // powers of ten of a loss
  const GUESSING = Math.LN2;
  const { svg } = window.rvDraw;
  const COLOURS = ["var(--rv-c1)", "var(--rv-c0)"];

  class Side {
    constructor({ gain, rate, seed }, clipped) {
      this.clipped = clipped;
      Object.assign(this, rv.plain(seed, { activation: "relu", units: UNITS, steps: LAG + 1, batch: BATCH }));
      const { weight_hh_l0: hidden, bias_ih_l0, bias_hh_l0 } = this.net.weights;
      for (const all of [hidden, bias_ih_l0, bias_hh_l0]) all.fill(0);
      for (let u = 0; u < UNITS; u++) hidden[u * (UNITS + 1)] = gain;
      this.rule = new rv.SGD(this.net, rate);
      this.losses = [];
      this.sample();
    }

    // The first input is 1 or -1, noise follows; which was it?
    sample() {
      const { x, y } = this.net;
      for (let b = 0; b < BATCH; b++) y[b] = this.random.below(2);
      this.random.fillNormal(x);
      for (let i = 0; i < x.length; i++) x[i] = i < BATCH ? 2 * y[i] - 1 : 0.5 * x[i];
    }

    get dead() { return this.losses.length > 0 && !Number.isFinite(this.losses.at(-1)); }

    *train() {
      while (this.losses.length < MOST) {
        for (const _ of this.net.pieces()) yield;
        this.losses.push(this.net.loss);
        if (this.dead) return;
        if (this.clipped) rv.clipNorm(this.net.grad, 1);
        this.rule.step();
        this.sample();
      }
    }
  }

  rv.define("howl", class extends rv.Live {
    controls = {
      gain: { label: "Each step back", min: 0.8, max: 1.3, step: 0.05, value: 1.2, say: (v) => `${Number(v.toFixed(2))} times as loud` },
      rate: { label: "Size of the training steps", values: [0.001, 0.01, 0.1], value: 0.01 },
      seed: { hidden: true, value: 0 },
    };

    shape() { return { cell: "Elman", activation: "relu", units: UNITS }; }
    get over() { return this.done; }

    build(picture) {
      this.sheet = svg("svg");
      picture.append(this.sheet);
    }

    compute() {
      const probe = new Side(this.state, false).net;
      probe.forward();
      probe.backward();
      const sizes = probe.sizes().subarray(1);
      this.wave = Array.from(sizes, (each) => each / sizes[LAG]).reverse();
      this.sides = [new Side(this.state, false), new Side(this.state, true)];
      this.done = false;
      this.work = this.train();
    }

    // In turns, so that both are at the same step.
    *train() {
      const works = this.sides.map((side) => side.train());
      for (const [k, work] of works.entries()) this.sides[k].work = work;
      while (true) {
        let more = false;
        for (const side of this.sides) {
          const goal = side.losses.length + 1;
          while (side.losses.length < goal && !side.work.next().done) {
            more = true;
            yield;
          }
        }
        if (!more) return;
      }
    }

    advance(end) {
      do if (this.work.next().done) return !(this.done = true);
      while (performance.now() < end);
      return true;
    }

    draw() {
      const { width, wave, sides } = this, x = (lag) => width - 44 - ((width - 48) * lag) / LAG, middle = 66;
      const half = (lag) => Math.min(LOUDEST, LOUD * wave[lag] ** FOURTH);
      const edge = (sign) => wave.map((_, lag) => `${x(lag).toFixed(1)} ${(middle + sign * half(lag)).toFixed(1)}`);
      const parts = [
        svg("text", { x: 0, y: 12 }, `${LAG} steps back: ${this.grown()}`),
        svg("path", { d: `M${[...edge(-1), ...edge(1).reverse()].join("L")}Z`, style: "fill: var(--rv-c1)", opacity: 0.85 }),
        svg("path", { d: `M${width - 36} ${middle - 9}h10l14 -12v42l-14 -12h-10z`, fill: "none", stroke: "currentColor", "stroke-width": 2 }),
        svg("text", { x: width, y: middle + 40, "text-anchor": "end", style: "fill: var(--rv-quiet)" }, "the end"),
      ];
      ["not clipped", "clipped"].forEach((name, k) => {
        const top = 150 + k * 118, bottom = top + 84, { losses, dead } = sides[k];
        const px = (step) => 40 + ((width - 46) * step) / (MOST - 1);
        const py = (loss) => bottom - (84 * (Math.min(HIGH + 0.3, Math.max(LOW, Math.log10(loss))) - LOW)) / (HIGH - LOW);
        parts.push(svg("text", { x: 0, y: top - 10, style: `fill: ${COLOURS[k]}`, "font-weight": 600 }, `Loss while it trains, ${name}`));
        for (const [loss, text] of [[1e6, "10⁶"], [1e3, "1000"], [1, "1"]])
          parts.push(svg("path", { class: "rv-gridline", d: `M40 ${py(loss)}H${width}` }), svg("text", { x: 34, y: py(loss) + 4, "text-anchor": "end", style: "fill: var(--rv-quiet)" }, text));
        const points = losses.filter(Number.isFinite).map((loss, step) => `${px(step).toFixed(1)} ${py(loss).toFixed(1)}`);
        if (points.length) parts.push(svg("path", { class: "rv-curve", d: `M${points.join("L")}`, style: `stroke: ${COLOURS[k]}` }));
        if (dead) {
          const from = px(losses.length - 1), note = `from step ${losses.length} on: NaN, no number`;
          parts.push(rv.hatch(from, top, width - from, 84), svg("text", { x: (from + width) / 2, y: top + 48, "text-anchor": "middle", "font-weight": 700, class: "rv-over" }, note));
        }
        if (k) parts.push(svg("text", { x: width, y: bottom + 18, "text-anchor": "end", style: "fill: var(--rv-quiet)" }, `${MOST} training steps`));
      });
      rv.sheet(this.sheet, width, 376, parts, `A sound that grows from the end back, and the losses of two trainings. ${this.says()}`);
    }

    grown() {
      const end = this.wave[LAG];
      return end > 1.005 ? rv.times(end) : rv.share(end);
    }

    says() {
      const [free, clipped] = this.sides, size = (loss) => (loss < 100 ? loss.toPrecision(2) : rv.times(loss).replace(" times", ""));
      if (!free.losses.length) return `On its way back over ${LAG} steps the gradient ${this.wave[LAG] > 1 ? `becomes ${rv.times(this.wave[LAG])} as loud` : `fades: ${rv.share(this.wave[LAG])} is left`}. Start, and see what training makes of it.`;
      const fate = (side) => `after ${side.losses.length} steps its loss is ${size(side.losses.at(-1))}`;
      const first = free.dead ? `Not clipped, the loss is no number any more at step ${free.losses.length}.` : `Not clipped, it lives: ${fate(free)}.`;
      return `${first} Clipped, it ${clipped.dead ? `dies, too, at step ${clipped.losses.length}` : `goes on: ${fate(clipped)}`}. Guessing has a loss of ${GUESSING.toFixed(2)}.`;
    }

    rows() {
      const [free, clipped] = this.sides.map(({ losses }) => losses), say = (loss) => (loss === undefined ? "" : loss.toPrecision(4));
      return [["Training step", "loss, not clipped", "loss, clipped"], ...clipped.map((loss, k) => [k + 1, say(free[k]), say(loss)])];
    }

    python() {
      const { gain, rate, seed } = this.state;
      return `import math
import torch
from torch import nn

torch.set_default_dtype(torch.float64)

def train(clipped):
    torch.manual_seed(${seed})
    rnn, out = nn.RNN(1, ${UNITS}, nonlinearity="relu"), nn.Linear(${UNITS}, 2)
    with torch.no_grad():
        rnn.weight_hh_l0[:] = ${gain} * torch.eye(${UNITS})
        rnn.bias_ih_l0[:] = rnn.bias_hh_l0[:] = 0
    weights = [*rnn.parameters(), *out.parameters()]
    rule = torch.optim.SGD(weights, lr=${rate})
    for step in range(${MOST}):
        truth = torch.randint(2, (${BATCH},))
        x = 0.5 * torch.randn(${LAG + 1}, ${BATCH}, 1)
        x[0, :, 0] = 2.0 * truth - 1
        rule.zero_grad()
        loss = nn.functional.cross_entropy(out(rnn(x)[1][0]), truth)
        loss.backward()
        if not math.isfinite(loss.item()):
            break
        if clipped:
            nn.utils.clip_grad_norm_(weights, 1.0)
        rule.step()
    return f"loss {loss:.2g} at step {step + 1}"

print("not clipped:", train(False))
print("clipped:", train(True))`;
    }
  });
})();
