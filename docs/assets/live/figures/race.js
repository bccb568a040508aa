// <rv-race>: two networks learn side by side to say what they read first, one as it comes and one cured. `kind` says which:
// "start" (a plain network), "lstm", "gru" or "attention".
// needs: figure slices ink-key shares strip later
"use strict";

(() => {
  const { html, put } = window.rvDraw;
  const ENGINE = ["numbers", "cells", "network", "orthogonal", "starts", "tasks", "optimizers", "training", "halflife"];
  const MOST = 600; // training steps after which nobody waits any more
  const EVERY = 5; // training steps to a row of the strip
  const SIZE = { units: 16, batch: 32, epoch: 20 };
  const RATE = 0.01;
  const HIGH = 56; // pixels of the line of losses
  const COIN = Math.LN2; // loss of guessing
  const height = (loss) => HIGH - 3 - (HIGH - 22) * Math.min(1.25, loss / COIN);

  // A cure: its name, what its network is called in a sentence, what rv.Run and what rnnvanish take for it.
  const GATES = {
    chrono: { name: "gates opened for it (chrono)", short: "the opened one", run: (lag) => ({ start: "chrono", option: lag + 1 }), mitigation: (lag) => `Chrono(span=${lag + 1})` },
    open: { name: "gates opened to 88 %", short: "the opened one", run: () => ({ start: "open", option: 2 }), mitigation: () => "OpenGate(2.0)" },
  };
  const KINDS = {
    start: {
      cell: "Elman",
      rate: 0.003,
      cures: {
        orthogonal: { name: "orthogonal weights", short: "the orthogonal one", run: () => ({ start: "orthogonal" }), mitigation: () => "OrthogonalStart()" },
        glorot: { name: "Glorot’s weights", short: "Glorot’s", run: () => ({ start: "glorot" }), mitigation: () => "Glorot()" },
      },
    },
    lstm: { cell: "LSTM", cures: GATES },
    gru: { cell: "GRU", cures: GATES },
    attention: {
      cell: "Elman",
      rate: 0.003,
      cures: { attention: { name: "with attention", short: "the one with attention", run: () => ({ attention: true }), mitigation: () => "AttentionOverPast()" } },
    },
  };

  rv.Race = class extends rv.Live {
    connectedCallback() {
      this.kind ??= KINDS[this.getAttribute("kind")];
      this.controls = this.listControls();
      super.connectedCallback();
      if (this.go) this.go.style.minWidth = "15.5em"; // its longest label
    }

    listControls() {
      const cures = Object.entries(this.kind.cures ?? {});
      const choices = Object.fromEntries(cures.map(([key, { name }]) => [key, name]));
      return {
        lag: { label: "Steps that lie between", values: [5, 10, 20, 40, 60, 80], value: 40 },
        ...(cures.length > 1 && { cure: { label: "The second has", choices, value: cures[0][0] } }),
        rate: { label: "Learning rate", values: [0.001, 0.003, 0.01, 0.03], value: this.kind.rate ?? RATE, below: true },
        seed: { hidden: true, value: 0 },
      };
    }

    get cure() { return this.kind.cures[this.state.cure ?? Object.keys(this.kind.cures)[0]]; }

    // Of each of the two: what it is called, and the options of its training.
    entrants() {
      const { lag } = this.state;
      return [
        { name: "As PyTorch starts it", short: "the one as it comes", lag },
        { name: `${this.cure.name[0].toUpperCase()}${this.cure.name.slice(1)}`, short: this.cure.short, lag, ...this.cure.run(lag) },
      ];
    }

    get predict() {
      const names = this.entrants().map(({ short }) => short[0].toUpperCase() + short.slice(1));
      return { ask: "Which of the two learns it first?", answers: [...names, "Neither of them"] };
    }

    shape() { return { cell: this.kind.cell, attention: this.getAttribute("kind") === "attention" }; }

    build(picture) {
      const grid = html("div", { className: "rv-lanes" });
      this.lanes = [0, 1].map(() => {
        const element = html("div", {
          innerHTML: `<p class="rv-entrant"><b></b></p><p class="rv-reached"><strong>–</strong>right<span>\u00a0</span></p>
            <svg aria-hidden="true" height="${HIGH}"><text y="11">loss (dashed: a coin’s)</text>
            <line class="rv-at" x2="100%" y1="${height(COIN)}" y2="${height(COIN)}"/>
            <svg viewBox="0 0 100 ${HIGH}" height="${HIGH}" preserveAspectRatio="none"><polyline class="rv-curve"/></svg></svg>
            <p class="rv-ends" aria-hidden="true"><span>first input</span><span>last</span></p>`,
        });
        const [name, score, word, loss, curve, ends] = ["b", "strong", "span", "svg", "polyline", ".rv-ends"].map((each) => element.querySelector(each));
        const strip = new rv.Strip({ label: "Gradient at each input while it trains", rows: MOST / EVERY, height: 130 });
        const lane = { element, name, score, word, curve, strip };
        loss.before(...this.between(lane));
        ends.before(strip.element);
        return lane;
      });
      grid.append(...this.lanes.map(({ element }) => element));
      picture.append(grid, rv.inkKey("Gradient at each input, training runs down:", { decades: 9, most: "1" }));
    }

    between() { return []; }

    compute() {
      this.runs = [];
      const { attention } = this.shape();
      if (!rv.later(this, attention ? [...ENGINE, "attention"] : ENGINE)) return;
      this.warmed ??= rv.warm(this.shape());
      const { seed, rate } = this.state;
      const { cell, units = SIZE.units } = this.kind;
      const kind = { ...SIZE, cell, units, rate };
      this.runs = this.entrants().map(({ name, short, ...options }) =>
        Object.assign(new rv.Run({ ...kind, seed, most: MOST, every: EVERY, ...options }), { name, short, means: [] }));
    }

    start() {
      if (this.runs.length) super.start();
    }

    get over() { return this.runs.length > 0 && this.runs.every((run) => run.over); }

    // The one that is behind goes on, so that both have always trained for as many steps.
    advance(end) {
      const run = this.runs.filter((each) => !each.over).sort((a, b) => a.steps - b.steps)[0];
      if (!run) return false;
      if (!run.step(end)) return true;
      if (run.steps === 1) run.reach = rv.gain(run.net).at(-1);
      if (run.steps % EVERY === 0) run.means.push(run.losses.slice(-EVERY).reduce((sum, loss) => sum + loss, 0) / EVERY);
      return !this.over;
    }

    draw() {
      this.entrants().forEach(({ name }, i) => put(this.lanes[i].name, name));
      this.runs.forEach((run, i) => {
        const { score, word, strip } = this.lanes[i];
        const right = run.tests.at(-1)?.right;
        this.line(this.lanes[i].curve, run.means);
        strip.draw(run.rows.map(({ sizes }) => sizes), run.solved ? "learnt, stopped" : "");
        put(score, right === undefined ? "–" : `${Math.round(100 * right)} %`);
        put(word, run.solved ? `learnt in ${run.solved} steps` : run.steps ? `after ${run.steps} steps` : "\u00a0");
      });
    }

    // The loss, down from that of guessing; a lane is 100 wide.
    line(curve, means) {
      const points = means.map((loss, k) => `${((100 * EVERY * k) / MOST).toFixed(2)},${height(loss).toFixed(1)}`);
      curve.setAttribute("points", points.join(" "));
    }

    outcome() {
      const [one, other] = this.runs;
      const how = (run) => {
        const right = run.tests.at(-1)?.right ?? 0;
        return `is right in ${Math.round(100 * right)} % after ${run.steps} steps${right < 0.6 ? ", no better than a coin" : ""}`;
      };
      const said = (text) => text[0].toUpperCase() + text.slice(1);
      const [first, second] = (one.solved ?? Infinity) <= (other.solved ?? Infinity) ? [one, other] : [other, one];
      if (second.solved && first.solved === second.solved) return `Both have learnt it after ${first.solved} steps.`;
      if (first.solved && second.solved) return `${said(first.short)} learns it first, in ${first.solved} steps; ${second.short} needs ${second.solved}.`;
      if (first.solved) return `${said(first.short)} has learnt it, in ${first.solved} steps; ${second.short} ${how(second)}.`;
      return `${said(one.short)} ${how(one)}; ${other.short} ${how(other)}.`;
    }

    says() {
      const [one, other] = this.runs;
      if (!one?.tests.length || !other.tests.length)
        return `Each reads ${this.state.lag + 1} inputs, one after the other. At the end it must say whether the first was up or down.`;
      return `${this.outcome()} Before training, ${rv.share(one.reach)} of the gradient got back to the first input in ${one.short}, and ${rv.share(other.reach)} in ${other.short}.`;
    }

    rows() {
      const at = Array.from({ length: Math.max(0, ...this.runs.map(({ tests }) => tests.length)) }, (_, i) => [
        (i + 1) * SIZE.epoch, ...this.runs.flatMap(({ tests }) => [tests[i]?.right.toFixed(3), tests[i]?.loss.toFixed(3)])]);
      return [["steps", "right, first", "loss", "right, second", "loss"], ...at];
    }

    // Both before training; and the command that trains them, in a comment: it takes a minute.
    python() {
      const { lag, seed, rate } = this.state, { cell } = this.kind;
      const cure = this.cure.mitigation(lag);
      const command = (mitigation) => `# rnnvanish train --cell ${cell} --task recall --hidden_size ${SIZE.units} --task_options.length ${lag + 1} \\
#   ${mitigation && `--mitigations "${mitigation}" `}--batch_size ${SIZE.batch} --lr ${rate} --clip 1 --seed ${seed} \\
#   --steps_per_epoch ${SIZE.epoch} --epochs ${MOST / SIZE.epoch} --until_solved true --trainer.precision 64-true`;
      return `import torch
from torch.nn.functional import cross_entropy

from rnnvanish.probes import retention
from rnnvanish.task import stream
from rnnvanish.training.learner import Learner

for cure in ("", "${cure}"):
    torch.manual_seed(${seed})
    learner = Learner("${cell}", "recall", ${SIZE.units}, task_options={"length": ${lag + 1}}, mitigations=cure)
    batch = learner.task.sample(${SIZE.batch}, stream(${seed}, 0, 0))
    loss = lambda answer: cross_entropy(answer, batch.targets)
    (curve,) = retention(learner.double(), batch.inputs.double(), loss).values()
    print(f"{curve.gain[${lag}]:.2e}")

# To train them:
${command("")}
${command(cure)}`;
    }
  };

  rv.define("race", class extends rv.Race {});
})();
