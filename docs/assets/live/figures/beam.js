// <rv-beam>: every past state is a page on a wall; a lamp is aimed at one. How much gradient gets there along the row of
// people, and how much by attention, before training.
// needs: figure ink-key shares later
"use strict";

(() => {
  const { html, svg } = window.rvDraw;
  const ENGINE = ["numbers", "cells", "network", "orthogonal", "starts", "tasks", "attention", "halflife"];
  const UNITS = 16;
  const BATCH = 8;
  const SEED = 0;
  const DECADES = 6;
  const PAGE = 34; // pixels of height
  const LENGTHS = [20, 40, 80];

  const measure = (length, attention) => {
    const task = rv.tasks.recall;
    const net = new rv.Network({ cell: "Elman", units: UNITS, batch: BATCH, attention, ...task.shape(length - 1) });
    rv.draw(net, new rv.Twister(SEED, true));
    rv.batch(task, net, "train", SEED, 0, 0);
    net.forward();
    net.backward();
    return rv.gain(net);
  };

  rv.define("beam", class extends rv.Figure {
    controls = {
      page: { label: "Aim at page", min: 1, max: LENGTHS.at(-1), step: 1, value: 3, say: () => `${this.page} of ${this.state.length}` },
      length: { label: "Pages", values: LENGTHS, value: 40 },
    };

    get page() { return Math.min(this.state.page, this.state.length); }

    build(picture) {
      this.drawing = svg("svg", { role: "img", "aria-label": "Pages in a row and on a wall" });
      const aim = (event) => {
        const box = this.drawing.getBoundingClientRect();
        const page = Math.ceil(((event.clientX - box.left) / box.width) * this.state.length);
        this.set({ page: Math.min(this.state.length, Math.max(1, page)) });
      };
      this.drawing.addEventListener("pointerdown", (event) => (this.drawing.setPointerCapture(event.pointerId), aim(event)));
      this.drawing.addEventListener("pointermove", (event) => this.drawing.hasPointerCapture(event.pointerId) && aim(event));
      this.drawing.style.cursor = "pointer";
      picture.append(this.drawing, rv.inkKey("Gradient that gets there:", { decades: DECADES }));
    }

    compute() {
      const { length } = this.state;
      if (!rv.later(this, ENGINE)) return;
      if (this.length !== length) [this.row, this.wall] = [measure(length, false), measure(length, true)];
      this.length = length;
    }

    draw() {
      const { width, page, state: { length } } = this, each = width / length;
      const top = 46, wall = 172, most = LENGTHS.at(-1);
      const unit = Math.min(1.4, (width - 20) / most / 1.2), ground = wall + PAGE + 42 + most * unit, height = ground + 24;
      this.drawing.style.height = `${height}px`;
      if (!this.row) return;
      const x = (t) => (t - 0.5) * each;
      const pages = (gain, y) =>
        Array.from({ length }, (_, i) => {
          const box = { x: x(i + 1) - 0.4 * each, y, width: 0.8 * each, height: PAGE };
          const g = svg("g");
          g.append(
            svg("rect", { ...box, style: "fill: none; stroke: var(--rv-line)" }),
            svg("rect", { ...box, style: `fill: var(--rv-c0); opacity: ${rv.ink(gain[length - 1 - i], DECADES).toFixed(3)}` }),
            ...(i + 1 === page ? [svg("rect", { ...box, x: box.x - 1.5, y: y - 1.5, width: box.width + 3, height: PAGE + 3, style: "fill: none; stroke: var(--rv-c1); stroke-width: 2.5" })] : []),
          );
          return g;
        });
      const hops = Array.from({ length: length - page }, (_, i) => `M${x(length - i)} ${top - 4}q${-each / 2} ${-Math.min(18, 2 * each)} ${-each} 0`);
      const work = length * unit;
      this.drawing.replaceChildren(
        svg("text", { x: 0, y: 14 }, `along the row: ${length - page} ${length - page === 1 ? "step" : "steps"}`),
        svg("path", { d: hops.join(""), style: "fill: none; stroke: var(--rv-c1); stroke-width: 1.5" }),
        ...pages(this.row, top),
        svg("text", { x: 0, y: wall - 68 }, `on the wall: ${page === length ? "at hand" : "1 step"}`),
        svg("path", { d: `M${x(length)} ${wall - 62}L${x(page) - each / 2} ${wall}H${x(page) + each / 2}Z`, style: "fill: var(--rv-c4); opacity: .7" }),
        svg("circle", { cx: x(length), cy: wall - 62, r: 6, style: "fill: var(--rv-c1)" }),
        ...pages(this.wall, wall),
        svg("text", { x: 0, y: wall + PAGE + 26 }, "the work, as an area:"),
        svg("rect", { x: 0, y: ground - unit, width: work, height: unit, style: "fill: var(--rv-c1)" }),
        svg("text", { x: 0, y: ground + 16 }, `row: ${length}`),
        svg("path", { d: `M${width / 2} ${ground}h${work}v${-work}Z`, style: "fill: var(--rv-c0); opacity: .8" }),
        svg("text", { x: width / 2, y: ground + 16 }, `wall: ${((length * (length + 1)) / 2).toLocaleString("en")} looks`),
      );
      this.drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
      this.drawing.setAttribute("aria-label", `${length} pages in a row and on a wall; a lamp shines from the last at page ${page}`);
    }

    says() {
      if (!this.row) return "";
      const back = this.state.length - this.page, strong = (x) => html("strong", { textContent: rv.share(x) });
      if (!back) return "The last page is where the answer is given. Aim further back.";
      return [`Page ${this.page} is ${back} steps back. Along the row it gets `, strong(this.row[back]), " of the gradient of the last page. By looking back it gets ", strong(this.wall[back]), ", from one step away: before training, far pages are about equally dim."];
    }

    rows() {
      const { length } = this.state;
      if (!this.row) return [[]];
      return [["page", "along the row", "with attention"], ...Array.from({ length }, (_, i) => [i + 1, this.row[length - 1 - i].toExponential(2), this.wall[length - 1 - i].toExponential(2)])];
    }

    python() {
      const { length } = this.state;
      return `import torch
from torch.nn.functional import cross_entropy

from rnnvanish.probes import retention
from rnnvanish.task import stream
from rnnvanish.training.learner import Learner

for cure in ("", "AttentionOverPast()"):
    torch.manual_seed(${SEED})
    learner = Learner("Elman", "recall", ${UNITS}, task_options={"length": ${length}}, mitigations=cure)
    batch = learner.task.sample(${BATCH}, stream(${SEED}, 0, 0))
    loss = lambda answer: cross_entropy(answer, batch.targets)
    (curve,) = retention(learner.double(), batch.inputs.double(), loss).values()
    print(f"{curve.gain[${length - this.page}]:.2e}")`;
    }
  });
})();
