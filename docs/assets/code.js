// Code is folded in the explanation. Those who choose to see it once see it on every page, until they choose otherwise.
// needs: ../words ../draw
(() => {
  const { html } = window.rvDraw;
  const words = window.rvWords.code;
  const KEY = "rnnvanish code";
  const place = document.querySelector(".rv-downloads");
  if (!place) return;
  const button = html("button", { type: "button", className: "rv-small" });
  const show = (open) => {
    for (const fold of document.querySelectorAll("details.rv-code")) fold.open = open;
    button.textContent = open ? words.hide : words.show;
  };
  let open = false;
  try {
    open = localStorage.getItem(KEY) === "open";
  } catch {
    // a browser that keeps nothing
  }
  button.addEventListener("click", () => {
    show((open = !open));
    try {
      localStorage.setItem(KEY, open ? "open" : "folded");
    } catch {
      // then it is not remembered
    }
  });
  place.append(" ", button);
  show(open);
  addEventListener("DOMContentLoaded", () => show(open)); // the script stands at the head of the page
})();
