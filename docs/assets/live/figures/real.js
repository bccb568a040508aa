// <rv-real>: real data, networks as PyTorch draws them and with a better start: how long the gradient lasts against what was
// learnt. Its <template> holds every draw: [{ data, network, default: { half, right, cost }, better: { ... } }].
// needs: figure given scatter
"use strict";

(() => {
  const { svg } = window.rvDraw;
  const middle = (values) => [...values].sort((one, other) => one - other)[Math.floor(values.length / 2)];
  const steps = (x) => String(Number(x.toPrecision(2)));
  const capital = (text) => text[0].toUpperCase() + text.slice(1);
  const NETWORKS = { RNN: "plain network", LSTM: "LSTM" };
  const STARTS = { default: "as PyTorch draws it", better: "the better start" };

  rv.define("real", class extends rv.Figure {
    connectedCallback() {
      if (!this.picture) {
        this.pairs = rv.given(this);
        const names = (field, words = {}) => Object.fromEntries(this.pairs.map((pair) => [pair[field], words[pair[field]] ?? pair[field]]));
        this.controls = {
          data: { label: "Data", choices: names("data"), value: this.pairs[0].data },
          network: { label: "Network", choices: names("network", NETWORKS), value: this.pairs[0].network },
          start: { label: "Start", choices: STARTS, value: "better" },
          of: { label: "Measured by", choices: { right: "right answers", cost: "cost" }, value: "right", below: true },
        };
      }
      super.connectedCallback();
    }

    build(picture) {
      this.svg = svg("svg", { role: "img" });
      picture.append(this.svg);
      rv.choose(this.svg, () => this.nearest, (key) => {
        const [data, network, start] = key.split("/");
        this.set({ data, network, start: start ?? this.state.start });
      });
    }

    key({ data, network }) { return `${data}/${network}`; }

    // Whether all draws of the better start did better than all of the default, or worse.
    judged(pair) {
      const sign = this.state.of === "right" ? 1 : -1;
      const [was, now] = ["default", "better"].map((start) => pair[start][this.state.of].map((each) => sign * each));
      return Math.min(...now) > Math.max(...was) ? 1 : Math.max(...now) < Math.min(...was) ? -1 : 0;
    }

    compute() {
      this.pair = this.pairs.find((pair) => this.key(pair) === this.key(this.state));
      this.verdicts = this.pairs.map((pair) => this.judged(pair));
    }

    draw() {
      const { of, start } = this.state;
      const place = (pair, name) => [middle(pair[name].half), middle(pair[name][of])];
      const chosen = this.key(this.state);
      const ways = this.pairs.map((pair) => ({ from: place(pair, "default"), to: place(pair, "better"), key: this.key(pair) }));
      const points = this.pairs.flatMap((pair) => Object.keys(STARTS).map((name, i) => {
        const [x, y] = place(pair, name);
        return { x, y, key: this.key(pair), colour: `var(--rv-c${i})`, shape: i ? "square" : "circle", hollow: this.key(pair) === chosen && name !== start };
      }));
      const draws = Object.keys(STARTS).flatMap((name, i) =>
        this.pair[name].half.map((x, k) => ({ x, y: this.pair[name][of][k], key: chosen, small: true, colour: `var(--rv-c${i})`, shape: i ? "square" : "circle" })));
      const [x, y] = place(this.pair, start);
      const all = this.pairs.flatMap((pair) => [...pair.default.half, ...pair.better.half]);
      const most = Math.max(1, ...this.pairs.flatMap((pair) => [...pair.default[of], ...pair.better[of]]));
      const marks = Array.from({ length: Math.ceil(most * 5) + 1 }, (_, i) => [i / 5, `${20 * i} %`]);
      this.nearest = rv.scatter(this.svg, {
        points: [...draws, ...points], ways, marks, chosen,
        notes: [{ x, y, text: STARTS[start], up: 32 }],
        range: [Math.min(...all) * 0.9, Math.max(...all) * 1.1],
        xlabel: "half-life before training, in steps",
        ylabel: of === "right" ? "right answers after training" : "cost after training (100 %: remembers nothing)",
      });
      this.svg.setAttribute("aria-label", `Arrows from a network as PyTorch draws it to the one with a better start, on four kinds of data. ${this.says()}`);
    }

    says() {
      const { of, start, data, network } = this.state;
      const [was, now] = ["default", "better"].map((name) => [steps(middle(this.pair[name].half)), Math.round(100 * middle(this.pair[name][of]))]);
      const what = of === "right" ? "right answers" : "cost";
      const verdict = { 1: "In every draw it did better: it helps.", 0: "The draws overlap: nothing is clear.", "-1": "In every draw it did worse: it hurts." }[this.judged(this.pair)];
      const count = (wanted) => this.verdicts.filter((each) => each === wanted).length;
      const all = ` Arrows that clearly lead to something better: ${count(1)} of ${this.pairs.length}; to something worse: ${count(-1)}.`;
      const of_it = `${capital(data)}, ${NETWORKS[network]}:`;
      if (start === "default") return `${of_it} as PyTorch draws it, half of the gradient lasts ${was[0]} steps, ${what} ${was[1]} %. Choose the better start.${all}`;
      return `${of_it} with the better start half of the gradient lasts ${now[0]} steps instead of ${was[0]}; ${what} ${now[1]} % instead of ${was[1]} %. ${verdict}${all}`;
    }

    rows() {
      const rows = [["data", "network", "start", "half-life, in steps", "right answers", "cost"]];
      for (const pair of this.pairs)
        for (const name of Object.keys(STARTS))
          pair[name].half.forEach((half, i) => rows.push([pair.data, NETWORKS[pair.network], STARTS[name], steps(half), `${(100 * pair[name].right[i]).toFixed(1)} %`, `${(100 * pair[name].cost[i]).toFixed(1)} %`]));
      return rows;
    }

    python() {
      const { data, network, start, of } = this.state;
      const name = { RNN: ["RNN", "RNN, orthogonal start"], LSTM: ["LSTM", "LSTM, chrono start"] }[network][start === "better" ? 1 : 0];
      return `from statistics import median
from rnnvanish.experiments import real

claims = real.helps_where_clues_are_far, real.helps_everywhere  # trained and stored
rows = [row for claim in claims for draw in claim.details() for row in draw]
ours = [row for row in rows if row[:2] == ["${data}", "${name}"]]
print(f"{100 * median(row[${of === "right" ? 3 : 4}] for row in ours):.0f} %")`;
    }
  });
})();
