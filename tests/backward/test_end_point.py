"""One network, one end point: the same curve and verdict, whatever form its output has and whatever its loss reads."""

from functools import partial

import pytest
import torch
from networks import same
from torch import nn
from torch.nn.functional import cross_entropy

from rnnvanish import diagnose
from rnnvanish.probes import retention

close = partial(torch.testing.assert_close, rtol=1e-6, atol=0)
TIME, BATCH, WORDS, HIDDEN = 60, 4, 20, 16


class LanguageModel(nn.Module):
    def __init__(self, form, attends=False):
        super().__init__()
        self.form, self.attends = form, attends
        self.embed, self.lstm, self.head = (
            nn.Embedding(WORDS, HIDDEN),
            nn.LSTM(HIDDEN, HIDDEN),
            nn.Linear(HIDDEN, WORDS),
        )

    def forward(self, words):
        states = self.lstm(self.embed(words))[0]
        if self.attends:
            states = ((states * states[-1]).sum(-1, keepdim=True).softmax(0) * states).sum(0)
        return self.form(self.head(states))


torch.manual_seed(0)
READ, NEXT = torch.randint(WORDS, (2, TIME, BATCH))
KEPT = torch.rand(TIME, BATCH) > 0.3
KEPT[-1] = True

#: Forms of the output, and the loss of all words in that form; None where it is the sum of what is returned.
FORMS = {
    "steps": (lambda y: y, lambda y: cross_entropy(y.flatten(0, 1), NEXT.flatten())),
    "rows": (lambda y: y.flatten(0, 1), lambda y: cross_entropy(y, NEXT.flatten())),
    "rows of each sequence": (lambda y: y.transpose(0, 1).flatten(0, 1), lambda y: cross_entropy(y, NEXT.T.flatten())),
    "classes second": (lambda y: y.permute(1, 2, 0), lambda y: cross_entropy(y, NEXT.T)),
    "some rows": (lambda y: y[KEPT], lambda y: cross_entropy(y, NEXT[KEPT])),
    "a list": (list, lambda y: sum(map(cross_entropy, y, NEXT)) / TIME),
    "a distribution": (lambda y: torch.distributions.Categorical(logits=y), lambda d: -d.log_prob(NEXT).mean()),
    "the last": (lambda y: y[-1], lambda y: cross_entropy(y, NEXT[-1])),
    "a loss beside": (
        lambda y: (cross_entropy(y.flatten(0, 1), NEXT.flatten()), y),
        lambda returned: returned[0],
    ),
}


def by_hand(model, value):
    """The definition, of the last step's loss alone: h and c of each step are leaves, an LSTM cell of torch goes on."""
    cell, (h, c) = nn.LSTMCell(HIDDEN, HIDDEN).double(), torch.zeros(2, BATCH, HIDDEN).double()
    cell.load_state_dict({name.removesuffix("_l0"): weight for name, weight in model.lstm.state_dict().items()})
    zeros = []
    for now in model.embed(READ).detach():
        h, c = cell(now, (h, c))
        zeros.append([torch.zeros_like(h, requires_grad=True), torch.zeros_like(c, requires_grad=True)])
        h, c = h + zeros[-1][0], c + zeros[-1][1]
    found = torch.autograd.grad(value(model.head(h)), [zero for step in zeros for zero in step], materialize_grads=True)
    norms = torch.stack([torch.cat(found[2 * t : 2 * t + 2], -1).norm(dim=-1) for t in range(TIME)]).flip(0)
    return (norms / norms[0]).log().mean(1).exp()


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_output_has_the_same_curve(form):
    torch.manual_seed(1)
    shape, loss = FORMS[form]
    model = LanguageModel(shape).double()
    (curve,) = retention(model, READ, loss).values()
    close(curve.gain, by_hand(model, lambda y: cross_entropy(y, NEXT[-1], reduction="sum")))
    assert curve.verdict == "vanishing"
    assert (curve.total is None) == (form == "the last")
    assert ("reads 60 steps" in curve.start) == (form != "the last")
    if form != "the last":
        assert curve.total.verdict == "healthy"  # what the loss adds on the way hides what is lost
    if form != "a loss beside":
        (unnamed,) = retention(model, READ).values()
        assert (unnamed.verdict, unnamed.total) == ("vanishing", None)


