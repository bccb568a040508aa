// A sheet to draw a figure on, measured in pixels; and grabbing what is drawn there.
// needs: ../draw
globalThis.rv ||= {};

// Put `parts` on an <svg> of this size; `label` is what is read out in their place.
rv.sheet = (sheet, width, height, parts, label) => {
  sheet.setAttribute("role", "img");
  sheet.setAttribute("aria-label", label);
  sheet.setAttribute("viewBox", `0 0 ${width} ${height}`);
  sheet.style.height = `${height}px`;
  sheet.replaceChildren(...parts.filter(Boolean));
};

// Drag on an <svg>: `down(x, y)` says whether there is something to grab, `moved(x, y)` follows the pointer. A finger that
// holds something doesn't scroll the page. What can be grabbed has the style `rv.GRAB`.
rv.GRAB = "cursor: grab";
rv.grab = (sheet, down, moved, up = () => {}) => {
  const at = (event) => {
    const { left, top } = sheet.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  };
  let held = null, last;
  sheet.addEventListener("pointerdown", (event) => {
    if (held !== null || event.button || !down(...at(event))) return;
    event.preventDefault();
    held = event.pointerId;
    last = at(event);
    sheet.setPointerCapture(held); // the thing itself is drawn anew
  });
  sheet.addEventListener("touchstart", (event) => held !== null && event.preventDefault(), { passive: false });
  sheet.addEventListener("pointermove", (event) => event.pointerId === held && moved(...(last = at(event))));
  for (const end of ["pointerup", "pointercancel"])
    sheet.addEventListener(end, (event) => {
      if (event.pointerId !== held) return;
      held = null;
      up(...last); // one that is cancelled has no place
    });
};

// Slanted lines in a rectangle: what the number format cannot hold.
rv.hatch = (x, y, width, height) => {
  let d = "";
  for (let at = x - height; at < x + width; at += 6) {
    const [from, to] = [Math.max(at, x), Math.min(at + height, x + width)];
    if (to > from) d += `M${from} ${y + height - from + at}L${to} ${y + height - to + at}`;
  }
  return window.rvDraw.svg("path", { d, stroke: "currentColor", opacity: 0.5 });
};
