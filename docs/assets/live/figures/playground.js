// <rv-playground>: two networks train side by side, one as it comes and one with the cures that the reader has chosen.
// needs: ../chart figure ink-key strip slices lane setting
"use strict";

(() => {
  const { html, put, svg } = window.rvDraw;
  const ROWS = 200; // of a strip: so many training steps make one that all of them fit
  const POINTS = 100; // of a curve of the loss
  const SLOW = 40; // milliseconds of a training step from which on each reads fewer sequences
    const SIDES = ["As it comes", "With cures"];
  const GUESSING = { recall: 0.6, adding: 0.15, copying: 0.2 }; // right, at most, without having learnt anything
  const TASKS = {
    recall: (lag) => `Each reads ${lag + 1} numbers. At the end it has to say whether the first was above zero.`,
    adding: (lag) => `Each reads ${lag + 1} numbers, two of them marked. At the end it has to give their sum.`,
    copying: (lag) => `Each reads ten symbols, waits, and has to write each down ${lag} steps after it was read.`,
  };
  const FACTS = ["Training steps", "Half is lost in", "Longest learnt"];
  const GROUPS = {
    Network: ["cell", "units", "layers", "activation"],
    Task: ["task", "lag"],
    Training: ["optimizer", "rate", "batch", "most"],
    Cures: ["start", "gate", "skip", "attention", "residual", "clip"],
  };
  const here = document.currentScript.src;
  const steps = (n) => (n === Infinity ? "never" : n >= 0 ? `${Number(n.toPrecision(2))} steps` : "–");
  const percent = (share) => (share >= 0 ? `${Math.round(100 * share)} %` : "–");
  const mean = (all) => all.reduce((sum, each) => sum + each, 0) / all.length;
  const right = (run) => run.tests.at(-1)?.right ?? run.right;
  const finite = (run) => Number.isFinite(run.losses.at(-1));
  const one = (label, choices, value) => ({ label, choices, value });
  const some = (label, values, value, unit, hint) => ({ label, values, value, unit, hint });
  const yesno = { no: "no", yes: "yes" };

  rv.define("playground", class extends rv.Live {
    controls = {
      cell: one("Cell", { Elman: "plain (Elman)", LSTM: "LSTM", GRU: "GRU" }, "LSTM"),
      units: some("Width", [4, 8, 16, 24, 32, 48], 16, "units"),
      layers: some("Layers", [1, 2, 3], 1),
      activation: one("Activation", { tanh: "tanh", sigmoid: "sigmoid", relu: "ReLU", leaky_relu: "leaky ReLU", prelu: "parametric ReLU" }, "tanh"),
      task: one("Task", { recall: "recall the first number", adding: "add two numbers", copying: "copy ten symbols" }, "recall"),
      lag: some("How far back", [5, 10, 15, 20, 30, 40, 60, 80, 100], 40, "steps", "To copy, ten symbols have to be read first: 15 steps or more."),
      optimizer: one("Optimiser", { adam: "Adam", sgd: "SGD" }, "adam"),
      rate: some("Learning rate", [0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1], 0.003),
      batch: some("Sequences in a step", [8, 16, 32, 64], 32),
      most: some("Training steps at most", [50, 200, 500, 1000, 2000, 4000], 1000),
      start: one("First weights", { torch: "PyTorch's", glorot: "Glorot's", he: "He's", orthogonal: "orthogonal", identity: "the identity" }, "torch"),
      gate: one(
        "The gate that keeps",
        { drawn: "as drawn: half open", open1: "open to 73 %", open3: "open to 95 %", open5: "open to 99 %", chrono: "each its own time (chrono)" },
        "open3",
      ),
      skip: one("Shortcut through time", { 0: "none", 5: "over 5 steps", 10: "over 10 steps", 20: "over 20 steps", 40: "over 40 steps" }, "0"),
      attention: one("Attention", yesno, "no"),
      residual: one("Shortcut past layers", yesno, "no"),
      clip: one("Leash (clipping)", { no: "none", norm: "by norm", value: "by value" }, "no"),
      seed: { hidden: true, value: 0 },
    };
    predict = {
      ask: "Both read 41 numbers and must recall the first. In one, one number of each unit was changed. Which learns it?",
      answers: ["Only the changed one", "Both", "Only the other", "Neither"],
    };

    constructor() {
      super();
      this.longest = new Map();
      for (const name in rv.uses) {
        const control = this.controls[name], values = Object.keys(control.choices).slice(1);
        control.hint = rv.uses[name];
        control.enabled = (state) => values.some((value) => !rv.unfit(state, name, value));
      }
    }

    build(picture) {
      const lanes = html("div", { className: "rv-lanes" });
      this.sides = SIDES.map((title, i) => {
        const side = html("section", { ariaLabel: title });
        side.innerHTML = `<p class="rv-lane"><span class="rv-with${i ? "" : "out"}">${title}</span> <strong></strong></p>
          <p class="rv-ends" aria-hidden="true"><span>first input</span><span>last</span></p>`;
        const strip = new rv.Strip({ label: `${title}: gradient at each step while it trains`, rows: ROWS, height: 130 });
        side.firstChild.after(strip.element);
        lanes.append(side);
        return { strip, score: side.querySelector("strong") };
      });
      this.chart = svg("svg", { role: "img", "aria-label": "Loss of both while they train" });
      const table = html("table", { className: "rv-facts" });
      const heads = SIDES.map((title) => `<th scope="col">${title}`).join("");
      table.innerHTML = `<tr><td>${heads}${FACTS.map((fact) => `<tr><th scope="row">${fact}<td><td>`).join("")}`;
      this.facts = [...table.rows].slice(1).map((row) => [...row.querySelectorAll("td")]);
      this.key = rv.inkKey("", { decades: 9, most: "1" });
      picture.append(lanes, this.key, this.chart, table);
      this.group();
    }

    // The controls in four groups, each with a line that says how it is set.
    group() {
      this.settings = Object.entries(GROUPS).map(([title, names]) => {
        const wide = title === "Cures";
        const group = html("details", { className: `rv-group${wide ? " rv-wide" : ""}`, open: wide && this.width > 560 });
        group.innerHTML = `<summary><b>${title}</b> <span></span></summary><div></div>`;
        this.form.append(group);
        for (const name of names) {
          const { element } = this.made[name], { hint } = this.controls[name];
          group.lastChild.append(element);
          if (!hint) continue;
          const id = `${this.id}-${name}-hint`;
          element.append(html("small", { id, textContent: hint }));
          for (const input of element.querySelectorAll("input, select")) input.setAttribute("aria-describedby", id);
        }
        return group.querySelector("span");
      });
    }

    shape() {
      return { cell: this.state.cell };
    }

    refresh() {
      super.refresh();
      const { cell, units, layers, activation, task, lag, optimizer, rate } = this.state;
      for (const name of ["start", "gate", "skip"])
        for (const option of this.form.querySelectorAll(`#${this.id}-${name} option`)) option.disabled = rv.unfit(this.state, name, option.value);
      const said = [
        `${cell}, ${units} units${layers > 1 ? `, ${layers} layers` : ""}${cell === "Elman" ? `, ${activation}` : ""}`,
        `${task}, ${lag} steps`,
        `${this.controls.optimizer.choices[optimizer]}, ${rate}`,
        rv.cures(this.state).map(({ says }) => says).join(", ") || "none",
      ];
      this.settings.forEach((set, i) => { set.textContent = said[i]; });
      this.go.disabled = Boolean(this.refusal);
    }

    compute() {
      this.measuring?.();
      this.refusal = rv.refused(this.state) || this.awaited();
      this.lanes = this.refusal ? [] : this.fresh();
      this.eased = 0;
      this.measuring = rv.slices(
        (end) => {
          const next = this.lanes.find((lane) => !lane.halfLives.length);
          next?.advance(end);
          return Boolean(next);
        },
        (last) => last && (this.redraw(), this.tell()),
      );
    }

    // Few ask for attention: its script comes when somebody does. Says why nothing can be trained before.
    awaited() {
      if (this.state.attention === "no" || rv.Attention) return "";
      this.coming ??= html("script", {
        src: new URL("../attention.js", here).href,
        onload: () => this.changed(),
        onerror: () => ((this.lost = true), this.changed()),
      });
      document.head.append(this.coming);
      return this.lost ? "Attention is not there: leave it out." : "Attention is on its way …";
    }

    fresh() {
      Object.assign(this, { turn: 0, spent: 0, quickest: Infinity });
      const sides = rv.cures(this.state).length ? [false, true] : [false];
      return sides.map((cured) => new rv.Lane({ ...rv.setting(this.state, cured), every: Math.max(1, this.state.most / ROWS) }));
    }

    get over() { return this.lanes.length > 0 && this.lanes.every((lane) => lane.over); }

    start() {
      this.measuring();
      super.start();
    }

    advance(end) {
      if (this.lanes[this.turn].over) this.turn = 1 - this.turn;
      const lane = this.lanes[this.turn], before = lane.steps, from = performance.now();
      const done = lane.advance(end);
      this.spent += performance.now() - from;
      if (!done) return true;
      if (lane.steps > before) this.quickest = Math.min(this.quickest, this.spent);
      this.spent = 0;
      if (lane.run?.solved != null) this.longest.set(this.kin(this.turn), Math.max(this.state.lag, this.longest.get(this.kin(this.turn)) ?? 0));
      if (this.lanes.length > 1) this.turn = 1 - this.turn;
      if (lane.steps === 3 && this.quickest > SLOW) this.ease();
      return !this.over;
    }

    // A slow device gets fewer sequences a step, where the reader has not chosen how many.
    ease() {
      const { batch } = this.state, { values } = this.controls.batch;
      const fewer = values.findLast((some) => some * this.quickest <= batch * SLOW) ?? values[0];
      if (this.chosen || fewer >= batch) return;
      this.state.batch = fewer;
      this.made.batch.set(fewer);
      this.eased = fewer;
      this.lanes = this.fresh();
      history.replaceState(history.state, "", this.address());
    }

    // The longest way that such a network has learnt: whatever the lag, the first weights drawn, and the patience.
    kin(side) {
      const { lag, seed, most, batch, start, ...kin } = rv.setting(this.state, side);
      return JSON.stringify([kin, side && rv.chosen(this.state).map((name) => this.state[name])]);
    }

    set(values) {
      this.chosen ||= "batch" in values;
      super.set(values);
    }

    fromAddress() {
      const found = super.fromAddress();
      this.state.seed = Math.min(2 ** 32 - 1, Math.max(0, Math.floor(this.state.seed)));
      this.chosen = found && this.state.batch !== this.controls.batch.value;
      return found;
    }

    draw() {
      this.drawLoss();
      put(this.key.firstChild, this.lanes.some((lane) => lane.run) ? "Gradient while it trains:" : "Gradient before training:");
      this.sides.forEach(({ strip, score }, side) => {
        const lane = this.lanes[side], run = lane?.run;
        strip.draw(this.rowsOf(lane), this.ended(lane, side));
        put(score, run ? `${percent(right(run))} right` : "");
        const learnt = run?.solved != null ? `${run.solved}, learnt` : String(run?.steps ?? 0);
        const texts = [learnt, steps(lane?.halfLives.at(-1)?.halfLife), steps(this.longest.get(this.kin(side)))];
        this.facts.forEach((row, i) => put(row[side], lane ? texts[i] : "–"));
      });
    }

    // Before the training the strip is filled with the gradient as it is then; but not where all answers count.
    rowsOf(lane) {
      if (lane?.run?.rows.length) return lane.run.rows.map((row) => row.sizes);
      return lane?.halfLives.length && lane.run === null && this.state.task !== "copying" ? Array(ROWS).fill(lane.halfLives[0].sizes) : [];
    }

    ended(lane, side) {
      if (!lane) return side && !this.refusal ? "no cure is chosen" : "";
      if (lane.run?.solved != null) return "learnt, stopped";
      return lane.over && !finite(lane.run) ? "no numbers any more" : "";
    }

    drawLoss() {
      const { task, lag, most } = this.state, floor = rv.tasks[task].floor(lag), high = 1.5 * floor;
      const some = most / POINTS, x = Array.from({ length: POINTS + 1 }, (_, i) => i * some);
      const curve = (side) => {
        const losses = this.lanes[side]?.run?.losses ?? [];
        return x.map((step) => {
          const near = losses.slice(Math.max(0, Math.floor(step - some / 2)), Math.ceil(step + some / 2));
          return near.length ? Math.min(high, mean(near)) : null;
        });
      };
      const { px, py } = window.rvDraw.chart(this.chart, { x, series: [{ y: curve(1) }, { y: curve(0) }], low: 0, high, xlabel: "training steps", ylabel: "loss", height: 150 });
      const end = px(most);
      this.chart.append(
        svg("path", { class: "rv-at", d: `M${px(0)} ${py(floor)}H${end}` }),
        svg("text", { class: "rv-over", x: end, y: py(floor) - 6, "text-anchor": "end" }, "remembers nothing"),
      );
    }

    tell() {
      if (this.said.firstChild && this.lanes.some((lane) => !lane.halfLives.length)) return; // it is being measured
      super.tell();
    }

    says() {
      const { task, lag, batch } = this.state, [plain, cured] = this.lanes;
      if (this.refusal) return this.refusal;
      const said = this.lanes.every(({ run }) => run) ? this.lanes.map(({ run }, side) => this.result(run, SIDES[side])) : [TASKS[task](lag)];
      if (!plain.run && plain.halfLives.length) {
        const share = ({ halfLives: [{ sizes }] }) => rv.share(sizes[1] / sizes.at(-1));
        said.push(`Before training, ${share(plain)} of the gradient gets back to the first${cured ? `; with your cures, ${share(cured)}` : ""}.`);
      }
      if (!cured) said.push("You have chosen no cure.");
      if (this.eased) said.push(`Your device is slow: each step reads ${batch} sequences.`);
      for (const name of rv.leftOut(this.state)) said.push(`Left out, ${this.controls[name].label.toLowerCase()}: ${rv.uses[name]}`);
      return said.join(" ");
    }

    result(run, name) {
      if (run.solved !== null) return `${name}: learnt after ${run.solved} training steps.`;
      if (run.over && !finite(run)) return `${name}: too large numbers after ${run.steps} training steps.`;
      const share = right(run), guessing = share < GUESSING[this.state.task] ? ", no better than guessing" : "";
      return `${name}: ${run.over ? "not learnt in" : "after"} ${run.steps} training steps, ${percent(share)} right${guessing}.`;
    }

    rows() {
      const short = (x) => (x === undefined ? "" : window.rvDraw.number(Number(x.toPrecision(4))));
      const lines = this.lanes.flatMap(({ run, halfLives }, side) =>
        halfLives.map(({ step, halfLife }) => {
          const test = run?.tests.find((one) => one.step === step);
          return [SIDES[side], step, ...[run?.losses[step - 1], test?.loss, test?.right, halfLife].map(short)];
        }),
      );
      return [["Network", "Training steps", "Loss", "Loss in a test", "Right in a test", "Half-life"], ...lines];
    }

    python() {
      return this.lanes.map((_, side) => `# ${SIDES[side]}, in a terminal:\n${rv.command(this.state, side)}\n`).join("\n");
    }
  });
})();
