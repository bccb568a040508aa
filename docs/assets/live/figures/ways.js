// <rv-ways>: the row of people as it comes, and helped in one of four ways: how much of the whisper at the end reaches each.
// needs: ../draw attention figure network numbers people shares starts
"use strict";

(() => {
  const PEOPLE = 21, UNITS = 24, SIZE = 4, SEED = 4, OVER = 10, WEIGHT = 0.9;
  const { svg } = window.rvDraw;
  const WAYS = {
    start: { name: "a better start", row: "With weights that only turn the note", one: "One line draws other weights", setup: (net, random) => rv.starts.orthogonal(net, random) },
    gate: { name: "an open gate", cell: "LSTM", row: "The same, its gate opened", one: "One number did it", setup: (net, random, bias) => rv.starts.open(net, random, bias) },
    shortcut: { name: "a shortcut", row: "Each also calls over ten heads", one: "One more way back did it", options: { timeSkip: OVER, timeWeight: WEIGHT } },
    back: { name: "looking back", row: "The last one looks back at all notes", one: "Each note is one look away", options: { attention: true } },
  };

  // dL/ds at each person, as a part of that at the last: an error of one sequence, in a network drawn as torch.manual_seed does.
  const whisper = ({ cell = "Elman", options, setup }, bias) => {
    const net = new rv.Network({ cell, inputs: SIZE, units: UNITS, steps: PEOPLE, batch: 1, ...options }), random = new rv.Twister(SEED);
    rv.starts.module(net, random);
    random.fillNormal(net.x);
    const bound = 1 / Math.sqrt(UNITS);
    if (options?.attention) for (const name of ["query", "key", "match"]) random.fillUniform(net.weights[`${name}.weight`], -bound, bound);
    setup?.(net, random, bias);
    net.y[0] = 1;
    net.forward();
    net.backward();
    const sizes = net.sizes();
    return Array.from({ length: PEOPLE }, (_, t) => sizes[t + 1] / sizes[PEOPLE]);
  };

  rv.define("ways", class extends rv.Figure {
    controls = {
      way: { label: "How to help the row", choices: Object.fromEntries(Object.entries(WAYS).map(([key, { name }]) => [key, name])), value: "gate" },
      bias: { label: "The gate’s one number", min: 0, max: 5, step: 0.5, value: 3, enabled: ({ way }) => way === "gate" },
    };

    build(picture) {
      this.sheet = svg("svg");
      picture.append(this.sheet);
    }

    compute() {
      const way = WAYS[this.state.way];
      this.before = whisper({ cell: way.cell });
      this.after = whisper(way, this.state.bias);
    }

    draw() {
      const { width } = this, { way } = this.state, parts = [];
      const tall = 68 + Math.min(33, (1.3 * width) / PEOPLE); // of a row, its two lines of words, and room for calls
      const rows = [
        [way === "gate" ? "An LSTM, as PyTorch starts it" : "A plain network, as PyTorch starts it", this.before],
        [WAYS[way].row, this.after],
      ];
      rows.forEach(([name, shares], k) => {
        const top = k * (tall + 30), row = rv.people(PEOPLE, 0, width, top + tall, 0.75);
        parts.push(svg("text", { x: 0, y: top + 13, "font-weight": 600 }, `${name}:`));
        parts.push(svg("text", { x: 0, y: top + 31 }, `${rv.share(shares[0])} reaches the first one`));
        const head = row.top - 2, arc = (from, to, opacity) =>
          svg("path", { d: `M${row.at(from)} ${head}Q${(row.at(from) + row.at(to)) / 2} ${head - 30} ${row.at(to)} ${head}`, fill: "none", "stroke-width": 2, opacity, style: "stroke: var(--rv-c1)" });
        if (k && way === "shortcut") parts.push(arc(PEOPLE - 1, OVER, 1), arc(OVER, 0, 0.8));
        if (k && way === "back") for (let i = 0; i < PEOPLE - 1; i += 2) parts.push(arc(PEOPLE - 1, i, 0.35));
        shares.forEach((share, i) => parts.push(row.one(i, rv.whisper(Math.min(1, share)))));
      });
      const bottom = 2 * tall + 56;
      parts.push(...rv.shades(bottom, width));
      rv.sheet(this.sheet, width, bottom + 8, parts, `Two rows of people, as dark as the whisper that reaches them. ${this.says()}`);
    }

    says() {
      const one = this.after[0] > 100 * this.before[0] ? WAYS[this.state.way].one : "That is not much";
      return `Of the whisper at the end, ${rv.share(this.before[0])} reached the first one. Now it is ${rv.share(this.after[0])} (${this.after[0].toPrecision(2)}). ${one}.`;
    }

    rows() {
      return [["Person", "As it comes", "Helped"], ...this.before.map((share, i) => [`${i + 1}`, share.toExponential(2), this.after[i].toExponential(2)])];
    }

    python() {
      const { way, bias } = this.state, lstm = way === "gate";
      const setup = {
        start: "nn.init.orthogonal_(cell.weight_hh)",
        gate: `with torch.no_grad():\n    cell.bias_ih[${UNITS}:${2 * UNITS}], cell.bias_hh[${UNITS}:${2 * UNITS}] = 0, ${bias}`,
        shortcut: "",
        back: `query, key, match = nn.Linear(${UNITS}, ${UNITS}, bias=False), nn.Linear(${UNITS}, ${UNITS}, bias=False), nn.Linear(${UNITS}, 1, bias=False)`,
      }[way];
      const read = way === "back" ? `past = torch.stack(states)
fits = match(torch.tanh(query(past[-1]) + key(past))).softmax(0)
read = past[-1] + (fits * past).sum(0)` : `read = state${lstm ? "[0]" : ""}`;
      return `import torch
from torch import nn

torch.manual_seed(${SEED})
torch.set_default_dtype(torch.float64)
cell, out = nn.${lstm ? "LSTM" : "RNN"}Cell(${SIZE}, ${UNITS}), nn.Linear(${UNITS}, 2)
x = torch.randn(${PEOPLE}, ${SIZE})
${setup ? `${setup}\n` : ""}state, states = torch.zeros(${lstm ? "2, " : ""}${UNITS}, requires_grad=True), []
for word in x:
    state = ${lstm ? "torch.stack(cell(word, (state[0], state[1])))" : "cell(word, state)"}${way === "shortcut" ? ` + (${WEIGHT} * states[-${OVER}] if len(states) >= ${OVER} else 0)` : ""}
    state.retain_grad()
    states.append(state)
${read}
nn.functional.cross_entropy(out(read), torch.tensor(1)).backward()
print(f"{states[0].grad.norm() / states[-1].grad.norm():.2g}")`;
    }
  });
})();
