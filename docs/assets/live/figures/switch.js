// <rv-switch>: a unit that keeps what it was set to while it is shaken, and how little of its gradient is left. The gradient
// is added up in powers of ten: no number that a computer keeps holds it.
// needs: figure numbers sheet
"use strict";

(() => {
  const { html, svg } = window.rvDraw;
  const STEPS = 1000;
  const SWITCHES = 100;
  const SHAKE = 0.2;
  const DEEPEST = 800; // powers of ten on the meter
  const FORMATS = [[45, "single precision ends"], [324, "double ends"]];
  const HIGH = 120; // pixels of the path
  const SECONDS = 2;
  const power = (n) => `10${String(n).replace(/\d/g, (digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit])}`;

  rv.define("switch", class extends rv.Figure {
    controls = {
      set: { label: "The switch is set", choices: { up: "up", down: "down" }, value: "up" },
      hold: { label: "How firmly it holds itself", min: 0.8, max: 2, step: 0.05, value: 2, say: (v) => `${v.toFixed(2)} times`, marks: { 1: "neither soft nor firm" } },
      seed: { hidden: true, value: 0 },
    };
    shown = STEPS;

    build(picture) {
      this.drawing = svg("svg");
      this.drawing.addEventListener("click", (event) => {
        if (event.target.closest(".rv-lever")) this.set({ set: this.state.set === "up" ? "down" : "up" });
      });
      picture.append(this.drawing);
      const shake = this.button("Shake it 1,000 times", () => this.shake());
      shake.className = "md-button md-button--primary";
      this.form.prepend(shake);
    }

    // With fresh noise, over two seconds; at once where nothing should move.
    shake() {
      this.set({ seed: this.state.seed + 1 });
      this.noise(); // in this task: the next frame has enough to do
      if (rv.calm()) return;
      const begin = performance.now();
      const move = (now) => {
        this.shown = Math.min(STEPS, Math.round(((now - begin) / 1000 / SECONDS) * STEPS));
        if (this.shown < STEPS) requestAnimationFrame(move);
        if (this.path) this.redraw();
      };
      this.shown = 0;
      requestAnimationFrame(move);
    }

    noise() {
      if (this.noiseOf !== this.state.seed) this.shakes = new rv.Twister(this.state.seed).fillNormal(new Float64Array(STEPS * SWITCHES));
      this.noiseOf = this.state.seed;
      return this.shakes;
    }

    compute() {
      const { hold, set } = this.state, noise = this.noise(), sign = set === "up" ? 1 : -1;
      const now = Float64Array.from({ length: SWITCHES }, (_, k) => (k % 2 ? sign : -sign));
      this.path = [now[1]];
      this.lost = [0];
      for (let t = 0; t < STEPS; t++) {
        let product = 1;
        for (let k = 0; k < SWITCHES; k++) {
          now[k] = Math.tanh(hold * now[k] + SHAKE * noise[t * SWITCHES + k]);
          product *= hold * (1 - now[k] * now[k]);
        }
        this.path.push(now[1]);
        this.lost.push(this.lost[t] - Math.log10(product) / SWITCHES);
      }
      this.kept = now.filter((state, k) => Math.sign(state) === (k % 2 ? sign : -sign)).length;
    }

    draw() {
      const { width, shown } = this, state = this.path[shown], lost = this.lost[shown];
      const left = 92, meter = HIGH + 74, height = meter + 62;
      const px = (t) => left + ((width - left) * t) / STEPS;
      const py = (h) => 20 + ((HIGH - 20) * (1 - h)) / 2;
      const points = this.path.slice(0, shown + 1).map((h, t) => `${px(t).toFixed(1)},${py(h).toFixed(1)}`);
      const at = (powers) => (width * Math.min(DEEPEST, Math.max(0, powers))) / DEEPEST;
      const text = (x, y, said, more = {}) => svg("text", { x, y, ...more }, said);
      const lever = svg("g", { class: "rv-lever", style: "cursor: pointer" });
      lever.append(
        svg("rect", { x: 8, y: 14, width: 62, height: HIGH - 8, rx: 8, style: "fill: var(--rv-soft); stroke: var(--rv-quiet)" }),
        svg("rect", { x: 24, y: 28, width: 30, height: HIGH - 36, rx: 6, style: "fill: none; stroke: var(--rv-quiet)" }),
        svg("rect", { x: 26, y: py(state) * 0.58 + 17, width: 26, height: 38, rx: 5, style: "fill: var(--rv-c0)" }),
      );
      const parts = [
        lever,
        text(left, 12, "shaken 1,000 times"),
        svg("path", { d: `M${left} ${py(0)}H${width}`, class: "rv-at" }),
        svg("polyline", { points: points.join(" "), style: "fill: none; stroke: var(--rv-c0); stroke-width: 1.3" }),
        text(width, py(1) + 22, "up", { "text-anchor": "end", class: "rv-over" }),
        text(width, py(-1) - 14, "down", { "text-anchor": "end", class: "rv-over" }),
        text(0, meter - 22, `gradient that is left: ${lost < 0.5 ? "all" : `1 in ${power(Math.round(lost))}`}`, { style: "font-weight: 600" }),
        svg("rect", { x: 0, y: meter - 12, width, height: 20, style: "fill: none; stroke: var(--rv-line)" }),
        rv.hatch(at(FORMATS[1][0]), meter - 12, width - at(FORMATS[1][0]), 20),
        svg("rect", { x: 0, y: meter - 12, width: at(lost), height: 20, style: "fill: var(--rv-c1)", opacity: 0.75 }),
        ...FORMATS.flatMap(([powers, said], i) => [
          svg("path", { d: `M${at(powers)} ${meter - 12}V${meter + 28 - 14 * i}`, stroke: "currentColor" }),
          text(at(powers) + 4, meter + 38 - 14 * i, `${power(powers).replace("10", "10⁻")}: ${said}`),
        ]),
        text(width, meter + 56, "no number that a computer keeps", { "text-anchor": "end" }),
      ];
      rv.sheet(this.drawing, width, height, parts, `A switch that was set ${this.state.set}, its path over ${shown} shakes, and a meter of its gradient`);
    }

    says() {
      const lost = Math.round(this.lost[STEPS]), { kept } = this;
      const lead = kept >= 0.95 * SWITCHES ? "It stays." : kept <= 0.65 * SWITCHES ? "It is forgotten." : "It wavers.";
      const beyond = lost > FORMATS[1][0] ? " No number that a computer keeps is so small." : lost > FORMATS[0][0] ? " In single precision that is zero." : "";
      return [html("b", { textContent: lead }), ` ${kept} of ${SWITCHES} such switches stand as they were set. Of the gradient, `,
        html("strong", { textContent: `1 in ${power(lost)}` }), ` gets back to that moment.${beyond}`];
    }

    rows() {
      return [["shakes", "where it stands", "powers of ten that the gradient has lost"], ...[0, 1, 10, 100, 500, STEPS].map((t) => [t, this.path[t].toFixed(3), this.lost[t].toFixed(1)])];
    }

    python() {
      const { seed, hold, set } = this.state;
      return `import torch

torch.set_default_dtype(torch.float64)
torch.manual_seed(${seed})
start = torch.ones(${SWITCHES})
start[${set === "up" ? "::2" : "1::2"}] = -1
state, lost = start, 0
for noise in torch.randn(${STEPS}, ${SWITCHES}):
    state = torch.tanh(${hold} * state + ${SHAKE} * noise)
    lost -= torch.log10(${hold} * (1 - state**2)).mean()  # logarithms: no number holds the product
print(f"{(state.sign() == start.sign()).sum()} 10^-{lost:.0f}")`;
    }
  });
})();
