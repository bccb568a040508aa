// What the site's figures are drawn with: elements, strokes, numbers, round values for an axis, words.
window.rvDraw = (() => {
  const DASHES = ["", "8 4", "8 3 2 3", "2 3", "12 3"];
  const COLOURS = 5;

  const svg = (name, attributes, text) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const key in attributes) element.setAttribute(key, attributes[key]);
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const html = (name, properties) => Object.assign(document.createElement(name), properties);
  // Write what an element says, if that is new: the page is laid out again for the same words, too.
  const put = (element, text) => element.textContent === text || (element.textContent = text);

  // 25 lines that differ by colour and by dashes; the first five by both.
  const stroke = (i) => ({
    style: `stroke: var(--rv-c${i % COLOURS})`,
    "stroke-dasharray": DASHES[(i + Math.floor(i / COLOURS)) % DASHES.length],
  });
  const number = (x) => String(Number(x.toPrecision(6))).replace("-", "−");

  // At most `most` round values that cover the range, but two at least.
  const ticks = (low, high, most, whole) => {
    const rough = (high - low) / most || 1;
    const unit = 10 ** Math.floor(Math.log10(rough));
    let step = unit * ([1, 2, 5, 10].find((m) => m * unit >= rough * 0.999) ?? 10);
    if (whole) step = [1, 2, 3, 6, 12, 24, 48, 96].find((m) => m >= rough * 0.999) ?? Math.ceil(step); // a million, a trillion
    const found = [];
    for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(i * step);
    return found.length < 2 && low < high ? ticks(low, high, 2 * most, whole) : found; // one number says no scale
  };

  // Rows of cells as CSV.
  const csv = (rows) => {
    const cell = (value) => (/[",\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : String(value ?? ""));
    return rows.map((row) => row.map(cell).join(",")).join("\n");
  };

  // A link to what a figure shows leads to the figure, once all above it has its height.
  const reveal = (figure) => {
    const go = () => requestAnimationFrame(() => figure.scrollIntoView({ block: "start" }));
    if (document.readyState === "complete") go();
    else addEventListener("load", go, { once: true });
  };

  // A sentence of words.json, with what stands in its braces.
  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);

  // Whether an element has been read to its end; if not, its connectedCallback is called again once it has.
  const whole = (element) => {
    if (document.readyState !== "loading" || element.nextSibling) return true;
    addEventListener("DOMContentLoaded", () => element.connectedCallback(), { once: true });
    return false;
  };

  return { svg, html, put, stroke, number, ticks, whole, csv, reveal, fill };
})();
