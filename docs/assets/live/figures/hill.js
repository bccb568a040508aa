// <rv-hill>: one step downhill, as long as the reader likes: what the slope promised, and what the loss really does.
// needs: ../draw figure people slices small
"use strict";

(() => {
  const SEED = 0, STEPS = 30, LONGEST = 2;
  const { svg, fill } = window.rvDraw;
  const HEIGHT = 300, TOP = 46, BOTTOM = 40;
  const POINTS = 40; // of the ground that is drawn
  const REACH = 34; // pixels around the person, for a finger

  rv.define("hill", class extends rv.Figure {
    controls = {
      rate: { label: "Length of the step", min: 0.02, max: LONGEST, step: 0.02, value: 0.3, say: (rate) => rate.toFixed(2) },
    };

    build(picture) {
      this.sheet = svg("svg");
      picture.append(this.sheet);
      this.net = rv.small(SEED, STEPS);
      this.start = this.net.forward();
      this.net.backward();
      this.theta = this.net.theta.slice();
      this.gradient = this.net.grad.slice();
      this.gradient[this.gradient.length - 1] = 0; // the network of this page has no bias at its read-out
      this.steepness = this.gradient.reduce((sum, slope) => sum + slope * slope, 0);
      this.hill = [[0, this.start], [LONGEST, this.after(LONGEST)]];
      this.stop = rv.slices(() => {
        const rate = (LONGEST * (this.hill.length - 1)) / POINTS;
        this.hill.splice(-1, 0, [rate, this.after(rate)]);
        return this.hill.length <= POINTS;
      }, (last) => last && this.redraw());
      this.seen = 0; // how far out of the fog the ground is
      const step = (x) => {
        const { min, max, step: grain } = this.controls.rate;
        const rate = Math.round(((x - this.left) / (this.width - this.left - 14)) * LONGEST / grain) * grain;
        this.set({ rate: Number(Math.min(max, Math.max(min, rate)).toFixed(2)) });
      };
      rv.grab(this.sheet, (x, y) => Math.hypot(x - this.foot[0], y - this.foot[1]) < REACH, step);
    }

    disconnectedCallback() { this.stop(); }

    // The loss after a step of this length against the gradient.
    after(rate) {
      for (let i = 0; i < this.theta.length; i++) this.net.theta[i] = this.theta[i] - rate * this.gradient[i];
      return this.net.forward();
    }

    compute() {
      this.promised = this.state.rate * this.steepness;
      this.real = this.start - this.after(this.state.rate);
      this.seen = Math.max(this.seen, this.state.rate);
    }

    draw() {
      const { width, start } = this, rate = this.state.rate;
      const left = (this.left = 16), [low, high] = [-0.15 * start, 1.05 * Math.max(start, this.hill.at(-1)[1])];
      const px = (x) => left + ((width - left - 14) * x) / LONGEST;
      const py = (y) => TOP + ((HEIGHT - TOP - BOTTOM) * (high - Math.max(low, Math.min(high, y)))) / (high - low);
      const ground = [...this.hill, [rate, start - this.real]].sort(([a], [b]) => a - b);
      const path = (points) => `M${points.map(([x, y]) => `${px(x).toFixed(1)} ${py(y).toFixed(1)}`).join("L")}`;
      const known = ground.filter(([x]) => x <= this.seen + 1e-9), rest = ground.filter(([x]) => x >= this.seen - 1e-9);
      const floor = HEIGHT - BOTTOM, landed = start - this.real, hoped = start - this.promised;
      const person = rv.people(1, px(rate) - 17, px(rate) + 17, py(landed), 1);
      const shadow = rv.people(1, left - 17, left + 17, py(start), 1);
      this.foot = [px(rate), py(landed) - 16];
      const up = this.real < 0;
      const side = px(rate) > Math.max(width - 150, width / 2) ? -1 : 1;
      const near = side > 0 && Math.abs(py(landed) - py(start) - 14) < 18; // then the words for the height make room
      const label = (y, text, colour, where = side) => svg("text", {
        class: "rv-over", x: px(rate) + 22 * where, y, "text-anchor": where < 0 ? "end" : "start", style: `fill: ${colour}; font-weight: 600`,
      }, text);
      const below = hoped < low, reach = (start - low) / this.steepness; // where the promise leaves the picture
      rv.sheet(this.sheet, width, HEIGHT, [
        svg("text", { x: 0, y: 13 }, "loss: how wrong the network is"),
        svg("path", { d: `${path(known)}V${floor}H${left}z`, style: "fill: var(--rv-c2)", "fill-opacity": 0.18, stroke: "none" }),
        svg("path", { d: path(known), fill: "none", "stroke-width": 3, style: "stroke: var(--rv-c2)" }),
        rest.length > 1 && svg("path", { d: path(rest), fill: "none", "stroke-width": 2, "stroke-dasharray": "2 6", style: "stroke: var(--rv-quiet)", opacity: 0.45 }),
        svg("path", { d: `M${left} ${py(start)}H${width - 14}`, "stroke-dasharray": "5 4", style: "stroke: var(--rv-quiet)" }),
        svg("text", { class: "rv-over", x: width - 14, y: py(start) + (near ? 16 : -6), "text-anchor": "end", style: "fill: var(--rv-quiet)" }, width < 420 ? "start height" : "as high as at the start"),
        svg("path", { d: `M${px(0)} ${py(start)}L${px(Math.min(rate, reach))} ${py(hoped)}`, "stroke-width": 2.5, "stroke-dasharray": "8 4", style: "stroke: var(--rv-c0)" }),
        svg("path", { d: `M${px(rate)} ${py(landed)}V${py(hoped)}`, "stroke-width": 1.5, style: "stroke: var(--rv-c1)" }),
        shadow.one(0, { opacity: 0.35 }),
        person.one(0, { style: `${rv.GRAB}; fill: var(--md-default-bg-color)` }),
        svg("circle", { cx: px(rate), cy: py(landed), r: 6, style: `${rv.GRAB}; fill: var(--rv-c${up ? 1 : 2})` }),
        !below && svg("circle", { cx: px(rate), cy: py(hoped), r: 5, fill: "none", "stroke-width": 2.5, style: "stroke: var(--rv-c0)" }),
        label(below ? floor - 6 : Math.min(py(hoped) + 18, floor - 6), below ? "promised: far below" : "promised", "var(--rv-c0)"),
        label(py(landed) - 20, up ? "higher than before" : "where you land", `var(--rv-c${up ? 1 : 2})`),
        svg("path", { d: `M${left} ${floor}H${width - 14}`, stroke: "currentColor" }),
        svg("text", { x: left, y: HEIGHT - 22 }, "0"),
        svg("text", { x: width - 14, y: HEIGHT - 22, "text-anchor": "end" }, String(LONGEST)),
        svg("text", { x: (width + left) / 2, y: HEIGHT - 22, "text-anchor": "middle" }, "length of the step"),
      ], `A hill. ${this.says()}`);
    }

    says() {
      const { promised, real } = this;
      const lead = `The slope promised that the loss falls by ${promised.toFixed(3)}. `;
      if (real < 0) return `${lead}It rose by ${(-real).toFixed(3)}: you are higher up than before.`;
      return `${lead}It fell by ${real.toFixed(3)}: ${Math.round((100 * real) / promised)} % of the promise.`;
    }

    rows() {
      return [["Length of the step", "Promised loss", "Loss"], ...this.hill.map(([rate, loss]) => [rate.toFixed(2), (this.start - rate * this.steepness).toFixed(4), loss.toFixed(4)])];
    }

    python() {
      return `import torch
from rnnvanish.experiments import gradients

rate = torch.tensor([${this.state.rate}], dtype=torch.float64)
promised, real = gradients.drops(seed=${SEED}, rates=rate)[0]
print(f"promised {promised:.3f}, real {real:.3f}")`;
    }
  });
})();
