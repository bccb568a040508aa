// The row of people who pass on a note, as the pages draw them; picking one.
// needs: ../draw shares shades sheet
globalThis.rv ||= {};

(() => {
  const { svg } = window.rvDraw;
  const TALL = 44; // pixels of a person at scale 1, from the head down
  const WIDE = 34; // and across, with a little air

  // Places for `count` people in a row from `left` to `right`, standing at `y`: `at(i)` is the middle of one, `index(x)` the
  // one at a place, `one(i, attributes)` draws one. Nobody is taller than at scale `most`.
  rv.people = (count, left, right, y, most = 1) => {
    const step = (right - left) / count, scale = Math.min(most, step / WIDE);
    const at = (i) => left + step * (i + 0.5);
    return {
      at,
      step,
      scale,
      top: y - TALL * scale,
      index: (x) => Math.min(count - 1, Math.max(0, Math.floor((x - left) / step))),
      one: (i, attributes = {}) => {
        const all = { fill: "none", stroke: "currentColor", "stroke-width": 2 / Math.max(scale, 0.7), ...attributes };
        const person = svg("g", { ...all, transform: `translate(${at(i).toFixed(1)} ${(y - 9 * scale).toFixed(1)}) scale(${scale.toFixed(3)})` });
        person.append(svg("circle", { cy: -27, r: 8 }), svg("path", { d: "M-13 9v-8c0-11 5-16 13-16s13 5 13 16v8z" }));
        return person;
      },
    };
  };

  // A tap on an <svg>, or a drag sideways, calls `pick(x, y)`. A finger that goes up or down scrolls the page.
  const SIDEWAYS = 8;
  rv.pick = (sheet, pick) => {
    let first = null;
    const moved = (x, y) => {
      if (first !== null && Math.abs(x - first) < SIDEWAYS) return;
      first = null;
      pick(x, y);
    };
    rv.grab(sheet, (x) => ((first = x), true), moved);
    sheet.addEventListener("click", ({ clientX, clientY }) => {
      const { left, top } = sheet.getBoundingClientRect();
      pick(clientX - left, clientY - top);
    });
    sheet.style.cursor = "pointer";
  };

  // What fills somebody whom a share of the whisper reaches: orange, paler by powers of ten.
  rv.whisper = (share) => ({ style: "fill: var(--rv-c1)", "fill-opacity": rv.ink(share).toFixed(3) });
})();
