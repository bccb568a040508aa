// <rv-parts>: an activation function in the place of another. Units go dark from the end of the sequence back; half-lives.
// needs: figure plain halflife shares sheet bars
"use strict";

(() => {
  const [UNITS, STEPS] = [64, 100];
  const NAMES = { tanh: "tanh", relu: "ReLU", leaky_relu: "leaky ReLU", prelu: "parametric ReLU" };
  const STARTS = { torch: "PyTorch's", he: "He's, made for ReLU", identity: "the identity" };
  const SLOPES = { relu: 0, leaky_relu: 0.01, prelu: 0.25 }; // below zero
  const DARK = 3; // powers of ten below what set out
  const LIT = [108, 184, 240]; // on a ground that is dark in both themes
  const { svg, html } = window.rvDraw;

  // One sequence of noise: the size of the gradient at each step back, and each unit's part of it.
  const back = (activation, { start, features, seed }) => {
    const { net, random } = rv.plain(seed, { activation, inputs: features, units: UNITS, steps: STEPS + 1, batch: 1 });
    random.fillNormal(net.x);
    const { weight_ih_l0, weight_hh_l0: hidden, bias_ih_l0, bias_hh_l0 } = net.weights;
    if (start === "identity") {
      for (const all of [hidden, bias_ih_l0, bias_hh_l0]) all.fill(0);
      for (let u = 0; u < UNITS; u++) hidden[u * (UNITS + 1)] = 1;
    }
    if (start === "he" && activation in SLOPES)
      for (const [all, inputs] of [[weight_ih_l0, features], [hidden, UNITS]]) {
        random.fillNormal(all);
        for (let i = 0; i < all.length; i++) all[i] *= Math.sqrt(2 / (1 + SLOPES[activation] ** 2) / inputs);
      }
    net.forward();
    net.backward();
    const { dH } = net.layer(0), gain = rv.gain(net);
    const units = Array.from(gain, (_, lag) => dH.slice((STEPS + 1 - lag) * UNITS, (STEPS + 2 - lag) * UNITS).map(Math.abs));
    return { gain, units, halfLife: rv.halfLife(gain) };
  };

  rv.define("parts", class extends rv.Figure {
    controls = {
      part: { label: "The part", choices: NAMES, value: "tanh" },
      start: { label: "The start", choices: STARTS, value: "torch" },
      features: { label: "Numbers read at a step", values: [1, 8, 64], value: 8 },
      seed: { label: "Draw", min: 1, max: 9, step: 1, value: 1 },
    };

    build(picture) {
      this.cells = html("canvas", { width: STEPS + 1, height: UNITS, ariaHidden: "true" });
      this.cells.style = "display: block; width: 100%; height: 190px; image-rendering: pixelated; background: #0d151d";
      const line = (...texts) => {
        const made = html("p", { className: "rv-key" });
        made.style = "justify-content: space-between; margin: 0";
        made.append(...texts.map((text) => html("span", { textContent: text })));
        return made;
      };
      this.sheet = svg("svg");
      picture.append(line("64 units: the brighter, the more gradient gets there; dark is 1 in a thousand, or less"), this.cells, line(`${STEPS} steps back`, "the end"), this.sheet);
    }

    // The four parts differ in nothing else; those of a start are kept until it changes.
    compute() {
      const { start, features, seed } = this.state, key = `${start} ${features} ${seed}`;
      if (key !== this.key) this.all = {};
      this.key = key;
      for (const part in NAMES) this.all[part] ??= back(part, this.state);
      this.result = this.all[this.state.part];
    }

    draw() {
      const { units } = this.result, context = this.cells.getContext("2d"), image = context.createImageData(STEPS + 1, UNITS);
      const most = Math.max(...units[0]);
      for (let lag = 0; lag <= STEPS; lag++)
        for (let u = 0; u < UNITS; u++) image.data.set([...LIT, 255 * rv.ink(units[lag][u] / most, DARK)], 4 * (u * (STEPS + 1) + STEPS - lag));
      context.putImageData(image, 0, 0);
      const rows = Object.keys(NAMES).map((part) => ({
        name: NAMES[part], value: this.all[part].halfLife, said: this.steps(part), colour: part === this.state.part ? "var(--rv-c0)" : "var(--rv-quiet)",
      }));
      const bars = rv.bars(this.width, 24, rows, { low: 0.25, high: 100, log: true, marks: [[1, "1 step"], [10, "10"], [100, "100"]] });
      const title = svg("text", { x: 0, y: 16, "font-weight": 600 }, "Half-life of the gradient, in steps");
      rv.sheet(this.sheet, this.width, 24 + bars.height, [title, ...bars.parts], `Half-lives of four activation functions as bars. ${this.says()}`);
    }

    steps(part) {
      const half = this.all[part].halfLife;
      return half > STEPS ? `more than ${STEPS}` : half.toFixed(half < 10 ? 1 : 0);
    }

    says() {
      const { part, start } = this.state, { gain, units } = this.result;
      const off = units[STEPS].reduce((count, each) => count + (each === 0), 0);
      const lead = `${NAMES[part][0].toUpperCase()}${NAMES[part].slice(1)}, start ${STARTS[start].split(",")[0]}: a half-life of ${this.steps(part)} steps.`;
      if (off === UNITS) return `${lead} A hundred steps back every unit is dark: exactly nothing is left there.`;
      return `${lead} A hundred steps back ${rv.share(gain[STEPS])} is left${off ? `; ${off} of ${UNITS} units are dark` : ""}.`;
    }

    rows() {
      return [["Steps back", ...Object.values(NAMES)], ...Array.from(this.result.gain, (_, lag) => [lag, ...Object.keys(NAMES).map((part) => this.all[part].gain[lag].toExponential(2))])];
    }

    python() {
      const { part, start, features, seed } = this.state;
      const weight = `layer.weight_hh[:] = torch.eye(${UNITS})`;
      const first = {
        torch: "",
        identity: `\n    ${weight}\n    layer.bias_ih[:] = layer.bias_hh[:] = 0`,
        he: part === "tanh" ? "" : `\n    for weight in (layer.weight_ih, layer.weight_hh):\n        nn.init.kaiming_normal_(weight, a=${SLOPES[part]})`,
      }[start];
      const squash = { tanh: "torch.tanh", relu: "torch.relu", leaky_relu: "nn.functional.leaky_relu", prelu: "lambda x: nn.functional.leaky_relu(x, 0.25)" }[part];
      return `import torch
from torch import nn

torch.manual_seed(${seed})
torch.set_default_dtype(torch.float64)
layer, out = nn.RNNCell(${features}, ${UNITS}), nn.Linear(${UNITS}, 2)
x = torch.randn(${STEPS + 1}, 1, ${features})
with torch.no_grad():
    pass${first}
squash = ${squash}
state, states = torch.zeros(1, ${UNITS}), []
for step in x:
    state = squash(step @ layer.weight_ih.T + layer.bias_ih + state @ layer.weight_hh.T + layer.bias_hh)
    state.retain_grad()
    states.append(state)
nn.functional.cross_entropy(out(state), torch.zeros(1, dtype=torch.long)).backward()
print(f"left after ${STEPS} steps: {states[0].grad.norm() / state.grad.norm():.1e}")`;
    }
  });
})();
