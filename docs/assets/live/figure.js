// What every figure has that computes in the reader's own browser: controls, a picture, one sentence, the numbers, the same
// in Python; its state in the address; starting again. A figure says only what is its own:
//
//   rv.define("fading", class extends rv.Figure {
//     controls = {
//       gate: { label: "What it keeps", min: 0.1, max: 0.9, step: 0.1, value: 0.5, say: (v) => `${100 * v} %`, marks: { 0.5: "PyTorch" } },
//       lag: { label: "Steps", values: [10, 20, 50], value: 20 },
//       start: { label: "Start", choices: { torch: "PyTorch's", keras: "Keras'" }, value: "torch" },
//       own: { label: "A sentence", text: 200, value: "" },
//       seed: { hidden: true, value: 1 },
//     };
//     build(picture) {}   // once: the elements of the picture, of their full height, inside this div
//     compute() {}        // from this.state, at most once a frame
//     draw() {}           // also when this.width or the colours have changed
//     says() {}           // one sentence: what one sees now; a string, or strings and elements
//     rows() {}           // the numbers: a list of columns, then the rows
//     python() {}         // code that prints the number of the sentence
//   });
//
// In a page `<rv-fading id="fading" gate="0.7">` holds what is read without JavaScript; its attributes set the controls. A
// link to `#fading.gate=0.9` sets them, too. `enabled: (state) => …` greys a control out where it has no say; what is `below`
// stands under the sentence.
// needs: ../words ../draw ../address fit
"use strict";

