// <rv-tower>: layers on top of each other. What each floor passes on of a complaint that comes in at the top, by real
// backpropagation through as many layers.
// needs: figure network shares sheet
"use strict";

(() => {
  const [UNITS, BATCH, MOST] = [64, 16, 30]; // floors at most
  const FLOOR = 9; // pixels
  const FULL = 1.3; // of the complaint: what fills the width
  const GLOROT = Math.sqrt(6 / (2 * UNITS));
  const { svg } = window.rvDraw;

  // A recurrent layer that takes one step from zero is a linear layer and its activation function.
  const drop = ({ floors, kind, size, seed }) => {
    const activation = kind === "tanh" ? "tanh" : "sigmoid";
    const net = new rv.Network({ cell: "Elman", activation, inputs: UNITS, units: UNITS, outputs: 1, layers: floors, steps: 1, batch: BATCH, readout: "linear" });
    const random = new rv.Twister(seed), { weights } = net;
    random.fillNormal(net.x);
    random.fillUniform(weights["out.weight"], -1, 1);
    for (let floor = 0; floor < floors; floor++) {
      const weight = random.fillUniform(weights[`weight_ih_l${floor}`], -size * GLOROT, size * GLOROT);
      if (kind !== "centred") continue;
      for (let u = 0; u < UNITS; u++) weights[`bias_ih_l${floor}`][u] = -0.5 * weight.subarray(u * UNITS, (u + 1) * UNITS).reduce((sum, w) => sum + w);
    }
    net.forward();
    net.backward();
    const sizes = Array.from({ length: floors }, (_, floor) => Math.hypot(...net.layer(floor).dH.subarray(BATCH * UNITS)));
    return sizes.map((each) => each / sizes[floors - 1]); // the ground floor first
  };

  rv.define("tower", class extends rv.Figure {
    controls = {
      kind: { label: "The floors are", choices: { tanh: "tanh", sigmoid: "sigmoid", centred: "sigmoid, centred" }, value: "tanh" },
      floors: { label: "Floors", min: 2, max: MOST, step: 1, value: 20 },
      size: {
        label: "Weights", min: 0.5, max: 4.5, step: 0.1, value: 1,
        say: (v) => `${v.toFixed(1)} times Glorot's`,
        marks: { 1: "Glorot", 4: "4" },
      },
      seed: { hidden: true, value: 0 },
    };

    build(picture) {
      this.sheet = svg("svg");
      picture.append(this.sheet);
      const height = (y) => Math.min(MOST, Math.max(2, Math.round((this.ground - y) / FLOOR)));
      const roof = (y) => Math.abs(y - (this.ground - this.state.floors * FLOOR)) < 20;
      rv.grab(this.sheet, (x, y) => roof(y), (x, y) => height(y) !== this.state.floors && this.set({ floors: height(y) }));
    }

    ground = 42 + MOST * FLOOR;

    compute() {
      this.left = drop(this.state);
      this.each = this.left[0] ** (1 / (this.left.length - 1));
    }

    draw() {
      const { width, left, ground } = this, { floors } = this.state, roof = ground - floors * FLOOR;
      const px = (share) => (width * Math.min(share, FULL)) / FULL;
      const parts = [svg("path", { class: "rv-gridline", d: `M${px(1)} 16V${ground}` }), svg("text", { x: px(1), y: 12, "text-anchor": "middle", style: "fill: var(--rv-quiet)" }, "all of it")];
      left.forEach((share, floor) => {
        const y = ground - (floor + 1) * FLOOR;
        parts.push(svg("rect", { x: 0, y: y + 0.5, width, height: FLOOR - 1, style: "fill: var(--rv-soft)" }));
        if (share > 0) parts.push(svg("rect", { x: 0, y: y + 0.5, width: Math.max(px(share), 0.5), height: FLOOR - 1, style: "fill: var(--rv-c1)" }));
        if (share > FULL) parts.push(svg("path", { d: `M${width - 6} ${y + 1}l5 3.5l-5 3.5z`, style: "fill: var(--md-default-bg-color)" }));
      });
      parts.push(
        svg("path", { d: `M0 ${ground}H${width}M0 ${ground}V${roof}M${width} ${ground}V${roof}`, stroke: "currentColor", fill: "none" }),
        svg("rect", { x: 0, y: roof - 5, width, height: 5, rx: 2, fill: "currentColor" }),
        svg("text", { x: 0, y: roof - 11, style: "fill: var(--rv-c1)" }, "the complaint comes in"),
        svg("text", { x: width, y: roof - 11, "text-anchor": "end", style: "fill: var(--rv-quiet)" }, "↕ drag"),
        svg("rect", { x: 0, y: roof - 20, width, height: 40, fill: "transparent", style: rv.GRAB }),
        svg("text", { x: 0, y: ground + 17 }, "on the ground floor:"),
        svg("text", { x: width, y: ground + 17, "text-anchor": "end", "font-weight": 600 }, this.arrives()),
      );
      rv.sheet(this.sheet, width, ground + 24, parts, `A tower of ${floors} floors, with what each hears of the complaint. ${this.says()}`);
    }

    arrives() { return this.left[0] > 1.005 ? rv.times(this.left[0]) : rv.share(this.left[0]); }

    says() {
      const { floors, kind } = this.state, percent = Math.round(100 * this.each);
      const name = { tanh: "tanh", sigmoid: "sigmoid", centred: "centred sigmoid" }[kind];
      if (this.each > 1.005) return `Each floor of ${name} makes the complaint louder: it passes on ${percent} %. After ${floors} floors it is ${this.arrives()} as loud.`;
      return `Each floor of ${name} passes on ${percent} % of the complaint. Through ${floors} floors there arrives ${this.arrives()}.`;
    }

    rows() {
      return [["Floor, from the ground", "Of the complaint"], ...this.left.map((share, floor) => [floor, share.toExponential(2)])];
    }

    python() {
      const { floors, kind, size, seed } = this.state;
      return `import torch
from torch import nn

torch.manual_seed(${seed})
torch.set_default_dtype(torch.float64)
x, out = torch.randn(${BATCH}, ${UNITS}), 2 * torch.rand(${UNITS}) - 1
states = []
for _ in range(${floors}):
    weight = nn.init.xavier_uniform_(torch.empty(${UNITS}, ${UNITS}), gain=${size})
    x = torch.${kind === "tanh" ? "tanh" : "sigmoid"}(x @ weight.T${kind === "centred" ? " - weight.sum(1) / 2" : ""}).requires_grad_()
    states.append(x)
gradients = torch.autograd.grad((x @ out).square().sum(), states)
left = gradients[0].norm() / gradients[-1].norm()
print(f"each floor {100 * left ** (1 / ${floors - 1}):.0f} %, the ground floor {left:.1e}")`;
    }
  });
})();
