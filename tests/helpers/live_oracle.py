"""What the engine computes, in torch's operations: every state gets a zero added to it, whose gradient is dL/ds_t."""

import torch
from torch import nn
from torch.nn import functional as F

MODULES = {"Elman": nn.RNN, "LSTM": nn.LSTM, "GRU": nn.GRU}
ACTIVATIONS = {"tanh": torch.tanh, "sigmoid": torch.sigmoid, "relu": F.relu, "leaky_relu": F.leaky_relu}
USUAL = {
    "activation": "tanh",
    "layers": 1,
    "readout": "softmax",
    "answers": "last",
    "layerSkip": False,
    "timeSkip": 0,
    "attention": False,
}


def weights(config, dtype=torch.float64, gain=1.0):
    """Draw weights, by the engine's names; recurrent ones times `gain`."""
    config = USUAL | config
    units, double = config["units"], {"dtype": dtype}
    module = MODULES[config["cell"]](config["inputs"], units, config["layers"], **double)
    found = {
        name: gain * weight.detach() if "_hh" in name else weight.detach() for name, weight in module.named_parameters()
    }
    if (config["cell"], config["activation"]) == ("Elman", "prelu"):
        found |= {f"slope_l{i}": 0.1 + torch.rand(1, **double) for i in range(config["layers"])}
    if config["attention"]:
        found |= {f"{name}.weight": torch.randn(units, units, **double) / units**0.5 for name in ("query", "key")}
        found |= {"match.weight": torch.randn(1, units, **double)}
    out = nn.Linear(units, config["outputs"], **double)
    found |= {"out.weight": out.weight.detach(), "out.bias": out.bias.detach()}
    return {name: weight.clone().requires_grad_() for name, weight in found.items()}


def batch(config, dtype=torch.float64):
    """Draw inputs and answers."""
    config = USUAL | config
    steps, count, outputs = config["steps"], config["batch"], config["outputs"]
    x, places = (
        torch.randn(steps, count, config["inputs"], dtype=dtype),
        (steps, count) if config["answers"] == "every" else (count,),
    )
    if config["readout"] == "linear":
        return x, torch.randn(*places, outputs, dtype=dtype)
    return x, torch.randint(max(outputs, 2), places)


def run(config, w, x, y):
    """Compute the loss; per layer a list of states, t = 0 first, each a tuple of parts; and the zeros added to them."""
    config = USUAL | config
    states, zeros = [], []
    for i in range(config["layers"]):
        own = {name.removesuffix(f"_l{i}"): weight for name, weight in w.items() if name.endswith(f"_l{i}")}
        found = _layer(config, own, x)
        states.append(found[0])
        zeros.append(found[1])
        output = torch.stack([state[0] for state in found[0][1:]])
        x = output + x if config["layerSkip"] and i else output
    if config["attention"]:
        x = x + _context(w, x)
    out = F.linear(x if config["answers"] == "every" else x[-1], w["out.weight"], w["out.bias"])
    return _loss(config["readout"], out, y), states, zeros


def _layer(config, w, x):
    states, zeros = [], []

    def keep(*parts):
        zeros.append([torch.zeros_like(part).requires_grad_() for part in parts])
        states.append(tuple(part + zero for part, zero in zip(parts, zeros[-1], strict=True)))

    nothing = x.new_zeros(x.shape[1], config["units"])
    keep(*[nothing] * (2 if config["cell"] == "LSTM" else 1))
    for t, now in enumerate(x):
        h, *rest = _step(config, w, now, states[-1])
        older = t + 1 - config["timeSkip"]
        if config["timeSkip"] and older >= 0:
            h = h + 0.9 * states[older][0]
        keep(h, *rest)
    return states, zeros


def _step(config, w, x, state):
    a, r = F.linear(x, w["weight_ih"], w["bias_ih"]), F.linear(state[0], w["weight_hh"], w["bias_hh"])
    if config["cell"] == "Elman":
        return (
            F.prelu(a + r, w["slope"]) if config["activation"] == "prelu" else ACTIVATIONS[config["activation"]](a + r),
        )
    if config["cell"] == "LSTM":
        i, f, g, o = (a + r).chunk(4, -1)
        c = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c
    (ar, az, an), (rr, rz, rn) = a.chunk(3, -1), r.chunk(3, -1)
    z = torch.sigmoid(az + rz)
    return ((1 - z) * torch.tanh(an + torch.sigmoid(ar + rr) * rn) + z * state[0],)


def _context(w, x):
    query, key = F.linear(x, w["query.weight"]), F.linear(x, w["key.weight"])
    read = []
    for t in range(len(x)):
        fit = F.linear(torch.tanh(query[t] + key[: t + 1]), w["match.weight"])
        read.append((torch.softmax(fit, 0) * x[: t + 1]).sum(0))
    return torch.stack(read)


def _loss(readout, out, y):
    if readout == "softmax":
        return F.cross_entropy(out.flatten(0, -2), y.flatten())
    if readout == "logistic":
        return F.binary_cross_entropy_with_logits(out[..., 0], y.to(out.dtype))
    return F.mse_loss(out, y)


def gradients(zeros):
    """dL/ds_t of one part of a layer's state: (steps + 1, batch, units)."""
    return torch.stack([torch.zeros_like(zero) if zero.grad is None else zero.grad for zero in zeros])
