"""ON-LSTM is torch's LSTM where both master gates are open, and what they say alone where they do not overlap."""

import pytest
import torch
from oracle import assert_ends, drawn, oracle
from torch import nn

SURE = 60.0


def built(ONLSTM, written, kept, hidden_size=7):
    """A cell that writes the chunks before one, and keeps those from one on."""
    cell = drawn(ONLSTM(3, hidden_size, chunk_size=2))
    chunks = 4
    with torch.no_grad():
        cell.master_from_x.bias.zero_()
        cell.master_from_x.bias[written] = SURE
        cell.master_from_x.bias[chunks + kept] = SURE
    return cell


def torchs(cell):
    """Torch's cell of the same gates, in its order."""
    theirs = nn.LSTMCell(3, cell.hidden_size).double()
    with torch.no_grad():
        for layer, end in ((cell.from_x, "ih"), (cell.from_h, "hh")):
            for name, parameter in layer.named_parameters():
                o, g, i, f = parameter.chunk(4)
                getattr(theirs, f"{name}_{end}").copy_(torch.cat([i, f, g, o]))
    return theirs


def inputs():
    return torch.randn(2, 3).double(), torch.randn(2, 7).double(), torch.randn(2, 7).double()


@oracle("ONLSTM")
def is_torchs_where_both_master_gates_are_open(ONLSTM):
    cell, (x, h, c) = built(ONLSTM, written=3, kept=0), inputs()
    found, expected = cell(x, (h, c)), torchs(cell)(x, (h, c))
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours[:, :6], theirs[:, :6])
    torch.testing.assert_close(found[1][:, 6:], c[:, 6:])  # the last chunk is never written


@oracle("ONLSTM")
def is_what_its_master_gates_say_where_they_do_not_overlap(ONLSTM):
    cell, (x, h, c) = built(ONLSTM, written=1, kept=2), inputs()
    h_new, c_new = cell(x, (h, c))
    o, g, _, _ = (cell.from_x(x) + cell.from_h(h)).chunk(4, dim=-1)
    torch.testing.assert_close(c_new, torch.cat([g.tanh()[:, :2], torch.zeros(2, 2).double(), c[:, 4:]], dim=-1))
    torch.testing.assert_close(h_new, o.sigmoid() * c_new.tanh())


@oracle("ONLSTM")
def has_master_gates_that_read_input_and_state(ONLSTM):
    """The chance that a chunk is at or before the one that is drawn, summed over both."""
    cell, (x, h, c) = drawn(ONLSTM(3, 7, chunk_size=2)), inputs()
    with torch.no_grad():
        cell.from_x.bias.view(4, 7)[1:].copy_(torch.tensor([SURE, -SURE, -SURE])[:, None])  # g = 1, i = f = 0
    (i, f) = (cell.master_from_x(x) + cell.master_from_h(h)).view(2, 2, 4).exp().unbind(1)
    unit = torch.arange(7) // 2
    written = torch.stack([i[:, k + 1 :].sum(-1) / i.sum(-1) for k in range(4)], dim=-1)[:, unit]
    kept = torch.stack([f[:, : k + 1].sum(-1) / f.sum(-1) for k in range(4)], dim=-1)[:, unit]
    torch.testing.assert_close(cell(x, (h, c))[1], kept * (1 - written) * c + written * (1 - kept))


@oracle("ONLSTM")
def is_drawn_as_linear_layers_of_torch(ONLSTM):
    cell = ONLSTM(16, 101)
    assert cell.master_from_x.out_features == cell.master_from_h.out_features == 22
    assert set(cell.state_dict()) == {name for name, _ in cell.named_parameters()}
    bounds = {"x": 0.25, "h": 101**-0.5}
    names = [
        (master + "from_", end, kind) for master in ("", "master_") for end in bounds for kind in ("weight", "bias")
    ]
    assert_ends(lambda: ONLSTM(16, 101), **{f"{name}{end}_{kind}": bounds[end] for name, end, kind in names})
    for chunk_size in (0, 7):
        with pytest.raises(ValueError, match="less than its hidden size"):
            ONLSTM(2, 7, chunk_size=chunk_size)
