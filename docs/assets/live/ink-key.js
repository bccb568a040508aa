// What shades mean that are even in powers of ten: a sample at each thousandth, and their words.
// needs: ../draw shares
globalThis.rv ||= {};

(() => {
  const { html } = window.rvDraw;

  // Samples over so many `decades`, and their words; `most` is what 1 is called.
  rv.samples = (decades, most = rv.share(1)) =>
    Array.from({ length: Math.floor(decades / 3) + 1 }, (_, k) => [10 ** (-3 * k), k ? rv.share(10 ** (-3 * k)) : most]);

  // A paragraph; `ink` says how dark a share is.
  rv.inkKey = (label, { decades = 6, most, ink = (share) => rv.ink(share, decades) } = {}) => {
    const key = html("p", { className: "rv-key" });
    key.append(label);
    for (const [share, words] of rv.samples(decades, most)) {
      const item = html("span"), sample = html("i"), shade = html("b");
      shade.style.opacity = ink(share);
      sample.append(shade);
      item.append(sample, words);
      key.append(item);
    }
    return key;
  };
})();
