// <rv-witnesses>: a network is trained to judge. The first witness is always right, the last in four of five cases; whose
// word counts while it trains, and what it says of one case, in which the reader lets them say what they like.
// needs: figure plain orthogonal optimizers slices sheet
"use strict";

(() => {
  const [LENGTH, BATCH, TESTED, MOST, EVERY] = [30, 32, 200, 300, 10];
  const HONEST = 0.8;
  const { svg } = window.rvDraw;
  const COLOURS = ["var(--rv-c0)", "var(--rv-c1)"];
  const NAMES = ["the first witness", "the last witness"];

  // Draws cases in the order in which the Python below does.
  const sample = (net, random) => {
    const { x, y, batch } = net, end = (LENGTH - 1) * batch;
    for (let b = 0; b < batch; b++) y[b] = random.below(2);
    random.fillNormal(x);
    for (let i = 0; i < x.length; i++) x[i] *= 0.5;
    for (let b = 0; b < batch; b++) {
      x[b] = 2 * y[b] - 1;
      x[end + b] = random.uniform() < HONEST ? x[b] : -x[b];
    }
  };
  const turn = ({ x, batch }, witness) => {
    const from = witness * (LENGTH - 1) * batch;
    for (let i = from; i < from + batch; i++) x[i] = -x[i];
  };
  const says = (net, b = 0) => net.logits[2 * b + 1] > net.logits[2 * b];

  class Training {
    constructor({ width, start, rate, seed }) {
      const shape = { cell: "Elman", units: width, steps: LENGTH };
      Object.assign(this, rv.plain(seed, { ...shape, batch: BATCH }));
      if (start === "orthogonal") rv.orthogonal(this.net.weights.weight_hh_l0, width, width, this.random);
      this.tested = new rv.Network({ ...shape, batch: TESTED });
      sample(this.tested, this.random);
      this.one = new rv.Network({ ...shape, batch: 1 });
      for (let t = 0; t < LENGTH; t++) this.one.x[t] = this.tested.x[t * TESTED];
      this.rule = new rv.Adam(this.net, rate);
      this.steps = 0;
      this.swayed = []; // {step, parts}: of the answers that change with either witness
      this.work = this.train();
      this.work.next(); // the untrained one
    }

    *train() {
      const { net, tested } = this;
      for (; ; this.steps++) {
        if (this.steps % EVERY === 0) {
          tested.theta.set(net.theta);
          const answers = [];
          for (const witness of [null, 0, 1]) {
            if (witness !== null) turn(tested, witness);
            for (const _ of tested.pieces(false)) if (this.steps) yield;
            if (witness !== null) turn(tested, witness);
            answers.push(Array.from({ length: TESTED }, (_, b) => says(tested, b)));
          }
          const part = (others) => others.filter((other, b) => other !== answers[0][b]).length / TESTED;
          this.swayed.push({ step: this.steps, parts: [part(answers[1]), part(answers[2])] });
          yield;
        }
        if (this.steps === MOST) return;
        sample(net, this.random);
        for (const _ of net.pieces()) yield;
        rv.clipNorm(net.grad, 1);
        this.rule.step();
      }
    }

    go(end) {
      do if (this.work.next().done) return false;
      while (performance.now() < end);
      return true;
    }

    // What it says of one case.
    judge(witnesses) {
      this.one.theta.set(this.net.theta);
      witnesses.forEach((yes, k) => { this.one.x[k * (LENGTH - 1)] = yes ? 1 : -1; });
      this.one.forward();
      return says(this.one);
    }
  }

  rv.define("witnesses", class extends rv.Live {
    controls = {
      rate: { label: "Size of the training steps", values: [0.001, 0.003, 0.01, 0.03], value: 0.003 },
      width: { label: "Units", values: [16, 32, 64], value: 32 },
      start: { label: "Start", choices: { torch: "PyTorch's", orthogonal: "orthogonal" }, value: "torch" },
      first: { label: "The first witness says", choices: { yes: "yes", no: "no" }, value: "yes", below: true },
      last: { label: "The last witness says", choices: { yes: "yes", no: "no" }, value: "no", below: true },
      seed: { hidden: true, value: 0 },
    };

    shape() { return { cell: "Elman", units: 32 }; }
    get over() { return this.training.steps >= MOST; }
    get key() { return ["rate", "width", "start", "seed"].map((name) => this.state[name]).join(" "); }

    build(picture) {
      this.sheet = svg("svg");
      picture.append(this.sheet);
      this.sheet.addEventListener("click", (event) => {
        const witness = event.target.closest("[data-witness]")?.dataset.witness;
        if (witness) this.set({ [witness]: this.state[witness] === "yes" ? "no" : "yes" });
      });
    }

    // What the witnesses say concerns no weight: training goes on.
    refresh() {
      if (this.training?.key !== this.key) return super.refresh();
      for (const name of ["first", "last"]) this.made[name].set(this.state[name]);
      this.redraw();
      if (!this.stop) this.tell();
    }

    compute() { this.training = Object.assign(new Training(this.state), { key: this.key }); }
    advance(end) { return this.training.go(end); }

    get words() { return [this.state.first === "yes", this.state.last === "yes"]; }

    person(x, y, size, name) {
      const body = svg("g", { transform: `translate(${x} ${y}) scale(${size})`, fill: "none", stroke: "currentColor", "stroke-width": 2 / size });
      body.append(svg("circle", { cy: -27, r: 8 }), svg("path", { d: "M-13 9v-8c0-11 5-16 13-16s13 5 13 16v8z" }));
      const whole = svg("g", name ? { "data-witness": name, style: "cursor: pointer" } : {});
      if (name) whole.append(svg("rect", { x: x - 40, y: y - 74, width: 80, height: 88, fill: "transparent" }));
      whole.append(body);
      return whole;
    }

    draw() {
      const { width, training, words } = this, { swayed } = training, verdict = training.judge(words);
      const [judgeAt, lastAt] = [width - 36, width - 116], word = (yes) => (yes ? "yes" : "no");
      const bubble = (x, yes, colour, anchor = "middle") => svg("text", { x, y: 24, "text-anchor": anchor, "font-weight": 700, style: `fill: ${colour}; font-size: 17px; pointer-events: none` }, `“${word(yes)}”`);
      const parts = [
        this.person(36, 80, 1, "first"), this.person(lastAt, 80, 1, "last"), this.person(judgeAt, 78, 1.1),
        svg("path", { d: `M${judgeAt - 24} 93h48`, stroke: "currentColor", "stroke-width": 2 }),
        bubble(36, words[0], COLOURS[0]), bubble(lastAt, words[1], COLOURS[1]), bubble(judgeAt, verdict, "currentColor"),
        svg("text", { x: 0, y: 110, style: `fill: ${COLOURS[0]}` }, "always right"),
        svg("text", { x: lastAt, y: 110, "text-anchor": "middle", style: `fill: ${COLOURS[1]}` }, "4 times in 5"),
        svg("text", { x: width, y: 110, "text-anchor": "end" }, "judge"),
      ];
      const crowd = Math.max(1, Math.floor((lastAt - 100) / 26));
      for (let i = 0; i < crowd; i++) {
        const small = this.person(72 + ((lastAt - 108) * (i + 0.5)) / crowd, 84, 0.5);
        small.setAttribute("opacity", 0.4);
        parts.push(small);
      }
      const [top, bottom] = [150, 270], x = (step) => 34 + ((width - 40) * step) / MOST, y = (part) => bottom - (bottom - top) * part;
      parts.push(svg("text", { x: 0, y: 136 }, "Answers that hang on each"));
      for (const part of [0, 0.5, 1]) parts.push(svg("path", { class: "rv-gridline", d: `M34 ${y(part)}H${width}` }), svg("text", { x: 28, y: y(part) + 4, "text-anchor": "end", style: "fill: var(--rv-quiet)" }, part === 1 ? "all" : part ? "half" : "0"));
      parts.push(svg("text", { x: width, y: bottom + 18, "text-anchor": "end", style: "fill: var(--rv-quiet)" }, `${MOST} training steps`));
      const ends = swayed.at(-1).parts, label = ends.map((part) => y(part) + (part > 0.5 ? 18 : -8));
      if (Math.abs(label[0] - label[1]) < 16) label[1] = label[0] + (ends[0] > 0.5 ? 16 : -16); // one above the other
      COLOURS.forEach((colour, k) => {
        const points = swayed.map(({ step, parts: both }) => `${x(step).toFixed(1)} ${y(both[k]).toFixed(1)}`), end = swayed.at(-1);
        parts.push(svg("path", { class: "rv-curve", d: `M${points.join("L")}`, style: `stroke: ${colour}`, "stroke-dasharray": k ? "8 4" : "none" }));
        parts.push(svg("circle", { cx: x(end.step), cy: y(end.parts[k]), r: 5, style: `fill: ${colour}` }));
        const right = end.step > MOST / 2;
        parts.push(svg("text", { x: x(end.step) + (right ? -8 : 10), y: label[k], "text-anchor": right ? "end" : "start", class: "rv-over", style: `fill: ${colour}` }, NAMES[k]));
      });
      rv.sheet(this.sheet, width, bottom + 24, parts, `Two witnesses and a judge, and two curves: how many answers hang on either. ${this.says()}`);
    }

    during() { return "The judge is learning. Let the witnesses say something else meanwhile."; }

    // Whom it believed, one after the other.
    get beliefs() {
      const named = this.training.swayed.map(({ parts }) => (parts[0] > 0.5 ? 0 : parts[1] > 0.5 ? 1 : null)).filter((who) => who !== null);
      return named.filter((who, k) => who !== named[k - 1]);
    }

    says() {
      const { swayed, steps } = this.training, [first, last] = swayed.at(-1).parts.map((part) => `${Math.round(100 * part)} %`), beliefs = this.beliefs;
      const numbers = `Turn the first witness round, and ${first} of the answers change; turn the last, and ${last} do.`;
      if (!steps) return `The judge has learnt nothing yet. ${numbers}`;
      const lead = !beliefs.length ? "It believes nobody." : beliefs.length > 1 && beliefs.at(-1) === 0 ? "The judge has changed his mind: he believes the first." : `He believes ${beliefs.at(-1) === 0 ? "the first" : "the last"} witness.`;
      return `After ${steps} training steps: ${lead} ${numbers}`;
    }

    rows() {
      return [["Training step", "change with the first", "change with the last"], ...this.training.swayed.map(({ step, parts }) => [step, ...parts.map((part) => `${(100 * part).toFixed(1)} %`)])];
    }

    python() {
      const { rate, width, start, seed } = this.state, { step } = this.training.swayed.at(-1);
      return `import torch
from torch import nn

torch.manual_seed(${seed})
torch.set_default_dtype(torch.float64)
rnn, out = nn.RNN(1, ${width}), nn.Linear(${width}, 2)${start === "orthogonal" ? "\nnn.init.orthogonal_(rnn.weight_hh_l0)" : ""}

def cases(count):
    truth = torch.randint(2, (count,))
    x = 0.5 * torch.randn(${LENGTH}, count, 1)
    x[0, :, 0] = 2.0 * truth - 1
    x[-1, :, 0] = torch.where(torch.rand(count) < ${HONEST}, x[0, :, 0], -x[0, :, 0])
    return x, truth

judge = lambda x: out(rnn(x)[1][0])
seen, _ = cases(${TESTED})
weights = [*rnn.parameters(), *out.parameters()]
adam = torch.optim.Adam(weights, lr=${rate})
for _ in range(${step}):
    x, truth = cases(${BATCH})
    adam.zero_grad()
    nn.functional.cross_entropy(judge(x), truth).backward()
    nn.utils.clip_grad_norm_(weights, 1.0)
    adam.step()
for witness in (0, -1):
    other = seen.clone()
    other[witness] *= -1
    print(f"{(judge(other).argmax(1) != judge(seen).argmax(1)).double().mean():.0%} change")`;
    }
  });
})();
