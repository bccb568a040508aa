"""What a cell makes of weights that anybody can write down again, as its authors' code does; the derivative of its step."""

import torch


def waves(*shape, start):
    """sin(start), sin(start + 1), …, row by row, in double precision."""
    return torch.sin(start + torch.arange(torch.Size(shape).numel()).double()).reshape(shape)


@torch.no_grad()
def set_weights(cell, **starts):
    """The same cell in double precision; each parameter is `waves` from where it says: `from_x_weight=1` and so on."""
    parameters = dict(cell.double().named_parameters())
    for name, start in starts.items():
        layer, _, kind = name.rpartition("_")
        parameter = parameters.get(name, parameters.get(f"{layer}.{kind}"))
        parameter.copy_(waves(*parameter.shape, start=start))
    return cell


@torch.no_grad()
def steps(cell, state, count=2, start=50.0):
    """The state after `count` steps that read `waves` of two sequences."""
    for x in waves(count, 2, cell.input_size, start=start):
        state = cell(x, state)
    return state


@torch.no_grad()
def last_output(cell, count=4, start=50.0):
    """What the last of `count` steps hands on that read `waves` of two sequences, from the cell's own first state."""
    x = waves(count, 2, cell.input_size, start=start)
    after = cell.initial_state(x[0])
    for row in x:
        before, after = after, cell(row, after)
    return cell.output(x[-1], before, after)


def assert_known(value, numbers):
    """Equal to numbers that were written down with twelve digits behind the point."""
    torch.testing.assert_close(
        value, torch.tensor(numbers, dtype=torch.float64).reshape(value.shape), rtol=0, atol=2e-12
    )


def at_rest(cell, x=None, state=None):
    """How the whole state after a step changes with that before it, of one sequence, where all is nought."""
    x = torch.zeros(1, cell.input_size).double() if x is None else x
    state = tuple(torch.zeros(1, cell.hidden_size).double() for _ in cell.state_names) if state is None else state
    sizes = [part.shape[-1] for part in state]

    def step(whole):
        return torch.cat(cell(x, whole[None].split(sizes, dim=-1)), dim=-1)[0]

    return torch.func.jacrev(step)(torch.cat(state, dim=-1)[0])
