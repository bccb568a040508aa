// <rv-beyond>: networks by the half-life of their gradient before training, and how soon they learn to remember that far. Its
// <template> holds { budget, networks: [{ name, half: { lag: [draw] }, learnt: { lag: [steps or null] } }] };
// a half-life of null has no end.
// needs: figure given scatter
"use strict";

(() => {
  const { svg } = window.rvDraw;
  const KINDS = { RNN: ["circle", 0, "plain"], LSTM: ["square", 1, "LSTM"], GRU: ["triangle", 2, "GRU"] };
  const middle = (values) => [...values].sort((one, other) => one - other)[Math.floor(values.length / 2)];
  const steps = (x) => (Number.isFinite(x) ? `${Number(x.toPrecision(2))} steps` : "no end");
  const kind = (name) => name.split(",")[0];

  rv.define("beyond", class extends rv.Figure {
    connectedCallback() {
      if (!this.picture) {
        ({ budget: this.budget, networks: this.networks } = rv.given(this));
        const lags = Object.keys(this.networks[0].half).map(Number);
        this.controls = {
          lag: { label: "Remember for", values: lags, value: lags[1], unit: "steps" },
          network: { label: "Network", choices: Object.fromEntries(this.networks.map(({ name }) => [name, name])), value: "LSTM, default" },
        };
      }
      super.connectedCallback();
    }

    build(picture) {
      this.svg = svg("svg", { role: "img" });
      const legend = document.createElement("p");
      legend.className = "rv-key";
      legend.ariaHidden = "true";
      for (const [shape, colour, words] of Object.values(KINDS)) {
        const sign = svg("svg", { viewBox: "0 0 16 16", style: "display: inline-block; width: 16px; height: 16px; vertical-align: -3px" });
        sign.append(svg("path", { d: { circle: "M8 2a6 6 0 1 0 .01 0z", square: "M3 3H13V13H3z", triangle: "M8 2L14 13H2z" }[shape], style: `fill: var(--rv-c${colour})` }));
        const item = document.createElement("span");
        item.append(sign, ` ${words}`);
        legend.append(item);
      }
      picture.append(this.svg, legend);
      rv.choose(this.svg, () => this.nearest, (network) => this.set({ network }));
    }

    compute() {
      const { lag } = this.state;
      this.found = this.networks.map(({ name, half, learnt }) => ({ name, half: middle(half[lag].map((each) => each ?? Infinity)), all: learnt[lag], steps: middle(learnt[lag].map((each) => each ?? Infinity)) }));
      this.one = this.found.find(({ name }) => name === this.state.network);
    }

    draw() {
      const never = this.budget * 1.12;
      const y = (each) => Math.min(each, never);
      const point = ({ name, half, steps: took }) => ({ x: half, y: y(took), key: name, shape: KINDS[kind(name)][0], colour: `var(--rv-c${KINDS[kind(name)][1]})` });
      const halves = this.networks.flatMap(({ half }) => Object.values(half).flat()).filter(Boolean);
      this.nearest = rv.scatter(this.svg, {
        points: this.found.map(point),
        notes: [{ x: this.one.half, y: y(this.one.steps), text: this.one.name, up: this.one.steps > this.budget ? 24 : -14 }],
        marks: [...[0, 0.25, 0.5, 0.75, 1].map((part) => [part * this.budget, String(Math.round(part * this.budget))]), [never, "never"]],
        range: [Math.min(...halves) * 0.85, Math.max(...halves) * 1.15],
        chosen: this.one.name,
        xlabel: "half-life before training, in steps",
        ylabel: "steps of training until it remembers that far",
      });
      this.svg.setAttribute("aria-label", `Points for ${this.found.length} networks. ${this.says()}`);
    }

    says() {
      const { lag } = this.state;
      const { name, half, all, steps: took } = this.one;
      const learns = (some) => some.filter((each) => Number.isFinite(each.steps)).length;
      const shorter = this.found.filter((each) => each.half < half);
      const longer = this.found.filter((each) => each.half > half);
      const got = all.filter((each) => each !== null).length;
      const own = got ? `${got} of ${all.length} draws learnt it${Number.isFinite(took) ? `, the middle one in ${took} steps` : ""}.` : `No draw learnt it in ${this.budget} steps.`;
      const others = [[shorter, "shorter"], [longer, "longer"]].filter(([some]) => some.length).map(([some, word]) => `of the ${some.length} with a ${word} half-life ${learns(some)} did`);
      return `${name}: a half-life of ${steps(half)}, to remember for ${lag} steps. ${own} And ${others.join("; ")}.`;
    }

    rows() {
      const rows = [["network", "remember for, steps", "half-life", "learnt after, steps of training"]];
      for (const { name, half, learnt } of this.networks)
        for (const lag of Object.keys(half)) half[lag].forEach((each, i) => rows.push([name, lag, steps(each ?? Infinity), learnt[lag][i] ?? "never"]));
      return rows;
    }

    python() {
      return `from rnnvanish.experiments import beyond
from rnnvanish.experiments.claim_study import fresh
from rnnvanish.studies.reader import memories

network, trained = beyond.PAIRS["${this.state.network}"], memories()
draws = [trained[network.cell, network.mitigations, seed] for seed in fresh()]
learnt = [row["solved"] for rows in draws for row in rows if row["lag"] == ${this.state.lag}]
print(f"{sum(each is not None for each in learnt)} of {len(learnt)} draws learnt it")`;
    }
  });
})();
