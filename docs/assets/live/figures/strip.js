// <rv-strip>: how much of the gradient at the end reaches each step, for a network and for one twice as wide; hatched where
// single precision has nothing left but zero.
// needs: ../draw figure halflife later network numbers shades shares sheet slices small
"use strict";

(() => {
  const BATCH = 16, TALL = 46;
  const SMALLEST = 1e-36; // what is below may be zero in single precision
  const ROOM = 200; // pixels of the words for that
  const MODULES = { Elman: "nn.RNN", LSTM: "nn.LSTM", GRU: "nn.GRU" };
  const NAMES = { Elman: "a plain network", LSTM: "an LSTM", GRU: "a GRU" };
  const SOFTWARE = { torch: "PyTorch", keras: "Keras" };
  const { svg } = window.rvDraw;

  // What rnnvanish's workbench measures: floats are drawn, and computed with in double precision, or as they are.
  const network = ({ cell, start, length, seed }, units, single) => {
    const net = new rv.Network({ cell, inputs: 1, units, steps: length + 1, batch: BATCH, outputs: 1, readout: "linear", single });
    const random = new rv.Twister(seed, true);
    net.drawLayers(random);
    if (start === "keras") rv.starts.keras(net, random);
    net.x.set(random.fillNormal(new Float32Array(net.x.length)));
    return rv.sumLast(net);
  };

  // One of the two strips, in pieces; null where it waits for a script.
  function* measure(figure, state, units) {
    const net = network(state, units, false);
    yield* net.pieces();
    const gain = rv.gain(net), made = { units, gain, halfLife: rv.halfLife(gain), zero: 0 };
    if (Math.min(...gain) < SMALLEST) {
      if (!rv.later(figure, ["single"])) return null; // few need it: all is computed anew once it is there
      const rough = network(state, units, true);
      yield* rough.pieces();
      made.zero = rough.sizes().slice(1).findIndex((size) => size > 0); // the steps before this one get nothing
    }
    return made;
  }

  const zeroes = (steps) => `In single precision, the first ${steps} steps or so get exactly nothing.`;

  rv.define("strip", class extends rv.Figure {
    controls = {
      cell: { label: "Network", choices: { Elman: "plain", LSTM: "LSTM", GRU: "GRU" }, value: "Elman" },
      start: { label: "Started as by", choices: { torch: "PyTorch", keras: "Keras" }, value: "torch" },
      length: { label: "Steps back", values: [25, 50, 100, 200], value: 100 },
      units: { label: "Units", values: [8, 16, 32], value: 32 },
      seed: { hidden: true, value: 0 },
    };

    // What stood here says what the first strips will say.
    connectedCallback() {
      this.before = this.querySelector("p")?.textContent ?? "";
      super.connectedCallback();
    }

    disconnectedCallback() { this.stop?.(); }

    build(picture) {
      this.sheet = svg("svg");
      picture.append(this.sheet);
      this.said.textContent = `${this.before} ${zeroes(100)}`; // the longest, so that nothing moves when it comes
      this.said.style.minHeight = `${(this.tallest = this.said.offsetHeight)}px`;
    }

    // The strips of the controls come when they are there; until then the old ones stay.
    compute() {
      this.stop?.();
      const state = { ...this.state };
      if (state.start === "keras" && !rv.later(this, ["orthogonal", "starts"])) return; // few choose it
      const both = function* (figure) {
        return [yield* measure(figure, state, state.units), yield* measure(figure, state, 2 * state.units)];
      };
      const work = both(this);
      let done;
      this.stop = rv.slices(() => !(done = work.next()).done, (last) => {
        if (!last || done.value.includes(null)) return;
        Object.assign(this, { shown: state, strips: done.value });
        this.redraw();
        this.tell();
      });
    }

    draw() {
      const { width, strips } = this, parts = [];
      const length = strips ? this.shown.length : this.state.length, steps = length + 1;
      parts.push(svg("text", { x: 0, y: 13 }, "How much of the gradient reaches each step"));
      (strips ?? []).forEach(({ units, gain, halfLife, zero }, i) => {
        const y = 52 + i * (TALL + 50), px = (step) => (width * step) / steps;
        parts.push(svg("text", { x: 0, y: y - 8, "font-weight": 600 }, i ? `${width < 300 ? "" : "Twice: "}${units} units` : `${units} units`));
        parts.push(svg("text", { x: width, y: y - 8, "text-anchor": "end" }, `half ${width < 300 ? "" : "is "}lost in ${halfLife.toFixed(1)} steps`));
        parts.push(svg("rect", { x: 0, y, width, height: TALL, style: "fill: none; stroke: var(--rv-quiet)" }));
        for (let lag = 0; lag < steps; lag++)
          if (rv.ink(gain[lag]) > 0)
            parts.push(svg("rect", { x: px(steps - 1 - lag), y, width: px(1), height: TALL, "shape-rendering": "crispEdges", style: "fill: var(--rv-c0)", "fill-opacity": rv.ink(gain[lag]).toFixed(3) }));
        if (zero > 0) {
          parts.push(rv.hatch(0, y, px(zero), TALL));
          parts.push(svg("text", { class: "rv-over", x: px(zero) + ROOM < width / 2 + ROOM / 2 ? px(zero) + 6 : 6, y: y + TALL / 2 + 5 }, "exactly 0 in single precision"));
        }
      });
      const axis = 52 + 2 * TALL + 50 + 18;
      parts.push(svg("text", { x: 0, y: axis }, `${length} steps back`), svg("text", { x: width, y: axis, "text-anchor": "end" }, "the end"));
      parts.push(...rv.shades(axis + 25, width, "var(--rv-c0)"));
      rv.sheet(this.sheet, width, axis + 32, parts, `Two strips, dark at the end, paler from there back. ${this.says()}`);
    }

    says() {
      if (!this.strips) return this.before;
      const { cell, start, length } = this.shown, [one, two] = this.strips;
      const zero = one.zero > 0 ? ` ${zeroes(one.zero)}` : "";
      const lost = `half of the gradient is lost in ${one.halfLife.toFixed(1)} steps; in one twice as wide, in ${two.halfLife.toFixed(1)}`;
      const left = `After ${length} steps, ${rv.share(one.gain[length])} is left.${zero}`;
      return `In ${NAMES[cell]} of ${one.units} units, as ${SOFTWARE[start]} starts it, ${lost}. ${left}`;
    }

    rows() {
      if (!this.strips) return [["Steps back"]];
      const [one, two] = this.strips;
      return [["Steps back", `${one.units} units`, `${two.units} units`], ...Array.from(one.gain, (left, lag) => [`${lag}`, left.toExponential(2), two.gain[lag].toExponential(2)])];
    }

    python() {
      const { cell, start, length, units, seed } = this.state;
      return `from torch import nn
from rnnvanish.experiments import workbench

for units in (${units}, ${2 * units}):
    build = workbench.gated(${MODULES[cell]}, "${start === "keras" ? "Keras" : "default"}", units)
    curve = workbench.curve(build, seed=${seed}, steps=${length + 1})
    print(f"{units} units: half is lost in {curve.half_life:.1f} steps")`;
    }
  });
})();
