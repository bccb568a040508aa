// A report of `rnnvanish diagnose --json`, opened on the reader's own device and nowhere else: dropped, chosen or pasted; or the
// two that were made with the page. What there is to see is drawn by the scripts of the package, as on a report's own page.
//
//   <rv-report id="report"> what is read without JavaScript <template data-name="an example">its JSON</template> </rv-report>
//
// The address keeps what is looked at of the page's own reports; of a reader's report it keeps nothing.
// needs: ../words ../address ../report/numbers ../report/curves ../report/causes ../report/cures ../report/layers ../report/overview read-report
"use strict";

(() => {
  const rv = (globalThis.rv ||= {});
  const report = globalThis.rvReport;
  const { html } = report;
  const SAME = 0.2; // a half-life that differs by less counts as the same, as `--against` has it
  const TIMES = 10; // of the sequence: half-lives beyond cannot be told apart

  const button = (text, act, name = "md-button") => {
    const made = html("button", { type: "button", class: name }, text);
    made.addEventListener("click", act);
    return made;
  };
  const code = (text) => text.split("`").map((part, i) => (i % 2 ? html("code", {}, part) : part));
  const plain = report.printable;

  const change = (before, after) => {
    if (before.joined || after.joined || !before.measured || !after.measured) return "";
    const most = TIMES * Math.max(before.gain.length, after.gain.length);
    const [was, now] = [before.halfLife, after.halfLife].map((each) => Math.min(each, most));
    return now < (1 - SAME) * was ? "shorter" : was < (1 - SAME) * now ? "longer" : "as long";
  };

  class Report extends HTMLElement {
    connectedCallback() {
      if (this.view) return;
      this.id ||= "report";
      this.classList.add("rv-live");
      this.examples = [...this.querySelectorAll("template[data-name]")].map((each) => ({ name: each.dataset.name, text: each.content.textContent, example: true }));
      this.opened = [];
      this.said = html("div", { class: "rv-says", role: "status" });
      this.view = html("div");
      this.replaceChildren(this.door(), this.said, this.view);
      this.fromAddress();
      addEventListener("hashchange", () => this.fromAddress());
    }

    // Where a report comes in.
    door() {
      const form = html("form", { class: "rv-door" });
      this.file = html("input", { type: "file", accept: ".json,application/json", id: `${this.id}-file`, multiple: "" });
      this.file.addEventListener("change", () => this.take([...this.file.files]));
      const label = html("label", { for: this.file.id }, html("strong", {}, "Drop a report here, or choose its file"), " ");
      const paste = html("textarea", { rows: 3, spellcheck: "false", "aria-label": "The JSON of a report" });
      const fold = html("details", {}, html("summary", {}, "Paste it instead"), paste, button("Open what I pasted", () => this.open([{ name: "what you pasted", text: paste.value }])));
      const shown = html("p", { class: "rv-examples" });
      if (this.examples.length) shown.append(button("Open an example", () => this.example([0])), " ");
      if (this.examples.length > 1) shown.append(button("Compare two: before and after a cure", () => this.example([0, 1])));
      form.append(label, this.file, fold, shown, html("p", { class: "rv-note" }, "It is read in this browser only. Nothing leaves your device."));
      form.addEventListener("submit", (event) => event.preventDefault());
      for (const name of ["dragover", "dragleave", "drop"])
        form.addEventListener(name, (event) => {
          event.preventDefault();
          form.classList.toggle("rv-over-it", name === "dragover");
          if (name === "drop") this.take([...event.dataTransfer.files]);
        });
      form.addEventListener("paste", (event) => {
        const files = [...(event.clipboardData?.files ?? [])];
        if (files.length) event.preventDefault(), this.take(files);
      });
      return (this.form = form);
    }

    async take(files) {
      if (!files.length) return this.fail("No file came with that. Choose one, or paste the text.");
      if (files.length > 2) return this.fail(`One report is needed, or two to compare; ${files.length} files came.`);
      try {
        const read = [];
        for (const file of files) read.push({ name: file.name, data: await rv.readReport(file) });
        this.add(read);
      } catch (error) {
        this.fail(error instanceof rv.NoReport ? error.message : `The file cannot be read: ${plain(error.message)}`);
      }
      this.file.value = "";
    }

    open(given) {
      try {
        this.add(given.map(({ name, text, example }) => ({ name, example, data: rv.parseReport(text) })));
      } catch (error) {
        if (!(error instanceof rv.NoReport)) throw error;
        this.fail(error.message);
      }
    }

    example(places) {
      this.opened = [];
      this.open(places.map((place) => this.examples[place]));
    }

    // A second report joins the first, where one is asked for.
    add(read) {
      this.opened = this.wanted && this.opened.length === 1 && read.length === 1 ? [...this.opened, ...read] : read;
      this.wanted = false;
      this.at = {};
      this.show();
      this.keep();
    }

    fail(message) {
      this.said.replaceChildren(...code(message));
      this.said.classList.add("rv-wrong");
    }

    show() {
      const [first, second] = this.opened;
      this.said.classList.remove("rv-wrong");
      this.said.textContent = second ? `Two reports are open: ${plain(first.name)}, then ${plain(second.name)}.` : `A report is open: ${plain(first.name)}.`;
      this.loops = this.paired();
      this.view.replaceChildren(this.bar(), ...this.opened.map((each, i) => this.head(each, i)));
      if (second) this.view.append(this.table());
      this.picture();
      this.closer();
    }

    paired() {
      const [first, second] = this.opened.map(({ data }) => Object.entries(data.layers).map(([name, raw]) => report.layer(name, raw)));
      if (!second) return first.map((layer) => ({ layers: [layer] }));
      const both = first.filter(({ name }) => second.some((other) => other.name === name));
      return both.map((layer) => ({ layers: [layer, second.find(({ name }) => name === layer.name)] }));
    }

    bar() {
      const bar = html("p", { class: "rv-bar-of" });
      if (this.opened.length === 1) bar.append(button("Compare with a second report", () => this.ask(), "rv-small"), " ");
      else bar.append(button("Swap before and after", () => (this.opened.reverse(), this.show(), this.keep()), "rv-small"), " ");
      bar.append(button("Close", () => this.close(), "rv-small"));
      return bar;
    }

    ask() {
      this.wanted = true;
      this.said.textContent = "Drop, choose or paste the second report above: the one after the change.";
      this.file.focus();
      this.form.scrollIntoView({ block: "nearest" });
    }

    close() {
      this.opened = [];
      this.wanted = false;
      this.said.textContent = "";
      this.view.replaceChildren();
      this.keep();
      this.file.focus();
    }

    // What a report says by itself: its answer, what was found, and what could not be tried.
    head({ name, data }, i) {
      const section = html("section", { class: "rv-head" });
      const when = Object.entries(data.provenance ?? {}).map(([key, value]) => `${plain(key)} ${plain(value)}`).join(", ");
      const role = this.opened.length > 1 ? `${["Before", "After"][i]}: ` : "";
      section.append(html("h3", {}, `${role}${plain(name)}`), html("p", { class: "rv-answer-of" }, plain(data.answer ?? data.model ?? "")));
      for (const { fault, layer, seen, remedy, question } of data.findings ?? []) {
        const found = html("div", { class: `rv-found${question ? " rv-question" : ""}` });
        found.append(html("strong", {}, `${question ? "Question: " : "Found: "}${plain(fault)}${layer ? ` in ${plain(layer)}` : ""}`));
        found.append(html("p", {}, plain(seen)), html("p", {}, `To do: ${plain(remedy)}`));
        section.append(found);
      }
      if (data.outlook?.says) section.append(html("p", {}, plain(data.outlook.says)));
      const unfit = Object.entries(data.unfit ?? {});
      if (unfit.length) {
        const list = html("ul", {}, ...unfit.map(([cure, reason]) => html("li", {}, `${plain(cure)}: ${plain(reason)}`)));
        section.append(html("details", {}, html("summary", {}, `Cures that could not be tried: ${unfit.length}`), list));
      }
      if (when) section.append(html("p", { class: "rv-note" }, when));
      return section;
    }

    // Two reports, loop by loop.
    table() {
      const box = html("div", { class: "rv-cards" });
      const heads = ["verdict", "half-life, in steps", "reach, in steps", "arrives", "half-life is"];
      const table = html("table");
      table.append(html("thead", {}, html("tr", {}, ...["loop", ...heads].map((text) => html("th", { scope: "col" }, text)))));
      const body = table.createTBody();
      const arrow = (before, after) => (before === after ? before : `${before} → ${after}`);
      for (const { layers: [before, after] } of this.loops) {
        const row = body.insertRow();
        const cells = [
          arrow(before.verdict, after.verdict), arrow(report.inWords(before.halfLife), report.inWords(after.halfLife)),
          arrow(String(before.reach ?? "–"), String(after.reach ?? "–")),
          arrow(report.left(before, before.gain.length - 1), report.left(after, after.gain.length - 1)), change(before, after),
        ];
        row.append(html("th", { scope: "row" }, before.name), ...cells.map((text, i) => html("td", { "data-label": heads[i] }, text)));
      }
      box.append(table);
      const [first, second] = this.opened.map(({ data }) => Object.keys(data.layers));
      const only = (some, others) => some.filter((name) => !others.includes(name)).map(plain).join(", ");
      const apart = [["first", only(first, second)], ["second", only(second, first)]].filter(([, names]) => names);
      const section = html("section", {}, html("h3", {}, "What has changed"));
      if (this.loops.length) section.append(box);
      else section.append(html("p", {}, "The two reports have no loop in common. Are they of the same model?"));
      for (const [which, names] of apart) section.append(html("p", { class: "rv-note" }, `Only in the ${which}: ${names}.`));
      return section;
    }

    picture() {
      const section = html("section");
      this.view.append(section);
      if (!this.loops.some(({ layers }) => layers.some(({ measured }) => measured))) {
        if (this.loops.length) section.append(html("p", {}, "There is no curve: each loop ran for a single step, or no part of it is read by the loss."));
        return;
      }
      section.append(html("h3", {}, "How much is left"));
      const longest = Math.max(...this.loops.flatMap(({ layers }) => layers.map(({ gain }) => gain.length - 1)));
      this.graph = report.overview(section, this.loops, {
        chosen: this.at.loops,
        lag: this.at.lag ?? longest,
        moved: (lag) => {
          this.at.lag = lag;
          for (const each of this.causes ?? []) each.to(Math.max(1, lag));
          this.keep();
        },
        chose: (places) => ((this.at.loops = places), this.keep()),
      });
    }

    // One loop, looked at closer.
    closer() {
      const known = this.loops.filter(({ layers }) => layers.some(({ measured }) => measured));
      if (!known.length) return;
      const section = html("section");
      const inside = html("div");
      const select = html("select", { id: `${this.id}-loop` });
      known.forEach(({ layers: [layer] }, i) => select.append(new Option(layer.name, i)));
      select.value = Math.min(this.at.loop ?? 0, known.length - 1);
      select.addEventListener("change", () => ((this.at.loop = Number(select.value)), this.look(inside, known[select.value]), this.keep()));
      section.append(html("h3", {}, "Why, and what helps"));
      if (known.length > 1) section.append(html("div", { class: "rv-control" }, html("label", { for: select.id }, "Look closer at: "), select));
      section.append(inside);
      this.view.append(section);
      this.look(inside, known[select.value]);
    }

    look(element, { layers }) {
      const range = report.causesRange(layers.map(({ factors }) => factors));
      const [why, cures] = [html("div", { class: "rv-beside" }), html("div", { class: "rv-beside" })];
      element.replaceChildren(html("h4", {}, "What one step back does"), why, html("h4", {}, "What was tried, and what it gave"), cures);
      const titled = (into, i) => {
        const place = html("div");
        if (layers.length > 1) place.append(html("p", {}, html("strong", {}, ["Before", "After"][i])));
        into.append(place);
        return place;
      };
      this.causes = layers.map((layer, i) => {
        const place = titled(why, i);
        for (const note of layer.notes) place.append(html("p", { class: "rv-note" }, note));
        return report.why(place, layer, { most: range });
      });
      layers.forEach((layer, i) => report.tried(titled(cures, i), layer));
      for (const each of this.causes) each.to(Math.max(1, this.graph?.lag ?? 1));
    }

    // Which of the page's own reports are open, and what of them is seen; nothing of a reader's own.
    get places() {
      const places = this.opened.map((each) => this.examples.findIndex(({ name }) => each.example && name === each.name));
      return places.length && !places.includes(-1) ? places : null;
    }

    keep() {
      clearTimeout(this.kept);
      this.kept = setTimeout(() => history.replaceState(history.state, "", this.address()), 150);
    }

    address() {
      const stored = [];
      if (this.places) {
        stored.push(`${this.id}.open=${this.places.join("-")}`);
        if (this.at.lag !== undefined) stored.push(`${this.id}.lag=${this.at.lag}`);
        if (this.at.loops) stored.push(`${this.id}.loops=${this.at.loops.join("-")}`);
        if (this.at.loop) stored.push(`${this.id}.loop=${this.at.loop}`);
      }
      return window.rvDraw.address(`${this.id}.`, stored);
    }

    fromAddress() {
      const stored = new URLSearchParams(location.hash.slice(1));
      const list = (name) => (stored.get(`${this.id}.${name}`) ?? "").split("-").filter(Boolean).map(Number);
      const places = list("open").filter((place) => place in this.examples).slice(0, 2);
      if (!places.length) return;
      this.example(places);
      const [lag, loop] = [stored.get(`${this.id}.lag`), Number(stored.get(`${this.id}.loop`))];
      this.at = { lag: lag === null || !Number.isFinite(Number(lag)) ? undefined : Number(lag), loops: stored.has(`${this.id}.loops`) ? list("loops") : undefined, loop: loop >= 0 ? Math.trunc(loop) : 0 };
      this.show();
    }
  }
  customElements.define("rv-report", Report);
})();
