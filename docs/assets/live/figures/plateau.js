// <rv-plateau>: a walk in fog, downhill from where a small network stands still, over a slice of its own loss: the plane through
// the start and the end of the walk in steps of one length, and the place between them that lies furthest aside.
// needs: ../chart figure slices later
"use strict";

(() => {
  const { html, svg, chart } = window.rvDraw;
  const ENGINE = ["numbers", "cells", "network", "orthogonal", "starts", "tasks", "optimizers", "training"];
  const SHAPE = { cell: "Elman", units: 8, steps: 15, batch: 256 };
  const RATE = 0.05; // the step, as a part of the slope
  const STUCK = 150; // steps after which it stands still
  const OUT = 0.3;
  const FLOOR = Math.LN2;
  const MOST = { same: 400, steep: 150 }; // steps of a walk
  const GRID = { across: 36, down: 22 };
  const SECONDS = 3;

  // The network and the sequences of rnnvanish.experiments.plateau.stuck(seed=0), before training.
  const ground = () => {
    const net = new rv.Network(SHAPE);
    rv.starts.module(net, new rv.Twister(0, true));
    const random = new rv.Twister(0);
    const high = BigInt(random.bits() & 0x3fffffff); // torch.randint(2**62)
    rv.tasks.recall.sample(net, rv.stream("train", (high << 32n) | BigInt(random.bits())));
    return net;
  };
  const along = (net, by, length) => {
    for (let i = 0; i < by.length; i++) net.theta[i] -= length * by[i];
  };
  const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);
  const minus = (a, b, times = 1) => a.map((x, i) => x - times * b[i]);
  const unit = (a) => a.map((x) => x / (Math.sqrt(dot(a, a)) || 1));

  rv.define("plateau", class extends rv.Figure {
    controls = {
      rule: { label: "How long is a step?", choices: { same: "always the same", steep: "the steeper, the longer" }, value: "steep" },
      stride: { label: "Its length", values: [0.02, 0.03, 0.05, 0.08], value: 0.05, enabled: (state) => state.rule === "same" },
    };

    build(picture) {
      this.map = html("canvas", { width: GRID.across, height: GRID.down });
      this.map.style.cssText = "position: absolute; inset: 0; width: 100%; height: 100%; color: var(--rv-c0); forced-color-adjust: none;";
      this.over = svg("svg", { role: "img", "aria-label": "A slice of the loss, still in fog" });
      this.over.style.cssText = "position: absolute; inset: 0; height: 100%;";
      const box = html("div");
      box.style.cssText = `position: relative; aspect-ratio: ${GRID.across} / ${GRID.down}; overflow: hidden; border: 1px solid var(--rv-line); background: var(--md-default-bg-color, Canvas);`;
      box.append(this.map, this.over);
      this.box = box;
      this.curve = svg("svg", { role: "img", "aria-label": "Loss against steps of the walk" });
      this.curve.style.cssText = "height: 190px; margin-top: .6rem;";
      picture.append(box, this.curve);
      const walk = this.button("Walk", () => this.go());
      walk.className = "md-button md-button--primary";
      this.form.prepend(walk);
    }

    // Everything in slices, once the figure is near: training to the halt, the walk in steps of one length, the plane, the
    // loss on it; then the walk that is asked for.
    compute() {
      this.stop?.();
      this.walk = null;
      if (!rv.later(this, ENGINE)) return;
      const { rule, stride } = this.state;
      this.work ??= this.prepare();
      const asked = this.walking(rule, stride);
      this.stop = rv.slices((end) => {
        do if (this.work && this.work.next().done) this.work = null;
        while (this.work && performance.now() < end);
        if (this.work) return true;
        let now;
        do now = asked.next();
        while (!now.done && performance.now() < end);
        if (now.done) this.walk = { ...now.value, seen: this.inSlice(now.value.places) };
        return !now.done;
      }, (last) => {
        if (!last) return;
        this.shown = this.walk.losses.length - 1;
        this.redraw();
        this.tell();
        if (this.begun) this.animate();
      });
    }

    *slope(net) {
      for (const _ of net.pieces()) yield;
    }

    *prepare() {
      this.net = ground();
      for (let i = 0; i < STUCK; i++) {
        yield* this.slope(this.net);
        along(this.net, this.net.grad, RATE);
      }
      this.stuck = this.net.theta.slice();
      const { places } = yield* this.walking("same", 0.05);
      const first = unit(minus(places.at(-1), this.stuck));
      const aside = places.map((place) => minus(minus(place, this.stuck), first, dot(minus(place, this.stuck), first)));
      const furthest = aside.reduce((most, each) => (dot(each, each) > dot(most, most) ? each : most));
      this.axes = [first, unit(furthest)];
      const seen = this.inSlice(places);
      const ends = [0, 1].map((k) => [Math.min(...seen.map((at) => at[k])), Math.max(...seen.map((at) => at[k]))]);
      const wide = 1.6 * (ends[0][1] - ends[0][0]), high = (wide * GRID.down) / GRID.across;
      const middle = ends.map(([low, top]) => (low + top) / 2);
      this.frame = { left: middle[0] - wide / 2, top: middle[1] - high / 2, wide, high };
      this.heights = [];
      for (let j = 0; j < GRID.down; j++)
        for (let i = 0; i < GRID.across; i++) {
          const at = [this.frame.left + (wide * (i + 0.5)) / GRID.across, this.frame.top + (high * (j + 0.5)) / GRID.down];
          this.net.theta.set(this.stuck.map((x, k) => x + at[0] * this.axes[0][k] + at[1] * this.axes[1][k]));
          for (const _ of this.net.pieces(false)) yield;
          this.heights.push(this.net.loss);
        }
    }

    // Where places lie in the slice, or beside it.
    inSlice(places) {
      return places.map((place) => this.axes.map((axis) => dot(minus(place, this.stuck), axis)));
    }

    // From where it stands still: the places and the losses, to the way out or to where nobody waits any more.
    *walking(rule, stride) {
      while (!this.stuck) yield;
      const { net } = this, places = [], losses = [];
      net.theta.set(this.stuck);
      for (let step = 0; ; step++) {
        yield* this.slope(net);
        places.push(net.theta.slice());
        losses.push(net.loss);
        if (net.loss < OUT || step >= MOST[rule]) return { places, losses };
        along(net, net.grad, rule === "same" ? stride / Math.sqrt(dot(net.grad, net.grad)) : RATE);
      }
    }

    go() {
      this.begun = true;
      if (this.walk) this.animate();
      this.scrollIntoView({ block: "nearest" });
    }

    animate() {
      const count = this.walk.losses.length - 1;
      if (rv.calm()) return;
      const begin = performance.now(), { walk } = this;
      let above = false; // map and curve take turns: half a drawing a frame
      const move = (now) => {
        if (this.walk !== walk) return;
        this.shown = Math.min(count, Math.round(((now - begin) / 1000 / SECONDS) * count));
        (above = !above) ? this.drawMap() : this.drawCurve();
        if (this.shown < count || above) requestAnimationFrame(move);
      };
      requestAnimationFrame(move);
    }

    draw() {
      if (!this.walk) return this.over.replaceChildren(svg("text", { x: 12, y: 24 }, "It is being trained until it stands still …"));
      this.drawCurve();
      this.drawMap();
    }

    drawMap() {
      this.paint();
      const width = this.width, high = (width * GRID.down) / GRID.across, { frame } = this;
      const at = ([x, y]) => [(width * (x - frame.left)) / frame.wide, (high * (y - frame.top)) / frame.high];
      const points = this.walk.seen.slice(0, this.shown + 1).map(at), [x, y] = points.at(-1), out = this.walk.losses[this.shown] < OUT;
      const way = points.map((point) => point.map((v) => v.toFixed(1)).join(","));
      const fog = svg("mask", { id: `${this.id}-fog` });
      const round = "stroke-linecap: round; stroke-linejoin: round";
      fog.append(
        svg("rect", { x: -2, width: width + 4, height: high + 2, fill: "white" }),
        svg("polyline", { points: way.length > 1 ? way.join(" ") : `${way} ${way}`, style: `fill: none; stroke: black; stroke-width: 68; ${round}` }),
      );
      this.over.setAttribute("viewBox", `0 0 ${width} ${high}`);
      this.over.setAttribute("aria-label", `A slice of the loss, bluer where it is lower. The walk has taken ${this.shown} steps and ${out ? "is out" : "is still on the plateau"}.`);
      this.over.replaceChildren(
        fog,
        ...(out ? [] : [svg("rect", { x: -2, width: width + 4, height: high + 2, mask: `url(#${this.id}-fog)`, style: "fill: var(--md-default-bg-color, Canvas); opacity: .93" })]),
        svg("polyline", { points: way.join(" "), style: "fill: none; stroke: var(--rv-c1); stroke-width: 2" }),
        svg("path", { d: way.map((point) => `M${point}h0`).join(""), style: `stroke: var(--rv-c1); stroke-width: 5; ${round}` }),
        svg("circle", { cx: x, cy: y, r: 7, style: "fill: var(--rv-c1); stroke: var(--md-default-bg-color, Canvas); stroke-width: 2" }),
        ...(out ? [] : [svg("text", { x: 12, y: high - 12 }, "fog")]),
        svg("text", { class: "rv-over", x: points[0][0], y: points[0][1] - 14, "text-anchor": "middle" }, "stood still here"),
        ...(out ? [svg("text", { class: "rv-over", x, y: y - 14, "text-anchor": "middle" }, "out")] : []),
      );
    }

    drawCurve() {
      const most = Math.max(60, this.walk.losses.length - 1);
      chart(this.curve, {
        x: Array.from({ length: most + 1 }, (_, i) => i),
        series: [{ name: "the walk", y: this.walk.losses.slice(0, this.shown + 1) }, { name: "guessing", y: Array(most + 1).fill(FLOOR) }],
        xlabel: "steps of the walk", ylabel: "loss (dashed: that of guessing)", low: 0, high: 0.8, height: 190,
      });
    }

    // The slice: the lower, the more ink.
    paint() {
      const { color } = getComputedStyle(this.map);
      const plain = getComputedStyle(this.box).backgroundColor;
      if (this.painted === color + plain) return;
      this.painted = color + plain;
      const [ink, paper] = [color, plain].map((each) => each.match(/[\d.]+/g).map(Number));
      const context = this.map.getContext("2d"), image = context.createImageData(GRID.across, GRID.down);
      this.heights.forEach((height, i) => {
        const depth = Math.min(1, Math.max(0, 1 - height / 0.85));
        for (let k = 0; k < 3; k++) image.data[4 * i + k] = paper[k] + depth * (ink[k] - paper[k]);
        image.data[4 * i + 3] = 255;
      });
      context.putImageData(image, 0, 0);
    }

    says() {
      if (!this.walk) return "A network learns to recall the first of 15 inputs, until it stands still. Then you choose how it goes on.";
      const { losses } = this.walk, steps = losses.length - 1, end = losses.at(-1);
      if (end >= OUT) return [html("b", { textContent: "Still there." }), ` After ${steps} more steps the loss is ${end.toFixed(3)}, and guessing costs ${FLOOR.toFixed(3)}: the ground is nearly level, so each step is tiny.`];
      let low = Infinity, climb = 0;
      for (const loss of losses) (climb = Math.max(climb, loss - low)), (low = Math.min(low, loss));
      return [html("b", { textContent: `Out after ${steps} steps.` }), climb < 5e-5 ? " Each of them led down: there was no hill in the way." : ` The highest climb on the way was ${climb.toFixed(4)}.`];
    }

    rows() { return [["step", "loss"], ...(this.walk?.losses ?? []).map((loss, step) => [step, loss.toFixed(4)])]; }

    python() {
      const { rule, stride } = this.state;
      if (rule === "steep") return `from rnnvanish.experiments import plateau

here, losses = plateau.stuck(seed=0, steps=${STUCK + MOST.steep})
print(f"{here.loss():.3f}")`;
      return `from rnnvanish.experiments import plateau

here, losses = plateau.stuck(seed=0)
walk = plateau.walk(here, ${stride})
print(len(walk) - 1)`;
    }
  });
})();
