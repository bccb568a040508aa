// Curves on axes, of which that of powers of ten speaks in words.
// needs: ../words ../draw
(() => {
  const { svg, stroke, number, ticks, fill } = window.rvDraw;

  // A power of ten of what is left, in words, as on the figures that stand still.
  const power = (n) => (n < 4 ? String(10 ** n) : "10" + [...String(n)].map((digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit]).join(""));
  const part = (n) => {
    const { left, powers } = window.rvWords.page;
    return n === 0 ? left.all : fill(n > 0 ? left.times : left.part, { power: (n < 0 && powers[-n]) || power(Math.abs(n)) });
  };

  const drawn = new WeakMap(); // by <svg>, what stands around its curves: a new curve alone moves no text, and lays nothing out

  // Curves in `into`, an <svg> as wide as its column. A series is { name, y } and may say `all` that its axis has to hold;
  // where y is null, or zero on an axis of powers (`log`), there is a gap. `at` marks a place of x; `height` is in pixels.
  window.rvDraw.chart = (into, { x, series, log, xlabel, ylabel, at, low, high, height }) => {
    const width = into.clientWidth || 500;
    height ??= Math.round(Math.min(320, Math.max(220, width * 0.55)));
    const scale = (y) => (log ? (y > 0 ? Math.log10(y) : NaN) : (y ?? NaN));
    const all = series.flatMap(({ all, y }) => all ?? y).map(scale).filter(Number.isFinite);
    low ??= Math.min(...all);
    high ??= Math.max(...all);
    if (log) [low, high] = [Math.floor(low), Math.ceil(high)];
    if (low === high) high = low + 1;
    const marks = ticks(low, high, 5, log).map((y) => [y, log ? part(Math.round(y)) : number(y)]);
    const over = log && width < 420; // on a phone the words stand on their lines, within the chart
    const left = over ? 5 : 14 + (log ? 7 : 8) * Math.max(...marks.map(([, text]) => text.length));
    const [top, right, bottom] = [over ? 40 : 26, 14, 44];
    const [first, last] = [x[0], x[x.length - 1]];
    const px = (v) => left + ((width - left - right) * (v - first)) / (last - first || 1);
    const py = (v) => top + ((height - top - bottom) * (high - v)) / (high - low);
    const path = ({ y }) => {
      let pen = "M";
      return y.map((value, k) => {
        const at = scale(value);
        if (!Number.isFinite(at)) return (pen = "M"), "";
        const point = `${pen}${px(x[k]).toFixed(1)} ${py(at).toFixed(1)}`;
        pen = "L";
        return point;
      }).join("");
    };
    const found = { px, py: (y) => py(scale(y)) };
    const around = [width, height, low, high, log, first, last, xlabel, ylabel, at, series.length].join();
    const before = drawn.get(into);
    if (before?.around === around) {
      for (const other of [...into.children]) if (!before.parts.includes(other)) other.remove(); // what a figure adds
      before.curves.forEach((curve, i) => curve.setAttribute("d", path(series[i])));
      return found;
    }
    const parts = [svg("text", { x: 0, y: 13 }, ylabel)];
    for (const [y, text] of marks) {
      parts.push(svg("path", { class: "rv-gridline", d: `M${left} ${py(y)}H${width - right}` }));
      if (!over) parts.push(svg("text", { x: left - 8, y: py(y) + 4.5, "text-anchor": "end" }, text));
    }
    for (const v of ticks(first, last, Math.max(2, Math.floor(width / 90))))
      parts.push(svg("text", { x: px(v), y: height - bottom + 19, "text-anchor": "middle" }, number(v)));
    parts.push(svg("path", { d: `M${left} ${height - bottom}H${width - right}`, stroke: "currentColor" }));
    if (at !== undefined) parts.push(svg("path", { class: "rv-at", d: `M${px(at)} ${top}V${height - bottom}` }));
    parts.push(svg("text", { x: (left + width - right) / 2, y: height - 5, "text-anchor": "middle" }, xlabel));
    const curves = series.map((one, i) => svg("path", { class: "rv-curve", d: path(one), ...stroke(i) }));
    parts.push(...curves);
    if (over) for (const [y, text] of marks) parts.push(svg("text", { class: "rv-over", x: left, y: py(y) - 4 }, text));
    into.setAttribute("viewBox", `0 0 ${width} ${height}`);
    into.style.height = `${height}px`;
    into.replaceChildren(...parts);
    drawn.set(into, { around, parts, curves });
    return found;
  };
})();
