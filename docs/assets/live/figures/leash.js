// <rv-leash>: a gradient of two numbers as an arrow to drag, and what clipping makes of it, by its length or by each number.
// needs: figure sheet optimizers
"use strict";

(() => {
  const SCALE = 60; // pixels of a leash; less on a phone
  const LONGEST = 2.5; // leashes
  const { svg } = window.rvDraw;
  const arrow = (from, [x, y], colour, attributes) => {
    const length = Math.hypot(x - from[0], y - from[1]), angle = Math.atan2(y - from[1], x - from[0]), head = Math.min(11, length * 0.8);
    const wing = (turn) => `${(x - head * Math.cos(angle + turn)).toFixed(1)} ${(y - head * Math.sin(angle + turn)).toFixed(1)}`;
    return svg("path", { d: `M${from}L${x} ${y}M${wing(0.45)}L${x} ${y}L${wing(-0.45)}`, fill: "none", "stroke-linecap": "round", "stroke-width": 3.5, ...attributes, style: `stroke: ${colour}` });
  };

  rv.define("leash", class extends rv.Figure {
    controls = {
      kind: { label: "The leash holds", choices: { norm: "the arrow, by its length", value: "each of its two numbers" }, value: "norm" },
      length: { label: "Length of the arrow", min: 0.05, max: LONGEST, step: 0.05, value: 2, say: (v) => `${v.toFixed(2)} leashes` },
      way: { label: "Direction", min: 0, max: 355, step: 5, value: 20, say: (v) => `${v}°` },
    };

    build(picture) {
      this.sheet = svg("svg");
      picture.append(this.sheet);
      const near = (x, y) => Math.hypot(x - this.middle[0], y - this.middle[1]) < LONGEST * this.scale + 20;
      const move = (x, y) => {
        const [right, up] = [(x - this.middle[0]) / this.scale, (this.middle[1] - y) / this.scale];
        const length = Math.min(LONGEST, Math.max(0.05, Math.round(20 * Math.hypot(right, up)) / 20));
        this.set({ length, way: (((5 * Math.round((Math.atan2(up, right) * 36) / Math.PI)) % 360) + 360) % 360 });
      };
      rv.grab(this.sheet, (x, y) => near(x, y) && (move(x, y), true), move);
    }

    compute() {
      const { kind, length, way } = this.state, angle = (way * Math.PI) / 180;
      this.before = [length * Math.cos(angle), length * Math.sin(angle)];
      this.after = [...this.before];
      if (kind === "norm") rv.clipNorm(this.after, 1);
      else rv.clipValue(this.after, 1);
      this.kept = Math.hypot(...this.after);
      this.turned = Math.abs(((Math.atan2(this.after[1], this.after[0]) - angle) * 180) / Math.PI) % 360;
      if (this.turned > 180) this.turned = 360 - this.turned;
    }

    draw() {
      const { width } = this, { kind } = this.state;
      this.scale = Math.min(SCALE, (width - 24) / 2 / LONGEST);
      const reach = LONGEST * this.scale, height = 2 * reach + 30;
      this.middle = [width / 2, height / 2 + 6];
      const [x, y] = this.middle, s = this.scale, at = ([right, up]) => [x + right * s, y - up * s];
      const held = Math.abs(this.state.length - this.kept) > 1e-4;
      const leash = { fill: "none", "stroke-width": 2, style: "stroke: var(--rv-quiet); fill: var(--rv-soft)" };
      rv.sheet(this.sheet, width, height, [
        kind === "norm" ? svg("circle", { cx: x, cy: y, r: s, ...leash }) : svg("rect", { x: x - s, y: y - s, width: 2 * s, height: 2 * s, ...leash }),
        svg("path", { class: "rv-gridline", d: `M${x - reach} ${y}H${x + reach}M${x} ${y - reach}V${y + reach}` }),
        svg("text", { x, y: y + s + 16, "text-anchor": "middle", class: "rv-over", style: "fill: var(--rv-quiet)" }, "the leash"),
        held && svg("path", { d: `M${at(this.before)}L${at(this.after)}`, "stroke-width": 1.5, "stroke-dasharray": "2 4", style: "stroke: var(--rv-quiet)" }),
        held && arrow(this.middle, at(this.before), "var(--rv-c1)", { "stroke-dasharray": "7 6", "stroke-width": 2.5 }),
        arrow(this.middle, at(this.after), "var(--rv-c0)"),
        svg("circle", { cx: x, cy: y, r: 4, fill: "currentColor" }),
        svg("text", { x: 0, y: 13, style: "fill: var(--rv-c1)" }, held ? "the gradient" : ""),
        svg("text", { x: width, y: 13, "text-anchor": "end", style: "fill: var(--rv-c0)" }, "after clipping"),
        svg("circle", { cx: at(this.before)[0], cy: at(this.before)[1], r: 24, fill: "transparent", style: rv.GRAB }),
      ], `An arrow from the middle of a ${kind === "norm" ? "circle" : "square"}, before and after clipping. ${this.says()}`);
    }

    says() {
      const { kind, length } = this.state, turned = Math.round(this.turned);
      if (Math.abs(length - this.kept) < 1e-4) return `The arrow is ${length.toFixed(2)} leashes long. Clipping leaves it as it is, and would, however short it was.`;
      const shorter = `Clipping shortens the arrow from ${length.toFixed(2)} leashes to ${this.kept.toFixed(2)}`;
      if (kind === "norm" || turned === 0) return `${shorter}. It points where it pointed before.`;
      return `${shorter}, and turns it by ${turned} degree${turned === 1 ? "" : "s"}. Training goes another way than the gradient said.`;
    }

    rows() {
      const row = (name, values) => [name, ...values.map((each) => each.toFixed(3)), Math.hypot(...values).toFixed(3)];
      return [["Arrow", "to the right", "up", "length"], row("before", this.before), row("after", this.after)];
    }

    python() {
      const { kind, length, way } = this.state, call = kind === "norm" ? "norm_([weight], max_norm=1.0)" : "value_([weight], clip_value=1.0)";
      return `import math
import torch
from torch import nn

way = math.radians(${way})
weight = nn.Parameter(torch.zeros(2))
weight.grad = ${length} * torch.tensor([math.cos(way), math.sin(way)])
nn.utils.clip_grad_${call}
right, up = weight.grad.tolist()
turned = (math.degrees(math.atan2(up, right)) - ${way} + 180) % 360 - 180
print(f"from ${length} to {math.hypot(right, up):.2f}, turned by {abs(turned):.0f} degrees")`;
    }
  });
})();
