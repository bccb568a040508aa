// Gradients while a network trains, as a picture: a row for each few steps of training, from the top down, a column for each
// step in time. Ink is absolute, evenly in powers of ten, and never relative to its row. Where the numbers hold nothing, or
// nothing finite, and where no more training comes, it is hatched.
// needs: ../draw shares
globalThis.rv ||= {};

(() => {
  const { html } = window.rvDraw;
  const numbers = (colour) => colour.match(/[\d.]+/g).slice(0, 3).map(Number);

  // `rows` have room before the picture is squeezed to half; ink fades over so many `decades`; `height` is in pixels.
  rv.Strip = class {
    constructor({ label, rows = 64, decades = 9, height = 150 }) {
      this.decades = decades;
      this.element = html("div", { className: "rv-strip" });
      this.element.style.height = `${height}px`;
      this.element.setAttribute("role", "img");
      this.element.setAttribute("aria-label", label);
      this.canvas = html("canvas", { width: 1, height: rows });
      this.rest = html("p"); // over what is not drawn yet
      this.element.append(this.canvas, this.rest);
      this.room = rows;
      this.forget();
    }

    // `rows` are sizes as rv.Network.sizes gives them, that of the initial state first, which has no column. Only rows that
    // are new are painted. `over` says in a word why no more come; nothing while they may.
    draw(rows, over = "") {
      const { canvas, rest } = this;
      const plain = getComputedStyle(this.element).backgroundColor;
      const ink = getComputedStyle(canvas).color;
      const columns = (rows[0]?.length ?? 2) - 1;
      const full = rows.length > canvas.height;
      if (rows[0] !== this.first || rows.length < this.drawn) canvas.height = this.room;
      if (full || rows[0] !== this.first || rows.length < this.drawn || plain + ink !== this.colours) {
        while (canvas.height < rows.length) canvas.height *= 2;
        canvas.width = columns; // which wipes it
        Object.assign(this, { first: rows[0], drawn: 0, colours: plain + ink });
      }
      this._paint(rows, columns, numbers(plain), numbers(ink));
      rest.style.top = `${(100 * rows.length) / canvas.height}%`;
      if (rest.textContent !== over) rest.replaceChildren(...(over ? [html("span", { textContent: over })] : []));
    }

    forget() {
      Object.assign(this, { first: undefined, drawn: 0, colours: "" });
    }

    _paint(rows, columns, plain, ink) {
      const count = rows.length - this.drawn;
      if (!count) return;
      const context = this.canvas.getContext("2d");
      const image = context.createImageData(columns, count);
      for (let row = 0; row < count; row++)
        for (let t = 0; t < columns; t++) {
          const size = rows[this.drawn + row][t + 1];
          if (!(size > 0 && size < Infinity)) continue; // the hatching behind shows
          const share = rv.ink(size, this.decades);
          const at = 4 * (row * columns + t);
          for (let k = 0; k < 3; k++) image.data[at + k] = plain[k] + share * (ink[k] - plain[k]);
          image.data[at + 3] = 255;
        }
      context.putImageData(image, 0, this.drawn);
      this.drawn = rows.length;
    }
  };
})();
