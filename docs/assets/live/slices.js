// Work in slices, between which the page draws and answers; and compiling it in idle time.
globalThis.rv ||= {};

// Call `work(end)` until it returns false, in slices of at most `most` milliseconds, one a frame; a slice ends once
// performance.now() is past `end`. `shown(last)` is called after each, in the next frame: a slice is a task of its own, so
// that the page never computes, draws and lays out in one go. Returns what stops it.
rv.slices = (work, shown = () => {}, most = 12) => {
  let live = true;
  const slice = () => {
    if (!live) return;
    const end = performance.now() + most;
    let more = true;
    do more = work(end);
    while (more && live && performance.now() < end);
    requestAnimationFrame(() => {
      if (!live) return;
      shown(!more);
      if (more && live) setTimeout(slice);
    });
  };
  setTimeout(slice);
  return () => {
    live = false;
  };
};

// The first steps of a network run uncompiled, and take ten times as long as the hundredth: run small ones while the
// page is idle. Returns a promise.
rv.warm = (shape = {}, steps = 120) =>
  new Promise((ready) => {
    const net = new rv.Network({ ...shape, steps: 4, batch: 8 });
    const idle = globalThis.requestIdleCallback ?? ((work) => setTimeout(work, 1));
    const some = () => {
      const end = performance.now() + 8;
      do {
        net.forward();
        net.backward();
      } while (--steps > 0 && performance.now() < end);
      steps > 0 ? idle(some) : ready();
    };
    idle(some);
  });
