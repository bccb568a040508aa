// <rv-note>: ten people pass on a note: a network of eight units reads ten words, and then again, from one note alone, from
// none, or with a word changed.
// needs: ../draw figure numbers network people small
"use strict";

(() => {
  const UNITS = 8, SIZE = 3, SEED = 1;
  const WORDS = "The keys to the old box are in my hand".split(" ");
  const OTHERS = "Some cups of a red bag were on your lap".split(" ");
  const STEPS = WORDS.length;
  const { svg } = window.rvDraw;
  const quoted = (word) => `“${word}”`;

  const random = new rv.Twister(SEED, true);
  const drawn = new rv.Network({ cell: "Elman", inputs: SIZE, units: UNITS, steps: 1, batch: 1 });
  drawn.drawLayers(random);
  random.single = false;
  const vectors = random.fillNormal(new Float64Array(2 * STEPS * SIZE)); // of both sentences

  // The notes after each step from `from` on, where the first reads `note`, and word `changed` is the other sentence's.
  const read = (from, note, changed = -1) => {
    const net = new rv.Network({ cell: "Elman", inputs: SIZE, units: UNITS, steps: STEPS - from, batch: 1 });
    net.theta.set(drawn.theta);
    const { H } = net.layer(0);
    if (note) H.set(note);
    for (let t = from; t < STEPS; t++) {
      const word = (t === changed ? STEPS + t : t) * SIZE;
      net.x.set(vectors.subarray(word, word + SIZE), (t - from) * SIZE);
    }
    net.forward();
    const notes = Array.from({ length: STEPS - from }, (_, i) => H.slice((i + 1) * UNITS, (i + 2) * UNITS));
    return [...Array(from).fill(null), ...notes];
  };

  const once = read(0, null);

  rv.define("note", class extends rv.Figure {
    controls = {
      what: { label: "What happens", choices: { note: "They go home, the note stays", nothing: "The note is lost, too", word: "One word changes" }, value: "note" },
      at: { label: "At person", min: 1, max: STEPS - 1, step: 1, value: 5, say: (at) => `${at}, who hears ${quoted(WORDS[at - 1])}` },
    };

    build(picture) {
      this.sheet = svg("svg");
      picture.append(this.sheet);
      rv.pick(this.sheet, (x) => this.set({ at: Math.min(STEPS - 1, this.row.index(x) + 1) }));
    }

    compute() {
      const { what, at } = this.state;
      this.again = what === "word" ? read(0, null, at - 1) : read(at, what === "note" ? once[at - 1] : null);
      this.differ = this.again.map((note, t) => note && Math.max(...note.map((value, i) => Math.abs(value - once[t][i]))));
      this.first = this.differ[what === "word" ? at - 1 : at];
    }

    draw() {
      const { what, at } = this.state, width = this.width, parts = [];
      const small = `font-size: ${width < 300 ? 8.5 : width < 420 ? 10.5 : 13}px`;
      const line = (y, text) => parts.push(svg("text", { x: 0, y, style: "fill: var(--rv-quiet)" }, text));
      const cell = Math.min(12, (width / STEPS - 8) / 2);
      const block = (top, notes, words) => {
        this.row = rv.people(STEPS, 0, width, top + 68, 0.9);
        words.forEach((word, t) => {
          const gone = !notes[t], other = word !== WORDS[t], x = this.row.at(t);
          parts.push(this.row.one(t, gone ? { "stroke-dasharray": "2 4", opacity: 0.6 } : other ? { style: "stroke: var(--rv-c1)" } : {}));
          if (!gone) parts.push(svg("text", { x, y: top + 20, "text-anchor": "middle", style: small + (other ? "; fill: var(--rv-c1); font-weight: 700" : "") }, word));
        });
        notes.forEach((note, t) => {
          const left = this.row.at(t) - cell, y = top + 78;
          const empty = what === "nothing" && t === at - 1;
          if (!note && !(notes !== once && t === at - 1 && what !== "word")) return;
          (note ?? (empty ? new Float64Array(UNITS) : once[t])).forEach((value, i) =>
            parts.push(svg("rect", {
              x: left + cell * (i % 2), y: y + cell * (i >> 1), width: cell, height: cell, stroke: "var(--rv-line)",
              style: `fill: var(--rv-c${value > 0 ? 0 : 1})`, "fill-opacity": Math.abs(value).toFixed(3),
            })),
          );
        });
      };
      line(13, "They read it once, and write their notes:");
      block(18, once, WORDS);
      const second = 18 + 78 + 4 * cell + 34;
      line(second - 5, "And again:");
      block(second, this.again, what === "word" ? WORDS.map((word, t) => (t === at - 1 ? OTHERS[t] : word)) : WORDS);
      const bottom = second + 78 + 4 * cell + 22;
      line(bottom, "How much their notes differ from the first time:");
      this.differ.forEach((by, t) => {
        if (by === null) return;
        const said = by === 0 ? "0" : by < 0.005 ? "tiny" : by.toFixed(2);
        parts.push(svg("text", { x: this.row.at(t), y: bottom + 20, "text-anchor": "middle", style: `${small}; font-weight: 600; fill: var(--rv-c${by === 0 ? 2 : 1})` }, said));
      });
      rv.sheet(this.sheet, width, bottom + 28, parts, `Ten people in a row, the note of each, twice. ${[this.says()].flat().join("")}`);
    }

    says() {
      const { what, at } = this.state, word = quoted(WORDS[at - 1]);
      const first = this.first.toFixed(3), last = this.differ.at(-1).toFixed(4);
      const gone = `Everybody up to ${word} has gone home`;
      if (what === "note") return `${gone}. Only the note is left. The others go on from it, and write the same notes, to the last digit: at the end they differ by ${last}.`;
      if (what === "nothing") return `${gone}, and the note is lost. The next one starts from an empty note: it differs by ${first} at once, and by ${last} at the end.`;
      return `${word} has become ${quoted(OTHERS[at - 1])}. No note before it moves, not in the last digit. Its own differs by ${first}, the one at the end by ${last}.`;
    }

    rows() {
      return [["Person", "Word", "Differs by"], ...this.differ.map((by, t) => [`${t + 1}`, WORDS[t], by === null ? "gone" : `${by}`])];
    }

    python() {
      const { what, at } = this.state;
      const change = what === "word" ? `other[${at - 1}] = words[1, ${at - 1}]
start, note = 0, None` : what === "note" ? `start, note = ${at}, once[${at - 1}:${at}]` : `start, note = ${at}, None`;
      return `import torch
from torch import nn

torch.manual_seed(${SEED})
rnn = nn.RNN(${SIZE}, ${UNITS}).double()
words = torch.randn(2, ${STEPS}, ${SIZE}, dtype=torch.float64)  # ten, and ten others
once, _ = rnn(words[0])
other = words[0].clone()
${change}
again, _ = rnn(other[start:], note)
differ = (again - once[start:]).abs().amax(1)
print(f"{differ[${what === "word" ? at - 1 : 0}]:.3f} at once, {differ[-1]:.4f} at the end")`;
    }
  });
})();