(() => {
  const rv = (globalThis.rv ||= {});
  const { html, csv, reveal, address, follow, fill, whole } = window.rvDraw;
  const words = window.rvWords.live;
  const FEW = 4; // choices that are buttons; more are a list

  // No line ends within "65 %", nor after the "1" of "1 in 300".
  const glued = (text) => text.replace(/(\d) %/g, "$1\u00a0%").replace(/\b1 in (?=\w)/g, "1\u00a0in\u00a0");

  rv.define = (name, figure) => customElements.define(`rv-${name}`, figure);
  rv.calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

  // A control: its element, and what it says and takes. `value` is a number, the key of a choice, or a text.
  const range = (control, id, changed) => {
    const values = control.values ?? null;
    const input = html("input", { id, type: "range", min: values ? 0 : control.min, max: values ? values.length - 1 : control.max, step: values ? 1 : control.step });
    const output = html("output", { htmlFor: id });
    output.setAttribute("aria-live", "off"); // the sentence speaks
    const label = html("label", { htmlFor: id });
    label.append(`${control.label}: `, output);
    const element = html("div", { className: "rv-control" });
    element.append(label, input);
    const place = (value) => (values ? values.indexOf(value) / (values.length - 1) : (value - control.min) / (control.max - control.min));
    if (control.marks) {
      const marks = html("p", { className: "rv-marks" });
      marks.ariaHidden = "true";
      for (const [value, text] of Object.entries(control.marks)) {
        const mark = html("i", { textContent: text });
        mark.style.setProperty("--at", place(Number(value)));
        marks.append(mark);
      }
      element.append(marks);
    }
    const read = () => (values ? values[input.value] : Number(input.value));
    const show = () => {
      const said = control.say?.(read()) ?? `${String(read()).replace("-", "−")}${control.unit ? ` ${control.unit}` : ""}`;
      output.value = said;
      input.setAttribute("aria-valuetext", said);
    };
    input.addEventListener("input", () => (show(), changed(read())));
    return {
      element,
      set: (value) => ((input.value = values ? values.indexOf(value) : value), show()),
      parse: (text) => {
        const value = Number(text);
        if (text === "" || !Number.isFinite(value)) return undefined;
        return values ? values.find((each) => each === value) : Math.min(control.max, Math.max(control.min, value));
      },
      disable: (off) => (input.disabled = off),
    };
  };

  const choice = (control, id, changed) => {
    const keys = Object.keys(control.choices);
    const parse = (text) => (keys.includes(text) ? text : undefined);
    if (keys.length > FEW) {
      const element = html("div", { className: "rv-control" });
      const select = html("select", { id });
      select.append(...keys.map((key) => new Option(control.choices[key], key)));
      select.addEventListener("change", () => changed(select.value));
      element.append(html("label", { htmlFor: id, textContent: `${control.label}: ` }), select);
      return { element, parse, set: (value) => (select.value = value), disable: (off) => (select.disabled = off) };
    }
    const element = html("fieldset", { className: "rv-control rv-choice" });
    const inputs = {};
    element.append(html("legend", { textContent: control.label }));
    for (const key of keys) {
      const label = html("label");
      inputs[key] = html("input", { type: "radio", name: id, value: key });
      inputs[key].addEventListener("change", () => changed(key));
      label.append(inputs[key], html("span", { textContent: control.choices[key] }));
      element.append(label);
    }
    return { element, parse, set: (value) => (inputs[value].checked = true), disable: (off) => (element.disabled = off) };
  };

  const text = (control, id, changed) => {
    const element = html("div", { className: "rv-control" });
    const input = html("input", { id, type: "text", maxLength: control.text, spellcheck: false });
    input.addEventListener("input", () => changed(input.value));
    element.append(html("label", { htmlFor: id, textContent: `${control.label}: ` }), input);
    return { element, parse: (said) => said.slice(0, control.text), set: (value) => (input.value = value), disable: (off) => (input.disabled = off) };
  };

  const hidden = () => ({ element: null, parse: (said) => (Number.isFinite(Number(said)) ? Number(said) : undefined), set: () => {}, disable: () => {} });

  const make = (control, ...rest) => (control.hidden ? hidden() : (control.choices ? choice : control.text ? text : range)(control, ...rest));

  rv.Figure = class extends HTMLElement {
    controls = {};
    #kept; // the timer of the address

    connectedCallback() {
      if (this.picture || !whole(this)) return;
      this.id ||= this.localName.slice(3);
      this.classList.add("rv-live");
      this.state = {};
      this.made = {};
      this.picture = html("div", { className: "rv-picture" });
      this.form = html("form", { className: "rv-controls" });
      const below = html("form", { className: "rv-controls" });
      for (const form of [this.form, below]) form.addEventListener("submit", (event) => event.preventDefault());
      this.said = html("p", { className: "rv-says" });
      this.said.setAttribute("role", "status");
      for (const [name, control] of Object.entries(this.controls)) {
        const made = make(control, `${this.id}-${name}`, (value) => this.set({ [name]: value }));
        this.made[name] = made;
        if (this.hasAttribute(name)) control.value = made.parse(this.getAttribute(name)) ?? control.value;
        this.state[name] = control.value;
        if (made.element) (control.below ? below : this.form).append(made.element);
      }
      below.append(this.button(words.reset, () => this.reset()));
      this.told = [...this.childNodes]; // what is read without a script
      this.replaceChildren(this.picture, this.form, this.said, below);
      if (this.rows || this.python) this.fold();
      this.width = this.picture.clientWidth || 600;
      this.build(this.picture);
      const linked = this.fromAddress();
      this.refresh();
      if (this.predict && !linked) this.ask();
      if (linked) reveal(this);
      this.listen();
    }

    listen() {
      follow(this, `${this.id}.`);
      new ResizeObserver(() => {
        if (this.picture.clientWidth === this.width || !this.picture.clientWidth) return;
        this.width = this.picture.clientWidth;
        this.redraw();
      }).observe(this.picture);
      new MutationObserver(() => this.redraw()).observe(document.body, { attributeFilter: ["data-md-color-scheme"] });
    }

    build() {}
    compute() {}
    draw() {}
    says() { return ""; }

    button(label, act) {
      const made = html("button", { type: "button", className: "rv-small", textContent: label });
      made.addEventListener("click", act);
      return made;
    }

    // Set controls, from code or by hand: the picture follows, and the address.
    set(values) {
      Object.assign(this.state, values);
      this.changed();
      clearTimeout(this.#kept);
      this.#kept = setTimeout(() => history.replaceState(history.state, "", this.address()), 150); // browsers limit how often
    }

    reset() {
      for (const [name, control] of Object.entries(this.controls)) this.state[name] = control.value;
      this.set({});
    }

    changed() {
      this.waiting ||= requestAnimationFrame(() => {
        this.waiting = 0;
        this.refresh();
      });
    }

    refresh() {
      for (const [name, made] of Object.entries(this.made)) {
        made.set(this.state[name]);
        if (this.controls[name].enabled) made.disable(!this.controls[name].enabled(this.state));
      }
      this.compute();
      this.redraw();
      this.tell();
    }

    redraw() {
      this.draw();
      for (const drawing of this.picture.querySelectorAll("svg")) rv.fit(drawing);
    }

    // What grows never shrinks again, so that what stands below keeps its place.
    tell() {
      this.said.replaceChildren(...[this.says()].flat().map((part) => (typeof part === "string" ? glued(part) : part)));
      const height = this.said.offsetHeight;
      if (height > (this.tallest ?? 0)) this.said.style.minHeight = `${(this.tallest = height)}px`;
      if (this.more?.open) this.detail();
    }

    fold() {
      this.more = html("details", { className: "rv-more" });
      this.more.append(html("summary", { textContent: this.python ? words.more : words.numbers }), html("div"));
      this.more.addEventListener("toggle", () => this.more.open && this.detail());
      this.append(this.more);
    }

    detail() {
      const inside = [];
      if (this.rows) {
        const [head, ...rows] = this.rows();
        const table = html("table");
        const line = (cells, name) => {
          const row = table.insertRow();
          for (const cell of cells) row.append(html(name, { textContent: cell, ...(name === "th" && { scope: "col" }) }));
        };
        line(head, "th");
        for (const row of rows) line(row, "td");
        const box = html("div", { className: "rv-rows", tabIndex: 0 });
        box.setAttribute("role", "group");
        box.setAttribute("aria-label", words.numbers);
        box.append(table);
        inside.push(box);
      }
      if (this.python) {
        const code = html("pre", { tabIndex: 0 }), told = html("p", { textContent: `${words.python} ` });
        code.append(html("code", { textContent: this.python() }));
        told.append(this.button(words.copy, () => {
          getSelection().selectAllChildren(code); // a page from the disk has no clipboard
          navigator.clipboard?.writeText(code.textContent);
        }));
        inside.push(told, code);
      }
      this.more.lastChild.replaceChildren(...inside);
    }

    // For save-figure.js: the numbers as CSV, and a link to what is seen.
    numbers() {
      return this.rows && csv(this.rows());
    }

    // The address holds what differs from the start, as #id.control=value; what other figures keep there stays.
    address() {
      const others = Object.entries(this.controls).filter(([name, control]) => this.state[name] !== control.value);
      return address(`${this.id}.`, others.map(([name]) => `${this.id}.${name}=${encodeURIComponent(this.state[name])}`));
    }

    // It is the whole of what a figure shows: what it leaves out is as at the start.
    fromAddress() {
      const stored = new URLSearchParams(location.hash.slice(1));
      let found = false;
      for (const [name, made] of Object.entries(this.made)) {
        const value = stored.has(`${this.id}.${name}`) ? made.parse(stored.get(`${this.id}.${name}`)) : undefined;
        found ||= value !== undefined;
        this.state[name] = value ?? this.controls[name].value;
      }
      return found;
    }

    arrive() {
      const before = this.address();
      if (this.fromAddress()) this.cover(false); // a link shows what it says
      if (this.address() === before) return false;
      this.changed();
      return true;
    }

    // What would give the answer away: the sentence and the numbers too, in their places.
    cover(on) {
      if (!on) this.picture.querySelector(".rv-cover")?.remove();
      this.form.inert = on;
      this.said.dataset.wait = on ? words.wait : "";
      for (const part of [this.said, this.more]) if (part) part.style.visibility = on ? "hidden" : "";
    }

    // predict = { ask, answers }: the picture is covered until the reader has committed to an answer, or asks for it.
    ask() {
      const cover = html("fieldset", { className: "rv-cover" });
      cover.append(html("legend", { textContent: this.predict.ask }));
      const commit = (answer) => {
        this.cover(false);
        this.guess = answer;
        if (answer) this.said.before(html("p", { className: "rv-guess", textContent: fill(words.guessed, { answer }) }));
        this.form.querySelector("input, button, select").focus({ preventScroll: true });
      };
      for (const answer of this.predict.answers) {
        const button = html("button", { type: "button", className: "md-button", textContent: answer });
        button.addEventListener("click", () => commit(answer));
        cover.append(button);
      }
      const skip = html("button", { type: "button", className: "rv-small", textContent: words.skip });
      skip.addEventListener("click", () => commit(null));
      cover.append(skip);
      this.cover(true);
      this.picture.append(cover);
    }
  };

  // A figure that goes on by itself: a training. `compute` makes it ready, `advance(end)` works until `end` and says whether
  // there is more, `over` whether nothing is left to do. Drawn ten times a second; where nothing should move, every two seconds.
  rv.Live = class extends rv.Figure {
    connectedCallback() {
      if (this.picture) return;
      super.connectedCallback();
      if (!this.picture) return; // not whole yet
      new IntersectionObserver((seen, watch) => {
        if (!seen.some((one) => one.isIntersecting)) return;
        watch.disconnect();
        if (rv.Network) rv.warm(this.shape?.() ?? {}); // else it comes later
      }, { rootMargin: "300px" }).observe(this);
    }

    disconnectedCallback() { this.halt(); }

    get over() { return false; }

    refresh() {
      this.go ??= this.first();
      this.halt();
      super.refresh();
      this.go.textContent = words.start;
    }

    // The button that matters comes first.
    first() {
      const made = this.button(words.start, () => (this.stop ? this.pause() : this.start()));
      made.className = "md-button md-button--primary";
      this.form.prepend(made);
      return made;
    }

    start() {
      if (this.over) {
        if ("seed" in this.state) this.state.seed++;
        this.refresh();
        history.replaceState(history.state, "", this.address());
      }
      this.go.textContent = words.pause;
      this.said.textContent = this.during?.() ?? words.running;
      let drawn = -Infinity;
      this.stop = rv.slices((end) => this.advance(end), (last) => {
        const now = performance.now();
        if (!last && now - drawn < (rv.calm() ? 2000 : 100)) return;
        drawn = now;
        this.redraw();
        if (last) this.pause();
      });
    }

    pause() {
      this.halt();
      this.go.textContent = this.over ? words.anew : words.go_on;
      this.tell();
    }

    halt() {
      this.stop?.();
      this.stop = null;
    }
  };
})();
