// What is in the fold below a figure: save it as SVG, as PNG, or its numbers. Of a figure to drag also: copy a link to what
// it shows. What is saved looks as it does on the page, in its colours. See figure_numbers.py for the numbers of a figure.
(() => {
  const { svg, html } = window.rvDraw;
  const words = window.rvWords.figure;
  const STYLES = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-opacity", "opacity",
    "font-size", "font-weight", "font-family", "text-anchor"];
  const NAME = location.pathname.split("/").pop().replace(/\.html$/, "") || "index";
  const EDGE = 8; // pixels around
  const SHARP = 3; // pixels of a PNG for one of the page

  // A copy of a drawing that needs nothing of the page: its colours written out, on the page's own ground.
  const standalone = (drawing) => {
    const copy = drawing.cloneNode(true);
    const from = [drawing, ...drawing.querySelectorAll("*")];
    [copy, ...copy.querySelectorAll("*")].forEach((element, i) => {
      const style = getComputedStyle(from[i]);
      for (const name of STYLES) element.style.setProperty(name, style.getPropertyValue(name));
      for (const name of ["class", "fill", "stroke"]) element.removeAttribute(name);
    });
    const [box, own] = [drawing.getBBox(), drawing.viewBox.baseVal];
    const left = Math.min(box.x, own.x) - EDGE;
    const top = Math.min(box.y, own.y) - EDGE;
    const width = Math.max(box.x + box.width, own.x + own.width) - left + EDGE;
    const height = Math.max(box.y + box.height, own.y + own.height) - top + EDGE;
    const scale = drawing.getBoundingClientRect().width / own.width || 1;
    copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    copy.setAttribute("viewBox", `${left} ${top} ${width} ${height}`);
    copy.setAttribute("width", width * scale);
    copy.setAttribute("height", height * scale);
    copy.removeAttribute("style");
    copy.setAttribute("font-family", getComputedStyle(drawing).fontFamily);
    const ground = getComputedStyle(document.body).backgroundColor;
    copy.prepend(svg("rect", { x: left, y: top, width, height, fill: ground }));
    return new XMLSerializer().serializeToString(copy);
  };

  const save = (content, type, ending, number) => {
    const link = html("a", { href: URL.createObjectURL(new Blob([content], { type })), download: `${NAME}-${number}.${ending}` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };

  const savePng = (text, number) => {
    const image = new Image();
    image.addEventListener("load", () => {
      const canvas = html("canvas", { width: image.width * SHARP, height: image.height * SHARP });
      const pen = canvas.getContext("2d");
      pen.scale(SHARP, SHARP);
      pen.drawImage(image, 0, 0, image.width, image.height);
      canvas.toBlob((blob) => save(blob, "image/png", "png", number));
    });
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
  };

  const copyLink = async (address, said) => {
    try {
      await navigator.clipboard.writeText(address);
      said.textContent = words.copied;
    } catch {
      said.textContent = address; // a page from the disk has no clipboard: to copy by hand
    }
  };

  window.rvSaveFigure = (bar, figure, number) => {
    const drawing = () => figure.querySelector(":scope > svg") ?? figure.querySelector("svg");
    const inside = html("div");
    const said = html("span");
    said.setAttribute("role", "status");
    const button = (text, act) => {
      const made = html("button", { type: "button", className: "rv-small", textContent: text });
      made.addEventListener("click", act);
      inside.append(made, " ");
    };
    const numbers = () => figure.numbers?.() ?? figure.querySelector("template.rv-numbers")?.content.textContent;
    if (drawing()) {
      button(words.svg, () => save(standalone(drawing()), "image/svg+xml", "svg", number));
      button(words.png, () => savePng(standalone(drawing()), number));
    }
    if (numbers()) button(words.data, () => save(numbers(), "text/csv", "csv", number));
    if (figure.address) button(words.link, () => copyLink(figure.address(), said));
    inside.append(said);
    bar.append(inside);
  };
})();