def test_the_verdict_the_cures_and_the_outlook_are_of_the_end_point():
    torch.manual_seed(1)
    every, loss = LanguageModel(*FORMS["steps"][:1]), FORMS["steps"][1]
    last = LanguageModel(FORMS["the last"][0])
    last.load_state_dict(every.state_dict())
    whole = diagnose(every, READ, loss, lag=50, quick=True)
    end = diagnose(last, READ, FORMS["the last"][1], lag=50, quick=True)
    (ours,), (theirs,) = whole.curves.values(), end.curves.values()
    assert (ours.verdict, theirs.verdict, whole.healthy, end.healthy) == ("vanishing", "vanishing", False, False)
    assert [cure.cure for cure in ours.advice] == [cure.cure for cure in theirs.advice] != []
    assert whole.outlook.verdict == end.outlook.verdict != "likely"
    close(whole.outlook.half_life, end.outlook.half_life)


def test_attention_is_part_of_the_model_and_the_recurrence_alone_stands_beside_it():
    torch.manual_seed(1)
    diagnosis = diagnose(LanguageModel(lambda y: y, attends=True), READ, quick=True)
    (curve,) = diagnosis.curves.values()
    assert (curve.verdict, curve.start, diagnosis.healthy) == ("healthy", "", True)
    assert curve.gain[-1] > 0.1
    assert curve.recurrent[0] == 1
    assert curve.recurrent[-1] < 1e-6


def test_of_a_number_alone_the_recurrence_is_followed_and_that_is_said():
    torch.manual_seed(1)
    model = LanguageModel(lambda y: cross_entropy(y.flatten(0, 1), NEXT.flatten())).double()
    (curve,) = retention(model, READ).values()
    close(curve.gain, by_hand(model, lambda y: cross_entropy(y, NEXT[-1], reduction="sum")))
    assert "by the recurrence alone" in curve.start
    assert curve.total.verdict == "healthy"
    one = LanguageModel(lambda y: cross_entropy(y[-1], NEXT[-1])).double()
    one.load_state_dict(model.state_dict())
    (near,) = retention(one, READ).values()
    close(near.gain, curve.gain)
    assert (near.start, near.total) == ("", None)  # it reads one step: the number is the end point itself


def test_each_direction_has_its_own_end_and_sequences_without_a_target_are_left_out():
    torch.manual_seed(1)
    model = nn.LSTM(3, 5, bidirectional=True).double()
    x, target = torch.randn(9, BATCH, 3).double(), torch.randint(10, (9, BATCH))
    target[:, 1] = -100
    target[6:, 2] = -100
    loss = lambda returned: cross_entropy(returned[0].flatten(0, 1), target.flatten(), ignore_index=-100)
    curves = retention(model, x, loss)
    ends = {"forward": (8, 5, 8), "reverse": (0, 0, 0)}
    for direction, steps in ends.items():
        gains = []
        for row, step in zip((0, 2, 3), steps, strict=True):
            one = lambda returned, step=step, row=row: cross_entropy(returned[0][step], target[step, row : row + 1])
            (gain,) = [
                each.gain for name, each in retention(model, x[:, row : row + 1], one).items() if direction in name
            ]
            gains.append(gain)
        longest = max(map(len, gains))
        mean = [torch.stack([g[k].log() for g in gains if k < len(g)]).mean().exp() for k in range(longest)]
        curve = curves[f"LSTM/layer0/{direction}"]
        close(curve.gain, torch.stack(mean))
        assert any("1 of 4 sequences have no part in the loss" in note for note in curve.notes)


def test_of_windows_between_which_the_state_is_detached_each_has_its_own_end():
    class Windows(nn.Module):
        def __init__(self):
            super().__init__()
            self.low, self.high = nn.GRU(3, 5), nn.GRU(5, 5)

        def forward(self, x):
            low = high = None
            outputs = []
            for window in x.split(4):
                y, low = self.low(window, low)
                y, high = self.high(y, high)
                outputs.append(y)
                low, high = low.detach(), high.detach()
            return torch.cat(outputs)

    torch.manual_seed(1)
    model, x = Windows().double(), torch.randn(12, 2, 3).double()
    curves = retention(model, x, lambda y: y.square().sum())
    assert len(curves) == 6
    assert {len(curve.gain) for curve in curves.values()} == {4}
    assert not any(curve.verdict == "not read" for curve in curves.values())
    alone = Windows().double()
    alone.load_state_dict(model.state_dict())
    for name, curve in retention(alone, x[:4], lambda y: y[-1].square().sum()).items():
        same(curves[name].gain, curve.gain)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_in_low_precision_the_steps_are_found_too(dtype):
    torch.manual_seed(1)
    model = LanguageModel(partial(torch.flatten, start_dim=0, end_dim=1)).to(dtype)
    (curve,) = retention(model, READ, lambda y: cross_entropy(y.float(), NEXT.flatten())).values()
    assert curve.verdict == "vanishing"
    assert "reads 60 steps" in curve.start
