// Orthogonal matrices, as torch draws them.
// needs: numbers
globalThis.rv ||= {};

// torch.nn.init.orthogonal_ of a matrix with no fewer rows than columns: the Q of a normal matrix, with the signs
// that make R's diagonal positive. Each column is made orthogonal to those before it twice: once is not exact enough.
rv.orthogonal = (to, rows, columns, random, gain = 1) => {
  const count = rows * columns;
  const q = random.fillNormal(new Float64Array(count));
  for (let j = 0; j < columns; j++) {
    for (let k = 0; k < 2 * j; k++) {
      let dot = 0;
      for (let i = 0; i < count; i += columns) dot += q[i + (k % j)] * q[i + j];
      for (let i = 0; i < count; i += columns) q[i + j] -= dot * q[i + (k % j)];
    }
    let norm = 0;
    for (let i = j; i < count; i += columns) norm += q[i] * q[i];
    for (let i = j; i < count; i += columns) q[i] /= Math.sqrt(norm);
  }
  for (let i = 0; i < count; i++) to[i] = random.single ? Math.fround(gain * q[i]) : gain * q[i];
};
