// Cures that were tried on a copy of the model: how much of the gradient arrived without each, and with it.
"use strict";

(() => {
  const report = (globalThis.rvReport ||= {});
  const { html } = report;
  const SHOWN = 3; // the others are folded

  const log = (gain, low) => (gain > 0 ? Math.max(Math.log10(Math.min(gain, 1e300)), low) : low);
  const steps = (halfLife) => (Number.isFinite(halfLife) ? `${report.inWords(halfLife)} steps` : Number.isNaN(halfLife) ? "unknown" : "without end");

  const said = ({ gain, gain_before: before, lag, draws, gain_range: range }) => {
    const [without, withIt] = [before, gain].map((each) => report.oneIn(report.value(each)));
    const over = Number.isInteger(lag) ? ` arrive after ${report.steps(lag)}` : "";
    const spread = range ? `; in ${draws} draws ${range.map((each) => report.oneIn(report.value(each))).join(" to ")}` : "";
    return `${without} → ${withIt}${over.replace("arrive", "arrives")}${spread}`;
  };

  const more = (cure) => {
    const list = [];
    const [before, after] = [cure.before, cure.after].map(report.value);
    list.push(`half-life ${steps(before)} → ${steps(after)}`);
    if (cure.moment) list.push(`acts ${cure.moment}`);
    if (cure.training) {
      const { steps: count, before: first, after: last, untreated } = cure.training;
      const without = untreated === null ? "" : ` (${report.inWords(report.value(untreated))} without it)`;
      list.push(`${report.steps(count)} of training: loss ${report.inWords(report.value(first))} → ${report.inWords(report.value(last))}${without}`);
    }
    if (cure.note) list.push(cure.note);
    return list.map(report.printable).join("; ");
  };

  report.cures = (element, advice) => {
    const gains = advice.flatMap(({ gain, gain_before, gain_range }) => [gain, gain_before, ...(gain_range ?? [])]).map(report.value);
    const powers = gains.filter((each) => each > 0 && Number.isFinite(each)).map(Math.log10);
    const low = Math.floor(Math.min(-1, ...powers));
    const high = Math.ceil(Math.max(0, ...powers));
    const place = (gain) => (100 * (log(report.value(gain), low) - low)) / (high - low);
    const item = (cure) => {
      const [from, to] = [place(cure.gain_before), place(cure.gain)];
      const track = html("div", { class: "rv-track", "aria-hidden": "true" });
      track.append(html("i", { class: "rv-zero", style: `left:${place(1)}%` }));
      if (cure.gain_range) {
        const [least, most] = cure.gain_range.map(place);
        track.append(html("i", { class: "rv-range", style: `left:${least}%;width:${most - least}%` }));
      }
      track.append(html("b", { class: "rv-bar rv-adds", style: `left:${Math.min(from, to)}%;width:max(2px,${Math.abs(to - from)}%)` }));
      for (const [kind, at] of [["before", from], ["after", to]]) track.append(html("i", { class: `rv-${kind}`, style: `left:${at}%` }));
      const fold = html("details", {}, html("summary", {}, "more, and how to apply it"), html("p", {}, more(cure)));
      if (cure.apply) fold.append(html("pre", { tabindex: 0 }, html("code", {}, report.printable(cure.apply))));
      return html("li", {}, html("code", {}, report.printable(cure.cure)), html("p", {}, said(cure)), track, fold);
    };
    const list = (cures, start) => html("ol", { class: "rv-tried", start }, ...cures.map(item));
    const ends = html("p", { class: "rv-ends", "aria-hidden": "true" });
    ends.append(html("span", {}, report.decade(low)), html("span", {}, report.decade(high)));
    element.append(list(advice.slice(0, SHOWN), 1), ends);
    const rest = advice.slice(SHOWN);
    if (rest.length) element.append(html("details", {}, html("summary", {}, `${rest.length} more that help less`), list(rest, SHOWN + 1)));
  };
})();
