// Lines over commits, as the explorer shows them: their picture, and the stretch of it that is chosen by dragging.
addEventListener("DOMContentLoaded", () => { // draw.js has run by then
  const { svg, stroke, number, ticks } = window.rvDraw;
  const GAP = { top: 30, right: 14, bottom: 42 };
  const numbers = (lines) => lines.flatMap(({ points }) => points.flatMap(([, value]) => (value === null ? [] : [value])));

  // The range of the numbers, as they lie on a scale: from zero, close up, or in powers of ten.
  const range = (found, scale) => {
    let [low, high] = [Math.min(...found), Math.max(...found)];
    if (scale === "log") {
      [low, high] = [Math.floor(low), Math.ceil(high)];
    } else {
      if (scale === "zero") [low, high] = [Math.min(0, low), Math.max(0, high)];
      const room = (high - low) * 0.05 || Math.abs(high) * 0.05 || 0.5;
      if (low < 0 || scale === "close") low -= room;
      if (high > 0 || scale === "close") high += room;
    }
    return low === high ? [low, high + 1] : [low, high];
  };

  class CommitChart {
    // `zoom(from, to)` is told which commits were dragged across.
    constructor(zoom) {
      this.zoom = zoom;
      this.element = svg("svg", { role: "img" });
      this.element.addEventListener("pointerdown", (event) => this.grab(event));
      this.element.addEventListener("pointermove", (event) => this.stretch(event));
      this.element.addEventListener("pointerup", (event) => this.release(event));
      this.element.addEventListener("pointercancel", () => this.drop());
    }

    // `lines`: {label, points: [[commit, number or null], ...], worse: {commit: ...}}; `commits`: [hash, date, subject]
    // of all, of which those from `first` to `last` are drawn.
    draw({ lines, commits, first, last, scale, unit, title }) {
      const on = scale === "log" ? Math.log10 : (value) => value;
      const found = numbers(lines).map(on);
      this.element.replaceChildren();
      this.element.style.display = found.length ? "" : "none";
      if (!found.length) return;
      const width = this.element.clientWidth || 600;
      const height = Math.round(Math.min(400, Math.max(260, width * 0.5)));
      const [low, high] = range(found, scale);
      const marks = ticks(low, high, 5, scale === "log").map((y) => [y, number(scale === "log" ? 10 ** y : y)]);
      const left = 16 + 8 * Math.max(...marks.map(([, text]) => text.length));
      Object.assign(this, { commits, first, last, width, height, left });
      this.down = (y) => GAP.top + ((height - GAP.top - GAP.bottom) * (high - y)) / (high - low);
      this.axes(marks, unit);
      lines.forEach((line, i) => this.curve(line, stroke(i), on));
      this.element.setAttribute("viewBox", `0 0 ${width} ${height}`);
      this.element.style.height = `${height}px`;
      this.element.setAttribute("aria-label", `Line chart: ${title} over commits, ${unit}. The table below has the same numbers.`);
    }

    add(name, attributes, text) {
      const element = svg(name, attributes, text);
      this.element.append(element);
      return element;
    }

    across(commit) {
      const room = this.width - this.left - GAP.right;
      return this.left + (this.last === this.first ? room / 2 : (room * (commit - this.first)) / (this.last - this.first));
    }

    // The scale on the left, and below as many commits by name as there is room for.
    axes(marks, unit) {
      const { first, last, width, height, left } = this;
      const right = width - GAP.right;
      const ground = height - GAP.bottom;
      this.add("text", { x: 0, y: 13 }, unit);
      for (const [y, text] of marks) {
        this.add("path", { class: "rv-gridline", d: `M${left} ${this.down(y)}H${right}` });
        this.add("text", { x: left - 8, y: this.down(y) + 4.5, "text-anchor": "end" }, text);
      }
      this.add("path", { d: `M${left} ${ground}H${right}`, stroke: "currentColor" });
      const every = Math.max(1, Math.ceil((last - first) / Math.max(1, Math.floor((width - left) / 100) - 1)));
      for (let commit = first; commit <= last; commit += every) {
        const x = this.across(commit);
        const anchor = x > width - 40 ? "end" : x < left + 20 && left < 40 ? "start" : "middle";
        const [hash, date] = this.commits[commit];
        this.add("text", { x, y: ground + 17, "text-anchor": anchor }, hash);
        this.add("text", { x, y: ground + 33, "text-anchor": anchor }, date);
      }
    }

    // A line, broken where measuring failed, its numbers as dots, a ring around each that became worse.
    curve({ label, points, worse }, look, on) {
      const at = ([commit, value]) => [this.across(commit).toFixed(1), this.down(on(value)).toFixed(1)];
      let pen = "M";
      const path = points.map((point) => {
        if (point[1] === null) return (pen = "M"), "";
        const step = pen + at(point).join(" ");
        pen = "L";
        return step;
      });
      this.add("path", { class: "rv-curve", d: path.join(""), ...look });
      for (const point of points) {
        const [commit, value] = point;
        if (value === null) continue;
        const [cx, cy] = at(point);
        const dot = this.add("circle", { class: "rv-dot", r: 3, cx, cy, style: look.style.replace("stroke", "fill") });
        dot.append(svg("title", {}, `${label}: ${number(value)} at ${this.commits[commit].join(", ")}`));
        if (commit in worse) this.add("circle", { class: "rv-ring", r: 9, cx, cy });
      }
    }

    // The mouse, a pen or a finger chooses a stretch by dragging across the picture.
    nearest(event) {
      const { left, width, first, last } = this;
      const along = (event.clientX - this.element.getBoundingClientRect().left - left) / (width - left - GAP.right);
      return Math.min(last, Math.max(first, Math.round(first + along * (last - first))));
    }

    grab(event) {
      if (event.button !== 0) return;
      this.began = this.nearest(event);
      this.band = svg("rect", { class: "rv-band", y: 0, height: "100%" });
      this.element.prepend(this.band);
      this.element.setPointerCapture(event.pointerId);
    }

    stretch(event) {
      if (!this.band) return;
      const [a, b] = [this.across(this.began), this.across(this.nearest(event))];
      this.band.setAttribute("x", Math.min(a, b));
      this.band.setAttribute("width", Math.abs(a - b));
    }

    release(event) {
      if (!this.band) return;
      const [a, b] = [this.began, this.nearest(event)];
      this.drop();
      if (a !== b) this.zoom(a, b);
    }

    drop() {
      this.band?.remove();
      this.band = null;
    }
  }

  window.rvCommitChart = CommitChart;
});
