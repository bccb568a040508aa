// <rv-playground>: two networks train side by side, one as it comes and one with the cures that the reader has chosen.
// needs: figure strip slices attention lane setting
"use strict";

(() => {
  const { html, svg } = window.rvDraw;
  const ROWS = 200; // of a strip: so many training steps make one that all of them fit
  const POINTS = 100; // of a curve of the loss
  const SLOW = 40; // milliseconds of a training step from which on each reads fewer sequences
    const SIDES = [["As it comes", "rv-without"], ["With cures", "rv-with"]];
  const GUESSING = { recall: 0.6, adding: 0.15, copying: 0.2 }; // right, at most, without having learnt anything
  const TASKS = {
    recall: (lag) => `Each network reads ${lag + 1} numbers. At the end it has to say whether the first was above or below zero.`,
    adding: (lag) => `Each network reads ${lag + 1} numbers, two of them marked. At the end it has to say the sum of these two.`,
    copying: (lag) => `Each network reads ten symbols, waits for a signal, and has to write them down again: each ${lag} steps after it was read.`,
  };
  const FACTS = ["Training steps", "Half is lost in", "Longest learnt"];
  const steps = (n) => (n === Infinity ? "never" : n >= 0 ? `${Number(n.toPrecision(2))} steps` : "–");
  const percent = (share) => (share >= 0 ? `${Math.round(100 * share)} %` : "–");
  const mean = (all) => all.reduce((sum, each) => sum + each, 0) / all.length;
  const right = (run) => run.tests.at(-1)?.right ?? run.right;
  const finite = (run) => Number.isFinite(run.losses.at(-1));
  const yesno = { no: "no", yes: "yes" };

  rv.define("playground", class extends rv.Live {
    controls = {
      cell: { group: "network", label: "Cell", choices: { Elman: "plain (Elman)", LSTM: "LSTM", GRU: "GRU" }, value: "LSTM" },
      units: { group: "network", label: "Width", values: [4, 8, 16, 24, 32, 48], value: 16, unit: "units" },
      layers: { group: "network", label: "Layers", values: [1, 2, 3], value: 1 },
      activation: {
        group: "network", label: "Activation", value: "tanh", hint: "Of the plain cell. An LSTM and a GRU have their own.",
        choices: { tanh: "tanh", sigmoid: "sigmoid", relu: "ReLU", leaky_relu: "leaky ReLU", prelu: "parametric ReLU" },
      },
      task: { group: "task", label: "Task", choices: { recall: "recall the first number", adding: "add two numbers", copying: "copy ten symbols" }, value: "recall" },
      lag: {
        group: "task", label: "How far back", values: [5, 10, 15, 20, 30, 40, 60, 80, 100], value: 40, unit: "steps",
        hint: "To copy, ten symbols have to be read first: 15 steps or more.",
      },
      optimizer: { group: "training", label: "Optimiser", choices: { adam: "Adam", sgd: "plain descent (SGD)" }, value: "adam" },
      rate: { group: "training", label: "Learning rate", values: [0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1], value: 0.003 },
      batch: { group: "training", label: "Sequences in a step", values: [8, 16, 32, 64], value: 32 },
      most: { group: "training", label: "Training steps at most", values: [50, 200, 500, 1000, 2000, 4000], value: 1000 },
      start: {
        group: "cures", label: "First weights", value: "torch", hint: "He's and the identity are for the plain cell with a ReLU.",
        choices: { torch: "PyTorch's", glorot: "Glorot's", he: "He's", orthogonal: "orthogonal", identity: "the identity" },
      },
      gate: {
        group: "cures", label: "The gate that keeps", value: "open3", hint: "Of an LSTM and a GRU. The plain cell has none.",
        choices: { drawn: "as drawn: half open", open1: "open to 73 %", open3: "open to 95 %", open5: "open to 99 %", chrono: "each for a time of its own (chrono)" },
      },
      skip: {
        group: "cures", label: "Shortcut through time", value: "0", hint: "Shorter than the way back.",
        choices: { 0: "none", 5: "over 5 steps", 10: "over 10 steps", 20: "over 20 steps", 40: "over 40 steps" },
      },
      attention: { group: "cures", label: "Attention", choices: yesno, value: "no" },
      residual: { group: "cures", label: "Shortcut past layers", choices: yesno, value: "no", hint: "Of two layers or more." },
      clip: { group: "cures", label: "Leash (clipping)", choices: { no: "none", norm: "by norm", value: "by value" }, value: "no" },
      seed: { hidden: true, value: 0 },
    };
    predict = {
      ask: "Both read 41 numbers and must recall the first. In one, a single number of each unit was changed. Which will learn it?",
      answers: ["Only the changed one", "Both", "Only the other", "Neither"],
    };

    constructor() {
      super();
      this.longest = new Map();
      for (const name of ["activation", "gate", "skip", "residual"]) {
        const values = Object.keys(this.controls[name].choices).slice(1);
        this.controls[name].enabled = (state) => values.some((value) => !rv.unfit(state, name, value));
      }
    }

    build(picture) {
      const lanes = html("div", { className: "rv-lanes" });
      this.sides = SIDES.map(([title, className]) => {
        const side = html("section", { ariaLabel: title });
        const name = html("p", { className: "rv-lane" }), score = html("strong");
        const strip = new rv.Strip({ label: `${title}: gradient at each step in time, while it trains`, rows: ROWS, height: 130 });
        const axis = html("p", { className: "rv-ends", ariaHidden: "true" });
        axis.append(html("span", { textContent: "first input" }), html("span", { textContent: "last" }));
        name.append(html("span", { className, textContent: title }), " ", score);
        side.append(name, strip.element, axis);
        lanes.append(side);
        return { strip, score };
      });
      this.chart = svg("svg", { role: "img", "aria-label": "Loss of both while they train" });
      const table = html("table", { className: "rv-facts" });
      const head = table.createTHead().insertRow();
      head.append(html("td"), ...SIDES.map(([title]) => html("th", { scope: "col", textContent: title })));
      const body = table.createTBody();
      this.facts = FACTS.map((fact) => {
        const row = body.insertRow();
        row.append(html("th", { scope: "row", textContent: fact }));
        return SIDES.map(() => row.insertCell());
      });
      this.key = rv.inkKey("");
      picture.append(lanes, this.key, this.chart, table);
      this.group();
    }

    // The controls in four groups, each with a line that says how it is set.
    group() {
      this.groups = {};
      for (const [name, title] of Object.entries({ network: "Network", task: "Task", training: "Training", cures: "Cures" })) {
        const cures = name === "cures";
        const group = html("details", { className: `rv-group${cures ? " rv-wide" : ""}`, open: cures && this.width > 560 });
        const [summary, set, inside] = [html("summary"), html("span"), html("div")];
        summary.append(html("b", { textContent: title }), " ", set);
        group.append(summary, inside);
        this.form.append(group);
        this.groups[name] = { inside, set };
      }
      for (const [name, { group, hint }] of Object.entries(this.controls)) {
        const { element } = this.made[name];
        if (!group) continue;
        this.groups[group].inside.append(element);
        if (!hint) continue;
        const id = `${this.id}-${name}-hint`;
        element.append(html("small", { id, textContent: hint }));
        for (const input of element.querySelectorAll("input, select")) input.setAttribute("aria-describedby", id);
      }
    }

    shape() {
      return { cell: this.state.cell };
    }

    refresh() {
      super.refresh();
      const { cell, units, layers, activation, task, lag, optimizer, rate } = this.state;
      for (const name of ["start", "gate", "skip"])
        for (const option of this.form.querySelectorAll(`#${this.id}-${name} option`)) option.disabled = Boolean(rv.unfit(this.state, name, option.value));
      const said = {
        network: `${cell}, ${units} units${layers > 1 ? `, ${layers} layers` : ""}${cell === "Elman" ? `, ${activation}` : ""}`,
        task: `${task}, ${lag} steps`,
        training: `${optimizer === "adam" ? "Adam" : "SGD"}, rate ${rate}`,
        cures: rv.cures(this.state).map(({ says }) => says).join(", ") || "none",
      };
      for (const name in said) this.groups[name].set.textContent = said[name];
      this.go.disabled = Boolean(this.refusal);
    }

    compute() {
      this.measuring?.();
      this.refusal = rv.refused(this.state);
      this.lanes = this.refusal ? [] : this.fresh();
      this.eased = 0;
      this.measuring = rv.slices(
        (end) => {
          const next = this.lanes.find((lane) => !lane.halfLives.length);
          next?.advance(end);
          return Boolean(next);
        },
        (last) => last && (this.draw(), this.tell()),
      );
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
      if (lane.run?.solved != null) this.keep(this.turn);
      if (this.lanes.length > 1) this.turn = 1 - this.turn;
      if (lane.steps === 3 && this.quickest > SLOW) this.ease();
      return !this.over;
    }

    // A slow device gets fewer sequences a step, where the reader has not chosen how many.
    ease() {
      const { batch } = this.state;
      const { values } = this.controls.batch;
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
      const { cell, units, layers, activation, task, optimizer, rate } = rv.setting(this.state);
      const cures = side ? rv.chosen(this.state).map((name) => [name, this.state[name]]) : [];
      return JSON.stringify([cell, units, layers, activation, task, optimizer, rate, cures]);
    }

    keep(side) {
      const kin = this.kin(side);
      this.longest.set(kin, Math.max(this.state.lag, this.longest.get(kin) ?? 0));
    }

    set(values) {
      this.chosen ||= "batch" in values;
      super.set(values);
    }

    // An address is the whole configuration: what it leaves out is as at first.
    fromAddress() {
      const before = { ...this.state };
      for (const name in this.controls) this.state[name] = this.controls[name].value;
      const found = super.fromAddress();
      if (!found) this.state = before;
      this.state.seed = Math.min(2 ** 32 - 1, Math.max(0, Math.floor(this.state.seed)));
      if (found) this.uncover();
      this.chosen = found && this.state.batch !== this.controls.batch.value;
      return found;
    }

    // A link shows what it says.
    uncover() {
      this.picture.querySelector(".rv-cover")?.remove();
      this.form.inert = false;
    }

    draw() {
      this.key.firstChild.textContent = this.lanes.some((lane) => lane.run) ? "Gradient while it trains:" : "Gradient before training:";
      this.sides.forEach(({ strip, score }, side) => {
        const lane = this.lanes[side], run = lane?.run;
        strip.draw(this.rowsOf(lane), this.ended(lane, side));
        score.textContent = run ? `${percent(right(run))} right` : "";
        const learnt = run?.solved != null ? `${run.solved}, learnt` : String(run?.steps ?? 0);
        const texts = [learnt, steps(lane?.halfLives.at(-1)?.halfLife), steps(this.longest.get(this.kin(side)))];
        this.facts.forEach((row, i) => { row[side].textContent = lane ? texts[i] : "–"; });
      });
      this.drawLoss();
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
      const series = [{ name: SIDES[1][0], y: curve(1) }, { name: SIDES[0][0], y: curve(0) }];
      const { px, py } = window.rvDraw.chart(this.chart, { x, series, low: 0, high, xlabel: "training steps", ylabel: "loss", height: 150 });
      const end = px(most);
      this.chart.append(
        svg("path", { class: "rv-at", d: `M${px(0)} ${py(floor)}H${end}` }),
        svg("text", { class: "rv-over", x: end, y: py(floor) - 6, "text-anchor": "end" }, "remembers nothing"),
      );
    }

    tell() {
      if (this.told && this.lanes.some((lane) => !lane.halfLives.length)) return; // it is being measured
      this.told = true;
      super.tell();
    }

    says() {
      const { task, lag, batch } = this.state, [plain, cured] = this.lanes;
      if (this.refusal) return this.refusal;
      const said = plain.run ? [this.result(plain, "As it comes"), cured ? this.result(cured, "With cures") : ""] : [TASKS[task](lag)];
      if (!plain.run && plain.halfLives.length) {
        const share = ({ halfLives: [{ sizes }] }) => rv.share(sizes[1] / sizes.at(-1));
        said.push(`Before training, ${share(plain)} of the gradient gets back to the first${cured ? `; with your cures, ${share(cured)}` : ""}.`);
      }
      if (!cured) said.push("You have chosen no cure, so there is one network.");
      if (this.eased) said.push(`Your device takes long for a step, so each step reads ${batch} sequences.`);
      for (const reason of rv.leftOut(this.state)) said.push(`Left out: ${reason[0].toLowerCase()}${reason.slice(1)}`);
      return said.filter(Boolean).join(" ");
    }

    result({ run }, name) {
      if (run.solved !== null) return `${name}: learnt after ${run.solved} training steps.`;
      if (run.steps && !finite(run)) return `${name}: after ${run.steps} training steps the numbers are too large to go on.`;
      const share = right(run), guessing = share < GUESSING[this.state.task] ? ", no better than guessing" : "";
      return `${name}: ${run.over ? "not learnt in" : "after"} ${run.steps} training steps, ${percent(share)} right${guessing}.`;
    }

    rows() {
      const head = ["Training steps"], short = (x) => (x === undefined ? "" : window.rvDraw.number(Number(x.toPrecision(4))));
      const columns = this.lanes.map((lane, side) => {
        for (const what of ["loss", "loss in a test", "right in a test", "half-life"]) head.push(`${SIDES[side][0]}: ${what}`);
        const tests = new Map(lane.run?.tests.map((test) => [test.step, test]));
        const lives = new Map(lane.halfLives.map((one) => [one.step, one.halfLife]));
        return (step) => [lane.run?.losses[step - 1], tests.get(step)?.loss, tests.get(step)?.right, lives.get(step)].map(short);
      });
      const every = new Set(this.lanes.flatMap((lane) => lane.halfLives.map(({ step }) => step)));
      return [head, ...[...every].sort((a, b) => a - b).map((step) => [step, ...columns.flatMap((column) => column(step))])];
    }

    python() {
      const both = [["As it comes", false], ...(this.lanes.length > 1 ? [["With cures", true]] : [])];
      return both.map(([title, cured]) => `# ${title}, in a terminal:\n${rv.command(this.state, cured)}\n`).join("\n");
    }
  });
})();
