// The key of the ink, drawn on a sheet.
// needs: ../draw shares ink-key
globalThis.rv ||= {};

(() => {
  const { svg } = window.rvDraw;
  const SIDE = 13, LETTER = 0.52; // of a sample, in pixels; of a letter, in its size

  // On a sheet, so that a saved picture has it: over `width`, of `colour`; `under` is what shows through.
  rv.shades = (y, width, colour = "var(--rv-c1)", under = "var(--md-default-bg-color)") => {
    const all = rv.samples(6), letters = all.reduce((sum, [, words]) => sum + words.length, 0);
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
