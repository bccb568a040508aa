// The theme loads its search, larger than most pages, with every page. Let it wait until a search starts.
(() => {
  const started = new Promise((start) => {
    document.addEventListener("focusin", (event) => {
      if (event.target.matches?.("[data-md-component=search-query]")) start();
    });
  });

  const { Worker } = window; // on file:// that of iframe-worker.js
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.worker = started.then(() => {
        const worker = new Worker(url);
        worker.addEventListener("message", ({ data }) => this.dispatchEvent(new MessageEvent("message", { data })));
        return worker;
      });
    }

    postMessage(message) {
      this.worker.then((worker) => worker.postMessage(message));
    }
  };

  const { open, send } = XMLHttpRequest.prototype;
  const late = new WeakSet();
  XMLHttpRequest.prototype.open = function (method, url, ...rest) {
    if (String(url).endsWith("search/search_index.json")) late.add(this);
    return open.call(this, method, url, ...rest);
  };
  XMLHttpRequest.prototype.send = function (body) {
    if (late.has(this)) started.then(() => send.call(this, body));
    else send.call(this, body);
  };
})();
