// <rv-twins>: two copies of a network read the same inputs, and one begins a nudge aside. They merge or part, and a gradient
// on its way back shrinks or grows with them.
// needs: figure plain shares sheet bars
"use strict";

(() => {
  const [UNITS, STEPS] = [64, 40];
  const RESOLUTION = 1e-15; // of states that are about one, in double precision
  const MOST = 1.4; // of an answer: the ends of the scale
  const TOP = 44; // pixels: below the title and the arrows over the highest circle
  const NAMES = { 1e-9: "a billionth", 1e-6: "a millionth", 1e-3: "a thousandth" };
  const { svg } = window.rvDraw;
  const length = (all, at) => Math.hypot(...all.subarray(at, at + UNITS));

  // Both twins are one batch: the first begins at zero, the second at `nudge` in the direction that its answer feels most.
  const run = ({ nudge, weights, seed }) => {
    const { net, random } = rv.plain(seed, { units: UNITS, outputs: 1, steps: STEPS, batch: 2, readout: "linear" });
    const inputs = random.fillNormal(new Float64Array(STEPS));
    for (let t = 0; t < STEPS; t++) net.x.fill(inputs[t], 2 * t, 2 * t + 2);
    const hidden = net.weights.weight_hh_l0, out = net.weights["out.weight"], { H, dH } = net.layer(0);
    for (let i = 0; i < hidden.length; i++) hidden[i] *= weights;
    const reach = length(out, 0);
    for (let u = 0; u < UNITS; u++) H[UNITS + u] = (nudge * out[u]) / reach;
    net.forward();
    net.backward();
    const answer = (t, twin) => out.reduce((sum, w, u) => sum + w * H[(2 * t + twin) * UNITS + u], net.weights["out.bias"][0]);
    const apart = new Float64Array(UNITS);
    const steps = Array.from({ length: STEPS + 1 }, (_, t) => {
      for (let u = 0; u < UNITS; u++) apart[u] = H[(2 * t + 1) * UNITS + u] - H[2 * t * UNITS + u];
      return { answers: [answer(t, 0), answer(t, 1)], apart: length(apart, 0), gradient: length(dH, 2 * t * UNITS) };
    });
    return { reach, steps, apart: steps[STEPS].apart, left: steps[STEPS].apart / nudge, gradient: steps[0].gradient / steps[STEPS].gradient };
  };
  const said = (x) => (x < 1 ? rv.share(x) : rv.times(x));

  rv.define("twins", class extends rv.Figure {
    controls = {
      nudge: {
        label: "Nudge",
        values: [1e-9, 1e-6, 1e-3, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.3, 1.6, 2], value: 1,
        say: (v) => NAMES[v] ?? String(v),
      },
      weights: {
        label: "Weights, times PyTorch's",
        values: [0.5, 0.75, 1, 1.25, 1.5, 1.75, 2, 2.5, 3, 4], value: 1,
        marks: { 1: "as PyTorch draws them" },
      },
      seed: { hidden: true, value: 0 },
    };

    build(picture) {
      this.sheet = svg("svg");
      picture.append(this.sheet);
      const begins = () => this.y(this.result.steps[0].answers[1]);
      const move = (x, y) => {
        const aside = (this.value(y) - this.result.steps[0].answers[0]) / this.result.reach;
        const nudge = this.controls.nudge.values.reduce((best, each) => (Math.abs(each - aside) < Math.abs(best - aside) ? each : best));
        if (nudge !== this.state.nudge) this.set({ nudge });
      };
      rv.grab(this.sheet, (x, y) => Math.hypot(x - 12, y - begins()) < 26, move);
    }

    compute() { this.result = run(this.state); }

    y(answer) { return TOP + (85 * (MOST - Math.min(Math.max(answer, -MOST), MOST))) / MOST; }
    value(y) { return MOST - ((y - TOP) * MOST) / 85; }

    draw() {
      const { steps, left, gradient } = this.result, { width } = this;
      const x = (t) => 12 + ((width - 24) * t) / STEPS;
      const parts = [
        svg("text", { x: 0, y: 12 }, "The twins’ answers"),
        svg("path", { class: "rv-gridline", d: `M0 ${this.y(0)}H${width}` }),
        svg("text", { x: 0, y: TOP + 187, style: "fill: var(--rv-quiet)" }, "first step"),
        svg("text", { x: width, y: TOP + 187, "text-anchor": "end", style: "fill: var(--rv-quiet)" }, `${STEPS} steps later`),
      ];
      ["var(--rv-c0)", "var(--rv-c1)"].forEach((colour, twin) => {
        const points = steps.map(({ answers }, t) => `${x(t).toFixed(1)} ${this.y(answers[twin]).toFixed(1)}`);
        parts.push(svg("path", { class: "rv-curve", d: `M${points.join("L")}`, style: `stroke: ${colour}`, "stroke-dasharray": twin ? "7 5" : "none" }));
        for (const t of [0, STEPS]) parts.push(svg("circle", { cx: x(t), cy: this.y(steps[t].answers[twin]), r: 7 - 2 * twin * (t > 0), style: `fill: ${colour}` }));
      });
      const start = this.y(steps[0].answers[1]);
      parts.push(
        svg("path", { d: `M12 ${start - 13}v-9m-4 4l4 -4l4 4M12 ${start + 13}v9m-4 -4l4 4l4 -4`, fill: "none", style: "stroke: var(--rv-c1)", "stroke-width": 1.5 }),
        svg("circle", { cx: 12, cy: start, r: 24, fill: "transparent", style: rv.GRAB }),
        svg("text", { x: width, y: 12, "text-anchor": "end", style: "fill: var(--rv-c1)" }, "drag the second"),
      );
      const bars = rv.bars(width, TOP + 204, [
        { name: "Of the nudge", value: left, said: this.blurred ? "below what numbers hold" : said(left), colour: "var(--rv-c1)", hatched: this.blurred },
        { name: "Of a gradient", value: gradient, said: said(gradient), colour: "var(--rv-c0)" },
      ], { low: 1e-12, high: 1e12, from: 1, log: true, marks: [[1e-12, "1 in a trillion"], [1, "all"], [1e12, "a trillion times"]] });
      rv.sheet(this.sheet, width, TOP + 204 + bars.height, [...parts, ...bars.parts], `The answers of two twins over ${STEPS} steps, and two bars. ${this.says()}`);
    }

    get blurred() { return this.result.apart < RESOLUTION; }

    says() {
      const { left, gradient } = this.result, back = `of a gradient on its way back ${said(gradient)}`;
      if (this.blurred) return `They merge. The twins cannot be told apart any more, not even by a computer. There is left ${back}.`;
      if (left < 0.5) return `They merge. Of the nudge there is left ${said(left)}, ${back}.`;
      if (gradient > 30 * left) return `They have parted as far as they can, ${rv.times(left)} the nudge. A gradient knows no such end: it grows ${rv.times(gradient)}.`;
      return left > 2 ? `They part. The nudge has grown ${rv.times(left)}, a gradient on its way back ${rv.times(gradient)}.` : `They stay as they are: left is ${said(left)} of the nudge, ${back}.`;
    }

    rows() {
      return [["Step", "First twin", "Second twin", "Apart", "Gradient at this step"], ...this.result.steps.map(({ answers, apart, gradient }, t) => [t, answers[0].toFixed(4), answers[1].toFixed(4), apart.toExponential(2), gradient.toExponential(2)])];
    }

    python() {
      const { nudge, weights, seed } = this.state;
      return `import torch
from torch import nn

torch.manual_seed(${seed})
torch.set_default_dtype(torch.float64)
rnn, out = nn.RNN(1, ${UNITS}), nn.Linear(${UNITS}, 1)
x = torch.randn(${STEPS}, 1, 1)
rnn.weight_hh_l0.data.mul_(${weights})
way = nn.functional.normalize(out.weight.detach())[None]
first = torch.zeros(1, 1, ${UNITS}, requires_grad=True)
_, last = rnn(x, first)
last.retain_grad()
out(last).square().sum().backward()
apart = (rnn(x, ${nudge} * way)[1] - last).norm() / ${nudge}
print(f"nudge {apart:.1e}, gradient {first.grad.norm() / last.grad.norm():.1e}")`;
    }
  });
})();
