"""The engine against torch: the same weights, inputs and answers, in a browser and here."""

import random

import pytest
import torch
from live_oracle import batch, gradients, run, weights

CELLS, ACTIVATIONS = ["Elman", "LSTM", "GRU"], ["tanh", "sigmoid", "relu", "leaky_relu", "prelu"]

COMPUTE = """(c) => {
  const net = new rv.Network(c.config), fill = (x, y) => { net.x.set(x); net.y.set(y); };
  for (const name in c.weights) net.weights[name].set(c.weights[name]);
  fill(c.x, c.y);
  for (let twice = 0; twice < 2; twice++) { // nothing may be left of the first time
    net.forward();
    net.backward();
  }
  const list = (views) => Object.fromEntries(Object.entries(views).map(([name, view]) => [name, [...view]]));
  const layers = net._layers.map((_, i) => { const { H, C, dH, dC } = net.layer(i); return list({ H, dH, ...(C ? { C, dC } : {}) }); });
  const found = { loss: net.loss, layers, grads: list(net.grads), sizes: [...net.sizes()] };
  if (c.batches) {
    const optimizer = new rv[c.optimizer](net, c.rate);
    found.losses = c.batches.map(([x, y]) => {
      fill(x, y);
      net.forward();
      net.backward();
      if (c.clip) rv[c.clip](net.grad, c.most);
      optimizer.step();
      return net.loss;
    });
    found.weights = list(net.weights);
  }
  return found;
}"""


def flat(tensors):
    return {name: tensor.detach().flatten().tolist() for name, tensor in tensors.items()}


def asked(config, w, x, y, **more):
    return {"config": config, "weights": flat(w), "x": x.flatten().tolist(), "y": y.flatten().tolist(), **more}


def worst(theirs, ours):
    """Largest difference, as a part of the largest number of the row, (rows, ...): a row of 1e-30 counts as much as any."""
    theirs = theirs.detach().flatten(1) if theirs.dim() > 1 else theirs.detach()[None]
    ours = torch.tensor(ours, dtype=torch.float64).view_as(theirs)
    scale = theirs.abs().amax(1).clamp_min(1e-300)
    return ((theirs - ours).abs().amax(1) / scale).max().item()


def agree(config, w, x, y, got):
    loss, states, zeros = run(config, w, x, y)
    loss.backward()
    assert got["loss"] == pytest.approx(loss.item(), rel=1e-13)
    for i, layer in enumerate(got["layers"]):
        for part, name in enumerate("HC"[: len(states[i][0])]):
            assert worst(torch.stack([state[part] for state in states[i]]).flatten()[None], layer[name]) < 1e-12
            assert worst(gradients([zero[part] for zero in zeros[i]]), layer["d" + name]) < 1e-12, (i, name)
    for name, weight in w.items():
        assert worst(weight.grad.flatten(), got["grads"][name]) < 1e-12, name
    whole = torch.cat([gradients([zero[part] for zero in zeros[-1]]) for part in range(len(states[-1][0]))], -1)
    assert worst(whole.norm(dim=-1).square().sum(1).mul(x.shape[1]).sqrt()[:, None], got["sizes"]) < 1e-12


def configurations():
    """Every option at least, and combinations at random."""
    rnd, simple = random.Random(0), []
    for cell in CELLS:
        for activation in ACTIVATIONS if cell == "Elman" else ["tanh"]:
            simple.append({"cell": cell, "activation": activation, "readout": "softmax"})
        simple += [
            {"cell": cell, "readout": "logistic"},
            {"cell": cell, "readout": "linear", "answers": "every"},
            {"cell": cell, "layers": 3, "layerSkip": True},
            {"cell": cell, "timeSkip": 3},
            {"cell": cell, "attention": True},
            {"cell": cell, "attention": True, "answers": "every", "layers": 2},
        ]
    mixed = [
        {
            "cell": rnd.choice(CELLS),
            "activation": rnd.choice(ACTIVATIONS),
            "readout": rnd.choice(["softmax", "logistic", "linear"]),
            "answers": rnd.choice(["last", "every"]),
            "layers": rnd.choice([1, 2, 3]),
            "layerSkip": rnd.random() < 0.5,
            "timeSkip": rnd.choice([0, 0, 1, 2, 7]),
            "attention": rnd.random() < 0.3,
        }
        for _ in range(40)
    ]
    for number, config in enumerate(simple + mixed):
        sizes = {
            name: rnd.randint(1, most) for name, most in {"inputs": 4, "units": 17, "steps": 30, "batch": 7}.items()
        }
        outputs = 1 if config["readout" if "readout" in config else "cell"] == "logistic" else rnd.randint(2, 5)
        yield number, config | sizes | {"outputs": outputs}


def test_losses_states_and_gradients(engine):
    for number, config in configurations():
        torch.manual_seed(number)
        w, (x, y) = weights(config, gain=[0.5, 1.0, 1.7][number % 3]), batch(config)
        try:
            agree(config, w, x, y, engine.evaluate(COMPUTE, asked(config, w, x, y)))
        except AssertionError as error:
            raise AssertionError(f"{config}: {error}") from error


TRAININGS = [
    ("Elman", "Adam", 0.01, "clipNorm", 0.3),
    ("LSTM", "Adam", 0.01, None, 0),
    ("GRU", "SGD", 0.3, "clipNorm", 0.1),
    ("LSTM", "SGD", 0.5, "clipValue", 0.02),
]


@pytest.mark.parametrize(("cell", "optimizer", "rate", "clip", "most"), TRAININGS)
def test_100_steps_of_training_end_in_the_same_weights(engine, cell, optimizer, rate, clip, most):
    config = {"cell": cell, "inputs": 2, "units": 9, "steps": 12, "batch": 5, "outputs": 3}
    torch.manual_seed(1)
    w, batches = weights(config), [batch(config) for _ in range(100)]
    sent = [[x.flatten().tolist(), y.tolist()] for x, y in batches]
    got = engine.evaluate(
        COMPUTE, asked(config, w, *batches[0], batches=sent, optimizer=optimizer, rate=rate, clip=clip, most=most)
    )
    stepper = getattr(torch.optim, optimizer)(w.values(), lr=rate)
    losses, shortened = [], 0
    for x, y in batches:
        stepper.zero_grad()
        loss, *_ = run(config, w, x, y)
        loss.backward()
        losses.append(loss.item())
        if clip == "clipNorm":
            shortened += torch.nn.utils.clip_grad_norm_(w.values(), most).item() > most
        elif clip == "clipValue":
            shortened += max(weight.grad.abs().max().item() for weight in w.values()) > most
            torch.nn.utils.clip_grad_value_(w.values(), most)
        stepper.step()
    assert bool(shortened) == bool(clip)
    assert got["losses"] == pytest.approx(losses, rel=1e-11)
    for name, weight in w.items():
        assert worst(weight.flatten(), got["weights"][name]) < 1e-10, name
