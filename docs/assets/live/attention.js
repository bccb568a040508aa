// Attention over past states: each step with an answer looks back at all steps so far, as AttentionOverPast() does.
// needs: network
globalThis.rv ||= {};

//   e_ts = v · tanh(W h_t + U h_s)      W, U, v: query, key, match; s ≤ t
//   p_t  = softmax over s of e_ts
//   y_t  = h_t + Σ_s p_ts h_s           what the read-out reads
rv.Attention = class {
  constructor({ steps, batch, units, answers }) {
    const first = answers === "last" ? steps - 1 : 0, asked = (steps - first) * batch, size = units * units;
    Object.assign(this, { steps, batch, units, first });
    this.shapes = { "query.weight": [units, units], "key.weight": [units, units], "match.weight": [1, units] };
    const arrays = (names, length) => names.forEach((name) => { this[name] = new Float64Array(length); });
    arrays(["outputs", "dOutputs", "queries", "dQueries"], asked * units);
    arrays(["keys", "dKeys"], steps * batch * units);
    arrays(["p"], asked * steps); // [t - first][sequence][s]
    arrays(["dp"], steps);
    arrays(["turned"], size);
  }

  // Call `work` for every answer of every sequence, with the places of its query and its weights; in pieces.
  *_answers(work) {
    let done = 0;
    for (let t = this.first; t < this.steps; t++)
      for (let b = 0; b < this.batch; b++) {
        const row = (t - this.first) * this.batch + b;
        work(t, b, row * this.units, row * this.steps);
        done += 20 * t * this.units; // a tanh and what goes with it takes as long as so many multiplications
        if (done > rv.PIECE) {
          done = 0;
          yield;
        }
      }
    yield;
  }

  *forward(H, weights) {
    const { batch, units: n, steps, first, queries, keys, p, outputs } = this, match = weights["match.weight"];
    const start = first * batch * n;
    keys.fill(0);
    queries.fill(0);
    for (let t = 0; t < steps; t++) {
      const at = t * batch * n;
      rv.mulNT(H, at, weights["key.weight"], 0, keys, at, batch, n, n);
      if (t >= first) rv.mulNT(H, at, weights["query.weight"], 0, queries, at - start, batch, n, n);
      yield;
    }
    outputs.set(H.subarray(start));
    yield* this._answers((t, b, q, at) => {
      let most = -Infinity, sum = 0;
      for (let s = 0; s <= t; s++) {
        const k = (s * batch + b) * n;
        let fit = 0;
        for (let u = 0; u < n; u++) fit += match[u] * Math.tanh(queries[q + u] + keys[k + u]);
        p[at + s] = fit;
        most = Math.max(most, fit);
      }
      for (let s = 0; s <= t; s++) sum += p[at + s] = Math.exp(p[at + s] - most);
      for (let s = 0; s <= t; s++) {
        p[at + s] /= sum;
        rv.add(p[at + s], H, (s * batch + b) * n, outputs, q, n);
      }
    });
  }

  // From dOutputs to the gradients of the weights, and to dH, that of what was attended to.
  *backward(H, dH, weights, grads) {
    const { batch, units: n, steps, first, queries, dQueries, keys, dKeys, p, dp, dOutputs, turned } = this;
    const match = weights["match.weight"], dMatch = grads["match.weight"], start = first * batch * n;
    dKeys.fill(0);
    dQueries.fill(0);
    rv.add(1, dOutputs, 0, dH, start, dOutputs.length);
    yield* this._answers((t, b, q, at) => {
      let mean = 0;
      for (let s = 0; s <= t; s++) {
        const h = (s * batch + b) * n;
        dp[s] = 0;
        for (let u = 0; u < n; u++) dp[s] += dOutputs[q + u] * H[h + u];
        mean += p[at + s] * dp[s];
        rv.add(p[at + s], dOutputs, q, dH, h, n);
      }
      for (let s = 0; s <= t; s++) {
        const k = (s * batch + b) * n, dFit = p[at + s] * (dp[s] - mean);
        for (let u = 0; u < n; u++) {
          const y = Math.tanh(queries[q + u] + keys[k + u]), d = dFit * match[u] * (1 - y * y);
          dMatch[u] += dFit * y;
          dQueries[q + u] += d;
          dKeys[k + u] += d;
        }
      }
    });
    for (const [name, d, from] of [["query.weight", dQueries, first], ["key.weight", dKeys, 0]]) {
      rv.transpose(weights[name], turned, n, n);
      for (let t = from; t < steps; t++) {
        const at = t * batch * n, own = at - from * batch * n;
        rv.mulTN(d, own, H, at, grads[name], 0, n, n, batch);
        rv.mulNT(d, own, turned, 0, dH, at, batch, n, n);
        yield;
      }
    }
  }
};
