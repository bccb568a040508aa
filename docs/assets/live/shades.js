// What shades mean that are even in powers of ten; words that fit a narrow sheet.
// needs: ../draw shares
globalThis.rv ||= {};

(() => {
  const { svg } = window.rvDraw;

  // How dark is how much: four samples of `colour` and their words, over the whole width; `under` is what shows through.
  const WORDS = [[1, "all of it", 0], [1e-2, "1 in 100", 0.22], [1e-4, "1 in 10,000", 0.44], [1e-6, "1 in a million", 0.71]];
  rv.shades = (y, width, colour = "var(--rv-c1)", under = "var(--md-default-bg-color)") =>
    WORDS.flatMap(([share, words, place]) => {
      const box = { x: width * place, y: y - 10, width: 13, height: 12 };
      return [
        svg("rect", { ...box, style: `fill: ${under}; stroke: var(--rv-quiet)` }),
        svg("rect", { ...box, style: `fill: ${colour}`, "fill-opacity": rv.ink(share).toFixed(3) }),
        svg("text", { x: width * place + 17, y, style: `font-size: ${width < 420 ? 10.5 : 12}px; fill: var(--rv-quiet)` }, words),
      ];
    });

  // Print the words of an <svg> smaller that would run over its side.
  rv.fit = (sheet, width) => {
    for (const text of sheet.querySelectorAll("text")) {
      const { x, width: wide } = text.getBBox();
      const over = Math.max(x + wide - width, -x);
      if (over > 0.5) text.style.fontSize = `${(parseFloat(getComputedStyle(text).fontSize) * (wide - over)) / wide}px`;
    }
  };
})();
