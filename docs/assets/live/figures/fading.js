// <rv-fading>: a sentence, each word as dark as the gradient that reaches it from the end. The <p class="rv-words"> inside it
// holds the words: the one that decides in <b>, the last, which hangs on it, in <em>.
// needs: figure network starts ink-key shares
"use strict";

(() => {
  const UNITS = 24;
  const SIZE = 8; // numbers for a word
  const SEED = 3;
  const MOST = 40; // words
  const PALEST = 0.07; // ink of what has lost six powers of ten
  const { html } = window.rvDraw;

  // An LSTM as PyTorch draws it after torch.manual_seed, its forget gates set to keep `gate`; each word is its own N(0, 1).
  const reach = (words, gate) => {
    const net = new rv.Network({ cell: "LSTM", inputs: SIZE, units: UNITS, steps: words.length, batch: 1 });
    const random = new rv.Twister(SEED);
    rv.starts.module(net, random);
    rv.starts.open(net, random, bias(gate));
    const known = [...new Set(words.map((word) => word.toLowerCase()))];
    const vectors = random.fillNormal(new Float64Array(known.length * SIZE));
    words.forEach((word, t) => {
      const place = known.indexOf(word.toLowerCase()) * SIZE;
      net.x.set(vectors.subarray(place, place + SIZE), t * SIZE);
    });
    net.y[0] = 1;
    net.forward();
    net.backward();
    const sizes = net.sizes(new Float64Array(words.length + 1));
    return words.map((_, t) => Math.min(1, sizes[t + 1] / sizes[words.length]));
  };

  const bias = (gate) => Number(Math.log(gate / (1 - gate)).toFixed(3));
  const opacity = (share) => (PALEST + (1 - PALEST) * rv.ink(share)).toFixed(3);

  rv.define("fading", class extends rv.Figure {
    controls = {
      gate: {
        label: "How much of its memory it keeps at each word",
        min: 0.27, max: 0.99, step: 0.01, value: 0.5,
        say: (gate) => `${Math.round(100 * gate)} %`,
        marks: { 0.5: "as PyTorch starts it" },
      },
      own: { label: "A sentence of your own; its first word decides the last", text: 200, value: "", below: true },
    };

    connectedCallback() {
      const words = this.querySelector(".rv-words");
      if (words && !this.given) {
        this.given = words.textContent.trim().split(/\s+/);
        this.decides = this.given.indexOf(words.querySelector("b").textContent.trim());
      }
      super.connectedCallback();
    }

    build(picture) {
      this.sentence = html("p", { className: "rv-words rv-faded", ariaHidden: "true" });
      this.spoken = html("p", { className: "rv-spoken" }); // what is faint to see is read out in full
      const key = rv.inkKey("Reaches the word: ", { ink: opacity });
      key.classList.add("rv-inked");
      key.ariaHidden = "true";
      picture.append(this.sentence, this.spoken, key);
    }

    compute() {
      const own = this.state.own.trim().split(/\s+/).slice(0, MOST);
      [this.words, this.at] = own.length > 2 ? [own, 0] : [this.given, this.decides];
      this.before = this.words.slice(0, -1);
      this.shares = reach(this.before, this.state.gate);
    }

    draw() {
      const spans = this.before.map((word, t) => {
        const span = html(t === this.at ? "b" : "span", { textContent: word });
        span.style.setProperty("--ink", opacity(this.shares[t]));
        return span;
      });
      this.sentence.replaceChildren(...spans.flatMap((span) => [span, " "]), html("em", { textContent: this.words.at(-1) }));
      this.spoken.textContent = this.words.join(" ");
    }

    says() {
      const share = this.shares[this.at];
      const lead = share < 1e-3 ? "It forgets." : share < 0.03 ? "It half remembers." : "It remembers.";
      return [
        html("b", { textContent: lead }),
        ` Only “${this.words[this.at]}” says that it must be “${this.words.at(-1)}”. Of what the network learns at “${this.words.at(-1)}”, `,
        html("strong", { textContent: rv.share(share) }),
        " gets back there.",
      ];
    }

    rows() {
      return [["Word", "Of the gradient at the end"], ...this.before.map((word, t) => [word, `${rv.share(this.shares[t])} (${this.shares[t].toExponential(2)})`])];
    }

    python() {
      return `import torch
from torch import nn

torch.manual_seed(${SEED})
torch.set_default_dtype(torch.float64)
lstm, out = nn.LSTMCell(${SIZE}, ${UNITS}), nn.Linear(${UNITS}, 2)
words = ${JSON.stringify(this.before.join(" ").toLowerCase())}.split()
vectors = dict(zip(dict.fromkeys(words), torch.randn(len(set(words)), ${SIZE})))
with torch.no_grad():
    lstm.bias_ih[${UNITS}:${2 * UNITS}], lstm.bias_hh[${UNITS}:${2 * UNITS}] = ${bias(this.state.gate)}, 0
state, states = torch.zeros(2, ${UNITS}, requires_grad=True), []
for word in words:
    state = torch.stack(lstm(vectors[word], (state[0], state[1])))
    state.retain_grad()
    states.append(state)
nn.functional.cross_entropy(out(state[0]), torch.tensor(1)).backward()
print(f"{states[${this.at}].grad.norm() / states[-1].grad.norm():.2e}")`;
    }
  });
})();
