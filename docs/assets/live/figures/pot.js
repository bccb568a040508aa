// <rv-pot>: sixty people throw a coin into a pot, and each hand on the way passes on a part. They are the steps of a network
// of one unit without squashing: a coin is what a step's own bias adds to the gradient of all, the pot.
// needs: ../draw figure numbers network people shares
"use strict";

(() => {
  const PEOPLE = 60, GROUP = 10, POT = 170;
  const { svg } = window.rvDraw;
  const amount = (x) => x.toFixed(1);
  const HIGHEST = 1.6; // coins that a bar can show
  const part = (x) => (x > 0.995 ? "nearly all" : x > 0.0995 ? `${Math.round(100 * x)} %` : rv.share(x));
  const exactly = (x) => (x > 1e-6 ? ` (${x.toPrecision(3)})` : "");

  rv.define("pot", class extends rv.Figure {
    controls = {
      keeps: { label: "What each hand passes on", min: 0.5, max: 1.1, step: 0.01, value: 0.9, say: (keeps) => `${Math.round(100 * keeps)} %`, marks: { 1: "all" } },
    };

    build(picture) {
      this.sheet = svg("svg");
      picture.append(this.sheet);
    }

    compute() {
      const net = new rv.Network({ cell: "Elman", activation: "prelu", units: 1, outputs: 1, steps: PEOPLE, batch: 1, readout: "linear" });
      net.weights.slope_l0[0] = 1; // a straight line
      net.weights.weight_hh_l0[0] = this.state.keeps;
      net.weights["out.weight"][0] = 1;
      net.y[0] = -0.5; // so that the last state's gradient is 1
      net.forward();
      net.backward();
      this.coins = Array.from(net.layer(0).dH.subarray(1));
      this.pot = net.grads.bias_ih_l0[0];
      const sum = (from) => this.coins.slice(from, from + GROUP).reduce((all, coin) => all + coin, 0) / this.pot;
      this.groups = Array.from({ length: PEOPLE / GROUP }, (_, i) => sum(GROUP * i)); // those at the far end first
    }

    draw() {
      const { width, coins, groups } = this, row = rv.people(PEOPLE, 0, width - 34, 96, 0.6), parts = [];
      const top = 96 - 44 * row.scale, most = Math.min(0.46 * row.step, 9), tall = 33;
      const more = coins[0] > HIGHEST && ` (up to ${coins[0].toFixed(1)}: cut off)`;
      parts.push(svg("text", { x: 0, y: 13 }, `What arrives of each coin${more || ""}`));
      parts.push(svg("path", { d: `M0 ${top - 8}H${width - 34}`, style: "stroke: var(--rv-line)" }));
      coins.forEach((coin, i) => {
        const high = Math.min(coin, HIGHEST) * tall;
        parts.push(row.one(i, { "stroke-width": 3 }));
        parts.push(svg("rect", { x: row.at(i) - most, y: top - 8 - tall, width: 2 * most, height: tall, style: "fill: var(--rv-soft)" }));
        parts.push(svg("rect", { x: row.at(i) - most, y: top - 8 - high, width: 2 * most, height: high, style: "fill: var(--rv-c1)" }));
      });
      parts.push(svg("path", { d: `M${width - 26} 78c-5 11-4 20 5 20h8c9 0 10-9 5-20zM${width - 29} 78h24`, fill: "none", stroke: "currentColor", "stroke-width": 2 }));
      const y = 128, wide = Math.min(190, width * 0.42);
      parts.push(svg("text", { x: 0, y: y + 2 }, `In the pot: ${amount(this.pot)} coins. They come from`));
      let at = y + 14;
      const labels = [];
      for (let i = groups.length - 1; i >= 0; i--) {
        const high = groups[i] * POT;
        const layer = { x: 8, y: at, width: wide - 16, height: Math.max(0, high), style: "fill: var(--rv-c1)" };
        parts.push(svg("rect", { ...layer, "fill-opacity": (0.25 + 0.13 * i).toFixed(2), stroke: "var(--md-default-bg-color)", "stroke-width": Math.min(1, high / 4) }));
        labels.push([i, at + high / 2]);
        at += high;
      }
      parts.push(svg("path", { d: `M2 ${y + 10}V${y + POT + 6}q0 14 14 14H${wide - 16}q14 0 14-14V${y + 10}`, fill: "none", stroke: "currentColor", "stroke-width": 2.5, "stroke-linecap": "round" }));
      // Each group has a line of its own, near its layer; the lines never cross and never overlap.
      labels.forEach(([i, middle], k) => {
        const line = y + 28 + 28 * k, text = `${width < 420 ? "" : "people "}${GROUP * i + 1} to ${GROUP * (i + 1)}: `;
        parts.push(svg("path", { d: `M${wide - 8} ${middle.toFixed(1)}L${wide + 14} ${line - 4}`, style: "stroke: var(--rv-quiet)" }));
        const label = svg("text", { x: wide + 18, y: line, ...(i === 0 && { "font-weight": 700 }) }, text);
        label.append(svg("tspan", { "font-weight": 700 }, part(groups[i])));
        parts.push(label);
      });
      rv.sheet(this.sheet, width, y + POT + 24, parts, `Sixty people in a row, what arrives of each one's coin, and the pot. ${this.says()}`);
    }

    says() {
      const { keeps } = this.state, [first] = this.groups, last = this.groups.at(-1);
      const lead = `Sixty coins were put in, ${amount(this.pot)} are in the pot. The last ten people have ${part(last)} of it, the first ten ${part(first)}${exactly(first)}.`;
      if (keeps > 1.005) return `${lead} Each hand adds something: those far away shout down the others.`;
      return keeps > 0.995 ? `${lead} Nobody takes anything, so all have the same say.` : lead;
    }

    rows() {
      return [["Person", "Arrives of the coin"], ...this.coins.map((coin, i) => [`${i + 1}`, coin > 0.001 ? coin.toFixed(4) : coin.toExponential(2)])];
    }

    python() {
      return `import torch

coins = torch.zeros(${PEOPLE}, dtype=torch.float64, requires_grad=True)
hand = 0  # a network of one unit, without squashing
for coin in coins:
    hand = ${this.state.keeps} * hand + coin
hand.backward()
arrives = coins.grad
print(f"{arrives.sum():.1f} coins, {arrives[:10].sum() / arrives.sum():.3g} of them from the first ten")`;
    }
  });
})();
