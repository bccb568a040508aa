// Read a curve off: with the pointer, or with the slider by keyboard. The values are those of the table below it.
for (const figure of document.querySelectorAll("figure")) {
  const svg = figure.querySelector("svg"), here = svg.querySelector(".here");
  const heads = [...figure.querySelectorAll("thead th")].map((cell) => cell.textContent);
  const rows = [...figure.querySelectorAll("tbody tr")].map((row) => [...row.cells].map((cell) => cell.textContent));
  const { left, right, width, last } = Object.fromEntries(Object.entries(svg.dataset).map(([k, v]) => [k, Number(v)]));
  const slider = Object.assign(document.createElement("input"), { type: "range", min: 0, max: rows.length - 1, value: 0 });
  slider.setAttribute("aria-label", "steps back");
  const output = document.createElement("output");
  const show = () => {
    const row = rows[slider.value], x = left + ((right - left) * row[0]) / last;
    const parts = row.slice(2).map((part, index) => `${heads[index + 2]}: ${part}`);
    output.textContent = `${row[0]} steps back: ${[row[1], ...parts].join("; ")}`;
    slider.setAttribute("aria-valuetext", output.textContent);
    here.setAttribute("transform", `translate(${x})`);
    here.removeAttribute("visibility");
  };
  slider.style.marginLeft = `${(100 * left) / width}%`;
  slider.style.width = `${(100 * (right - left)) / width}%`;
  slider.addEventListener("input", show);
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect(), at = ((event.clientX - box.left) / box.width) * width;
    const lag = Math.max(0, Math.min(1, (at - left) / (right - left))) * last;
    const distance = rows.map((row) => Math.abs(row[0] - lag));
    slider.value = distance.indexOf(Math.min(...distance));
    show();
  });
  svg.after(slider, output);
  output.textContent = "Move along the curve, or the slider, to read it off.";
}
// What a word means goes away with Escape.
document.addEventListener("keydown", (event) => event.key === "Escape" && document.activeElement.blur());
