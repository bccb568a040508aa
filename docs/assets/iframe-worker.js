// Search from file://. The theme searches in a worker, and no browser starts one there: so its script runs in a hidden
// frame, and messages go back and forth as the Web Workers specification has them, copied and one after the other.
// The worker of an English site loads nothing by `importScripts`, so there is none.
window.rvFrameWorker = class extends EventTarget {
  constructor(url) {
    super();
    this.frame = document.createElement("iframe");
    this.frame.hidden = true;
    this.started = new Promise((start, fail) => {
      this.frame.addEventListener("load", () => this.run(url, start, fail), { once: true });
    });
    this.started.catch((error) => this.dispatchEvent(new ErrorEvent("error", { message: error.message, error })));
    document.body.append(this.frame);
  }

  run(url, start, fail) {
    const inside = this.frame.contentWindow;
    inside.postMessage = (data) => this.tell(this, data);
    const script = inside.document.createElement("script");
    script.addEventListener("load", () => start(inside));
    script.addEventListener("error", () => fail(new Error(`The script of the search, ${url}, does not load.`)));
    script.src = new URL(url, document.baseURI);
    inside.document.head.append(script);
  }

  tell(target, data) {
    const message = new MessageEvent("message", { data: structuredClone(data) });
    setTimeout(() => target.dispatchEvent(message)); // never before the call that sent it has returned
  }

  postMessage(data) {
    this.started.then((inside) => this.tell(inside, data), () => {});
  }

  terminate() {
    this.frame.remove();
  }
};
