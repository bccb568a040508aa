// Any recorded number over commits: choose, see, read. bench/pages/explorer.py writes what it shows:
//
//   <rv-explorer>
//     What stays to be seen without JavaScript.
//     <script type="application/json">
//       {"words": words.json's, "commits": [[hash, date, subject], ...], "machines": [name, ...], "benchmarks": [
//         {"name", "title", "unit", "group", "rule", "judged", "parameters": [{"name", "values",
//         and where they are called otherwise: "options" to choose from, "labels" beside a line}]}]}
//     </script>
//   </rv-explorer>
//
// and, into explore/NAME.js, the lines of each benchmark: [machine, place of each parameter's value,
// [[commit, number or null], ...], {commit: [times what it was, commit that mended it or null]}, environment].
//
// The choice is in the address, so that a link shows the same picture:
// #benchmark=...&cell=LSTM&machine=...&from=HASH&to=HASH&scale=close
addEventListener("DOMContentLoaded", () => { // draw.js and commit-chart.js have run by then
  const { svg, html, stroke, number, fill } = window.rvDraw;
  const MOST = 10; // lines that can be told apart
  const ALL = "all";
  const count = (n, [one, many]) => `${n} ${n === 1 ? one : many}`;

  class Explorer extends HTMLElement {
    connectedCallback() {
      if (this.data) return;
      this.data = JSON.parse(this.querySelector("script").textContent);
      this.words = this.data.words;
      this.build();
      this.start().then(() => (this.dataset.ready = ""));
      addEventListener("hashchange", () => this.start());
      new ResizeObserver(() => this.lines && this.draw()).observe(this);
    }

    // The controls, of which those for parameters change with the benchmark.
    build() {
      this.form = html("form", { className: "rv-filter" });
      this.form.setAttribute("role", "search");
      this.form.setAttribute("aria-label", this.words.numbers);
      this.benchmark = this.choice(this.words.number, this.form);
      for (const group of new Set(this.data.benchmarks.map((each) => each.group))) {
        const members = html("optgroup", { label: group });
        for (const each of this.data.benchmarks)
          if (each.group === group) members.append(new Option(each.title, each.name));
        this.benchmark.append(members);
      }
      this.parameters = html("div", { className: "rv-parameters" });
      this.machines = html("fieldset");
      this.machines.append(html("legend", { textContent: this.words.machines }));
      this.boxes = this.data.machines.map((name) => this.box(name));
      const zoom = html("div", { className: "rv-filter" });
      this.from = this.choice(this.words.from, zoom);
      this.to = this.choice(this.words.to, zoom);
      for (const select of [this.from, this.to])
        select.append(...this.data.commits.map(([hash, date, subject]) => new Option(`${hash}, ${date}: ${subject}`, hash)));
      this.scale = this.choice(this.words.scale, zoom);
      this.scale.append(...Object.entries(this.words.scales).map(([value, words]) => new Option(words, value)));
      this.whole = html("button", { type: "button", className: "md-button", textContent: this.words.whole });
      zoom.append(this.whole);
      this.form.append(this.parameters, this.machines, zoom);
      this.status = html("p", { className: "rv-said" });
      this.status.setAttribute("role", "status");
      this.legend = html("ul", { className: "rv-legend" });
      this.chart = new window.rvCommitChart((from, to) => this.zoom(from, to));
      this.hint = html("p", { className: "rv-hint" });
      this.table = html("div", { className: "rv-cards" });
      this.replaceChildren(this.form, this.status, this.legend, this.chart.element, this.hint, this.table);
      this.listen();
    }

    choice(name, parent) {
      const label = html("label", { textContent: name });
      const select = html("select");
      label.append(select);
      parent.append(label);
      return select;
    }

    box(name) {
      const label = html("label");
      const input = html("input", { type: "checkbox", value: name });
      label.append(input, name);
      this.machines.append(label);
      return input;
    }

    listen() {
      this.form.addEventListener("submit", (event) => event.preventDefault());
      this.form.addEventListener("change", async ({ target }) => {
        if (target === this.benchmark && !(await this.ask())) return;
        if (target === this.from || target === this.to) this.order(target);
        this.toAddress();
        this.show();
      });
      this.whole.addEventListener("click", () => this.zoom(0, this.data.commits.length - 1));
      this.chart.element.addEventListener("dblclick", () => this.whole.click());
    }

    // The numbers of a benchmark, from the script beside the page.
    numbers(name) {
      if (window.rvNumbers?.[name]) return Promise.resolve(window.rvNumbers[name]);
      return new Promise((done, fail) => {
        const script = html("script", { src: `explore/${name}.js` });
        script.addEventListener("load", () => done(window.rvNumbers[name]));
        script.addEventListener("error", () => fail(new Error(fill(this.words.unloaded, { file: `explore/${name}.js` }))));
        this.append(script);
      });
    }

    // The numbers of the benchmark and a choice for each of its parameters; not all at first where that were too many.
    // False where another benchmark was chosen meanwhile, or there are none.
    async ask() {
      const wanted = this.benchmark.value;
      let lines;
      try {
        lines = await this.numbers(wanted);
      } catch (error) {
        this.status.textContent = fill(this.words.failed, { why: error.message });
        return false;
      }
      if (this.benchmark.value !== wanted) return false;
      this.chosen = this.data.benchmarks.find(({ name }) => name === wanted);
      const { parameters } = this.chosen;
      this.every = lines.map(([machine, at, points, worse, environment]) => {
        const words = at.map((place, i) => (parameters[i].labels ?? parameters[i].values)[place]);
        const label = [...words, environment].filter(Boolean).join(", ");
        return { machine, at, points, worse, label };
      });
      this.parameters.replaceChildren();
      this.selects = parameters.map(({ name, values, options = values }) => {
        const select = this.choice(name[0].toUpperCase() + name.slice(1), this.parameters);
        if (values.length > 1) select.append(new Option(ALL, ""));
        select.append(...values.map((value, i) => new Option(options[i], value)));
        return select;
      });
      while (this.fitting(this.data.machines).length > MOST) {
        const open = this.selects.filter(({ value }) => !value);
        if (!open.length) break;
        const widest = open.reduce((most, each) => (each.length > most.length ? each : most));
        widest.selectedIndex = 1;
      }
      return true;
    }

    // Lines of these machines that fit the parameters, the same of each machine side by side.
    fitting(machines) {
      return this.every
        .filter(({ machine, at }) =>
          machines.includes(this.data.machines[machine]) &&
          this.selects.every(({ value }, i) => !value || this.chosen.parameters[i].values[at[i]] === value))
        .sort((one, other) => compare(one.at, other.at) || one.machine - other.machine);
    }

    // The end of the stretch that was not touched gives way.
    order(touched) {
      const other = touched === this.from ? this.to : this.from;
      if (this.from.selectedIndex > this.to.selectedIndex) other.selectedIndex = touched.selectedIndex;
    }

    zoom(from, to) {
      [this.from.selectedIndex, this.to.selectedIndex] = [Math.min(from, to), Math.max(from, to)];
      this.toAddress();
      this.show();
    }

    // What the address asks for; what of it is not recorded is said, not passed over.
    async start() {
      const asked = new URLSearchParams(location.hash.slice(1));
      const { benchmarks, commits, machines } = this.data;
      this.unknown = [];
      const known = (key, values) => {
        const value = asked.get(key);
        if (value === null || values.includes(value)) return value;
        this.unknown.push(`${key} ${value}`);
        return null;
      };
      this.benchmark.value = known("benchmark", benchmarks.map(({ name }) => name)) ?? benchmarks[0].name;
      if (!(await this.ask())) return;
      const keys = ["benchmark", "machine", "from", "to", "scale", ...this.chosen.parameters.map(({ name }) => name)];
      if (asked.has("benchmark")) this.unknown.push(...[...asked.keys()].filter((key) => !keys.includes(key)));
      this.chosen.parameters.forEach(({ name, values }, i) => {
        const value = known(name, [ALL, ...values]);
        if (value !== null) this.selects[i].value = value === ALL ? "" : value;
      });
      const on = asked.getAll("machine").filter((name) => machines.includes(name));
      this.unknown.push(...asked.getAll("machine").filter((name) => !machines.includes(name)).map((name) => fill(this.words.machine, { name })));
      for (const box of this.boxes) box.checked = on.length ? on.includes(box.value) : true;
      const hashes = commits.map(([hash]) => hash);
      this.from.value = known("from", hashes) ?? hashes[0];
      this.to.value = known("to", hashes) ?? hashes[hashes.length - 1];
      this.order(this.from);
      this.scale.value = known("scale", Object.keys(this.words.scales)) ?? "zero";
      this.show();
    }

    toAddress() {
      const said = new URLSearchParams({ benchmark: this.benchmark.value });
      this.chosen.parameters.forEach(({ name }, i) => said.set(name, this.selects[i].value || ALL));
      if (!this.boxes.every(({ checked }) => checked))
        for (const box of this.boxes) if (box.checked) said.append("machine", box.value);
      if (this.from.selectedIndex > 0) said.set("from", this.from.value);
      if (this.to.selectedIndex < this.data.commits.length - 1) said.set("to", this.to.value);
      if (this.scale.value !== "zero") said.set("scale", this.scale.value);
      this.unknown = [];
      history.replaceState(history.state, "", `#${said}`);
    }

    // What fits the choice, and of it what lies between the two commits.
    show() {
      const { machines } = this.data;
      const [first, last] = [this.from.selectedIndex, this.to.selectedIndex];
      const on = this.boxes.filter(({ checked }) => checked).map(({ value }) => value);
      this.all = this.fitting(on)
        .map((line) => ({ ...line, points: line.points.filter(([commit]) => commit >= first && commit <= last) }))
        .filter(({ points }) => points.length);
      const several = new Set(this.all.map(({ machine }) => machine)).size > 1;
      this.lines = this.all.slice(0, MOST).map((line) => ({
        ...line,
        label: [line.label, several || !line.label ? machines[line.machine] : ""].filter(Boolean).join(", "),
      }));
      const least = Math.min(...this.lines.flatMap(values));
      this.scale.querySelector("[value=log]").disabled = !(least > 0);
      if (!(least > 0) && this.scale.value === "log") this.scale.value = "zero";
      this.tell();
      this.draw();
      this.list();
    }

    // What is seen, in words.
    tell() {
      const missing = this.boxes.filter(({ checked }, i) => checked && !this.all.some(({ machine }) => machine === i));
      const numbers = this.lines.flatMap(values).length;
      const worse = this.lines.flatMap(({ points, worse }) => points.filter(([commit]) => commit in worse)).length;
      const said = [], { words } = this;
      if (this.unknown.length) said.push(fill(words.unknown, { what: this.unknown.join(words.and) }));
      if (this.boxes.every(({ checked }) => !checked)) said.push(words.choose);
      if (this.lines.length)
        said.push(
          `${count(this.lines.length, words.lines)}, ${count(numbers, words.values)}.`,
          ...(this.chosen.judged ? [fill(words.became, { worse: worse || words.none })] : []),
        );
      if (this.all.length > MOST)
        said.push(fill(words.many, { all: this.all.length, most: MOST }));
      if (missing.length) said.push(fill(words.missing, { where: missing.map(({ value }) => value).join(words.and) }));
      this.status.textContent = said.join(" ");
      this.hint.textContent = this.lines.length ? `${this.chosen.rule} ${words.drag}` : "";
    }

    draw() {
      this.legend.replaceChildren(
        ...this.lines.map(({ label }, i) => {
          const item = html("li");
          const sample = svg("svg", { viewBox: "0 0 28 10", "aria-hidden": "true" });
          sample.append(svg("path", { class: "rv-curve", d: "M0 5H28", ...stroke(i) }));
          item.append(sample, label);
          return item;
        }),
      );
      this.chart.draw({
        lines: this.lines,
        commits: this.data.commits,
        first: this.from.selectedIndex,
        last: this.to.selectedIndex,
        scale: this.scale.value,
        unit: this.chosen.unit,
        title: this.chosen.title,
      });
    }

    // The same numbers as a table, the newest first.
    list() {
      this.table.replaceChildren();
      if (!this.lines.length) return;
      const table = html("table");
      table.createCaption().textContent = `${this.chosen.title} (${this.chosen.unit})`;
      const head = table.createTHead().insertRow();
      for (const text of [this.words.commit, ...this.lines.map(({ label }) => label)])
        head.append(html("th", { scope: "col", textContent: text }));
      const body = table.createTBody();
      for (let commit = this.to.selectedIndex; commit >= this.from.selectedIndex; commit--) {
        const found = this.lines.map(({ points }) => points.find(([at]) => at === commit));
        if (!found.some(Boolean)) continue;
        const row = body.insertRow();
        const [hash, date, subject] = this.data.commits[commit];
        const name = html("th", { scope: "row" });
        name.append(html("code", { textContent: hash }), ` ${date} `, html("small", { textContent: subject }));
        row.append(name);
        found.forEach((point, i) => this.cell(row.insertCell(), this.lines[i], point));
      }
      this.table.append(table);
    }

    cell(cell, { label, worse }, point) {
      cell.dataset.label = label;
      if (!point) return Object.assign(cell, { className: "rv-none", textContent: "–" });
      const [commit, value] = point;
      cell.textContent = value === null ? this.words.broken : number(value);
      if (commit in worse) {
        const [factor, mended] = worse[commit];
        const said = fill(mended ? this.words.mended : this.words.worse, { factor: factor.toFixed(2), mended });
        cell.append(" ", html("strong", { className: "rv-worse", textContent: said }));
      }
    }
  }

  const values = ({ points }) => points.flatMap(([, value]) => (value === null ? [] : [value]));
  const compare = (one, other) => one.map((each, i) => each - other[i]).find(Boolean) ?? 0;
  customElements.define("rv-explorer", Explorer);
});
