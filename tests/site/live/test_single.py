"""Single precision in the browser: the gradient becomes zero at the step where torch's does, or one beside it."""

import pytest
import torch
from live_oracle import batch, gradients, run, weights

CASES = [
    ("Elman", "tanh", 200, 0.7),
    ("Elman", "sigmoid", 100, 1.0),
    ("Elman", "leaky_relu", 150, 0.8),
    ("LSTM", "tanh", 120, 0.5),
    ("GRU", "tanh", 120, 0.5),
]
COMPUTE = """(c) => {
  const net = new rv.Network({ ...c.config, single: true });
  for (const name in c.weights) net.weights[name].set(c.weights[name]);
  net.x.set(c.x);
  net.y.set(c.y);
  net.forward();
  net.backward();
  const { dH, dC } = net.layer(0);
  return [net.loss, ...[dH, dC].filter(Boolean).map((d) => [...d])];
}"""


@pytest.mark.parametrize(("cell", "activation", "steps", "gain"), CASES)
def test_becomes_zero_where_torch_does(engine, cell, activation, steps, gain):
    sizes = {"inputs": 1, "units": 8, "outputs": 2, "steps": steps, "batch": 4}
    config = sizes | {"cell": cell, "activation": activation, "timeSkip": 0}
    torch.manual_seed(2)
    w, (x, y) = weights(config, torch.float32, gain), batch(config, torch.float32)
    if cell != "Elman":  # a gate above one half keeps the smallest number for ever: it is rounded up again
        w["bias_hh_l0"].data[8:16] -= 1.0
    sent = {name: weight.detach().flatten().tolist() for name, weight in w.items()}
    said, *parts = engine.evaluate(
        COMPUTE, {"config": config, "weights": sent, "x": x.flatten().tolist(), "y": y.tolist()}
    )
    loss, _, (zeros,) = run(config, w, x, y)
    loss.backward()
    assert said == pytest.approx(loss.item(), rel=1e-6)
    for part, found in enumerate(parts):
        theirs, ours = gradients([zero[part] for zero in zeros]).flatten(1), torch.tensor(found).view(steps + 1, -1)
        # The earliest step that still gets something.
        first = [int((grad != 0).any(1).int().argmax()) for grad in (theirs, ours)]
        assert first[0] > 0, "the gradient has to vanish for this to say anything"
        assert abs(first[0] - first[1]) <= 1, first
        sure = theirs.norm(dim=1) > 1e-30  # below, numbers have few bits left
        assert torch.allclose(theirs.norm(dim=1)[sure], ours.norm(dim=1)[sure], rtol=1e-4)
