// Bars, each with its name above and its number beside it.
// needs: ../draw sheet
globalThis.rv ||= {};

(() => {
  const { svg } = window.rvDraw;
  const ROW = 42;

  // The parts of `rows` bars, from `top` down: { name, value, said, colour, hatched }. `low` and `high` are the ends of the
  // scale, of powers of ten with `log`; bars begin at `from`; `marks` are [value, text]. What is beyond an end has a point.
  rv.bars = (width, top, rows, { low, high, from = low, log = false, marks = [] }) => {
    const scale = log ? Math.log10 : (value) => value;
    const [first, last] = [low, high].map(scale);
    const px = (value) => 1 + ((width - 2) * (Math.min(Math.max(scale(value), first), last) - first)) / (last - first);
    const bottom = top + rows.length * ROW;
    const parts = [];
    for (const [value, text] of marks) {
      const anchor = px(value) < 40 ? "start" : px(value) > width - 40 ? "end" : "middle";
      parts.push(svg("path", { class: "rv-gridline", d: `M${px(value)} ${top + 4}V${bottom}` }));
      parts.push(svg("text", { x: px(value), y: bottom + 15, "text-anchor": anchor, style: "fill: var(--rv-quiet)" }, text));
    }
    rows.forEach(({ name, value, said, colour = "var(--rv-c0)", hatched }, i) => {
      const y = top + i * ROW;
      const [left, right] = [px(from), px(value)].sort((a, b) => a - b);
      parts.push(svg("text", { x: 0, y: y + 14 }, name), svg("text", { x: width, y: y + 14, "text-anchor": "end", "font-weight": 600 }, said));
      if (hatched) parts.push(rv.hatch(1, y + 21, px(from) - 1, 14));
      else parts.push(svg("rect", { x: left, y: y + 21, width: Math.max(right - left, 1.5), height: 14, style: `fill: ${colour}` }));
      const over = scale(value) > last ? 1 : value > 0 && scale(value) < first ? -1 : 0;
      if (over) parts.push(svg("path", { d: `M${over > 0 ? width - 9 : 9} ${y + 21}l${8 * over} 7l${-8 * over} 7z`, style: "fill: var(--md-default-bg-color)" }));
    });
    return { parts, height: bottom + 20 - top };
  };
})();
