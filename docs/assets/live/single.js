// Single precision: every operation rounded, in torch's order, so that gradients become zero where torch's do.
// needs: network
globalThis.rv ||= {};

(() => {
  const f = Math.fround;
  const sigmoid = (x) => f(1 / f(1 + f(Math.exp(-x))));
  const tanh = (x) => f(Math.tanh(x));
  // What a gradient becomes on its way back through y = σ(x) and y = tanh(x).
  const sigmoidBack = (g, y) => f(f(g * f(1 - y)) * y);
  const tanhBack = (g, y) => f(g * f(1 - f(y * y)));
  const SLOPES = { relu: 0, leaky_relu: f(0.01) };

  // rv.mulNT and rv.mulTN, rounded after each multiply-add, as processors do that fuse the two. torch's library sums in
  // another order: the last step that gets a gradient may differ by one, as torch's own does with the size of a batch.
  const product = (A, a, aRow, aNext, B, b, bRow, bNext, C, c, m, n, k) => {
    for (let i = 0; i < m; i++)
      for (let j = 0; j < n; j++) {
        let sum = 0;
        for (let p = 0, q = a + i * aRow, r = b + j * bRow; p < k; p++, q += aNext, r += bNext)
          sum = f(sum + A[q] * B[r]);
        C[c + i * n + j] += sum;
      }
  };

  const cells = {
    Elman: {
      forward(layer, t) {
        const { units, batch, A, R, H, activation } = layer, count = batch * units, a = t * count, h = a + count;
        const below = SLOPES[activation] ?? layer.weights.slope?.[0];
        for (let i = 0; i < count; i++) {
          const v = f(A[a + i] + R[i]);
          H[h + i] = activation === "tanh" ? tanh(v) : activation === "sigmoid" ? sigmoid(v) : v > 0 ? v : below * v;
          A[a + i] = below === undefined ? H[h + i] : v;
        }
      },
      backward(layer, t) {
        const { units, batch, A, dA, dH, activation } = layer, count = batch * units, a = t * count, h = a + count;
        const below = SLOPES[activation] ?? layer.weights.slope?.[0];
        for (let i = 0; i < count; i++) {
          const g = dH[h + i], y = A[a + i];
          if (below === undefined) dA[a + i] = activation === "tanh" ? tanhBack(g, y) : sigmoidBack(g, y);
          else dA[a + i] = y > 0 ? g : below * g;
          if (activation === "prelu" && !(y > 0)) layer.grads.slope[0] += g * y;
        }
      },
    },
    LSTM: {
      forward({ units: n, batch, A, R, H, C, kept }, t) {
        for (let k = 0; k < batch * n; k++) {
          const u = k % n, r = 4 * k - 3 * u, a = t * batch * 4 * n + r, s = t * batch * n + k;
          const gate = (at, squash) => (A[a + at * n] = squash(f(A[a + at * n] + R[r + at * n])));
          const i = gate(0, sigmoid), g = gate(2, tanh);
          C[s + batch * n] = f(gate(1, sigmoid) * C[s]) + f(i * g);
          kept[s] = tanh(C[s + batch * n]);
          H[s + batch * n] = gate(3, sigmoid) * kept[s];
        }
      },
      backward({ units: n, batch, A, dA, C, dC, dH, kept }, t) {
        for (let k = 0; k < batch * n; k++) {
          const a = t * batch * 4 * n + 4 * k - 3 * (k % n), s = t * batch * n + k, next = s + batch * n;
          const i = A[a], forget = A[a + n], g = A[a + 2 * n], o = A[a + 3 * n];
          const dc = f(dC[next] + tanhBack(f(dH[next] * o), kept[s]));
          dA[a] = sigmoidBack(f(dc * g), i);
          dA[a + n] = sigmoidBack(f(dc * C[s]), forget);
          dA[a + 2 * n] = tanhBack(f(dc * i), g);
          dA[a + 3 * n] = sigmoidBack(f(dH[next] * kept[s]), o);
          dC[s] = dc * forget;
        }
      },
    },
    GRU: {
      forward({ units: n, batch, A, R, H, kept }, t) {
        for (let k = 0; k < batch * n; k++) {
          const at = 3 * k - 2 * (k % n), a = t * batch * 3 * n + at, s = t * batch * n + k;
          const r = (A[a] = sigmoid(f(A[a] + R[at]))), z = (A[a + n] = sigmoid(f(A[a + n] + R[at + n])));
          kept[s] = R[at + 2 * n];
          const c = (A[a + 2 * n] = tanh(f(A[a + 2 * n] + f(r * kept[s]))));
          H[s + batch * n] = f(f(1 - z) * c) + f(z * H[s]);
        }
      },
      backward({ units: n, batch, A, dA, dR, H, dH, kept }, t) {
        for (let k = 0; k < batch * n; k++) {
          const a = t * batch * 3 * n + 3 * k - 2 * (k % n), s = t * batch * n + k, dh = dH[s + batch * n];
          const r = A[a], z = A[a + n], c = A[a + 2 * n], dn = tanhBack(f(dh * f(1 - z)), c);
          dR[a] = dA[a] = sigmoidBack(f(dn * kept[s]), r);
          dR[a + n] = dA[a + n] = sigmoidBack(f(f(dh * H[s]) - f(dh * c)), z);
          dA[a + 2 * n] = dn;
          dR[a + 2 * n] = dn * r;
          dH[s] += f(dh * z);
        }
      },
    },
  };
  for (const name in cells) cells[name].gates = rv.cells[name].gates;

  // What rv.Network takes in place of the functions of numbers.js and cells.js; arrays of floats round what is kept.
  rv.single = {
    cells,
    mulNT: (A, a, B, b, C, c, m, n, k) => product(A, a, k, 1, B, b, k, 1, C, c, m, n, k),
    mulTN: (A, a, B, b, C, c, m, n, k) => product(A, a, 1, m, B, b, 1, n, C, c, m, n, k),
    add: (factor, A, a, B, b, count) => {
      for (let i = 0; i < count; i++) B[b + i] += f(f(factor) * A[a + i]);
    },
  };
})();
