// The cells, a step forward and a step back of a whole batch, with torch's equations and order of gates.
// needs: numbers
globalThis.rv ||= {};

(() => {
  const sigmoid = (x) => 1 / (1 + Math.exp(-x));
  const RECTIFIERS = { relu: 0, leaky_relu: 0.01 };
  const slope = (layer) => RECTIFIERS[layer.activation] ?? layer.weights.slope[0];

  // Each works on a layer of network.js. Before `forward` A holds what the inputs make of the gates of step t, R what
  // the state before makes of them; after it A holds the gates. `backward` reads dH and dC after step t, writes dA and
  // dR, the gradients by A and R, and adds to dH and dC of the step before what does not come through R.
  rv.cells = {
    // h ← φ(a + r)
    Elman: {
      gates: ["h"],
      forward(layer, t) {
        const { units, batch, A, R, H, activation } = layer;
        const count = batch * units, a = t * count, h = a + count;
        if (activation === "tanh") {
          for (let i = 0; i < count; i++) H[h + i] = A[a + i] = Math.tanh(A[a + i] + R[i]);
        } else if (activation === "sigmoid") {
          for (let i = 0; i < count; i++) H[h + i] = A[a + i] = sigmoid(A[a + i] + R[i]);
        } else {
          const below = slope(layer);
          for (let i = 0; i < count; i++) {
            const v = (A[a + i] += R[i]);
            H[h + i] = v > 0 ? v : below * v;
          }
        }
      },
      backward(layer, t) {
        const { units, batch, A, dA, dH, activation } = layer;
        const count = batch * units, a = t * count, h = a + count;
        if (activation === "tanh") {
          for (let i = 0; i < count; i++) dA[a + i] = dH[h + i] * (1 - A[a + i] * A[a + i]);
        } else if (activation === "sigmoid") {
          for (let i = 0; i < count; i++) dA[a + i] = dH[h + i] * (1 - A[a + i]) * A[a + i];
        } else {
          const below = slope(layer);
          let sum = 0;
          for (let i = 0; i < count; i++) {
            const above = A[a + i] > 0;
            dA[a + i] = above ? dH[h + i] : below * dH[h + i];
            if (!above) sum += dH[h + i] * A[a + i];
          }
          if (activation === "prelu") layer.grads.slope[0] += sum;
        }
      },
    },

    // i, f, o = σ(a + r), g = tanh(a + r);  c ← f c + i g;  h ← o tanh(c)
    LSTM: {
      gates: ["i", "f", "g", "o"],
      forward({ units: n, batch, A, R, H, C, kept }, t) {
        for (let b = 0; b < batch; b++) {
          const r = b * 4 * n, a = t * batch * 4 * n + r, s = (t * batch + b) * n, next = s + batch * n;
          for (let u = 0; u < n; u++) {
            const i = (A[a + u] = sigmoid(A[a + u] + R[r + u]));
            const f = (A[a + n + u] = sigmoid(A[a + n + u] + R[r + n + u]));
            const g = (A[a + 2 * n + u] = Math.tanh(A[a + 2 * n + u] + R[r + 2 * n + u]));
            const o = (A[a + 3 * n + u] = sigmoid(A[a + 3 * n + u] + R[r + 3 * n + u]));
            C[next + u] = f * C[s + u] + i * g;
            kept[s + u] = Math.tanh(C[next + u]);
            H[next + u] = o * kept[s + u];
          }
        }
      },
      backward({ units: n, batch, A, dA, C, dC, dH, kept }, t) {
        for (let b = 0; b < batch; b++) {
          const a = (t * batch + b) * 4 * n, s = (t * batch + b) * n, next = s + batch * n;
          for (let u = 0; u < n; u++) {
            const i = A[a + u], f = A[a + n + u], g = A[a + 2 * n + u], o = A[a + 3 * n + u];
            const y = kept[s + u], dh = dH[next + u];
            const dc = dC[next + u] + dh * o * (1 - y * y);
            dA[a + u] = dc * g * i * (1 - i);
            dA[a + n + u] = dc * C[s + u] * f * (1 - f);
            dA[a + 2 * n + u] = dc * i * (1 - g * g);
            dA[a + 3 * n + u] = dh * y * o * (1 - o);
            dC[s + u] = dc * f;
          }
        }
      },
    },

    // r, z = σ(a + r);  n = tanh(a + r̂ r), r̂ the reset;  h ← (1 − z) n + z h
    GRU: {
      gates: ["r", "z", "n"],
      forward({ units: n, batch, A, R, H, kept }, t) {
        for (let b = 0; b < batch; b++) {
          const k = b * 3 * n, a = t * batch * 3 * n + k, s = (t * batch + b) * n, next = s + batch * n;
          for (let u = 0; u < n; u++) {
            const r = (A[a + u] = sigmoid(A[a + u] + R[k + u]));
            const z = (A[a + n + u] = sigmoid(A[a + n + u] + R[k + n + u]));
            kept[s + u] = R[k + 2 * n + u];
            const c = (A[a + 2 * n + u] = Math.tanh(A[a + 2 * n + u] + r * R[k + 2 * n + u]));
            H[next + u] = (1 - z) * c + z * H[s + u];
          }
        }
      },
      backward({ units: n, batch, A, dA, dR, H, dH, kept }, t) {
        for (let b = 0; b < batch; b++) {
          const a = (t * batch + b) * 3 * n, s = (t * batch + b) * n, next = s + batch * n;
          for (let u = 0; u < n; u++) {
            const r = A[a + u], z = A[a + n + u], c = A[a + 2 * n + u], dh = dH[next + u];
            const dn = dh * (1 - z) * (1 - c * c);
            dR[a + u] = dA[a + u] = dn * kept[s + u] * r * (1 - r);
            dR[a + n + u] = dA[a + n + u] = dh * (H[s + u] - c) * z * (1 - z);
            dA[a + 2 * n + u] = dn;
            dR[a + 2 * n + u] = dn * r;
            dH[s + u] += dh * z;
          }
        }
      },
    },
  };
})();
