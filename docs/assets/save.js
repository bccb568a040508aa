// Below each figure a small fold: to save it, or to copy a link. What is in it is fetched when a reader opens the first one.
addEventListener("DOMContentLoaded", () => {
  const { html } = window.rvDraw;
  const here = document.querySelector('script[src*="assets/save.js"]').src;
  let fetched;
  const fill = (...fold) => {
    fetched ??= new Promise((done) => {
      document.head.append(html("script", { src: here.replace("save.js", "save-figure.js"), onload: done }));
    });
    fetched.then(() => window.rvSaveFigure(...fold));
  };
  const figures = [...document.querySelectorAll("article :is(figure, rv-slider, .rv-live)")].filter((figure) => figure.querySelector("svg, canvas"));
  figures.forEach((figure, i) => {
    const bar = html("details", { className: "rv-save" });
    bar.append(html("summary", { textContent: window.rvWords.figure.save }));
    bar.addEventListener("toggle", () => fill(bar, figure, i + 1), { once: true });
    figure.append(bar);
  });
});
