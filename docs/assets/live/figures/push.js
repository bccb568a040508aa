// <rv-push>: the race of section 7. The same network learns over 5 inputs and over more; an arrow shows how hard a batch pushes
// its weights, and how far off the way to the answer.
// needs: figures/race
"use strict";

(() => {
  const { put, svg } = window.rvDraw;
  const NEAR = 4; // steps between
  const BATCH = 32;
  const EVERY = 20; // training steps from one look at the push to the next
  const HIGH = 114; // pixels of the arrows
  const FLOOR = HIGH - 42; // from which they point; what is written stands below
  const FULL = 0.25; // size of a push that is as long as there is room

  // The gradient of a batch by the recurrent weights, and the one that makes the answer follow the first input: of twins
  // that read the same noise after 1 and after -1, how far the answers are apart.
  class Compass {
    constructor(shape) {
      this.batch = new rv.Network({ ...shape, batch: BATCH });
      this.twins = new rv.Network({ ...shape, batch: 2 * BATCH });
      const random = new rv.Twister(1), { x, y, steps } = this.batch;
      random.fillNormal(x);
      for (let i = 0; i < x.length; i++) x[i] *= 0.5;
      for (let b = 0; b < BATCH; b++) x[b] = 2 * (y[b] = random.below(2)) - 1;
      for (let t = 0; t < steps; t++)
        for (let b = 0; b < 2 * BATCH; b++) this.twins.x[2 * t * BATCH + b] = t ? x[t * BATCH + (b % BATCH)] : b < BATCH ? 1 : -1;
    }

    *look(theta) {
      for (const net of [this.batch, this.twins]) net.theta.set(theta);
      for (const _ of this.batch.pieces()) yield;
      for (const _ of this.twins.pieces(false)) yield;
      for (let b = 0; b < 2 * BATCH; b++) {
        const part = (b < BATCH ? 1 : -1) / (2 * BATCH);
        this.twins.dLogits.set([-part, part], 2 * b);
      }
      this.twins.backward();
      const [push, way] = [this.batch, this.twins].map(({ grads }) => Object.entries(grads).flatMap(([name, part]) => (name.endsWith("_l0") ? [...part] : [])));
      const dot = (a, b) => a.reduce((sum, each, i) => sum + each * b[i], 0);
      const [size, useful] = [push, way].map((each) => Math.sqrt(dot(each, each)));
      const cosine = size && useful ? -dot(push, way) / size / useful : 0;
      return { size, degrees: (Math.acos(Math.max(-1, Math.min(1, cosine))) * 180) / Math.PI };
    }
  }

  rv.define("push", class extends rv.Race {
    kind = { cell: "Elman", units: 32, rate: 0.003 };

    predict = false; // its page has just asked

    listControls() {
      const { lag, ...rest } = super.listControls();
      return { lag: { ...lag, label: "Steps that lie between, for the second", value: 20 }, ...rest };
    }

    entrants() {
      const { lag } = this.state;
      return [
        { name: `${NEAR + 1} inputs`, short: `the one with ${NEAR + 1} inputs`, lag: NEAR },
        { name: `${lag + 1} inputs`, short: `the one with ${lag + 1}`, lag },
      ];
    }

    between(lane) {
      lane.arrow = svg("svg", { role: "img", "aria-label": "The push, as an arrow" });
      lane.arrow.style.height = `${HIGH}px`;
      lane.way = svg("line", { y1: FLOOR, y2: FLOOR, x2: "100%", class: "rv-at" });
      lane.push = svg("path", { style: "fill: none; stroke: var(--rv-c1); stroke-width: 3.5" });
      lane.size = svg("text", { y: HIGH - 6 });
      lane.arrow.append(
        lane.way,
        svg("text", { x: "100%", y: FLOOR + 18, "text-anchor": "end", style: "font-size: 11.5px" }, "to the answer"),
        lane.push,
        lane.size,
      );
      return [lane.arrow];
    }

    compute() {
      super.compute();
      for (const run of this.runs) {
        run.compass = new Compass(run.shape);
        const looking = run.compass.look(run.net.theta);
        for (let now = looking.next(); ; now = looking.next()) if (now.done) { run.push = run.first = now.value; break; }
      }
    }

    advance(end) {
      const looking = this.runs.find((run) => run.looking);
      if (looking) {
        const { done, value } = looking.looking.next();
        if (done) Object.assign(looking, { looking: null, push: value });
        return true;
      }
      const before = this.runs.map(({ steps }) => steps);
      const more = super.advance(end);
      this.runs.forEach((run, i) => {
        if (run.steps > before[i] && run.steps % EVERY === 0) run.looking = run.compass.look(run.net.theta);
      });
      return more;
    }

    draw() {
      const widths = this.lanes.map(({ arrow }) => arrow.clientWidth || 150); // before anything is written
      super.draw();
      this.runs.forEach(({ push }, i) => {
        const { arrow, way, push: shaft, size } = this.lanes[i], width = widths[i];
        const room = Math.min(width - 30, FLOOR - 8), length = room * Math.min(1, push.size / FULL);
        const turn = (-push.degrees * Math.PI) / 180, [dx, dy] = [Math.cos(turn), Math.sin(turn)];
        const x = width / 3, tip = [x + length * dx, FLOOR + length * dy];
        const barb = (side) => `${tip[0] - 9 * (dx + side * 0.6 * dy)} ${tip[1] - 9 * (dy - side * 0.6 * dx)}`;
        const said = `push ${push.size.toFixed(2)}, ${Math.round(push.degrees)}° off`;
        arrow.setAttribute("aria-label", said);
        way.setAttribute("x1", x);
        shaft.setAttribute("d", `M${x} ${FLOOR}L${tip[0]} ${tip[1]}M${barb(1)}L${tip[0]} ${tip[1]}L${barb(-1)}`);
        put(size, said);
      });
    }

    says() {
      const [near, far] = this.runs;
      if (!near) return "";
      const degrees = (run) => `${Math.round(run.first.degrees)}°`;
      const before = `Before training, the push is ${near.first.size.toFixed(2)} with ${NEAR + 1} inputs and ${far.first.size.toFixed(2)} with ${this.state.lag + 1}. But it points ${degrees(near)} off the way to the answer with ${NEAR + 1}, and ${degrees(far)} with ${this.state.lag + 1}.`;
      return far.tests.length && near.tests.length ? `${this.outcome()} ${before}` : `${before} 90° is of no use at all.`;
    }

    python() {
      const { lag, seed } = this.state;
      return `import math

import torch
from torch.nn.functional import cosine_similarity, cross_entropy

from rnnvanish.training.learner import Learner

for length in (${NEAR + 1}, ${lag + 1}):
    torch.manual_seed(${seed})
    learner = Learner("Elman", "recall", ${this.kind.units}, task_options={"length": length}).double()
    weights = list(learner.recurrent.parameters())
    flat = lambda value: torch.cat([part.flatten() for part in torch.autograd.grad(value, weights)])
    torch.manual_seed(1)
    x = 0.5 * torch.randn(length, ${BATCH}, 1, dtype=torch.float64)
    answers = torch.randint(2, (${BATCH},))
    x[0, :, 0] = 2.0 * answers - 1
    push = flat(cross_entropy(learner(x), answers))
    up, down = x.clone(), x.clone()
    up[0], down[0] = 1, -1
    apart = [(said := learner(twin))[:, 1] - said[:, 0] for twin in (up, down)]
    useful = flat((apart[0] - apart[1]).mean() / 2)
    angle = math.degrees(math.acos(cosine_similarity(-push, useful, dim=0)))
    print(f"{push.norm():.2f} {angle:.0f}")`;
    }
  });
})();
