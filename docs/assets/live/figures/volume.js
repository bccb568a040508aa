// <rv-volume>: a hundred loudspeakers in a row, each a step back through a plain network with orthogonal weights, and the knob
// of all of them.
// needs: figure shares later
"use strict";

(() => {
  const { html, svg } = window.rvDraw;
  const ENGINE = ["numbers", "cells", "network", "orthogonal", "starts", "halflife"];
  const UNITS = 64;
  const STEPS = 101;
  const BATCH = 4;
  const DECADES = 6;
  const SIZE = 30; // pixels for a loudspeaker
  const times = (scale) => scale.toFixed(2).replace(/0$/, "");

  const measure = ({ scale, loud }) => {
    const net = new rv.Network({ cell: "Elman", units: UNITS, steps: STEPS, batch: BATCH, outputs: 1, readout: "linear" });
    const random = new rv.Twister(0);
    rv.starts.module(net, random);
    random.fillNormal(net.x);
    for (let i = 0; i < net.x.length; i++) net.x[i] *= loud;
    rv.starts.orthogonal(net, random, scale);
    net.forward();
    net.backward();
    return rv.gain(net);
  };

  rv.define("volume", class extends rv.Figure {
    controls = {
      scale: { label: "All knobs", min: 0.6, max: 1.4, step: 0.05, value: 1, say: (v) => `${times(v)} times as loud as it came in`, marks: { 1: "orthogonal" } },
      loud: { label: "Noise at the input", values: [0.1, 0.5, 1, 2, 5], value: 1, say: (v) => (v === 1 ? "as usual" : `${v} times the usual`) },
    };
    predict = { ask: "Where must the knobs stand for the last one to be as loud as the first?", answers: ["below 1", "at 1", "above 1"] };

    build(picture) {
      this.drawing = svg("svg", { role: "img", "aria-label": "A hundred loudspeakers in a row" });
      picture.append(this.drawing);
    }

    compute() { this.gain = rv.later(this, ENGINE) ? measure(this.state) : null; }

    draw() {
      const across = this.width < 480 ? 10 : 20, high = (STEPS - 1) / across;
      const size = Math.min(SIZE, this.width / across), height = 20 + high * size + 20;
      this.drawing.style.height = `${height}px`;
      if (!this.gain) return;
      const parts = [svg("text", { x: 0, y: 12 }, "the message comes in here")];
      for (let i = 1; i < STEPS; i++) {
        const row = Math.floor((i - 1) / across), place = (i - 1) % across;
        const x = ((row % 2 ? across - 1 - place : place) + 0.5) * size; // to and fro, as one reads a chain
        const y = 20 + (row + 0.5) * size;
        const gain = this.gain[i];
        const ring = { cx: x, cy: y, r: 0.4 * size };
        parts.push(
          svg("circle", { ...ring, style: `fill: none; stroke: var(--rv-${i === STEPS - 1 ? "c1" : "line"}); stroke-width: ${i === STEPS - 1 ? 2.5 : 1}` }),
          svg("circle", { ...ring, r: 0.4 * size * Math.min(1, 0.35 + 0.65 * Math.sqrt(Math.min(1, gain))),
            style: `fill: var(--rv-${gain > 10 ? "c1" : "c0"}); opacity: ${rv.ink(Math.min(1, gain), DECADES).toFixed(3)}` }),
        );
      }
      const odd = high % 2;
      parts.push(svg("text", { x: odd ? across * size : 0, y: height - 4, "text-anchor": odd ? "end" : "start" }, "the hundredth"));
      this.drawing.setAttribute("viewBox", `0 0 ${this.width} ${height}`);
      this.drawing.setAttribute("aria-label", `A hundred loudspeakers in a row; at the last ${rv.share(this.gain[STEPS - 1])} arrives`);
      this.drawing.replaceChildren(...parts);
    }

    says() {
      if (!this.gain) return "";
      const left = this.gain[STEPS - 1];
      const verdict = left < 0.1 ? "Too quiet." : left > 10 ? "Too loud." : "About right.";
      return [html("b", { textContent: verdict }), ` With all knobs at ${times(this.state.scale)}, the hundredth loudspeaker passes on `, html("strong", { textContent: rv.share(left) }), left < 0.995 ? " of what came in." : left < 1.005 ? "." : " as came in."];
    }

    rows() { return [["loudspeaker", "is left"], ...[1, 2, 5, 10, 20, 50, 100].map((lag) => [lag, this.gain?.[lag].toExponential(2)])]; }

    python() {
      return `import torch
from torch import nn

from rnnvanish.probes import retention

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
layer, out = nn.RNN(1, ${UNITS}), nn.Linear(${UNITS}, 1)
x = ${this.state.loud} * torch.randn(${STEPS}, ${BATCH}, 1)
nn.init.orthogonal_(layer.weight_hh_l0, ${times(this.state.scale)})
(curve,) = retention(layer, x, lambda result: out(result[0][-1]).sum()).values()
print(f"{curve.gain[${STEPS - 1}]:.2e}")`;
    }
  });
})();
