// <rv-field>: what is left of a gradient some steps back, in networks of today, and what the next step costs. Its <template>
// holds { names: [name], left: { steps: [share] }, work: { steps: [attention, LSTM] } }, shares of what arrives one step back.
// needs: figure given shares
"use strict";

(() => {
  const { svg } = window.rvDraw;
  const ROW = 46;
  const DECADES = 12; // beyond, there is no bar
  const HEADS = { 0: "all", 3: "1 in a thousand", 6: "1 in a million", 9: "1 in a billion" };

  rv.define("field", class extends rv.Figure {
    connectedCallback() {
      if (!this.picture) {
        this.given = rv.given(this);
        const values = Object.keys(this.given.left).map(Number);
        this.controls = { back: { label: "Steps back", values, value: values[values.length - 1] } };
      }
      super.connectedCallback();
    }

    build(picture) {
      this.svg = svg("svg", { role: "img" });
      picture.append(this.svg);
    }

    compute() { this.left = this.given.left[this.state.back]; }

    draw() {
      const [width, height] = [this.width, 26 + ROW * this.given.names.length];
      const px = (share) => (width * Math.max(0, DECADES + Math.log10(Math.min(1, share)))) / DECADES;
      const parts = [];
      for (const [power, text] of Object.entries(HEADS)) {
        const x = px(10 ** -power);
        parts.push(svg("path", { class: "rv-gridline", d: `M${x} 20V${height}` }));
        parts.push(svg("text", { x, y: 13, "text-anchor": "end" }, width < 420 && power % 6 ? "" : text));
      }
      this.given.names.forEach((name, i) => {
        const y = 26 + ROW * i;
        parts.push(svg("text", { class: "rv-over", x: 0, y: y + 14, "font-weight": 600 }, name));
        parts.push(svg("text", { class: "rv-over", x: width, y: y + 14, "text-anchor": "end" }, this.share(i)));
        parts.push(svg("rect", { x: 0, y: y + 20, width: Math.max(1, px(this.left[i])), height: 14, rx: 2, style: `fill: var(--rv-c${i % 5})` }));
      });
      this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
      this.svg.replaceChildren(...parts);
      this.svg.setAttribute("aria-label", `Bars on an axis of powers of ten: what is left of the gradient. ${this.given.names.map((name, i) => `${name}: ${this.share(i)}`).join("; ")}.`);
    }

    share(i) { return rv.share(this.left[i]); }

    says() {
      const { back } = this.state;
      const [attention, lstm] = this.given.work[back];
      const order = this.given.names.map((name, i) => [this.left[i], name]).sort((one, other) => one[0] - other[0]);
      const [least, most] = [order[0], order[order.length - 1]];
      const price = `The price: with ${back} step${back === 1 ? "" : "s"} behind it, the next one takes attention ${attention.toLocaleString("en")} operations, and an LSTM ${lstm.toLocaleString("en")}, always.`;
      return `${back} step${back === 1 ? "" : "s"} back, least is left in the ${least[1]} (${rv.share(least[0])}) and most in the ${most[1]} (${rv.share(most[0])}). ${price}`;
    }

    rows() {
      const { names, left, work } = this.given;
      return [["steps back", ...names, "work, attention", "work, LSTM"],
        ...Object.keys(left).map((back) => [back, ...left[back].map((share) => share.toPrecision(3)), ...work[back]])];
    }

    python() {
      return `from rnnvanish import cells
from rnnvanish.experiments import linear
from rnnvanish.experiments.workbench import curve

kept = curve(linear.layer(cells.LSTM), seed=0).gain  # the first bar
print(f"{kept[${this.state.back}] / kept[1]:.2e}")`;
    }
  });
})();
