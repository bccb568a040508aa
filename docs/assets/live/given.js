// What a page has embedded for one of its figures, with rnnvanish.plots.embed.
globalThis.rv ||= {};

rv.given = (figure) => JSON.parse(figure.querySelector("template:not(.rv-numbers)").content.textContent);
