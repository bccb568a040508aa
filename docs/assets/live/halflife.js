// How much of the gradient is left at each lag, and in how many steps half of it is lost.
// needs: network
globalThis.rv ||= {};

// The gain at each lag of a network that has run backward, as rnnvanish.probes.retention has it: the size of the whole state's
// gradient beside that at the end, geometric mean over the sequences whose end has one. The loss has to read the end alone.
rv.gain = (net, index = net.layers - 1) => {
  const { dH, dC } = net.layer(index), { batch, units, steps, timeSkip, timeWeight } = net;
  const norms = (part) => Float64Array.from({ length: (steps + 1) * batch }, (_, row) => rv.norm(part, row * units, units));
  const h = norms(dH), c = dC ? norms(dC) : null;
  // What is kept for a skip through time is a part of the state: an output that is `age` steps old at step t has its say at
  // step t - age + timeSkip alone, times the weight of the skip.
  const size = (t, b) => {
    const parts = [h[t * batch + b], c ? c[t * batch + b] : 0];
    for (let age = 1; age < timeSkip; age++) {
      const says = t - age + timeSkip;
      if (says <= steps) parts.push(timeWeight * h[says * batch + b]);
    }
    return Math.hypot(...parts);
  };
  const read = Array.from({ length: batch }, (_, b) => b).filter((b) => size(steps, b) > 0);
  return Float64Array.from({ length: steps }, (_, lag) => {
    const logs = read.map((b) => Math.log(size(steps - lag, b) / size(steps, b)));
    return Math.exp(logs.reduce((sum, log) => sum + log, 0) / read.length);
  });
};

// Steps in which half is lost: ln 2 over the slope of ln gain against the lag, fitted from lag 1 on. Infinity where nothing
// is lost, 0 where nothing passes a single step, NaN where nothing was measured.
rv.halfLife = (gain) => {
  const passed = Array.from(gain, (left, lag) => [lag, Math.log(left)]).filter(([, log]) => Number.isFinite(log));
  const later = passed.filter(([lag]) => lag > 0), points = later.length > 1 ? later : passed;
  if (points.length < 2) return gain[1] === 0 ? 0 : NaN;
  const mean = (k) => points.reduce((sum, point) => sum + point[k], 0) / points.length;
  const [x, y] = [mean(0), mean(1)];
  const rate = points.reduce((sum, [a, b]) => sum + (a - x) * (b - y), 0) / points.reduce((sum, [a]) => sum + (a - x) ** 2, 0);
  return rate < 0 ? Math.LN2 / -rate : Infinity;
};
