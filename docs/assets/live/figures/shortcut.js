// <rv-shortcut>: floors of a street, a house a step. The reader draws a shortcut, up or along; ways back, and what they carry.
// needs: figure plain halflife shares sheet bars
"use strict";

(() => {
  const [FLOORS, UNITS, STEPS, BATCH] = [4, 24, 100, 4];
  const SHOWN = 20; // steps back in the picture
  const [TOP, HIGH] = [34, 34];
  const { svg } = window.rvDraw;

  const back = ({ lifts, leap, part, seed }) => {
    const shape = { units: UNITS, layers: FLOORS, steps: STEPS + 1, batch: BATCH };
    const { net, random } = rv.plain(seed, { ...shape, layerSkip: lifts === "yes", timeSkip: leap, timeWeight: part });
    random.fillNormal(net.x);
    net.forward();
    net.backward();
    const floors = Array.from({ length: FLOORS }, (_, floor) => net.sizes(new Float64Array(STEPS + 2), floor).subarray(1).reverse());
    const left = floors.map((sizes) => Array.from(sizes, (each) => each / floors[FLOORS - 1][0]));
    return { left, half: rv.halfLife(rv.gain(net, 0)) };
  };

  // Ways from the top floor at the end to the ground floor `lag` steps before; a lift is a second way down.
  const ways = (lag, { lifts, leap }) => {
    let above = [1];
    for (let floor = FLOORS - 1; floor >= 0; floor--) {
      const here = [];
      for (let t = 0; t <= lag; t++) {
        const down = floor === FLOORS - 1 ? (t === 0 ? 1 : 0) : above[t] * (lifts === "yes" ? 2 : 1);
        here.push(down + (here[t - 1] ?? 0) + (leap ? (here[t - leap] ?? 0) : 0));
      }
      above = here;
    }
    return above[lag];
  };

  const said = (share) => (share > 1.005 ? rv.times(share) : rv.share(share));

  rv.define("shortcut", class extends rv.Figure {
    controls = {
      lifts: { label: "Lifts, from floor to floor", choices: { no: "none", yes: "everywhere" }, value: "no" },
      leap: { label: "A bus over", min: 0, max: SHOWN, step: 1, value: 0, say: (v) => (v ? `${v} step${v > 1 ? "s" : ""}` : "no bus") },
      part: { label: "Of the state it takes", min: 0.1, max: 1, step: 0.1, value: 0.9, say: (v) => `${Math.round(100 * v)} %`, enabled: ({ leap }) => leap > 0 },
      seed: { hidden: true, value: 0 },
    };

    build(picture) {
      this.sheet = svg("svg");
      picture.append(this.sheet);
      const nearest = (x, y) => [Math.round((this.width - 10 - x) / this.gap), Math.round((TOP + HIGH * (FLOORS - 1) - y) / HIGH)];
      const inside = ([lag, floor]) => lag >= 0 && lag <= SHOWN && floor >= 0 && floor < FLOORS;
      rv.grab(this.sheet, (x, y) => {
        this.from = nearest(x, y);
        return inside(this.from) && (this.to = [x, y]);
      }, (x, y) => {
        this.to = [x, y];
        this.redraw();
      }, (x, y) => {
        const [lag, floor] = nearest(x, y), [along, up] = [Math.abs(lag - this.from[0]), Math.abs(floor - this.from[1])];
        this.from = null;
        if (along > up) this.set({ leap: Math.min(SHOWN, along) });
        else if (up) this.set({ lifts: "yes" });
        else this.redraw();
      });
    }

    get gap() { return (this.width - 20) / SHOWN; }

    compute() {
      Object.assign(this, back(this.state));
      this.ways = ways(SHOWN, this.state);
    }

    draw() {
      const { width, gap, left } = this, { lifts, leap } = this.state;
      const at = (lag, floor) => [width - 10 - lag * gap, TOP + HIGH * (FLOORS - 1 - floor)];
      const line = (d, colour, extra) => svg("path", { d, fill: "none", ...extra, style: `stroke: ${colour}; pointer-events: none` });
      const parts = [
        svg("rect", { x: 0, y: TOP - 18, width, height: HIGH * FLOORS + 4, fill: "transparent", style: "touch-action: none; cursor: crosshair" }),
        svg("text", { x: 0, y: 12 }, `${SHOWN} steps back`),
        svg("text", { x: width, y: 12, "text-anchor": "end" }, "the end"),
      ];
      for (let floor = 0; floor < FLOORS; floor++) parts.push(line(`M${at(SHOWN, floor)}H${width - 10}`, "var(--rv-line)", { "stroke-width": 1.5 }));
      for (let lag = 0; lag <= SHOWN; lag++) parts.push(line(`M${at(lag, 0)}V${TOP}`, "var(--rv-line)", { "stroke-width": 1 }));
      if (lifts === "yes")
        for (let lag = 0; lag <= SHOWN; lag++)
          for (let floor = 1; floor < FLOORS; floor++) {
            const [x, y] = at(lag, floor);
            parts.push(line(`M${x} ${y}q${Math.min(9, gap / 2)} ${HIGH / 2} 0 ${HIGH}`, "var(--rv-c1)", { "stroke-width": 1.6 }));
          }
      for (let lag = 0; leap && lag + leap <= SHOWN; lag++) {
        const [[x, y], [end]] = [at(lag, 0), at(lag + leap, 0)], first = lag === 0;
        parts.push(line(`M${x} ${y}Q${(x + end) / 2} ${y + 46} ${end} ${y}`, "var(--rv-c2)", { "stroke-width": first ? 3.5 : 1.3, opacity: first ? 1 : 0.55 }));
      }
      for (let floor = 0; floor < FLOORS; floor++)
        for (let lag = 0; lag <= SHOWN; lag++) {
          const [cx, cy] = at(lag, floor), ink = rv.ink(left[floor][lag]);
          parts.push(svg("circle", { cx, cy, r: Math.min(7, gap * 0.36), stroke: "currentColor", "stroke-width": 1, style: `fill: color-mix(in srgb, var(--rv-c0) ${Math.round(100 * ink)}%, var(--md-default-bg-color)); pointer-events: none` }));
        }
      if (this.from) parts.push(line(`M${at(...this.from)}L${this.to}`, "var(--rv-c2)", { "stroke-width": 4, "stroke-linecap": "round" }));
      const below = TOP + HIGH * FLOORS + 14;
      parts.push(svg("text", { x: 0, y: below, style: "fill: var(--rv-quiet)" }, "Draw: up for lifts, along for a bus"));
      const share = (name, value, colour) => ({ name, value, said: said(value), colour });
      const bars = rv.bars(width, below + 14, [
        share("Gets to the ground floor", left[0][0], "var(--rv-c1)"),
        share(`and ${STEPS} steps back`, left[0][STEPS], "var(--rv-c2)"),
      ], { low: 1e-30, high: 1e5, log: true, marks: [[1e-30, "1 in 10³⁰"], [1e-15, "1 in 10¹⁵"], [1, "all"]] });
      rv.sheet(this.sheet, width, below + 14 + bars.height, [...parts, ...bars.parts], `Four floors of a street of ${SHOWN + 1} houses; a floor is as blue as the gradient that gets there. ${this.says()}`);
    }

    says() {
      const { lifts, leap } = this.state, { ways, half, left } = this;
      const lead = leap ? (lifts === "yes" ? "Lifts and a bus" : "One bus") : lifts === "yes" ? "A lift in every house" : "No shortcut";
      const until = half > 1000 ? "it does not fade" : `its half-life is ${half.toFixed(half < 10 ? 1 : 0)} steps`;
      return `${lead}: ${ways.toLocaleString("en")} ways lead to the ground floor ${SHOWN} steps back. On that floor ${until}. A hundred steps back there arrives ${said(left[0][STEPS])} of what set out.`.replace("times of", "times");
    }

    rows() {
      return [["Steps back", "ground floor", ...Array.from({ length: FLOORS - 1 }, (_, i) => `floor ${i + 1}`)], ...this.left[0].map((_, lag) => [lag, ...this.left.map((floor) => floor[lag].toExponential(2))])];
    }

    python() {
      const { lifts, leap, part, seed } = this.state;
      return `import torch
from torch import nn

torch.manual_seed(${seed})
torch.set_default_dtype(torch.float64)
rnn, out = nn.RNN(1, ${UNITS}, num_layers=${FLOORS}), nn.Linear(${UNITS}, 2)
x = torch.randn(${STEPS + 1}, ${BATCH}, 1)
for floor in range(${FLOORS}):
    w_in, w, b_in, b = rnn.all_weights[floor]
    states = []
    for t, step in enumerate(x):
        state = torch.tanh(step @ w_in.T + b_in + (states[-1] @ w.T if states else 0) + b)
        ${leap ? `if t >= ${leap}:\n            state = state + ${part} * states[t - ${leap}]\n        ` : ""}state.retain_grad()
        states.append(state)
    lowest = states if floor == 0 else lowest
    x = torch.stack(states)${lifts === "yes" ? " + (x if floor else 0)" : ""}
nn.functional.cross_entropy(out(x[-1]), torch.zeros(${BATCH}, dtype=torch.long)).backward()
print(f"left after ${STEPS} steps: {lowest[0].grad.norm() / states[-1].grad.norm():.1e}")`;
    }
  });
})();
