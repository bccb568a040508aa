// A table to sort and to filter; without JavaScript it is a table.
// needs: ../words ../draw
//
//   <rv-table counted="claims" choices="Section, Verdict"> <table> ... </table> </rv-table>
//
// `label` tells its filter from that of another table of the page. `choices` names the columns to choose from: a cell's
// `data-choice`, or its text, holds one value or several with commas between. An element with `data-size` in a cell, or
// the cell itself, says by which number it is sorted.
"use strict";

(() => {
  const { html, whole, fill } = window.rvDraw;
  const words = window.rvWords.page;

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
})();
