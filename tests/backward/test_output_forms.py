"""Whatever a model returns its steps as, its gradient starts from one of them: against a loop by hand, for every form."""

from collections import namedtuple
from dataclasses import dataclass

import end_point
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Normal
from torch.nn.functional import conv1d
from torch.nn.utils.rnn import pack_padded_sequence

from rnnvanish import probes

TIME, BATCH, INPUT, HIDDEN, SIZE = 14, 5, 3, 8, 6
LENGTHS = torch.tensor([14, 11, 9, 13, 6])
THERE = torch.arange(TIME)[:, None] < LENGTHS
Named = namedtuple("Named", "scores state")


@dataclass
class Answer:
    scores: Tensor
    name: str = "tags"


class Model(nn.Module):
    def __init__(self, form, bidirectional=False):
        super().__init__()
        self.rnn = nn.LSTM(INPUT, HIDDEN, bidirectional=bidirectional)
        self.head = nn.Linear(HIDDEN * (1 + bidirectional), SIZE)
        self.form = form

    def forward(self, x):
        return self.form(self.head(self.rnn(x)[0]))


def x_of():
    return torch.randn(TIME, BATCH, INPUT, generator=torch.Generator().manual_seed(0)).double()


def squares(*tensors):
    return sum((tensor - 0.3).square().sum() for tensor in tensors)


def packed(y):
    return pack_padded_sequence(y, LENGTHS, enforce_sorted=False)


#: What is made of (time, batch, size), and a loss of that which adds up the same number for each step.
WHOLE = {
    "as it is": (lambda y: y, squares),
    "batch first": (lambda y: y.transpose(0, 1), squares),
    "time last": (lambda y: y.permute(1, 2, 0), squares),
    "five axes": (lambda y: y.permute(1, 2, 0).reshape(BATCH, 2, 3, TIME, 1), squares),
    "rows, time first": (lambda y: y.flatten(0, 1), squares),
    "rows, batch first": (lambda y: y.transpose(0, 1).flatten(0, 1), squares),
    "time and size in one": (lambda y: y.transpose(0, 1).flatten(1), squares),
    "windows": (lambda y: y.transpose(0, 1).unflatten(1, (2, 7)), squares),
    "turned round": (lambda y: y.flip(0), squares),
    "a list of steps": (lambda y: list(y), lambda steps: squares(*steps)),
    "a list of sequences": (lambda y: list(y.unbind(1)), lambda rows: squares(*rows)),
    "a dictionary": (lambda y: {"scores": y, "known": 3}, lambda answer: squares(answer["scores"])),
    "a named tuple": (lambda y: Named(y, None), lambda answer: squares(answer.scores)),
    "an object": (Answer, lambda answer: squares(answer.scores)),
    "two tensors": (lambda y: y.transpose(0, 1).split((2, 4), -1), lambda pair: squares(*pair)),
    "a normal distribution": (lambda y: Normal(y, 1.0), lambda normal: squares(normal.mean)),
    "the loss beside it": (lambda y: (squares(y), y), lambda pair: pair[0]),
}
RAGGED = {
    "zeros in the loss": (lambda y: y, lambda y: squares(y[THERE])),
    "valid rows": (lambda y: y[THERE], squares),
    "valid rows, batch first": (lambda y: y.transpose(0, 1)[THERE.T], squares),
    "packed": (packed, lambda y: squares(y.data)),
    "packed rows": (lambda y: packed(y).data, squares),
    "a list of valid rows": (lambda y: [y[: int(n), b] for b, n in enumerate(LENGTHS)], lambda rows: squares(*rows)),
}


