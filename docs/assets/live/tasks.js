// The tasks, and the very batches that rnnvanish draws at a seed.
// needs: numbers
globalThis.rv ||= {};

(() => {
  const NOISE = 0.5; // of the recall task
  const SYMBOLS = 10; // to copy

  // Each has the `shape` of a network at a lag, how long something has to be remembered; the `options` of rnnvanish's
  // task at that lag; the loss of remembering nothing (`floor`); and `sample`, which fills x and y of a network.
  rv.tasks = {
    // The first input is 1 or -1, noise follows; which was it?
    recall: {
      shape: (lag) => ({ inputs: 1, outputs: 2, steps: lag + 1 }),
      options: (lag) => ({ length: lag + 1 }),
      floor: () => Math.LN2,
      least: 1,
      sample({ x, y, batch }, random) {
        for (let b = 0; b < batch; b++) y[b] = random.below(2);
        random.fillNormal(x, NOISE);
        for (let b = 0; b < batch; b++) x[b] = 2 * y[b] - 1;
      },
    },
    // Two of many numbers are marked, one in each half; what is their sum?
    adding: {
      shape: (lag) => ({ inputs: 2, outputs: 1, steps: lag + 1, readout: "linear" }),
      options: (lag) => ({ length: lag + 1 }),
      floor: () => 1 / 6,
      least: 1,
      sample({ x, y, batch, steps }, random) {
        for (let i = 0; i < x.length; i += 2) [x[i], x[i + 1]] = [random.real(), 0];
        const half = steps >> 1;
        y.fill(0);
        for (const [from, count] of [[0, half], [half, steps - half]])
          for (let b = 0; b < batch; b++) {
            const at = 2 * ((from + random.below(count)) * batch + b);
            x[at + 1] = 1;
            y[b] += x[at];
          }
        if (random.single) for (let b = 0; b < batch; b++) y[b] = Math.fround(y[b]);
      },
    },
    // Ten symbols, blanks, a signal: after it, write down the ten.
    copying: {
      shape: (lag) => ({ inputs: 10, outputs: 9, steps: lag + SYMBOLS, answers: "every", scored: SYMBOLS }),
      options: (lag) => ({ delay: lag - SYMBOLS }),
      floor: (lag) => (SYMBOLS * Math.log(8)) / (lag + SYMBOLS),
      least: SYMBOLS + 1,
      sample({ x, y, batch, steps }, random) {
        x.fill(0);
        y.fill(0);
        for (let t = 0; t < steps; t++) {
          const signal = t === steps - SYMBOLS - 1 ? 9 : 0;
          for (let b = 0; b < batch; b++) {
            const symbol = t < SYMBOLS ? 1 + random.below(8) : signal;
            x[(t * batch + b) * 10 + symbol] = 1;
            if (t < SYMBOLS) y[(steps - SYMBOLS + t) * batch + b] = symbol;
          }
        }
      },
    },
  };

  // rnnvanish.task.stream: the random stream of a name, by its SHA-256.
  rv.stream = (...name) => {
    const parts = name.map((part) => (typeof part === "string" ? `'${part}'` : String(part)));
    const words = sha256(`(${parts.join(", ")}${parts.length === 1 ? "," : ""})`);
    return new rv.Twister((words[0] << 24) | (words[1] >>> 8), true); // of the first seven bytes torch reads four
  };

  // Fill x and y of a network with a batch of rnnvanish's TaskData: rv.batch(task, net, "train", seed, epoch, index),
  // or (task, net, "test", seed). Normal numbers are equal to 4e-7, all others to the last bit.
  rv.batch = (task, net, part, ...place) => {
    const random = rv.stream(...place);
    const high = BigInt(random.bits() & 0x3fffffff); // torch.randint(2**62)
    task.sample(net, rv.stream(part, (high << 32n) | BigInt(random.bits())));
  };

  // SHA-256 of up to 55 characters, as eight words. Its constants are the first bits of roots of the first primes.
  const primes = [];
  for (let n = 2; primes.length < 64; n++) if (primes.every((p) => n % p)) primes.push(n);
  const bits = (root) => ((root % 1) * 4294967296) | 0;
  const K = primes.map((p) => bits(Math.cbrt(p)));
  const sha256 = (text) => {
    if (text.length > 55) throw new RangeError("sha256 takes at most 55 characters");
    const w = new Int32Array(64), turn = (x, n) => (x >>> n) | (x << (32 - n));
    [...text, "\x80"].forEach((letter, i) => { w[i >> 2] |= letter.charCodeAt(0) << (24 - 8 * (i & 3)); });
    w[15] = 8 * text.length;
    for (let i = 16; i < 64; i++) {
      const a = w[i - 15], b = w[i - 2];
      w[i] = w[i - 16] + (turn(a, 7) ^ turn(a, 18) ^ (a >>> 3)) + w[i - 7] + (turn(b, 17) ^ turn(b, 19) ^ (b >>> 10));
    }
    const start = primes.slice(0, 8).map((p) => bits(Math.sqrt(p)));
    let [a, b, c, d, e, f, g, h] = start;
    for (let i = 0; i < 64; i++) {
      const one = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + K[i] + w[i]) | 0;
      const two = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      [a, b, c, d, e, f, g, h] = [(one + two) | 0, a, b, c, (d + one) | 0, e, f, g];
    }
    return [a, b, c, d, e, f, g, h].map((x, i) => (x + start[i]) >>> 0);
  };
})();
