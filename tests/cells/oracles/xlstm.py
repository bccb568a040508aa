"""sLSTM and mLSTM without a stabiliser, in closed form, and as the mean of what they let in."""

import math

import torch
from known_numbers import assert_known, last_output, set_weights
from oracle import drawn, drawn_state, oracle
from parallel_form import assert_parallel_is_the_step

SIZES, HEADS = (3, 4), 2


def started(kind, steps=5):
    """A cell, a sequence, a state to start from, and what that stands for."""
    cell, x = drawn(kind(*SIZES, heads=HEADS)), torch.randn(steps, 2, 3).double()
    state = drawn_state(cell, x[0])
    return cell, x, state, meant(cell, state)


def meant(cell, state):
    return [part * scale for part, scale in zip(state, cell.scales(state), strict=True)]


@oracle("SLSTM")
def is_itself_without_a_stabiliser(SLSTM):
    cell, x, state, (h, c, n, _) = started(SLSTM)
    blocks = [torch.zeros(4, 4).double() for _ in range(4)]
    for gate in range(4):
        for head in range(HEADS):
            place = slice(2 * head, 2 * head + 2)
            blocks[gate][place, place] = cell.from_h[gate, head].detach()
    for row in x:
        state = cell(row, state)
        weights, biases = cell.from_x.weight.split(4), cell.from_x.bias.split(4)
        i, f, z, o = (row @ w.T + h @ r.T + b for w, r, b in zip(weights, blocks, biases, strict=True))
        c = torch.sigmoid(f) * c + torch.exp(i) * torch.tanh(z)
        n = torch.sigmoid(f) * n + torch.exp(i)
        h = torch.sigmoid(o) * c / n
        torch.testing.assert_close(meant(cell, state)[:3], [h, c, n], rtol=1e-8, atol=1e-8)
        torch.testing.assert_close(cell.output(row, state, state), h, rtol=1e-8, atol=1e-8)


@oracle("SLSTM")
def begins_with_what_it_reads(SLSTM):
    """The first output is a mean of one: σ(o) tanh(z)."""
    cell, x, _, _ = started(SLSTM)
    z, o = (x[0] @ cell.from_x.weight.T + cell.from_x.bias)[:, 8:].split(4, 1)
    torch.testing.assert_close(cell(x[0], cell.initial_state(x[0]))[0], torch.sigmoid(o) * torch.tanh(z))


@oracle("MLSTM")
def stores_values_under_keys(MLSTM):
    """Without a stabiliser: C and n are sums over what was read, and y their quotient."""
    cell, x, state, (C, n, _) = started(MLSTM)
    for row in x:
        state = cell(row, state)
        linear = (row @ cell.from_x.weight.T + cell.from_x.bias).view(2, 4, HEADS, 2)
        q, k, v, o = linear.unbind(1)
        k = k / math.sqrt(2)
        i = torch.exp(row @ cell.from_x_i.weight.T + cell.from_x_i.bias)
        f = torch.sigmoid(row @ cell.from_x_f.weight.T + cell.from_x_f.bias)
        C = torch.einsum("bh,bhvk->bhvk", f, C) + torch.einsum("bh,bhv,bhk->bhvk", i, v, k)
        n = torch.einsum("bh,bhk->bhk", f, n) + torch.einsum("bh,bhk->bhk", i, k)
        torch.testing.assert_close(meant(cell, state)[:2], [C, n], rtol=1e-8, atol=1e-8)
        divisor = torch.einsum("bhk,bhk->bh", n, q).abs().clamp(min=1)
        y = torch.sigmoid(o) * torch.einsum("bhvk,bhk->bhv", C, q) / divisor[..., None]
        torch.testing.assert_close(cell.output(row, state, state), y.flatten(1), rtol=1e-8, atol=1e-8)


@oracle("MLSTM")
def is_itself_all_at_once(MLSTM):
    assert_parallel_is_the_step(MLSTM, 10, heads=HEADS)


@oracle("SLSTM")
@oracle("MLSTM")
def does_not_depend_on_where_its_stabiliser_starts(kind):
    cell, x, state, _ = started(kind)
    moved = tuple(
        part + 3 if name == "m" else part * math.exp(-3) if name in "cCn" else part
        for name, part in zip(cell.state_names, state, strict=True)
    )
    first, second = cell(x[0], state), cell(x[0], moved)
    torch.testing.assert_close(cell.output(x[0], state, first), cell.output(x[0], moved, second))
    torch.testing.assert_close(meant(cell, first)[-2], meant(cell, second)[-2])
    assert cell.scales(state)[-1] == 1


