"""Small layers of every listed cell, of weights that are drawn anew, and all that a run of one gives."""

import torch
from oracle import drawn, drawn_state

from rnnvanish import Recurrent, cells

TIME, BATCH, INPUT, HIDDEN = 5, 3, 4, 6


def built(name, input_size=INPUT, **options):
    """A layer in double precision, as it is when nothing is learnt; the plain loop runs it."""
    kind = cells.ALL[name]
    options = {"engine": "reference"} | options
    torch.manual_seed(0)
    return drawn(Recurrent(kind, input_size, HIDDEN, **kind.small, **options)).eval()


def sequences(time=TIME, batch=BATCH, input_size=INPUT):
    return torch.randn(time, batch, input_size).double()


def state_for(layer, x):
    """A state in which nothing is nought, for every layer and direction."""
    parts = zip(*(drawn_state(cell, x.new_zeros(x.shape[1], cell.input_size)) for cell in layer.cells), strict=True)
    state = tuple(map(torch.stack, parts))
    return state if len(state) > 1 else state[0]


def wanted(layer, x):
    """What the cell takes beside the input, for every step of it."""
    given = {"times": torch.rand(x.shape[:2]).double().cumsum(0), "observed": torch.rand(x.shape) < 0.5}
    return {name: given[name] for name in layer.cells[0].wants}


def parts_of(state):
    return state if isinstance(state, tuple) else (state,)


def everything(layer, x, state, **how):
    """Output, final state, and the gradients of a sum that weighs every one of their numbers differently."""
    torch.manual_seed(7)  # of what a step draws
    layer.zero_grad()
    leaves = {"x": x, **dict(zip(layer.state_names, parts_of(state), strict=True))}
    leaves = {name: value.detach().clone() for name, value in leaves.items()}
    for value in leaves.values():
        value.requires_grad_(value.is_floating_point() or value.is_complex())
    x, *parts = leaves.values()
    output, final = layer(x, tuple(parts) if len(parts) > 1 else parts[0], **how)
    results = {"output": output} | dict(
        zip((f"final {name}" for name in layer.state_names), parts_of(final), strict=True)
    )
    numbers = [
        torch.view_as_real(each) if each.is_complex() else each for each in results.values() if each.requires_grad
    ]
    sum((each * torch.linspace(-1, 2, each.numel()).to(each).view_as(each)).sum() for each in numbers).backward()
    gradients = {
        f"gradient of {name}": value.grad for name, value in {**leaves, **dict(layer.named_parameters())}.items()
    }
    return {name: value.detach() for name, value in results.items()} | gradients


def assert_same(ours, theirs, tolerance=1e-11):
    """The same results, to a part of the largest number of each; a gradient of nought may be none."""
    assert ours.keys() == theirs.keys()
    for name, one in ours.items():
        other = theirs[name]
        if one is None or other is None:
            one, other = (torch.zeros(()) if each is None else each.abs().amax() for each in (one, other))
        size = max(1.0, float(other.abs().max()) if other.numel() else 0.0)
        torch.testing.assert_close(
            one, other, rtol=0, atol=tolerance * size, msg=lambda text, name=name: f"{name}: {text}"
        )
