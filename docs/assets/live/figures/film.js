// <rv-film>: a film of twenty pictures, run backwards: each as bright as the blame that a network's state gets there.
// needs: ../draw figure people shares small
"use strict";

(() => {
  const SEED = 0, FRAMES = 20, ELBOW = 5, ROW = 10;
  const DARK = "#20262d", UNLIT = "#39424d", LIGHT = "#ffb95e"; // a film has its own colours, by day and by night
  const { svg } = window.rvDraw;

  // What a picture shows, in a square of 40: an elbow comes, the glass tips over, falls, and breaks.
  const scene = (t) => {
    const falls = Math.max(0, (t - ELBOW) / (FRAMES - 4 - ELBOW)); // 1 where it hits the floor
    const parts = ["M3 20H21M15 20V38"]; // a table
    if (t <= ELBOW + 2) parts.push(`M0 12L${4 + 1.6 * Math.min(t, ELBOW)} ${16 - 0.4 * t}L0 18`);
    const glass = (x, y, turn) => {
      const c = Math.cos(turn), s = Math.sin(turn);
      const corners = [[-3, -5], [3, -5], [2, 4], [-2, 4]].map(([a, b]) => `${(x + a * c - b * s).toFixed(1)} ${(y + a * s + b * c).toFixed(1)}`);
      parts.push(`M${corners.join("L")}z`);
    };
    if (falls === 0) glass(17, 16, 0);
    else if (falls < 1) glass(18 + 13 * falls, 16 + 17 * falls * falls, 2.6 * falls);
    else parts.push("M24 38l2-4 2 3M29 38l3-5 1 4M34 38l2-3 2 2");
    return parts.join("");
  };

  rv.define("film", class extends rv.Figure {
    controls = {
      at: { label: "Run it back to picture", min: 1, max: FRAMES, step: 1, value: 10 },
      cut: { label: "Cut the film before picture", min: 1, max: FRAMES, step: 1, value: 1, say: (cut) => (cut > 1 ? String(cut) : "no cut") },
    };

    build(picture) {
      this.sheet = svg("svg");
      picture.append(this.sheet);
      this.whole = rv.small(SEED, FRAMES);
      this.whole.forward();
      rv.pick(this.sheet, (x, y) => {
        if (y > 2 * this.tall + 16) return;
        const row = y > this.tall + 8 ? 1 : 0;
        this.set({ at: row * ROW + Math.min(ROW - 1, Math.max(0, Math.floor((x / this.width) * ROW))) + 1 });
      });
    }

    // With a cut, the network goes on from a state that has no past: dL/ds goes back to there, and no further.
    compute() {
      const { whole } = this, { cut } = this.state, from = cut - 1;
      const net = rv.small(SEED, FRAMES - from);
      net.theta.set(whole.theta);
      net.x.set(whole.x.subarray(from * whole.batch * whole.inputs));
      net.y.set(whole.y);
      const size = whole.batch * whole.units;
      net.layer(0).H.set(whole.layer(0).H.subarray(from * size, (from + 1) * size));
      net.forward();
      net.backward();
      const sizes = net.sizes();
      this.blame = Array.from({ length: FRAMES }, (_, t) => (t < from ? 0 : sizes[t + 1 - from] / sizes.at(-1)));
    }

    draw() {
      const { width } = this, { at, cut } = this.state, step = width / ROW, gap = Math.min(4, step / 12);
      const frame = step - 2 * gap, tall = (this.tall = frame + 20), parts = [];
      for (let row = 0; row < FRAMES / ROW; row++) {
        const y = row * (tall + 16);
        parts.push(svg("rect", { x: 0, y, width, height: tall, rx: 3, fill: DARK }));
        for (let x = 3; x < width - 4; x += 12) for (const edge of [3, tall - 7]) parts.push(svg("rect", { x, y: y + edge, width: 6, height: 4, rx: 1, fill: "#aab6c3" }));
      }
      this.blame.forEach((share, t) => {
        const x = (t % ROW) * step + gap, y = Math.floor(t / ROW) * (tall + 16) + 10, reached = t + 1 >= at;
        const ink = reached ? rv.ink(share) : 0;
        parts.push(svg("rect", { x, y, width: frame, height: frame, fill: UNLIT }));
        parts.push(svg("rect", { x, y, width: frame, height: frame, fill: LIGHT, "fill-opacity": ink.toFixed(3) }));
        parts.push(svg("path", {
          d: scene(t + 1), transform: `translate(${x} ${y}) scale(${frame / 40})`, fill: "none", "stroke-width": 1.8, "stroke-linejoin": "round",
          stroke: ink > 0.45 ? DARK : "#e8edf2", opacity: reached && share ? 1 : 0.4,
        }));
        if (t + 1 === at) parts.push(svg("rect", { x: x - gap / 2, y: y - gap / 2, width: frame + gap, height: frame + gap, fill: "none", "stroke-width": 3, stroke: "#6cb8f0" }));
        if (t + 1 === cut && cut > 1) parts.push(svg("path", { d: `M${x - gap} ${y - 14}V${y + frame + 14}`, "stroke-width": 4, "stroke-dasharray": "5 3", style: "stroke: var(--rv-fails)" }));
      });
      const bottom = 2 * tall + 16;
      parts.push(svg("text", { x: 0, y: bottom + 18, style: "fill: var(--rv-quiet)" }, "The brighter, the more of the blame gets there:"));
      parts.push(...rv.shades(bottom + 39, width, LIGHT, UNLIT));
      rv.sheet(this.sheet, width, bottom + 46, parts, `A film of twenty pictures in which a glass falls off a table. ${this.says()}`);
    }

    says() {
      const { at, cut } = this.state, share = this.blame[at - 1];
      const special = { [FRAMES]: "The film stands at its last picture: the glass is broken.", [ELBOW]: `The film is back at picture ${at}, where the elbow hits the glass.` };
      const place = special[at] ?? `The film is back at picture ${at}.`;
      if (share === 0) return `${place} Here it stays dark, for the film was cut before picture ${cut}: of the blame, nothing arrives.`;
      return `${place} Of the blame at the end, ${rv.share(share)} arrives here (${share.toPrecision(3)}).`;
    }

    rows() {
      return [["Picture", "Blame that arrives"], ...this.blame.map((share, t) => [`${t + 1}`, share ? `${rv.share(share)} (${share.toExponential(2)})` : "nothing"])];
    }

    python() {
      const { at, cut } = this.state;
      return `import torch
from rnnvanish.experiments.small import Small

network = Small(seed=${SEED}, steps=${FRAMES})
state, states = torch.zeros(1, 8, 32, dtype=torch.float64, requires_grad=True), []
for t, word in enumerate(network.x, 1):${cut > 1 ? `
    if t == ${cut}:
        state = state.detach().requires_grad_()  # cut` : ""}
    _, state = network.rnn(word[None], state)
    state.retain_grad()
    states.append(state)
(states[-1][0] @ network.readout - network.target).square().mean().backward()
blame = [0 if state.grad is None else float(state.grad.norm()) for state in states]
print(f"{blame[${at - 1}] / blame[-1]:.3g}")`;
    }
  });
})();
