// A figure to drag, and mends of the theme for the keyboard. A classic script: modules are blocked on file:// pages.
// needs: ../words ../draw
//
//   <rv-slider id="radius" label="Spectral radius" unit="" value="1">
//     What stays to be seen without JavaScript: a sentence, a figure.
//     <template>{"values": [0.9, 1.0], "x": [0, 1, 2], "xlabel": "steps back", "ylabel": "gradient left", "log": true,
//       "series": [{"name": "measured", "y": [[1, 0.9, 0.81], [1, 1, 1]]}],
//       "says": ["After 2 steps 81 % is left.", "All of it is left."]}</template>
//   </rv-slider>
//
// `value` is the index to start with; `y` holds one curve per value, or one curve that stays; null leaves a gap.
(() => {
  const { svg, html, stroke, chart, whole, fill } = window.rvDraw;
  const words = window.rvWords.page;
  class Slider extends HTMLElement {
    connectedCallback() {
      if (this.input || !whole(this)) return;
      this.data = JSON.parse(this.querySelector("template").content.textContent);
      const { values, series } = this.data;
      this.id ||= `slider-${[...document.querySelectorAll("rv-slider")].indexOf(this) + 1}`;
      const id = `${this.id}-input`;
      const label = html("label", { htmlFor: id });
      this.output = html("output", { htmlFor: id });
      this.output.setAttribute("aria-live", "off"); // the sentence speaks; the value is the slider's own
      label.append(`${this.getAttribute("label")}: `, this.output);
      this.input = html("input", { id, type: "range", min: 0, max: values.length - 1, step: 1 });
      this.input.value = this.fromAddress() ?? this.getAttribute("value") ?? 0;
      const legend = html("ul", { className: "rv-legend" });
      series.forEach(({ name }, i) => {
        const item = html("li");
        const line = svg("svg", { viewBox: "0 0 28 10", "aria-hidden": "true" });
        line.append(svg("path", { class: "rv-curve", d: "M0 5H28", ...stroke(i) }));
        item.append(line, name);
        legend.append(item);
      });
      this.chart = svg("svg", { role: "img" });
      this.sentence = html("p", { className: "rv-sentence" });
      this.sentence.setAttribute("aria-live", "polite");
      this.replaceChildren(label, this.input, legend, this.chart, this.sentence);
      if (this.fromAddress() !== null) this.reveal();
      this.input.addEventListener("input", () => (this.show(), this.toAddress()));
      addEventListener("hashchange", () => {
        if (this.fromAddress() === null) return;
        this.input.value = this.fromAddress();
        this.show();
        this.reveal();
      });
      new ResizeObserver(() => this.draw()).observe(this);
      this.show();
    }

    show() {
      const i = Number(this.input.value);
      const unit = this.getAttribute("unit");
      const value = `${this.data.values[i]}${unit ? ` ${unit}` : ""}`;
      this.output.value = value;
      this.sentence.textContent = this.data.says?.[i] ?? "";
      this.input.setAttribute("aria-valuetext", value);
      this.chart.setAttribute(
        "aria-label",
        fill(words.chart, {
          y: this.data.ylabel, x: this.data.xlabel, label: this.getAttribute("label"), value, sentence: this.sentence.textContent,
        }),
      );
      this.draw();
    }

    // The curves at the place of the slider; axes hold for all places, so that only the curves move.
    draw() {
      const { series, ...rest } = this.data;
      const curves = series.map(({ name, y }) => ({ name, all: y.flat(2), y: Array.isArray(y[0]) ? y[Number(this.input.value)] : y }));
      chart(this.chart, { ...rest, series: curves });
    }

    // The state is in the address, #id=value, so that a link shows the same picture.
    fromAddress() {
      const state = new URLSearchParams(location.hash.slice(1)).get(this.id);
      const i = this.data.values.map(String).indexOf(state);
      return i < 0 ? null : i;
    }

    toAddress() {
      history.replaceState(history.state, "", this.address());
    }

    address() {
      return `${location.href.split("#")[0]}#${this.id}=${this.data.values[this.input.value]}`;
    }

    // A link to what a figure shows leads to the figure, once all above it has its height.
    reveal() {
      const go = () => requestAnimationFrame(() => this.scrollIntoView({ block: "start" }));
      if (document.readyState === "complete") go();
      else addEventListener("load", go, { once: true });
    }

    // All that the figure can show, as CSV: a row for each point of each place of the slider.
    numbers() {
      const { values, x, series, xlabel, ylabel } = this.data;
      const cell = (text) => (/[",\n]/.test(text) ? `"${String(text).replaceAll('"', '""')}"` : String(text ?? ""));
      const rows = [[this.getAttribute("label"), "series", xlabel, ylabel]];
      values.forEach((value, i) => {
        for (const { name, y } of series)
          (Array.isArray(y[0]) ? y[i] : y).forEach((each, k) => rows.push([value, name, x[k], each]));
      });
      return rows.map((row) => row.map(cell).join(",")).join("\n");
    }
  }
  customElements.define("rv-slider", Slider);

  // A table to sort and to filter; without JavaScript it is a table.
  //
  //   <rv-table counted="claims" choices="Section, Verdict"> <table> ... </table> </rv-table>
  //
  // `label` tells its filter from that of another table of the page. `choices` names the columns to choose from: a cell's
  // `data-choice`, or its text, holds one value or several with commas between. An element with `data-size` in a cell, or
  // the cell itself, says by which number it is sorted.
  class Table extends HTMLElement {
    connectedCallback() {
      if (this.filter || !whole(this)) return;
      this.body = this.querySelector("tbody");
      this.rows = [...this.body.rows];
      const counted = this.getAttribute("counted");
      this.filter = html("form", { className: "rv-filter" });
      this.filter.setAttribute("role", "search");
      this.filter.setAttribute("aria-label", this.getAttribute("label") ?? counted[0].toUpperCase() + counted.slice(1));
      const heads = [...this.querySelector("thead tr").cells];
      const named = (this.getAttribute("choices") ?? "").split(", ");
      this.choices = heads
        .map((head, column) => [head.textContent, column])
        .filter(([name]) => named.includes(name))
        .map(([name, column]) => [column, this.choice(name, this.rows.flatMap((row) => this.values(row.cells[column])))]);
      this.text = this.field(words.text, html("input", { type: "search" }));
      this.status = html("p");
      this.status.setAttribute("role", "status");
      this.filter.append(this.status);
      this.filter.addEventListener("input", () => this.sift());
      this.filter.addEventListener("submit", (event) => event.preventDefault());
      this.prepend(this.filter);
      heads.forEach((head, column) => {
        for (const row of this.rows) row.cells[column].dataset.label = head.textContent; // for a row that is a card
        const button = html("button", { type: "button", textContent: head.textContent });
        button.addEventListener("click", () => this.sort(head, column));
        head.replaceChildren(button);
      });
      this.sift();
    }

    field(name, control) {
      const label = html("label", { textContent: name });
      label.append(control);
      this.filter.append(label);
      return control;
    }

    choice(name, values) {
      const select = this.field(name, html("select"));
      select.append(new Option(words.all, ""), ...[...new Set(values)].map((value) => new Option(value, value)));
      return select;
    }

    values(cell) {
      return cell.dataset.choice ? [cell.dataset.choice] : cell.textContent.split(", ");
    }

    sift() {
      const sought = this.text.value.toLowerCase();
      for (const row of this.rows)
        row.hidden =
          this.choices.some(([column, { value }]) => value && !this.values(row.cells[column]).includes(value)) ||
          !row.textContent.toLowerCase().includes(sought);
      const left = this.rows.filter((row) => !row.hidden).length;
      this.status.textContent = fill(words.counted, { left, all: this.rows.length, what: this.getAttribute("counted") });
    }

    // Numbers by size, before what is none; the order of the page stays within what is equal.
    sort(head, column) {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = (row) => {
        const cell = row.cells[column];
        return (cell.querySelector("[data-size]") ?? cell).dataset.size ?? cell.textContent;
      };
      const compare = (a, b) => {
        const [x, y] = [Number(key(a)), Number(key(b))];
        if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y) || key(a).localeCompare(key(b));
        return x < y ? -1 : x > y ? 1 : 0;
      };
      this.body.append(...[...this.rows].sort((a, b) => (down ? compare(b, a) : compare(a, b))));
    }
  }
  customElements.define("rv-table", Table);

  // Where nothing hovers, a touch explains a word, and a second one follows its link.
  document.addEventListener("click", (event) => {
    const word = event.target.closest?.("a.rv-term");
    for (const note of document.querySelectorAll(".rv-explained")) if (note.previousSibling !== word) note.remove();
    if (!word || !matchMedia("(hover: none)").matches || word.nextSibling?.className === "rv-explained") return;
    event.preventDefault();
    const note = html("span", { className: "rv-explained", textContent: ` ${word.dataset.said} ` });
    note.setAttribute("role", "note");
    note.append(html("a", { href: word.href, textContent: words.glossary }));
    word.after(note);
  }, true);

  // On paper every fold is open, and afterwards as it was.
  addEventListener("beforeprint", () => {
    for (const fold of document.querySelectorAll("details:not([open], .rv-save)")) fold.open = fold.dataset.printed = true;
  });
  addEventListener("afterprint", () => {
    for (const fold of document.querySelectorAll("details[data-printed]")) {
      fold.open = false;
      delete fold.dataset.printed;
    }
  });

  // What scrolls must take the keyboard, and the tool bar of a code block is no landmark.
  const tidy = () => {
    for (const bar of document.querySelectorAll("nav.md-code__nav")) bar.setAttribute("role", "none");
    for (const box of document.querySelectorAll(".md-typeset :is(.md-typeset__scrollwrap, pre, pre > code), .rv-math")) {
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  };
  new MutationObserver(() => requestAnimationFrame(tidy)).observe(document.body, { childList: true, subtree: true });
  addEventListener("resize", tidy);
  document.addEventListener("toggle", tidy, true); // a fold that opens
  tidy();
})();
