// What one step back does to a gradient, factor by factor: each bar begins where the last one ended, on an axis of powers.
"use strict";

(() => {
  const report = (globalThis.rvReport ||= {});
  const { html } = report;
  const SMALL = 0.005; // in nats: what changes a step by less has no bar worth seeing, and is told together

  const capital = (text) => text[0].toUpperCase() + text.slice(1);
  const bar = (from, to, scale, kind) => {
    const [left, right] = [scale(Math.min(from, to)), scale(Math.max(from, to))];
    const track = html("div", { class: "rv-track" });
    track.append(html("i", { class: "rv-zero", style: `left:${scale(0)}%` }));
    track.append(html("b", { class: `rv-bar rv-${kind}`, style: `left:${left}%;width:max(2px,${right - left}%)` }));
    return track;
  };

  // The factors of a layer, as the report has them; those that do nothing are left out, unless all do.
  const told = (factors) => {
    const known = factors.map(({ part, called, factor }) => ({ part, called: report.printable(called), nats: Math.log(report.value(factor)) }));
    const large = known.filter(({ nats }) => !(Math.abs(nats) < SMALL));
    return large.length ? large : known.slice(0, 1);
  };

  const after = (nats, lag) => report.oneIn(Math.exp(nats * lag)).replace(" as much", "");

  // A table of them: what each does at one step, and what it alone would leave after as many steps as `to(lag)` says.
  report.causes = (element, factors, { most = null } = {}) => {
    const rows = told(factors);
    const nats = factors.reduce((sum, { factor }) => sum + Math.log(report.value(factor)), 0);
    let at = 0;
    const places = [0, nats, ...rows.map((row) => (at += row.nats))].filter(Number.isFinite);
    const [low, high] = most ?? [Math.min(...places), Math.max(...places)];
    const room = Math.max(high - low, 0.1);
    const scale = (place) => (100 * (Math.max(place, low) - low)) / room;
    const table = html("table", { class: "rv-causes" });
    const head = table.createTHead().insertRow();
    const span = html("th", { scope: "col" });
    head.append(html("th", { scope: "col" }, "factor"), html("th", { scope: "col" }, "each step"), span);
    const body = table.createTBody();
    const cells = [];
    const line = (called, change, from, to, kind) => {
      const row = body.insertRow();
      const cell = html("td");
      row.append(html("th", { scope: "row" }, called), html("td", {}, `× ${report.factor(Math.exp(change))}`), cell);
      cells.push([cell, change]);
      const bars = body.insertRow();
      bars.ariaHidden = "true";
      const whole = html("td", { colspan: 3 });
      whole.append(bar(Number.isFinite(from) ? from : low, Number.isFinite(to) ? to : low, scale, kind));
      bars.append(whole);
    };
    at = 0;
    for (const row of rows) line(capital(row.called), row.nats, at, (at += row.nats), row.nats < 0 ? "takes" : "adds");
    line("All together", nats, 0, nats, "all");
    element.append(table);
    return {
      to: (lag) => {
        span.textContent = `alone, after ${report.steps(lag)}`;
        for (const [cell, change] of cells) cell.textContent = after(change, lag);
      },
    };
  };

  // How far the bars of several layers go, so that they can be compared.
  report.causesRange = (lists) => {
    const places = [0];
    for (const factors of lists) {
      let at = 0;
      for (const { factor } of factors) places.push((at += Math.log(report.value(factor))));
    }
    const known = places.filter(Number.isFinite);
    return [Math.min(...known), Math.max(...known)];
  };
})();
