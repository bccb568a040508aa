// Scripts that a figure computes with, fetched once it comes near, or a while after the page is there: a page's readers
// seldom see all of its figures.
// needs: ../draw
globalThis.rv ||= {};

(() => {
  const here = document.currentScript.src;
  const { html } = window.rvDraw;
  const WHILE = 3000; // milliseconds; then also who prints gets the figure
  const fetched = new Map(); // by name, whether it has come
  const waiting = new Set(); // what to ask each time one has

  const there = (name) => fetched.get(name) ?? [...document.scripts].some(({ src }) => src.endsWith(`/live/${name}.js`));
  const fetch = (name) => {
    fetched.set(name, false);
    const onload = () => {
      fetched.set(name, true);
      for (const come of waiting) come();
    };
    document.head.append(html("script", { src: new URL(`${name}.js`, here).href, async: false, onload })); // in this order
  };

  // Whether these files of live/ are there, each named after those that it needs. If not, they are fetched in time, and the
  // figure is computed anew.
  rv.later = (figure, names) => {
    if (names.every(there)) return true;
    if (!figure.waits) {
      const come = () => {
        if (!names.every(there)) return;
        waiting.delete(come);
        figure.changed();
      };
      waiting.add(come);
      const go = () => {
        watch.disconnect();
        for (const name of names) if (!there(name) && !fetched.has(name)) fetch(name);
      };
      const watch = new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && go(), { rootMargin: "300px" });
      watch.observe(figure);
      const soon = () => setTimeout(go, WHILE);
      if (document.readyState === "complete") soon();
      else addEventListener("load", soon, { once: true });
      figure.waits = true;
    }
    return false;
  };
})();
