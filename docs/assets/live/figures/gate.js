// <rv-gate>: how far a gate is open at the start, and how much of the gradient comes through; `cells` names one cell or two.
// needs: ../chart figure shares later
"use strict";

(() => {
  const { html, svg, chart, stroke } = window.rvDraw;
  const ENGINE = ["numbers", "cells", "network", "orthogonal", "starts", "halflife"];
  const UNITS = 64;
  const STEPS = 101;
  const BATCH = 2;
  const LEAST = 12; // powers of ten that the chart reaches down
  const DOOR = { wide: 16, high: 34, room: 44 }; // pixels
  const bias = (gate) => Number(Math.log(gate / (1 - gate)).toFixed(3));
  const percent = (share) => `${Math.round(100 * share)} %`;

  // As torch.nn draws the layer after torch.manual_seed(0), but for the bias of the gate; it reads noise.
  const measure = (cell, gate) => {
    const net = new rv.Network({ cell, units: UNITS, steps: STEPS, batch: BATCH, outputs: 1, readout: "linear" });
    const random = new rv.Twister(0);
    rv.starts.module(net, random);
    rv.starts.open(net, random, bias(gate));
    random.fillNormal(net.x);
    net.forward();
    net.backward();
    const gain = rv.gain(net);
    return { cell, gain, halfLife: rv.halfLife(gain) };
  };

  rv.define("gate", class extends rv.Figure {
    controls = {
      gate: {
        label: "How much of its memory the gate passes on at each step",
        min: 0.27, max: 0.99, step: 0.01, value: 0.5,
        say: percent,
        marks: { 0.5: "PyTorch", 0.73: "Keras’ LSTM" },
      },
    };

    connectedCallback() {
      this.cells = this.getAttribute("cells").split(" ");
      if (this.cells.length > 1) this.predict = { ask: "At the same gate, which keeps more of its gradient?", answers: ["The LSTM", "The GRU", "Both the same"] };
      super.connectedCallback();
    }

    build(picture) {
      this.doors = svg("svg", { role: "img", "aria-label": "Doors in a row" });
      this.chart = svg("svg", { role: "img", "aria-label": "Gradient that is left against steps back" });
      this.doors.style.height = `${this.cells.length * (DOOR.high + 34)}px`;
      this.chart.style.cssText = "height: 230px; margin-top: .6rem;";
      picture.append(this.doors, this.chart);
    }

    compute() { this.results = rv.later(this, ENGINE) ? this.cells.map((cell) => measure(cell, this.state.gate)) : null; }

    draw() {
      if (!this.results) return;
      this.drawDoors();
      const x = Array.from({ length: STEPS }, (_, lag) => lag);
      const series = this.results.map(({ cell, gain }) => ({ name: cell, y: Array.from(gain, (left) => (left < 10 ** -LEAST ? null : left)) }));
      const { px, py } = chart(this.chart, { x, series, log: true, xlabel: "steps back", ylabel: "gradient that is left", low: -LEAST, high: 4, height: 230 });
      if (series.length < 2) return;
      const ends = series.map(({ y }) => y.findLastIndex((left) => left !== null));
      series.forEach(({ name, y }, i) => {
        const at = Math.max(2, Math.round(ends[i] * (i ? 0.8 : 0.6)));
        this.chart.append(svg("text", { class: "rv-over", x: px(at) + 6, y: py(y[at]) - 6, style: `fill: var(--rv-c${i}); font-weight: 600` }, name));
      });
    }

    // The first steps on the way back: the memory passes through one door after the other.
    drawDoors() {
      const { wide, high, room } = DOOR, { gate } = this.state;
      const width = this.width, count = Math.min(16, Math.floor((width - 20) / room));
      const rows = this.results.map(({ cell, gain }, r) => {
        const row = svg("g", { transform: `translate(0 ${r * (high + 34) + 22})` });
        row.append(svg("text", { x: 0, y: -8 }, `${cell}: the first ${count} steps on the way back`));
        for (let i = 0; i <= count; i++) {
          const x = 2 + i * room;
          const left = Math.min(1, gain[i]);
          row.append(
            svg("rect", { x, y: 8, width: 15, height: 19, style: "fill: none; stroke: var(--rv-line)" }),
            svg("rect", { x, y: 8, width: 15, height: 19, style: `fill: var(--rv-c${r}); opacity: ${left.toFixed(3)}` }),
          );
          if (i === count) continue;
          row.append(
            svg("rect", { x: x + 22, y: 0, width: wide, height: high, style: "fill: none; stroke: currentColor" }),
            svg("rect", { x: x + 22, y: 0, width: (wide * (1 - gate)).toFixed(1), height: high, style: "fill: var(--rv-quiet)" }),
          );
        }
        return row;
      });
      const height = rows.length * (high + 34);
      this.doors.setAttribute("viewBox", `0 0 ${width} ${height}`);
      this.doors.style.height = `${height}px`;
      this.doors.setAttribute("aria-label", `Doors, each open to ${percent(gate)}; behind each stands what is left, ever fainter`);
      this.doors.replaceChildren(...rows);
    }

    says() {
      if (!this.results) return "";
      const life = ({ halfLife }) => (halfLife === Infinity ? "has no end" : halfLife > 1000 ? "is over 1,000 steps" : `is ${halfLife.toFixed(1)} steps`);
      const left = ({ gain }) => html("strong", { textContent: rv.share(gain.at(-1)) });
      const [one, other] = this.results;
      if (!other) return [`With its gate at ${percent(this.state.gate)}, the half-life of the gradient ${life(one)}. A hundred steps back, `, left(one), " is left."];
      return [`With both gates at ${percent(this.state.gate)}, the half-life ${life(one)} in the ${one.cell}, and ${life(other)} in the ${other.cell}. A hundred steps back, `,
        left(one), ` is left in the ${one.cell}, `, left(other), ` in the ${other.cell}.`];
    }

    rows() {
      if (!this.results) return [[]];
      const lags = [1, 2, 5, 10, 20, 50, 100];
      return [["steps back", ...this.cells], ...lags.map((lag) => [lag, ...this.results.map(({ gain }) => gain[lag].toExponential(2))])];
    }

    python() {
      return `import torch
from torch import nn

from rnnvanish.mitigations import OpenGate
from rnnvanish.probes import retention

torch.set_default_dtype(torch.float64)
for kind in (${this.cells.map((cell) => `nn.${cell}, `).join("")}):
    torch.manual_seed(0)
    layer, out = kind(1, ${UNITS}), nn.Linear(${UNITS}, 1)
    x = torch.randn(${STEPS}, ${BATCH}, 1)
    opened = OpenGate(${bias(this.state.gate)})(layer)
    (curve,) = retention(opened, x, lambda result: out(result[0][-1]).sum()).values()
    print(f"{curve.half_life:.1f} {curve.gain[${STEPS - 1}]:.2e}")`;
    }
  });
})();
