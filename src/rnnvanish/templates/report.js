// The page of a report, where there are scripts: each curve can be read off, what a step does and what cures gave is drawn, and
// all loops stand in one picture. The drawings are those of the folder `report`.
(() => {
  const report = globalThis.rvReport;
  const { html } = report;
  const layers = JSON.parse(document.getElementById("layers").textContent).map(([name, raw]) => report.layer(name, raw));

  for (const figure of document.querySelectorAll("figure[data-layer]")) {
    const layer = layers[figure.dataset.layer];
    const told = figure.parentElement.querySelector(":scope > table.said") ?? figure;
    const [why, tried] = [html("div"), html("div")];
    const causes = layer.factors.length ? report.why(why, layer) : null;
    if (layer.advice.length) report.tried(tried, layer);
    if (tried.childNodes.length) told.after(html("h3", {}, "What was tried, and what it gave"), tried);
    if (causes) told.after(html("h3", {}, "What one step back does"), why);
    figure.querySelector("svg").remove();
    const place = html("div");
    figure.prepend(place);
    report.curve(place, layer, (lag) => causes?.to(Math.max(1, lag)));
  }

  if (layers.filter(({ measured }) => measured).length > 1) {
    const section = html("section", { class: "overview" }, html("h2", {}, "All loops"));
    document.querySelector("section.layer").before(section);
    report.overview(section, layers.map((layer) => ({ layers: [layer] })), { lag: Math.max(...layers.map(({ gain }) => gain.length - 1)) });
  }

  // What a word means goes away with Escape.
  document.addEventListener("keydown", (event) => event.key === "Escape" && document.activeElement.blur());
  // On paper every fold is open, and afterwards as it was.
  addEventListener("beforeprint", () => {
    for (const fold of document.querySelectorAll("details:not([open])")) fold.open = fold.dataset.printed = true;
  });
  addEventListener("afterprint", () => {
    for (const fold of document.querySelectorAll("details[data-printed]")) (fold.open = false), delete fold.dataset.printed;
  });
})();
