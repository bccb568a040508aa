// Networks as points: how long half of the gradient lasts, across, on an axis of powers, against what came of it. One of them is
// looked at; the nearest to the pointer may be chosen.
// needs: ../draw
globalThis.rv ||= {};

(() => {
  const { svg } = window.rvDraw;
  const ROUND = [0.5, 1, 2, 5, 10, 20, 50, 100, 200];
  const [TOP, RIGHT, BOTTOM] = [30, 14, 46];

  const shapes = {
    circle: (x, y, r) => svg("circle", { cx: x, cy: y, r }),
    square: (x, y, r) => svg("rect", { x: x - r * 0.9, y: y - r * 0.9, width: 1.8 * r, height: 1.8 * r }),
    triangle: (x, y, r) => svg("path", { d: `M${x} ${y - 1.2 * r}L${x + 1.1 * r} ${y + 0.8 * r}H${x - 1.1 * r}Z` }),
  };

  // `marks` are [y, text] of the axis that stands; points { x, y, shape, colour, key }; ways { from: [x, y], to: [x, y], key }
  // are arrows; `range` is that of x; notes { x, y, text, anchor } stand beside what is looked at. Returns `nearest(event)`.
  rv.scatter = (into, { points, ways = [], notes = [], marks, range, xlabel, ylabel, chosen, height }) => {
    const width = into.clientWidth || 600;
    height ??= Math.round(Math.min(360, Math.max(270, width * 0.55)));
    const left = 12 + 7.4 * Math.max(...marks.map(([, text]) => text.length));
    const [low, high] = range.map(Math.log10);
    const endless = points.some(({ x }) => x === Infinity); // in a column of its own, at the right
    const right = width - RIGHT - (endless ? 46 : 0);
    const px = (x) => (x === Infinity ? width - RIGHT - 10 : left + ((right - left) * (Math.log10(x) - low)) / (high - low));
    const [first, last] = [marks[0][0], marks[marks.length - 1][0]];
    const py = (y) => height - BOTTOM - ((height - BOTTOM - TOP) * (y - first)) / (last - first);
    const parts = [svg("text", { x: 0, y: 14 }, ylabel)];
    for (const [y, text] of marks) {
      parts.push(svg("path", { class: "rv-gridline", d: `M${left} ${py(y)}H${width - RIGHT}` }));
      parts.push(svg("text", { x: left - 8, y: py(y) + 4.5, "text-anchor": "end" }, text));
    }
    for (const x of ROUND.filter((each) => each >= range[0] && each <= range[1]))
      parts.push(svg("text", { x: px(x), y: height - BOTTOM + 20, "text-anchor": "middle" }, String(x)));
    if (endless) parts.push(svg("text", { x: width - RIGHT, y: height - BOTTOM + 20, "text-anchor": "end" }, "no end"));
    parts.push(svg("path", { d: `M${left} ${height - BOTTOM}H${width - RIGHT}`, stroke: "currentColor" }));
    parts.push(svg("text", { x: (left + width - RIGHT) / 2, y: height - 5, "text-anchor": "middle" }, xlabel));
    const order = (all) => [...all].sort((one, other) => (one.key === chosen) - (other.key === chosen)); // what is looked at lies on top
    for (const { from, to, key } of order(ways)) {
      const [x, y, dx, dy] = [px(from[0]), py(from[1]), px(to[0]) - px(from[0]), py(to[1]) - py(from[1])];
      const length = Math.hypot(dx, dy) || 1;
      const [ux, uy] = [dx / length, dy / length];
      const tip = [x + dx - 8 * ux, y + dy - 8 * uy];
      const head = `M${x + dx - 7 * ux} ${y + dy - 7 * uy}l${-9 * ux - 5 * uy} ${-9 * uy + 5 * ux}l${10 * uy} ${-10 * ux}z`;
      const group = svg("g", { class: "rv-way", opacity: key === chosen ? 1 : 0.4, stroke: "currentColor", fill: "currentColor" });
      group.append(svg("path", { d: `M${x} ${y}L${tip[0]} ${tip[1]}`, "stroke-width": key === chosen ? 2.5 : 1.5 }), svg("path", { d: head, stroke: "none" }));
      parts.push(group);
    }
    for (const { x, y, shape = "circle", colour, key, small, hollow } of order(points)) {
      const point = shapes[shape](px(x), py(y), small ? 3 : key === chosen ? 8 : 6);
      point.setAttribute("class", "rv-point");
      point.setAttribute("style", `fill: ${hollow ? "var(--md-default-bg-color)" : colour}; stroke: ${colour}; stroke-width: 2`);
      point.setAttribute("opacity", key === chosen ? 1 : 0.55);
      parts.push(point);
    }
    for (const { x, y, text, up = -14 } of notes) {
      const half = 4 * text.length, at = Math.max(left + half, Math.min(px(x), width - half)); // pixels
      parts.push(svg("text", { class: "rv-over", x: at, y: Math.max(28, py(y) + up), "text-anchor": "middle", "font-weight": 600 }, text));
    }
    into.setAttribute("viewBox", `0 0 ${width} ${height}`);
    into.style.height = `${height}px`;
    into.replaceChildren(...parts);
    return (event) => {
      const box = into.getBoundingClientRect();
      const [x, y] = [event.clientX - box.left, event.clientY - box.top];
      const apart = points.filter(({ small }) => !small).map((point) => [Math.hypot(px(point.x) - x, py(point.y) - y), point.key]);
      return apart.reduce((one, other) => (other[0] < one[0] ? other : one))[1];
    };
  };

  // The pointer, pressed or dragged, chooses the nearest.
  rv.choose = (picture, nearest, chose) => {
    const act = (event) => event.buttons & 1 && chose(nearest()(event));
    picture.addEventListener("pointerdown", act);
    picture.addEventListener("pointermove", act);
  };
})();
