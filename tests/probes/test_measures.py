"""All measures of stacked, bidirectional, packed and projected layers, against one explicit loop with untied weights."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn.functional import linear
from torch.nn.utils.rnn import pack_padded_sequence

from rnnvanish.diagnosis.cause.cause import causes
from rnnvanish.probes import bypass, cases, depth, retention, sensitivity, shares, spectrum

TIME, LENGTHS = 5, [3, 5, 4]
KINDS = {
    "RNN": nn.RNN,
    "ReLU": partial(nn.RNN, nonlinearity="relu"),
    "LSTM": nn.LSTM,
    "projected LSTM": partial(nn.LSTM, proj_size=2),
    "GRU": nn.GRU,
}
same = partial(torch.testing.assert_close, rtol=0, atol=1e-11)


def step(mode, weights, x, state):
    """One step of one sequence, from torch's documentation."""
    a = linear(x, weights["weight_ih"], weights["bias_ih"])
    b = linear(state[0], weights["weight_hh"], weights["bias_hh"])
    if mode == "LSTM":
        i, f, g, o = (a + b).chunk(4)
        c = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        return (weights["weight_hr"] @ h if "weight_hr" in weights else h), c
    if mode == "GRU":
        (ar, az, an), (br, bz, bn) = a.chunk(3), b.chunk(3)
        z = (az + bz).sigmoid()
        return ((1 - z) * (an + (ar + br).sigmoid() * bn).tanh() + z * state[0],)
    return ((a + b).tanh() if mode == "RNN_TANH" else (a + b).relu(),)


def explicit(module, x):
    """Run one sequence; returns for each loop a row a step: gradients of state, input and weight copies, and dsₜ/dsₜ₋₁."""
    leaves, jacobians, finals, y = {}, {}, [], list(x)
    for layer in range(2):
        outputs, finals = [], []
        for direction in range(2):
            suffix, loop = f"_l{layer}" + "_reverse" * direction, f"layer{layer}/{('forward', 'reverse')[direction]}"
            widths = [module.proj_size or 4] + [4] * (module.mode == "LSTM")
            state = tuple(x.new_zeros(width) for width in widths)
            leaves[loop], jacobians[loop], run = [], [], []
            for now in reversed(y) if direction else y:
                copies = {
                    name.removesuffix(suffix): weight.detach().clone().requires_grad_()
                    for name, weight in module.named_parameters()
                    if name.endswith(suffix) and name.count("reverse") == direction
                }

                def flat(state, now=now, copies=copies, widths=widths):
                    return torch.cat(step(module.mode, copies, now.detach(), state.split(widths)))

                jacobians[loop].append(torch.autograd.functional.jacobian(flat, torch.cat(state).detach()))
                read = torch.zeros_like(now).requires_grad_()
                added = [torch.zeros_like(part).requires_grad_() for part in state]
                after = step(module.mode, copies, now + read, state)
                state = tuple(part + zero for part, zero in zip(after, added, strict=True))
                leaves[loop].append((added, read, copies))
                run.append(state[0])
            outputs.append(run[::-1] if direction else run)
            finals += [part.sum() for part in state]
        y = [torch.cat(parts) for parts in zip(*outputs, strict=True)]
    tensors = [t for run in leaves.values() for added, read, copies in run for t in (*added, read, *copies.values())]
    found = torch.autograd.grad(sum(finals), tensors, allow_unused=True)
    gradient = {id(t): torch.zeros_like(t) if g is None else g for t, g in zip(tensors, found, strict=True)}
    return {
        loop: [
            (
                torch.cat([gradient[id(zero)] for zero in added]),
                gradient[id(read)],
                {name: gradient[id(copy)] for name, copy in copies.items()},
                jacobian,
            )
            for (added, read, copies), jacobian in zip(run, jacobians[loop], strict=True)
        ]
        for loop, run in leaves.items()
    }


@pytest.mark.parametrize(
    ("kind", "form"), [*((kind, "packed") for kind in KINDS), ("LSTM", "time first"), ("GRU", "batch first")]
)
def test_against_an_explicit_loop(kind, form):
    torch.manual_seed(0)
    module = KINDS[kind](3, 4, num_layers=2, bidirectional=True, batch_first=form == "batch first").double()
    with torch.no_grad():
        for weight in module.parameters():
            weight.mul_(1.8)
    lengths = LENGTHS if form == "packed" else [TIME] * 3
    padded = torch.randn(TIME, 3, 3, dtype=torch.float64)
    x = padded.transpose(0, 1) if form == "batch first" else padded
    if form == "packed":
        x = pack_padded_sequence(padded, torch.tensor(lengths), enforce_sorted=False)
    runs = [explicit(module, padded[:length, i]) for i, length in enumerate(lengths)]
    order = sorted(range(3), key=lambda i: -lengths[i])  # as packed sequences stand: the longest first
    of_lag, of_input, down, past = (measure(module, x) for measure in (shares, sensitivity, depth, bypass))
    parts, curves = causes(module, x), retention(module, x)
    for loop in runs[0]:
        name = f"{type(module).__name__}/{loop}"
        back = [[run[loop][::-1] for run in runs if len(run[loop]) > lag] for lag in range(TIME)]
        reads = [torch.stack([run[lag][1] for run in back[lag]]) for lag in range(TIME)]
        same(of_input[name].size, torch.stack([read.square().sum(1).mean().sqrt() for read in reads]))
        assert down[name].leaves == pytest.approx(torch.cat(reads).norm().item(), abs=1e-11)
        for weight, share in of_lag[name].by_weight.items():
            own = weight.removesuffix("_reverse").rpartition("_l")[0]
            sizes = torch.stack([sum(run[lag][2][own] for run in back[lag]).norm() for lag in range(TIME)])
            same(share, sizes / sizes.sum())
        whole = torch.stack([sum(run[lag][0].square().sum() for run in back[lag]) for lag in range(TIME)])
        same(past[name].total, (whole / whole[0]).sqrt())
        if loop.startswith("layer1"):  # the end alone is read
            same(past[name].recurrent, past[name].total)
            ends = torch.stack([run[0][0] for run in back[0]])
            assert down[name].arrives == pytest.approx(ends.norm().item(), abs=1e-11)
        increments = curves[name].gain.log().diff()
        assert set(parts[name].parts) == {"weights", "slopes", "gates", "ways", "around", "loss"}
        shortest = min(lengths) - 1
        alive = increments[:shortest].isfinite()  # a dead unit can be all that a sequence's gradient has left
        if kind == "ReLU" and loop.startswith("layer0"):
            continue  # and then the layer above brings in a new one
        assert alive.any()
        same(parts[name].gain[:shortest][alive], increments[:shortest][alive])
        if form == "packed" and kind != "ReLU":  # a dead unit leaves directions of which nothing is left
            _dynamics(module, x, name, [runs[i][loop] for i in order])


def _dynamics(module, x, name, runs):
    """Singular values of a product of two Jacobians; the volume that a step keeps is the sum of the exponents."""
    found = cases(module, x, [2], name)
    products = torch.stack([run[-1][3] @ run[-2][3] for run in runs])
    same(found.log_worst[0], torch.linalg.matrix_norm(products, 2).log())
    same(found.log_typical[0], (torch.linalg.matrix_norm(products) / products.shape[-1] ** 0.5).log())
    if module.proj_size == 0:  # a projection leaves no volume
        volumes = [torch.stack([torch.linalg.slogdet(step[3]).logabsdet for step in run]).mean() for run in runs]
        same(spectrum(module, x, layer=name).exponents.sum(1), torch.stack(volumes))
