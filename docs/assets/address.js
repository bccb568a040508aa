// What figures show stands in the address of the page, as #gate.open=0.9&draw=3, so that a link shows the same. Parts of one
// figure all begin with its `own`; a heading's address has none.
// needs: ../draw
(() => {
  const parts = () => location.hash.slice(1).split("&").filter((part) => part.includes("="));
  const address = (own, its) => {
    const all = [...parts().filter((part) => !part.startsWith(own)), ...its];
    return `${location.href.split("#")[0]}${all.length ? `#${all.join("&")}` : ""}`;
  };

  // Have a figure `arrive()` at the address, which says whether it shows another picture now: when the reader goes back or
  // forward, or follows a link of the text, at which other figures stay as they are.
  const follow = (figure, own) => {
    addEventListener("hashchange", () => (!location.hash || parts().length) && figure.arrive() && figure.scrollIntoView({ block: "nearest" }));
    document.addEventListener("click", (event) => {
      const link = event.target.closest?.(`a[href^="#${CSS.escape(own)}"]`);
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      const to = address(own, link.hash.slice(1).split("&"));
      if (to !== location.href) history.pushState(null, "", to);
      figure.arrive();
      figure.scrollIntoView({ block: "nearest" });
    });
  };

  Object.assign(window.rvDraw, { address, follow });
})();