@oracle("SLSTM")
@oracle("MLSTM")
def overflows_nowhere(kind):
    """Where i is e¹⁰⁰⁰, and where everything is forgotten and nearly nothing let in."""
    cell, x, state, _ = started(kind)
    gates = (
        (cell.from_x.bias[:4], cell.from_x.bias[4:8])
        if "h" in cell.state_names
        else (cell.from_x_i.bias, cell.from_x_f.bias)
    )
    for i, f in ((1000.0, 0.0), (-20.0, -1000.0)):
        with torch.no_grad():
            gates[0].fill_(i)
            gates[1].fill_(f)
        new = cell(x[0], state)
        assert all(part.isfinite().all() for part in (*new, cell.output(x[0], state, new)))


@oracle("SLSTM")
def is_drawn_as_the_authors_draw(SLSTM):
    cell = SLSTM(50, 400)
    assert cell.from_h.shape == (4, 4, 100, 100)
    assert not cell.from_h.any()
    torch.testing.assert_close(cell.from_x.weight.std().item(), math.sqrt(2 / 250), rtol=0.02, atol=0)
    i, f, z, o = cell.from_x.bias.detach().split(400)
    assert not torch.cat([i, z, o]).any()
    for head in f.split(100):
        assert (head[:-1] > head[1:]).all()
        torch.testing.assert_close(head[[0, -1]], torch.tensor([5.0, -7.0]))
        torch.testing.assert_close(head[33].item(), 5 - 12 * (1 / 3) ** 0.3, rtol=1e-5, atol=0)
    torch.testing.assert_close(SLSTM(2, 8).from_x.bias[8:16].detach(), torch.tensor([5.0, -7.0] * 4))
    torch.testing.assert_close(SLSTM(2, 4).from_x.bias[4:8].detach(), torch.full((4,), 5.0))


@oracle("MLSTM")
def is_drawn_as_its_authors_draw(MLSTM):
    cell = MLSTM(50, 400)
    assert cell.initial_state(torch.zeros(2, 50))[0].shape == (2, 4, 100, 100)
    torch.testing.assert_close(cell.from_x.weight.std().item(), math.sqrt(2 / 250), rtol=0.02, atol=0)
    assert not cell.from_x.bias.any()
    assert not cell.from_x_i.weight.any()
    assert not cell.from_x_f.weight.any()
    torch.testing.assert_close(cell.from_x_f.bias.detach(), torch.tensor([3.0, 4.0, 5.0, 6.0]))
    torch.testing.assert_close(MLSTM(2, 2000, heads=2000).from_x_i.bias.std().item(), 0.1, rtol=0.1, atol=0)


@oracle("SLSTM")
def gives_the_authors_numbers(SLSTM):
    """NX-AI/xlstm xlstm/blocks/slstm/src/vanilla/slstm.py @ 032a6fb8ee."""
    cell = set_weights(SLSTM(3, 4, heads=2), from_x_weight=1, from_x_bias=2, from_h=3)
    numbers = [
        0.263312524636,
        -0.29915750654,
        0.384313409512,
        -0.086952666707,
        -0.316447239015,
        -0.025036666283,
        -0.216403608748,
        0.614391671836,
    ]
    assert_known(last_output(cell), numbers)


@oracle("MLSTM")
def gives_its_authors_numbers(MLSTM):
    """NX-AI/xlstm xlstm/blocks/mlstm/backends.py @ 032a6fb8ee, its eps 0, times σ(o)."""
    cell = set_weights(
        MLSTM(3, 4, heads=2),
        from_x_weight=1,
        from_x_bias=2,
        from_x_i_weight=3,
        from_x_i_bias=4,
        from_x_f_weight=5,
        from_x_f_bias=6,
    )
    numbers = [
        -0.003009583979,
        -0.015566322194,
        -0.508340659809,
        0.073641698432,
        0.393004801913,
        0.019125657186,
        0.142335403366,
        -0.52539124998,
    ]
    assert_known(last_output(cell), numbers)
