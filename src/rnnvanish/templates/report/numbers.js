// Numbers of a report as people read them, in the words of rnnvanish.numerals; elements to draw with.
"use strict";

(() => {
  const report = (globalThis.rvReport ||= {});
  const LARGE = { 6: "million", 9: "billion", 12: "trillion" };

  // JSON knows neither nan nor infinity: null and words stand for them.
  report.value = (x) => (x === "infinity" ? Infinity : x === "-infinity" ? -Infinity : typeof x === "number" ? x : NaN);

  const tenTo = (power) => "10" + String(power).replace("-", "⁻").replace(/\d/g, (digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit]);
  const digits = (x, count) => Number(x.toPrecision(count));
  // Halves go to the even neighbour, as in Python.
  const whole = (x) => (Math.abs(x % 1) === 0.5 && Math.round(x) % 2 ? Math.round(x) - 1 : Math.round(x));

  report.inWords = (x) => {
    if (!Number.isFinite(x)) return Number.isNaN(x) ? "unknown" : x > 0 ? "∞" : "-∞";
    const rounded = digits(x, 3);
    const size = Math.abs(rounded);
    if (size === 0 || (size >= 1e-4 && size < 1e6)) return String(rounded);
    const [first, power] = rounded.toExponential().split("e");
    return { 1: tenTo(+power), "-1": `-${tenTo(+power)}` }[first] ?? `${first}·${tenTo(+power)}`;
  };

  const count = (x) => {
    const exponent = Math.floor(Math.log10(x));
    if (exponent < 3) return String(x >= 10 ? whole(x) : digits(x, 2));
    for (const power of [12, 9, 6]) {
      if (exponent < power || exponent >= power + 3) continue;
      const many = Math.trunc(digits(x / 10 ** power, 2));
      return many === 1 ? `a ${LARGE[power]}` : `${many} ${LARGE[power]}`;
    }
    if (exponent < 6) return String(Math.trunc(digits(x, 2))).replace(/\B(?=(\d{3})+$)/g, ",");
    const [first, power] = x.toExponential(0).split("e");
    return first === "1" ? tenTo(+power) : `${first}·${tenTo(+power)}`;
  };

  // A part of something: "1 in 5 million".
  report.oneIn = (part) => {
    if (Number.isNaN(part)) return "less than can be measured";
    if (part === Infinity) return "more than can be measured";
    if (part === 0) return "nothing";
    if (part > 0.95 && part < 1.05) return "all";
    if (part > 1) return `${count(part)} times as much`;
    return part > 0.1 ? `${whole(100 * part)} %` : `1 in ${count(1 / part)}`;
  };

  // A power of ten of what is left, for an axis.
  report.decade = (power) => {
    if (power > 0) return `${power < 5 ? 10 ** power : tenTo(power)} ×`;
    const words = { 3: "a thousand", 6: "a million", 9: "a billion", 12: "a trillion" };
    return power ? `1 in ${words[-power] ?? (power > -3 ? 10 ** -power : tenTo(-power))}` : "all";
  };

  // A factor: 0.6, and close to one with one digit more.
  report.factor = (x) => (x > 0.95 && x < 1.1 ? String(digits(x, 3)) : report.inWords(digits(x, 2)));

  // Characters that can be seen: others could hide or forge what stands there.
  report.printable = (text) =>
    String(text).replace(/[\p{C}\p{Z}]/gu, (each) => {
      const code = each.codePointAt(0);
      const short = { " ": " ", "\n": "\\n", "\r": "\\r", "\t": "\\t" }[each];
      const [mark, length] = code < 0x100 ? ["x", 2] : code < 0x10000 ? ["u", 4] : ["U", 8];
      return short ?? `\\${mark}${code.toString(16).padStart(length, "0")}`;
    });

  report.steps = (n) => `${n} step${n === 1 ? "" : "s"}`;

  const fill = (element, attributes, children) => {
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };
  report.html = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children);
  report.svg = (name, attributes = {}, ...children) =>
    fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
})();
