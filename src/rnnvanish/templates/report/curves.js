// Curves of what is left of a gradient, on an axis of powers of ten, to read off with the pointer or a slider.
"use strict";

(() => {
  const report = (globalThis.rvReport ||= {});
  const { svg, html } = report;
  const COLOURS = 5;
  const DASHES = ["", "8 4", "8 3 2 3", "2 3", "12 3"];
  const [TOP, RIGHT, BOTTOM, ROW] = [12, 12, 46, 22];
  const STEPS = [1, 3, 6, 12, 24, 48, 96, 192, 384];
  let patterns = 0;

  report.colour = (i) => `var(--rv-c${i % COLOURS})`;
  report.dashes = (i) => DASHES[(i + Math.floor(i / COLOURS)) % DASHES.length];

  // A sample of a line, beside its name.
  report.sample = ({ colour, dashes }) => {
    const sample = svg("svg", { class: "rv-sample", viewBox: "0 0 28 10", "aria-hidden": "true" });
    sample.append(svg("path", { d: "M0 5H28", fill: "none", "stroke-width": 3, stroke: colour, "stroke-dasharray": dashes }));
    return sample;
  };

  // Where everything lies: the powers of ten that are shown, what is zero in a row of its own below them.
  const scales = (lines, width, height) => {
    const ends = lines.flatMap(({ y, low, high }) => [y, low ?? [], high ?? []]).flat();
    const powers = ends.filter((each) => each > 0 && Number.isFinite(each)).map(Math.log10);
    const high = Math.ceil(powers.reduce((one, other) => Math.max(one, other), 0) - 1e-9);
    const low = Math.floor(powers.reduce((one, other) => Math.min(one, other), -1) + 1e-9);
    const step = STEPS.find((each) => (high - low) / each <= 5);
    const marks = [];
    for (let power = Math.floor(high / step) * step; power >= low; power -= step) marks.push(power);
    const zero = ends.includes(0);
    const over = width < 420; // on a phone the words stand on their lines, within the picture
    const left = over ? 2 : 12 + 7.2 * Math.max(...marks.map((power) => report.decade(power).length), zero ? 7 : 0);
    const bottom = height - BOTTOM - (zero ? ROW : 0);
    const last = Math.max(1, ...lines.map(({ y }) => y.length - 1));
    const py = (y) => (y > 0 ? TOP + (over ? 8 : 0) + ((bottom - TOP - (over ? 8 : 0)) * (high - Math.log10(y))) / (high - low) : height - BOTTOM);
    return { width, height, over, left, last, zero, marks, py, px: (lag) => left + ((width - RIGHT - left) * lag) / last, floor: height - BOTTOM };
  };

  const path = (y, { px, py }) => {
    let pen = "M";
    const points = y.map((each, lag) => {
      if (!Number.isFinite(each)) return (pen = "M"), "";
      const point = `${pen}${px(lag).toFixed(1)} ${py(each).toFixed(1)}`;
      pen = "L";
      return point;
    });
    return points.join("");
  };

  const band = ({ low, high }, { px, py }) => {
    const edge = (end) => end.flatMap((each, lag) => (Number.isFinite(each) && each > 0 ? [`${px(lag).toFixed(1)},${py(each).toFixed(1)}`] : []));
    return [...edge(high), ...edge(low).reverse()].join(" ");
  };

  // Lags at which no number can be said, as stretches.
  const unknown = (lines, last) => {
    const found = [];
    for (let lag = 0; lag <= last; lag++) {
      if (!lines.some(({ y }) => lag < y.length && !Number.isFinite(y[lag]))) continue;
      if (found.length && found[found.length - 1][1] === lag - 1) found[found.length - 1][1] = lag;
      else found.push([lag, lag]);
    }
    return found;
  };

  const hatch = (into, lines, at) => {
    const stretches = unknown(lines, at.last);
    if (!stretches.length) return;
    const id = `rv-hatch-${patterns++}`;
    const pattern = svg("pattern", { id, width: 7, height: 7, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" });
    pattern.append(svg("path", { d: "M0 0V7", stroke: "var(--rv-quiet)", "stroke-width": 2, opacity: 0.6 }));
    into.append(svg("defs", {}, pattern));
    for (const [from, to] of stretches) {
      const [left, right] = [at.px(Math.max(0, from - 0.5)), at.px(Math.min(at.last, to + 0.5))];
      into.append(svg("rect", { class: "rv-hatched", x: left, y: TOP, width: right - left, height: at.floor - TOP, fill: `url(#${id})` }));
    }
  };

  const ticks = (last, room) => {
    const rough = last / room;
    const unit = 10 ** Math.floor(Math.log10(rough));
    const step = Math.max(1, unit * [1, 2, 5, 10].find((each) => each * unit >= rough * 0.999));
    return Array.from({ length: Math.floor(last / step) + 1 }, (_, i) => i * step);
  };

  const frame = (into, at) => {
    const { left, width, floor, over, py, px } = at;
    const text = (x, y, said, anchor) => svg("text", { x, y, "text-anchor": anchor, ...(over && { class: "rv-over" }) }, said);
    const later = [];
    const mark = (y, said) => {
      into.append(svg("path", { d: `M${left} ${y}H${width - RIGHT}`, stroke: "var(--rv-grid)" }));
      if (over) later.push(text(left, y - 3, said, "start"));
      else into.append(text(left - 8, y + 5, said, "end"));
    };
    for (const power of at.marks) mark(py(10 ** power), report.decade(power));
    if (at.zero) mark(floor, "nothing");
    into.append(svg("path", { d: `M${left} ${floor}H${width - RIGHT}`, stroke: "currentColor" }));
    for (const lag of ticks(at.last, Math.max(2, Math.floor((width - left) / 70))))
      into.append(svg("text", { x: px(lag), y: floor + 18, "text-anchor": lag ? "middle" : "start" }, String(lag)));
    into.append(svg("text", { x: (left + width - RIGHT) / 2, y: floor + 40, "text-anchor": "middle" }, "steps back"));
    return later;
  };

  // Draw lines { name, y, low, high, colour, dashes, thin } into an <svg>; returns where a lag lies.
  const draw = (into, lines, lag) => {
    const width = into.clientWidth || 600;
    const height = Math.round(Math.min(330, Math.max(240, width * 0.5)));
    const at = scales(lines, width, height);
    into.replaceChildren();
    into.setAttribute("viewBox", `0 0 ${width} ${height}`);
    into.style.height = `${height}px`;
    const over = frame(into, at);
    hatch(into, lines, at);
    for (const line of lines) if (line.low && line.high) into.append(svg("polygon", { class: "rv-band", points: band(line, at), fill: line.colour, opacity: 0.18 }));
    into.append(svg("path", { class: "rv-here", d: `M${at.px(lag)} ${TOP}V${at.floor}`, stroke: "currentColor", "stroke-dasharray": "2 3" }));
    for (const { y, colour, dashes, thin } of lines)
      into.append(svg("path", { class: "rv-line", d: path(y, at), fill: "none", stroke: colour, "stroke-width": thin ? 1.5 : 3, "stroke-linejoin": "round", "stroke-dasharray": dashes }));
    for (const { y, colour } of lines)
      if (Number.isFinite(y[lag])) into.append(svg("circle", { cx: at.px(lag), cy: at.py(y[lag]), r: 5, fill: colour, stroke: "var(--rv-page)", "stroke-width": 1.5 }));
    into.append(...over);
    return at;
  };

  // Curves with a slider below them, and a sentence. `says(lag)` says what is seen; `moved(lag)` is told. Returns
  // `show(lines)`, and `to(lag)`.
  report.graph = (element, { says, moved = () => {}, label }) => {
    const picture = svg("svg", { class: "rv-curves", role: "img" });
    const slider = html("input", { type: "range", min: 0, step: 1, "aria-label": "steps back" });
    const output = html("output", { "aria-live": "polite" });
    let [lines, lag, at, tallest] = [[], 0, null, 0];
    const paint = () => {
      if (!lines.length) return;
      at = draw(picture, lines, lag);
      slider.style.marginLeft = `${at.left - 8}px`;
      slider.style.width = `${at.width - RIGHT - at.left + 16}px`;
    };
    const tell = () => {
      const said = says(lag);
      output.replaceChildren(...[said].flat());
      slider.setAttribute("aria-valuetext", output.textContent);
      picture.setAttribute("aria-label", `${label()} ${output.textContent}`);
      const height = output.offsetHeight;
      if (height > tallest) output.style.minHeight = `${(tallest = height)}px`;
    };
    const to = (wanted) => {
      lag = Math.max(0, Math.min(Number(slider.max), Math.round(wanted)));
      slider.value = lag;
      paint();
      tell();
      moved(lag);
    };
    slider.addEventListener("input", () => to(Number(slider.value)));
    const point = (event) => {
      const across = (event.clientX - picture.getBoundingClientRect().left - at.left) / (at.width - RIGHT - at.left);
      to(across * at.last);
    };
    picture.addEventListener("pointermove", point);
    picture.addEventListener("pointerdown", point);
    element.append(picture, slider, output);
    new ResizeObserver(() => {
      if (at && picture.clientWidth && picture.clientWidth !== at.width) paint();
    }).observe(picture);
    return {
      show: (given, wanted = lag) => {
        lines = given;
        const none = !lines.length;
        for (const each of [picture, slider]) each.style.display = none ? "none" : "";
        slider.max = Math.max(0, ...lines.map(({ y }) => y.length - 1));
        if (none) output.textContent = "Choose a loop.";
        else to(wanted);
      },
      to,
      get lag() { return lag; },
      repaint: paint,
    };
  };
})();