def by_hand(model, at):
    """The gain of each direction, from row `at` of each sequence forward, from the first row in the reverse one."""
    x = x_of().requires_grad_()
    if model.rnn.bidirectional:
        output, forth, back = end_point.both_ways(model.rnn, x)
        loops = {"rnn/layer0/forward": (forth, at), "rnn/layer0/reverse": (back, torch.zeros_like(at))}
    else:
        zero = tuple(x.new_zeros(BATCH, HIDDEN) for _ in range(2))
        forth = end_point.run(end_point.step_of(model.rnn), x, zero)
        output, loops = end_point.outputs(forth), {"rnn/layer0/forward": (forth, at)}
    y = model.head(output)
    gradient = end_point.by_output(squares, y)
    found = {}
    for name, (states, steps) in loops.items():
        last = TIME - 1 - steps if name.endswith("reverse") else steps
        rows = [(row, 0, end) for row, end in enumerate(last.tolist())]
        found[name] = end_point.gains(y, end_point.only(gradient, steps), states, rows)
    return found


def check(form, loss, at, bidirectional):
    torch.manual_seed(0)
    model = Model(form, bidirectional).double()
    curves = probes.retention(model, x_of(), loss)
    expected = by_hand(model, at)
    assert set(curves) == set(expected)
    for name, gain in expected.items():
        torch.testing.assert_close(curves[name].gain, gain, rtol=1e-6, atol=0)


@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "both ways"])
@pytest.mark.parametrize("name", WHOLE)
def test_of_all_steps(name, bidirectional):
    check(*WHOLE[name], torch.full((BATCH,), TIME - 1), bidirectional)


@pytest.mark.parametrize("name", RAGGED)
def test_of_sequences_that_end_early(name):
    check(*RAGGED[name], LENGTHS - 1, bidirectional=False)


def test_of_a_likelihood():
    """Each step's scores are normed by the distribution, and the loss reads one of them."""
    torch.manual_seed(0)
    model = Model(lambda y: Categorical(logits=y)).double()
    tags = torch.randint(SIZE, (TIME, BATCH))
    curve = probes.retention(model, x_of(), lambda scores: -scores.log_prob(tags).mean())["rnn/layer0/forward"]
    plain = Model(lambda y: y).double()
    plain.load_state_dict(model.state_dict())
    last = probes.retention(plain, x_of(), lambda y: nn.functional.cross_entropy(y[-1], tags[-1]))
    torch.testing.assert_close(curve.gain, last["rnn/layer0/forward"].gain, rtol=1e-6, atol=0)


def causal_attention(y):
    y = y.transpose(0, 1)
    later = torch.ones(TIME, TIME, dtype=torch.bool).triu(1)
    return y + (y @ y.transpose(1, 2)).masked_fill(later, -torch.inf).softmax(-1) @ y


#: What stands behind the layer, (time, batch, size) to (batch, time, size): rows that read several steps.
BEHIND = {
    "causal attention": causal_attention,
    "attention": lambda y: causal_attention(y) + (y.flip(0).mean(0)[:, None] / TIME),
    "a convolution": lambda y: conv1d(y.permute(1, 2, 0), torch.ones(SIZE, SIZE, 3).double() / 9, padding=1).transpose(
        1, 2
    ),
    "a norm over time": lambda y: (y.transpose(0, 1) - y.mean(0)[:, None]) / y.std(0)[:, None],
    "a norm over time and batch": lambda y: (y.transpose(0, 1) - y.mean((0, 1))) / y.std((0, 1)),
}


@pytest.mark.parametrize("name", BEHIND)
def test_of_rows_that_read_several_steps(name):
    torch.manual_seed(0)
    model = Model(BEHIND[name], bidirectional=True).double()
    curves = probes.retention(model, x_of(), squares)
    output, forth, back = end_point.both_ways(model.rnn, x_of().requires_grad_())
    y = model.form(model.head(output))
    gradient = end_point.by_output(squares, y)
    for way, states, row in (("forward", forth, TIME - 1), ("reverse", back, 0)):
        alone = torch.zeros_like(gradient)
        alone[:, row] = gradient[:, row]
        gain = end_point.gains(y, alone, states, end_point.whole(states))
        torch.testing.assert_close(curves[f"rnn/layer0/{way}"].gain, gain, rtol=1e-6, atol=0)
