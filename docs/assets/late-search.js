// The theme loads its search, larger than most pages, with every page. Let it wait until a search starts; and with it what
// takes the place of its worker on file://.
(() => {
  const here = document.currentScript.src;
  const started = new Promise((start) => {
    document.addEventListener("focusin", (event) => {
      if (event.target.matches?.("[data-md-component=search-query]")) start();
    });
  });

  const { Worker } = window;
  const kind = started.then(() => location.protocol !== "file:" ? Worker : new Promise((done) => {
    const script = document.createElement("script");
    script.src = here.replace("late-search", "iframe-worker");
    script.onload = () => done(window.rvFrameWorker);
    document.head.append(script);
  }));
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.worker = kind.then((Kind) => {
        const worker = new Kind(url);
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
