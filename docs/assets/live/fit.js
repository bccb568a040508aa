// Words of a drawing that fit a narrow screen.
globalThis.rv ||= {};

(() => {
  const APART = 4; // pixels between two on one line

  const shrink = (text, factor) => (text.style.fontSize = `${parseFloat(getComputedStyle(text).fontSize) * factor}px`);

  // Print those smaller that would run over a side of their <svg>, or one that ends a line into the one that begins it.
  rv.fit = (svg) => {
    const width = svg.viewBox.baseVal?.width || svg.clientWidth, texts = [...svg.querySelectorAll("text")];
    const measure = () => texts.map((text) => text.getBBox()); // all at once: each change lays them out anew
    measure().forEach(({ x, width: wide }, k) => {
      const over = (texts[k].getAttribute("text-anchor") === "middle" ? 2 : 1) * Math.max(x + wide - width, -x);
      if (over > 0.5 && over < wide) shrink(texts[k], (wide - over) / wide);
    });
    const boxes = measure();
    texts.forEach((text, k) => {
      const [one, other] = [boxes[k], boxes[k + 1]];
      if (!other || text.getAttribute("y") !== texts[k + 1].getAttribute("y")) return;
      const over = one.x + one.width + APART - other.x, both = one.width + other.width;
      if (over > 0 && one.x < other.x && over < both / 2) for (const each of [text, texts[k + 1]]) shrink(each, (both - over) / both);
    });
  };
})();
