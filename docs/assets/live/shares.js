// A share in words, and as ink.
globalThis.rv ||= {};

(() => {
  const NAMES = [[1e12, "trillion"], [1e9, "billion"], [1e6, "million"], [1e3, "thousand"]];

  // 3.1e-6 is "1 in 320 thousand"; from a tenth on it is a percentage; 1e-20 is "1 in 10²⁰".
  rv.share = (x) => {
    if (!(x > 0)) return "nothing";
    if (x >= 0.995) return x < 1.05 ? "all of it" : `${Number(x.toPrecision(2))} times as much`;
    if (x >= 0.0995) return `${Math.round(100 * x)} %`;
    const n = Number((1 / x).toPrecision(2));
    if (n >= 1e15) return `1 in 10${String(Math.round(-Math.log10(x))).replace(/\d/g, (digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit])}`;
    const [size, name] = NAMES.find(([least]) => n >= least) ?? [1, ""];
    const count = n === size && name ? "a" : Number((n / size).toPrecision(2));
    return ["1 in", count, name].join(" ").trim();
  };

  // 3100 is "3.1 thousand times".
  rv.times = (x) => `${x < 10 ? Number(x.toPrecision(2)) : rv.share(1 / x).replace("1 in ", "")} times`;

  // From 1, where all arrives, to 0 at `decades` powers of ten less, evenly in powers of ten.
  rv.ink = (x, decades = 6) => (x > 0 ? Math.min(1, Math.max(0, 1 + Math.log10(x) / decades)) : 0);
})();
