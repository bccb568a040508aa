// What every page has: words that a touch explains, folds that open on paper, and mends of the theme for the keyboard.
"use strict";

(() => {
  const { html } = window.rvDraw;
  const words = window.rvWords.page;

  // Where nothing hovers, a touch explains a word, and a second one follows its link.
  document.addEventListener("click", (event) => {
    const word = event.target.closest?.("a.rv-term");
    for (const note of document.querySelectorAll(".rv-explained")) if (note.previousSibling !== word) note.remove();
    if (!word || !matchMedia("(hover: none)").matches || word.nextSibling?.className === "rv-explained") return;
    event.preventDefault();
    const note = html("span", { className: "rv-explained", textContent: ` ${word.dataset.said} ` });
    note.setAttribute("role", "note");
    note.append(html("a", { href: word.href, textContent: words.glossary }));
    word.after(note);
  }, true);

  // On paper every fold is open, and afterwards as it was.
  addEventListener("beforeprint", () => {
    for (const fold of document.querySelectorAll("details:not([open], .rv-save)")) fold.open = fold.dataset.printed = true;
  });
  addEventListener("afterprint", () => {
    for (const fold of document.querySelectorAll("details[data-printed]")) {
      fold.open = false;
      delete fold.dataset.printed;
    }
  });

  // What scrolls must take the keyboard, and the tool bar of a code block is no landmark.
  const tidy = () => {
    for (const bar of document.querySelectorAll("nav.md-code__nav")) bar.setAttribute("role", "none");
    for (const box of document.querySelectorAll(".md-typeset :is(.md-typeset__scrollwrap, pre, pre > code), .rv-math")) {
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  };
  // What a live figure draws and says has no such box but in its fold, and comes many times a second.
  const live = ({ target }) => target.closest(".rv-live") && !target.closest("details");
  new MutationObserver((changes) => changes.every(live) || requestAnimationFrame(tidy)).observe(document.body, { childList: true, subtree: true });
  addEventListener("resize", tidy);
  document.addEventListener("toggle", tidy, true); // a fold that opens
  tidy();
})();
