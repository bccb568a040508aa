// The theme fetches the search index, larger than most pages, with every page. Let it wait until a search starts.
(() => {
  const { open, send } = XMLHttpRequest.prototype;
  const waiting = new WeakSet();
  XMLHttpRequest.prototype.open = function (method, url, ...rest) {
    if (String(url).endsWith("search/search_index.json")) waiting.add(this);
    return open.call(this, method, url, ...rest);
  };
  XMLHttpRequest.prototype.send = function (body) {
    if (!waiting.has(this)) return send.call(this, body);
    const start = (event) => {
      if (!event.target.matches?.("[data-md-component=search-query]")) return;
      document.removeEventListener("focusin", start);
      send.call(this, body);
    };
    document.addEventListener("focusin", start);
  };
})();
