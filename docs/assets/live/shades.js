// What shades mean that are even in powers of ten: a sample at each thousandth, in a paragraph or on a sheet.
// needs: ../draw shares
globalThis.rv ||= {};

(() => {
  const { svg, html } = window.rvDraw;
  const SIDE = 13, LETTER = 0.52; // of a sample, in pixels; of a letter, in its size

  // Samples over so many `decades`, and their words; `most` is what 1 is called.
  const samples = (decades, most = rv.share(1)) =>
    Array.from({ length: Math.floor(decades / 3) + 1 }, (_, k) => [10 ** (-3 * k), k ? rv.share(10 ** (-3 * k)) : most]);

  // A paragraph; `ink` says how dark a share is.
  rv.inkKey = (label, { decades = 6, most, ink = (share) => rv.ink(share, decades) } = {}) => {
    const key = html("p", { className: "rv-key" });
    key.append(label);
    for (const [share, words] of samples(decades, most)) {
      const item = html("span"), sample = html("i"), shade = html("b");
      shade.style.opacity = ink(share);
      sample.append(shade);
      item.append(sample, words);
      key.append(item);
    }
    return key;
  };

  // On a sheet, so that a saved picture has it: over `width`, of `colour`; `under` is what shows through.
  rv.shades = (y, width, colour = "var(--rv-c1)", under = "var(--md-default-bg-color)") => {
    const all = samples(6), letters = all.reduce((sum, [, words]) => sum + words.length, 0);
    const size = Math.min(12, (width - all.length * (SIDE + 14)) / letters / LETTER);
    const apart = width < 420 ? 10 : 26;
    let x = 0;
    return all.flatMap(([share, words]) => {
      const box = { x, y: y - 10, width: SIDE, height: 12 }, at = x + SIDE + 4;
      x = at + words.length * size * LETTER + apart;
      return [
        svg("rect", { ...box, style: `fill: ${under}; stroke: var(--rv-quiet)` }),
        svg("rect", { ...box, style: `fill: ${colour}`, "fill-opacity": rv.ink(share).toFixed(3) }),
        svg("text", { x: at, y, style: `font-size: ${size.toFixed(1)}px; fill: var(--rv-quiet)` }, words),
      ];
    });
  };
})();
