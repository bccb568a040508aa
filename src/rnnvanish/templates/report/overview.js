// All loops of one report, or of two, in one picture: choose which, and read them off.
"use strict";

(() => {
  const report = (globalThis.rvReport ||= {});
  const { html } = report;
  const FEW = 5; // lines that can be told apart at a glance
  const SEVERITY = ["exploding", "vanishing", "healthy"];

  // The worst first: these are chosen in the beginning, where there are many.
  const worst = (loops) => {
    const badness = ({ verdict, gain }) => [SEVERITY.indexOf(verdict), gain[gain.length - 1] || 0];
    return [...loops].sort((one, other) => {
      const [a, b] = [badness(one.layers[0]), badness(other.layers[0])];
      return a[0] - b[0] || a[1] - b[1];
    });
  };

  const samples = (element, loop) => {
    const [first] = loop.layers;
    element.append(report.sample({ colour: loop.colour, dashes: loop.dashes }), html("code", {}, first.name), " ");
    const last = loop.layers[loop.layers.length - 1].verdict;
    const verdict = html("span", { class: `rv-verdict-word rv-${last.replaceAll(" ", "-")}` });
    verdict.textContent = loop.layers.map((each) => each.verdict).filter((each, i, all) => each !== all[i - 1]).join(" → ");
    element.append(verdict, " ");
  };

  // What is least and most left, of several loops.
  const ends = (loops, lag) => {
    const there = loops.map((loop) => loop.layers[loop.layers.length - 1]).filter(({ gain }) => lag < gain.length);
    const known = there.filter(({ gain }) => !Number.isNaN(gain[lag])).sort((one, other) => one.gain[lag] - other.gain[lag]);
    if (!known.length) return `${report.back(lag)}: less is left than can be measured.`;
    const [least, most] = [known[0], known[known.length - 1]];
    const said = `${report.back(lag)}: ${report.leftOf(least, lag)} in ${least.name}`;
    return `${least === most ? said : `${said}; ${report.left(most, lag)} in ${most.name}`}.`;
  };

  const pair = ({ layers: [before, after] }, lag) => `${report.left(before, lag)} → ${report.left(after, lag)}`;

  // `loops` are { layers: [layer] }, or [before, after] of two reports. `chosen` are the places of those that are seen;
  // `moved(lag)` and `chose(places)` are told.
  report.overview = (element, loops, { chosen, lag = 0, moved = () => {}, chose = () => {} } = {}) => {
    loops.forEach((loop, i) => Object.assign(loop, { colour: report.colour(i), dashes: loop.layers.length > 1 ? "" : report.dashes(i) }));
    const drawn = loops.filter(({ layers }) => layers.some(({ measured }) => measured));
    const seen = new Set(chosen ? drawn.filter((loop) => chosen.includes(loops.indexOf(loop))) : worst(drawn).slice(0, FEW));
    const two = loops.some(({ layers }) => layers.length > 1);
    const shown = () => loops.filter((loop) => seen.has(loop));
    const values = new Map();
    const graph = report.graph(element, {
      label: () => `Curves of what is left of the gradient, on an axis of powers of ten${two ? ", dashed before and whole after" : ""}.`,
      says: (at) => {
        const one = shown()[0];
        if (two && seen.size === 1) return `${report.back(at)}: ${pair(one, at)} in ${one.layers[0].name}.`;
        return ends(shown(), at);
      },
      moved: (at) => {
        for (const [loop, cell] of values) cell.textContent = loop.layers.length > 1 ? pair(loop, at) : report.left(loop.layers[0], at);
        moved(at);
      },
    });
    const lines = () => shown().flatMap(({ layers, colour, dashes }) =>
      layers.filter(({ measured }) => measured).map((layer, i) => ({
        ...layer, y: layer.gain, colour, dashes: layers.length > 1 && !i ? "6 5" : dashes,
        ...((layers.length > 1 || seen.size > 1) && { low: null, high: null }),
      })));
    const choices = html("fieldset", { class: "rv-loops" }, html("legend", {}, two ? "Loops, before (dashed) → after" : "Loops"));
    for (const loop of loops) {
      const label = html("label");
      const box = html("input", { type: "checkbox" });
      box.checked = seen.has(loop);
      box.disabled = !drawn.includes(loop);
      box.addEventListener("change", () => {
        seen[box.checked ? "add" : "delete"](loop);
        graph.show(lines());
        chose(shown().map((each) => loops.indexOf(each)));
      });
      label.append(box);
      samples(label, loop);
      const value = html("output", { "aria-live": "off" });
      if (drawn.includes(loop)) values.set(loop, value);
      label.append(value);
      choices.append(label);
    }
    if (loops.length > 1 || two) element.append(choices);
    graph.show(lines(), lag);
    return graph;
  };
})();
