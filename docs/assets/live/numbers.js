// Random numbers as torch draws them, and the two matrix products that everything else is made of.
globalThis.rv ||= {};

// x y + z, rounded once: by what is lost in product and sum (Dekker 1971).
rv.fused = (x, y, z) => {
  const halves = (a) => {
    const far = 134217729 * a, high = far - (far - a);
    return [high, a - high];
  };
  const [a, b] = halves(x), [c, d] = halves(y), product = x * y, sum = product + z, part = sum - product;
  const lost = b * d - (product - a * c - b * c - a * d);
  return sum + (product - (sum - part) + (z - part) + lost);
};

// The Mersenne Twister, seeded and read as torch's generator on the CPU: equal seeds give torch.manual_seed's draws.
// `single` says what `real`, `fillUniform` and `fillNormal` draw: doubles, or floats as torch does by default.
rv.Twister = class {
  constructor(seed, single = false) {
    this.single = single;
    this.state = new Uint32Array(624);
    this.state[0] = seed; // torch, too, takes the low 32 bits
    for (let i = 1; i < 624; i++) {
      const x = this.state[i - 1] ^ (this.state[i - 1] >>> 30);
      this.state[i] = Math.imul(1812433253, x) + i;
    }
    this.at = 624;
    this.kept = null; // the second normal of a pair: torch keeps it for the next call
  }

  bits() {
    const s = this.state;
    if (this.at === 624) {
      for (let i = 0; i < 624; i++) {
        const x = (s[i] & 0x80000000) | (s[(i + 1) % 624] & 0x7fffffff);
        s[i] = s[(i + 397) % 624] ^ (x >>> 1) ^ (x & 1 ? 0x9908b0df : 0);
      }
      this.at = 0;
    }
    let x = s[this.at++];
    x ^= x >>> 11;
    x ^= (x << 7) & 0x9d2c5680;
    x ^= (x << 15) & 0xefc60000;
    return (x ^ (x >>> 18)) >>> 0;
  }

  // From U(0, 1): a double has 53 bits of two draws, the first of which is the upper half; a float 24 bits of one.
  uniform() {
    const high = this.bits();
    return ((high & 0x1fffff) * 4294967296 + this.bits()) / 9007199254740992;
  }
  uniform32() {
    return (this.bits() & 0xffffff) / 16777216;
  }
  real() {
    return this.single ? this.uniform32() : this.uniform();
  }
  below(count) {
    return this.bits() % count;
  }

  // From U(low, high), into all of `to`: to the last bit as torch, which rounds once, after product and sum.
  fillUniform(to, low, high) {
    const round = Math.fround, width = this.single ? round(round(high) - round(low)) : high - low;
    const float = () => round(this.uniform32() * width + round(low)); // the product of two floats is exact
    for (let i = 0; i < to.length; i++) to[i] = this.single ? float() : rv.fused(this.uniform(), width, low);
    return to;
  }

  // From N(0, 1) times `deviation`, into all of `to`: fewer than 16 one by one, more in blocks of 16, by Box and
  // Muller's method between the halves of each. Doubles are torch's to the last bit. Of floats, 16 or more differ by up
  // to 1e-6: torch takes vector code for their logarithms and cosines.
  fillNormal(to, deviation = 1) {
    const drawn = this.single ? new Float32Array(to.length) : new Float64Array(to.length);
    this._normals(drawn);
    for (let i = 0; i < to.length; i++) to[i] = this.single ? Math.fround(drawn[i] * deviation) : drawn[i] * deviation;
    return to;
  }
  _normals(to) {
    const count = to.length;
    if (count < 16) {
      for (let i = 0; i < count; i++) to[i] = this._normal();
      return;
    }
    const draw = () => this.real();
    const block = (start) => {
      for (let i = start; i < start + 8; i++) {
        const radius = Math.sqrt(-2 * Math.log(1 - to[i]));
        const angle = 2 * Math.PI * to[i + 8];
        to[i] = radius * Math.cos(angle);
        to[i + 8] = radius * Math.sin(angle);
      }
    };
    for (let i = 0; i < count; i++) to[i] = draw();
    for (let i = 0; i + 15 < count; i += 16) block(i);
    if (count % 16) {
      for (let i = count - 16; i < count; i++) to[i] = draw();
      block(count - 16);
    }
  }
  _normal() {
    const kept = this.kept;
    this.kept = null;
    if (kept !== null) return kept;
    const turn = this.uniform();
    const radius = Math.sqrt(-2 * Math.log1p(-this.uniform()));
    this.kept = radius * Math.sin(2 * Math.PI * turn);
    return radius * Math.cos(2 * Math.PI * turn);
  }
};

// C[i, j] += Σ A[i, p] B[j, p] over p below k, for i below m and j below n: A[i, p] stands at a + i ai + p ap, B[j, p]
// at b + j bj + p bp, C at c, by rows. Two rows and four columns of C at a time stay in registers.
rv.product = (A, a, ai, ap, B, b, bj, bp, C, c, m, n, k) => {
  let i = 0;
  for (; i + 1 < m; i += 2) {
    const c0 = c + i * n, c1 = c0 + n;
    let j = 0;
    for (; j + 3 < n; j += 4) {
      let s = 0, t = 0, u = 0, v = 0, w = 0, x = 0, y = 0, z = 0;
      for (let p = 0, q = a + i * ai, r = b + j * bj; p < k; p++, q += ap, r += bp) {
        const d = A[q], e = A[q + ai], f = B[r], g = B[r + bj], h = B[r + 2 * bj], l = B[r + 3 * bj];
        s += d * f; t += d * g; u += d * h; v += d * l;
        w += e * f; x += e * g; y += e * h; z += e * l;
      }
      C[c0 + j] += s; C[c0 + j + 1] += t; C[c0 + j + 2] += u; C[c0 + j + 3] += v;
      C[c1 + j] += w; C[c1 + j + 1] += x; C[c1 + j + 2] += y; C[c1 + j + 3] += z;
    }
    for (; j < n; j++) {
      let s = 0, t = 0;
      for (let p = 0, q = a + i * ai, r = b + j * bj; p < k; p++, q += ap, r += bp) {
        s += A[q] * B[r];
        t += A[q + ai] * B[r];
      }
      C[c0 + j] += s; C[c1 + j] += t;
    }
  }
  for (; i < m; i++) {
    for (let j = 0; j < n; j++) {
      let s = 0;
      for (let p = 0, q = a + i * ai, r = b + j * bj; p < k; p++, q += ap, r += bp) s += A[q] * B[r];
      C[c + i * n + j] += s;
    }
  }
};
// C[m, n] += A[m, k] B[n, k]^T, and C[m, n] += A[k, m]^T B[k, n]; a, b and c are offsets.
rv.mulNT = (A, a, B, b, C, c, m, n, k) => rv.product(A, a, k, 1, B, b, k, 1, C, c, m, n, k);
rv.mulTN = (A, a, B, b, C, c, m, n, k) => rv.product(A, a, 1, m, B, b, 1, n, C, c, m, n, k);

rv.oneOf = (name, value, known) => {
  if (!known.includes(value)) throw new RangeError(`${name}: one of ${known.join(", ")} is needed, not ${value}`);
};

// Write a matrix of so many rows and columns the other way round.
rv.transpose = (from, to, rows, columns) => {
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) to[j * rows + i] = from[i * columns + j];
};

// B[b + i] += factor A[a + i], for i below count.
rv.add = (factor, A, a, B, b, count) => {
  for (let i = 0; i < count; i++) B[b + i] += factor * A[a + i];
};
