// Scripts that a figure computes with, fetched once it comes near: a page's readers seldom see all of its figures. On paper a
// figure that has not come shows what is read without a script.
// needs: ../draw
globalThis.rv ||= {};

(() => {
  const here = document.currentScript.src;
  const { html } = window.rvDraw;
  const fetched = new Map(); // by name, whether it has come
  const waiting = new Map(); // figures, and the names that each waits for

  const there = (name) => fetched.get(name) ?? [...document.scripts].some(({ src }) => src.endsWith(`/live/${name}.js`));
  const come = (name) => () => {
    fetched.set(name, true);
    for (const [figure, names] of waiting) if (names.every(there) && waiting.delete(figure)) figure.changed();
  };
  const fetch = (name) => {
    if (there(name) || fetched.has(name)) return;
    fetched.set(name, false);
    document.head.append(html("script", { src: new URL(`${name}.js`, here).href, async: false, onload: come(name) })); // in this order
  };

  // Whether these files of live/ are there, each named after those that it needs. If not, they are fetched in time, and the
  // figure is computed anew.
  rv.later = (figure, names) => {
    if (names.every(there)) return true;
    waiting.set(figure, names);
    new IntersectionObserver((seen, watch) => {
      if (!seen.some((one) => one.isIntersecting)) return;
      watch.disconnect();
      names.forEach(fetch);
    }, { rootMargin: "300px" }).observe(figure);
    return false;
  };

  addEventListener("beforeprint", () => {
    for (const figure of waiting.keys()) {
      figure.picture.hidden = true;
      figure.prepend(...figure.told);
    }
  });
  addEventListener("afterprint", () => {
    for (const figure of document.querySelectorAll(".rv-live")) {
      figure.picture.hidden = false;
      for (const node of figure.told) node.remove();
    }
  });
})();
