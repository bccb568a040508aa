// Loops of a report as its figures need them, and what there is to see of one: its curve, its causes, its cures.
"use strict";

(() => {
  const report = (globalThis.rvReport ||= {});
  const { html } = report;

  const numbers = (list) => (Array.isArray(list) ? list.map(report.value) : null);

  // A layer of the JSON. What is drawn is the curve that its verdict is of; versions differ in what they hold.
  report.layer = (name, raw) => {
    const gain = numbers(raw.alone) ?? numbers(raw.gain) ?? [];
    const parts = raw.alone ? [] : Object.entries(raw.parts ?? {});
    return {
      name: report.printable(name),
      verdict: report.printable(raw.verdict ?? ""),
      gain,
      low: raw.alone ? null : numbers(raw.low),
      high: raw.alone ? null : numbers(raw.high),
      parts: parts.length > 1 ? parts.map(([part, values]) => [report.printable(part), numbers(values) ?? []]) : [],
      factors: Array.isArray(raw.factors) ? raw.factors : [],
      advice: Array.isArray(raw.advice) ? raw.advice : [],
      cause: report.printable(raw.cause ?? ""),
      notes: (raw.notes ?? []).map(report.printable),
      halfLife: report.value(raw.half_life),
      reach: raw.reach,
      joined: raw.joined === true,
      measured: gain.length > 1 && !Number.isNaN(gain[0]),
    };
  };

  report.back = (lag) => `${report.steps(lag)} back`;
  report.left = ({ gain }, lag) => report.oneIn(lag < gain.length ? gain[lag] : NaN);
  report.leftOf = (layer, lag) => {
    const part = report.left(layer, lag);
    if (part.endsWith("can be measured")) return `${part}: the number format ends there`;
    return part.endsWith("times as much") ? `${part} arrives` : part === "nothing" ? "nothing is left" : `${part} of the gradient is left`;
  };

  const linesOf = (layer) => [
    { ...layer, y: layer.gain, colour: report.colour(0), dashes: "" },
    ...layer.parts.map(([, y], i) => ({ y, colour: report.colour(i + 1), dashes: report.dashes(i + 1), thin: true })),
  ];

  const legend = (layer) => {
    const list = html("ul", { class: "rv-lines" });
    const names = ["the whole state", ...layer.parts.map(([name]) => `its part ${name}`)];
    linesOf(layer).forEach((line, i) => list.append(html("li", {}, report.sample(line), names[i])));
    return list;
  };

  // The curve of one layer; `moved(lag)` follows.
  report.curve = (element, layer, moved) => {
    const graph = report.graph(element, {
      label: () => `Curve of what is left of the gradient in ${layer.name}, on an axis of powers of ten.`,
      says: (lag) => {
        const parts = layer.parts.map(([name, y]) => `${name}: ${report.oneIn(y[lag] ?? NaN)}`);
        return `${report.back(lag)}: ${[report.leftOf(layer, lag), ...parts].join("; ")}.`;
      },
      moved,
    });
    if (layer.parts.length) element.append(legend(layer));
    graph.show(linesOf(layer), layer.gain.length - 1);
    return graph;
  };

  const MOSTLY = 2; // as many times more or less than the curve says is worth a word
  const differs = (layer, lag) => {
    const product = layer.factors.reduce((all, { factor }) => all * report.value(factor), 1) ** lag;
    const ratio = product / layer.gain[lag];
    return Number.isFinite(ratio) && ratio > 0 && Math.abs(Math.log(ratio)) > Math.log(MOSTLY);
  };

  // Why: the factors of a step, and in a fold the sentence of the report.
  report.why = (element, layer, options) => {
    if (!layer.factors.length) {
      element.append(html("p", {}, layer.cause || "The report does not say what a step does here."));
      return { to: () => {} };
    }
    const causes = report.causes(element, layer.factors, options);
    const note = html("p", { class: "rv-note" }, "The factors are means over all steps but the first. So their product is not quite what the curve says.");
    element.append(note);
    if (layer.cause) element.append(html("details", {}, html("summary", {}, "in the words of the report"), html("p", {}, layer.cause)));
    return {
      to: (lag) => {
        causes.to(lag);
        note.style.visibility = differs(layer, lag) ? "visible" : "hidden";
      },
    };
  };

  report.tried = (element, layer) => {
    if (layer.advice.length) report.cures(element, layer.advice);
    else element.append(html("p", {}, layer.verdict === "healthy" ? "It is healthy, so nothing was tried." : "No cure that was tried helps here, or none was tried."));
  };
})();
