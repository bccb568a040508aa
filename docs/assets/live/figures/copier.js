// <rv-copier>: a picture, and copies of copies of it: each as much paler or darker as a step back makes a network's gradient.
// needs: ../draw figure halflife orthogonal shares small
"use strict";

(() => {
  const UNITS = 64, BATCH = 4, STEPS = 51, QUIET = 100;
  const GAINS = [0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 1, 1.02, 1.05, 1.1, 1.2, 1.5, 4];
  const KINDS = { linear: "prelu", tanh: "tanh", sigmoid: "sigmoid" };
  const WIDE = 180, TALL = 150;
  const { html } = window.rvDraw;

  // rnnvanish's multiplication.network: recurrent weights that turn the state, orthogonal, before they stretch it.
  const network = (kind) => {
    const shape = { cell: "Elman", activation: KINDS[kind], inputs: 1, units: UNITS, steps: STEPS, batch: BATCH, outputs: 1, readout: "linear" };
    const net = new rv.Network(shape), random = new rv.Twister(0, true);
    const names = ["weight_ih", "bias_ih", "weight_hh", "bias_hh"];
    net.drawLayers(random, [...names, ...names]); // the first are thrown away: torch.nn.Linear draws, too
    random.single = false;
    rv.orthogonal(net.weights.weight_hh_l0, UNITS, UNITS, random);
    net.weights.slope_l0?.fill(1); // a straight line
    new rv.Twister(1000).fillNormal(net.x);
    for (let i = 0; i < net.x.length; i++) net.x[i] /= QUIET;
    return { net: rv.sumLast(net), turn: net.weights.weight_hh_l0.slice() };
  };

  // How dark the picture is at each place, 0 to 1: a sky, the sun, hills, and four people.
  const original = () => {
    const canvas = html("canvas", { width: WIDE, height: TALL }), pen = canvas.getContext("2d", { willReadFrequently: true });
    const grey = (dark) => `rgb(${Array(3).fill(Math.round(255 * (1 - dark))).join()})`;
    const fillPath = (dark, draw) => ((pen.fillStyle = grey(dark)), pen.beginPath(), draw(), pen.fill());
    const sky = pen.createLinearGradient(0, 0, 0, 95);
    sky.addColorStop(0, grey(0.32));
    sky.addColorStop(1, grey(0.1));
    pen.fillStyle = sky;
    pen.fillRect(0, 0, WIDE, TALL);
    fillPath(0.03, () => pen.arc(132, 36, 17, 0, 7));
    fillPath(0.28, () => (pen.moveTo(0, 98), pen.quadraticCurveTo(50, 40, 105, 92), pen.quadraticCurveTo(140, 62, 180, 86), pen.lineTo(180, 150), pen.lineTo(0, 150)));
    fillPath(0.45, () => (pen.moveTo(0, 112), pen.quadraticCurveTo(95, 84, 180, 110), pen.lineTo(180, 150), pen.lineTo(0, 150)));
    fillPath(0.6, () => (pen.moveTo(0, 134), pen.quadraticCurveTo(90, 120, 180, 132), pen.lineTo(180, 150), pen.lineTo(0, 150)));
    for (const x of [30, 68, 106, 144]) {
      fillPath(0.88, () => pen.arc(x, 96, 8, 0, 7));
      fillPath(0.88, () => (pen.moveTo(x - 14, 136), pen.lineTo(x - 14, 122), pen.quadraticCurveTo(x - 13, 106, x, 106), pen.quadraticCurveTo(x + 13, 106, x + 14, 122), pen.lineTo(x + 14, 136)));
    }
    return pen.getImageData(0, 0, WIDE, TALL);
  };

  rv.define("copier", class extends rv.Figure {
    controls = {
      gain: { label: "The copier’s dial", values: GAINS, value: 0.95, say: (gain) => `× ${gain}` },
      copies: { label: "Copies of copies", min: 1, max: STEPS - 1, step: 1, value: 20 },
      kind: { label: "Squashing", choices: { linear: "none", tanh: "tanh", sigmoid: "sigmoid" }, value: "linear" },
    };

    build(picture) {
      this.networks = {};
      this.paper = original();
      const sheets = html("div");
      sheets.style = "display: flex; gap: .6rem";
      sheets.setAttribute("role", "img");
      this.sheets = sheets;
      this.prints = [0, 1, 2].map(() => {
        const box = html("div"), name = html("div"), canvas = html("canvas", { width: WIDE, height: TALL });
        box.style = "flex: 1; min-width: 0; font-size: .72rem; line-height: 1.4";
        canvas.style = "display: block; width: 100%; border: 1px solid var(--rv-line); forced-color-adjust: none; aspect-ratio: 6 / 5";
        box.append(name, canvas);
        sheets.append(box);
        return { name, pen: canvas.getContext("2d") };
      });
      picture.append(sheets);
    }

    compute() {
      const { gain, kind, copies } = this.state;
      const { net, turn } = (this.networks[kind] ??= network(kind));
      turn.forEach((weight, i) => (net.weights.weight_hh_l0[i] = gain * weight));
      net.forward();
      net.backward();
      this.left = rv.gain(net);
      this.share = this.left[copies];
    }

    draw() {
      const { copies } = this.state;
      [[0, "the page"], [1, "copy 1"], [copies, `copy ${copies}`]].forEach(([count, name], place) => {
        const image = new ImageData(new Uint8ClampedArray(this.paper.data), WIDE, TALL), left = this.left[count];
        for (let i = 0; i < image.data.length; i += 4) image.data.fill(255 - Math.min(255, left * (255 - image.data[i])), i, i + 3);
        this.prints[place].name.textContent = name;
        this.prints[place].pen.putImageData(image, 0, 0);
      });
      this.sheets.setAttribute("aria-label", `A picture, its first copy, and copy ${copies}. ${this.says()}`);
    }

    says() {
      const { copies } = this.state, { share } = this;
      const dark = share < 0.02 ? "the paper is white" : share < 0.5 ? "the picture is pale" : share <= 1.5 ? "one can see it well" : share < 8 ? "it is too dark" : "the paper is black";
      const lead = `The weights stretch the state ${this.state.gain} times.`;
      return `${lead} Of the gradient, ${rv.share(this.left[1])} is left after one step back, and ${rv.share(share)} after ${copies} (${share.toPrecision(3)}). As a copy: ${dark}.`;
    }

    rows() {
      return [["Steps back", "Gradient that is left"], ...Array.from(this.left, (left, lag) => [`${lag}`, left.toPrecision(3)])];
    }

    python() {
      const { gain, kind, copies } = this.state;
      return `import torch
from rnnvanish.experiments import multiplication
from rnnvanish.probes import retention

torch.manual_seed(1000)
x = torch.randn(${STEPS}, ${BATCH}, 1, dtype=torch.float64) / ${QUIET}
(curve,) = retention(multiplication.network("${kind}", ${gain}), x).values()
print(f"{curve.gain[${copies}]:.3g}")`;
    }
  });
})();
