"""What cannot be measured: a message that names the module and says what to do, never a number, and no trace left."""

import copy
import random

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from rnnvanish.probes import retention

TIME, BATCH, INPUT, HIDDEN = 6, 3, 2, 4


class Reader(nn.Module):
    """A loop of a cell, then a layer; what a subclass does between is what is wrong."""

    def __init__(self):
        super().__init__()
        self.cell, self.layer = nn.GRUCell(INPUT, HIDDEN), nn.GRU(HIDDEN, HIDDEN)
        self.head, self.drop = nn.Linear(HIDDEN, 2), nn.Dropout(0.5)

    def forward(self, x):
        h, states = x.new_zeros(x.shape[1], HIDDEN), []
        for now in x:
            h = self.between(self.cell(now, h))
            states.append(h)
        return self.end(self.layer(torch.stack(states))[0][-1])

    def between(self, h):
        return h

    def end(self, h):
        return self.head(h)


class InPlaceElsewhere(Reader):
    def end(self, h):
        y = h.exp()
        z = y.sin()
        y += 1
        return z + y.sum()


class Random(Reader):
    def end(self, h):
        return self.head(h) + random.SystemRandom().random()


CALLS = []


class Remembers(Reader):
    def end(self, h):
        CALLS.append(1)
        return self.head(h) * len(CALLS)


class Cut(Reader):
    def end(self, h):
        return self.head(h.detach())


class NoGrad(Reader):
    @torch.no_grad()
    def forward(self, x):
        return super().forward(x)


class Inference(Reader):
    def forward(self, x):
        with torch.inference_mode():
            return super().forward(x)


class Numbers(Reader):
    def end(self, h):
        return torch.tensor(self.head(h).tolist())


class Infinite(Reader):
    def end(self, h):
        return 1 / (h - h)


class RootAtZero(Reader):
    def end(self, h):
        return (h - h).abs().sum(-1).sqrt() + h.sum(-1)


class Unread(Reader):
    def end(self, h):
        return self.head.weight.sum() + 0 * self.head.bias


class Steps(nn.Module):
    """No layer of torch in it."""

    def __init__(self):
        super().__init__()
        self.mix = nn.Linear(INPUT + HIDDEN, HIDDEN)

    def forward(self, x):
        h = x.new_zeros(x.shape[1], HIDDEN)
        for now in x:
            h = torch.tanh(self.mix(torch.cat([now, h], -1)))
        return h


def broken(name, value):
    model = Reader()
    with torch.no_grad():
        model.get_parameter(name)[0] = value
    return model


def remember(model):
    attributes = {n: {k: copy.deepcopy(v) for k, v in vars(m).items() if k[0] != "_"} for n, m in model.named_modules()}
    return copy.deepcopy(model.state_dict()), attributes, [p.grad for p in model.parameters()]


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (InPlaceElsewhere, ValueError, r"InPlaceElsewhere changes a tensor in place.*Write a = a \* b"),
        (Random, RuntimeError, "run of Random.*Two ordinary runs differ, too: its forward draws random numbers"),
        (Remembers, RuntimeError, "run of Remembers.*remembers earlier calls"),
        (Cut, ValueError, r"layer of Cut. Seen were cell, layer/layer0/forward. .*detach\(\)"),
        (
            NoGrad,
            ValueError,
            r"layer of NoGrad.*All of them ran under no_grad\(\) or inference_mode\(\): leave that out",
        ),
        (Inference, ValueError, r"layer of Inference.*ran under no_grad\(\) or inference_mode\(\)"),
        (Numbers, ValueError, r"layer of Numbers.*no gradient at all.*item\(\) or a numpy\(\)"),
        (Unread, ValueError, "layer of Unread.*does the loss read another part of the model"),
        (Infinite, ValueError, "Infinite returns infinities or nan.*look for a division"),
        (RootAtZero, ValueError, "nan or infinite at the end of .* already.*square root"),
        (
            Steps,
            ValueError,
            r"A recurrent layer is needed.*a Steps made of Linear, Steps.*mix \(6 calls; it reads.*must become a module",
        ),
        (
            lambda: broken("cell.weight_hh", torch.inf),
            ValueError,
            "parameter cell.weight_hh is not finite: 4 of its 48",
        ),
        (lambda: broken("layer.bias_hh_l0", torch.nan), ValueError, "parameter layer.bias_hh_l0 is not finite: 1 of"),
        (lambda: broken("head.bias", torch.nan), ValueError, "parameter head.bias is not finite: 1 of its 2 numbers"),
    ],
)
def test_models(make, error, said):
    torch.manual_seed(0)
    model, x = make(), torch.randn(TIME, BATCH, INPUT)
    before, state = remember(model), torch.get_rng_state()
    with pytest.raises(error, match=said):
        retention(model, x)
    after = remember(model)
    torch.testing.assert_close(after[0], before[0], rtol=0, atol=0, equal_nan=True)
    assert after[1:] == before[1:]
    assert torch.equal(torch.get_rng_state(), state)
    assert "forward" not in vars(model.get_submodule("cell") if hasattr(model, "cell") else model)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((0, BATCH, INPUT), r"GRU was given sequences of no steps, an input of shape \(0, 3, 2\)"),
        ((TIME, 0, INPUT), r"GRU was given an empty batch, an input of shape \(6, 0, 2\).*at least one sequence"),
    ],
)
def test_inputs_of_nothing(shape, said):
    with pytest.raises(ValueError, match=said):
        retention(nn.GRU(INPUT, HIDDEN), torch.zeros(shape))


def test_loops_of_nothing():
    class Looping(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = nn.GRUCell(INPUT, HIDDEN)

        def forward(self, x):
            h = x.new_zeros(x.shape[1], HIDDEN)
            for now in x:
                h = self.cell(now, h)
            return h

    with pytest.raises(ValueError, match="Looping has cell, but called none of them"):
        retention(Looping(), torch.zeros(0, BATCH, INPUT))
    with pytest.raises(ValueError, match=r"cell was given an empty batch.*at least one sequence"):
        retention(Looping(), torch.zeros(TIME, 0, INPUT))
    (curve,) = retention(Looping(), torch.zeros(1, BATCH, INPUT)).values()
    assert curve.verdict == "nothing to carry"
    assert curve.notes == ("It ran for a single step: there is no lag to measure.",)


def test_inputs_that_are_no_numbers():
    x = torch.randn(TIME, BATCH, INPUT)
    x[2, 1] = torch.nan
    with pytest.raises(ValueError, match="The input 0 is not finite: 2 of its 36 numbers"):
        retention(Reader(), x)
    with pytest.raises(ValueError, match="The input 'x' is not finite"):
        retention(Reader(), {"x": x})
    with pytest.raises(ValueError, match="The input 0 is not finite"):
        retention(nn.GRU(INPUT, HIDDEN), pack_padded_sequence(x, [6, 6, 5]))


def test_no_grad_around_the_call_is_no_matter():
    model, x = Reader(), torch.randn(TIME, BATCH, INPUT)
    expected = retention(model, x)["cell"].gain
    with torch.no_grad():
        assert torch.equal(retention(model, x)["cell"].gain, expected)
    with torch.inference_mode():
        assert torch.equal(retention(model, x.clone())["cell"].gain, expected)


def test_dropout_keeps_its_masks():
    class Dropping(Reader):
        def between(self, h):
            return self.drop(h)

        def end(self, h):
            return self.drop(self.head(h))

    torch.manual_seed(0)
    model, x = Dropping(), torch.randn(TIME, BATCH, INPUT)
    state = torch.get_rng_state()
    curve = retention(model, x)["layer/layer0/forward"]
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(retention(model, x)["layer/layer0/forward"].gain, curve.gain)


def test_what_outgrows_double_precision_is_infinite_and_said():
    module = nn.RNN(1, 2, nonlinearity="relu")
    with torch.no_grad():
        module.weight_hh_l0.copy_(1e3 * torch.eye(2))
        module.weight_ih_l0.zero_()
        module.bias_ih_l0.zero_()
        module.bias_hh_l0.fill_(-1.0)
        module.bias_hh_l0[0] = 0

    class Kept(nn.Module):
        """Its states stay small, its gradients do not."""

        def __init__(self):
            super().__init__()
            self.cell = nn.RNNCell(1, 1, nonlinearity="relu")
            with torch.no_grad():
                for weight in self.cell.parameters():
                    weight.zero_()
                self.cell.weight_hh.fill_(1e3)

        def forward(self, x):
            h = x.new_full((1, 1), 1.0)
            for now in x:
                h = self.cell(now, h - h.detach() + 1e-3)
            return h

    (curve,) = retention(Kept(), torch.zeros(120, 1, 1)).values()
    assert curve.gain[:100].isfinite().all()
    assert curve.gain[-1].isinf()
    assert curve.verdict == "exploding"
    assert curve.rate == pytest.approx(6.907755, rel=1e-6)
    assert any("beyond what the number format can hold" in note for note in curve.notes)


def test_cells_that_are_not_there_and_modules_that_are_no_steps():
    x = torch.randn(TIME, BATCH, INPUT)
    with pytest.raises(
        ValueError, match=r"cells= names 'LSTMCell', which this Reader has not.*It has the modules cell, drop"
    ):
        retention(Reader(), x, cells=[nn.LSTMCell])
    with pytest.raises(ValueError, match=r"cells= names 'cel'.*Did you mean cell\?"):
        retention(Reader(), x, cells=["cel"])
    with pytest.raises(ValueError, match="head, a Linear, was named in cells=, but none of its arguments comes back"):
        retention(Reader(), x, cells=["head"])


class Collector(Reader):
    """Writes to what it holds."""

    def __init__(self):
        super().__init__()
        self.seen, self.table, self.last = [], {"calls": 0}, torch.zeros(BATCH, HIDDEN)

    def end(self, h):
        self.seen.append(h)
        self.table["calls"] += 1
        self.last.copy_(h.detach())
        self.count = 1
        return self.head(h)


def test_what_a_forward_writes_to_is_put_back():
    model = Collector()
    retention(model, torch.randn(TIME, BATCH, INPUT))
    assert model.seen == []
    assert model.table == {"calls": 0}
    assert not model.last.any()
    assert not hasattr(model, "count")


@pytest.mark.parametrize("how", ["model", "module", "in place", "by default"])
def test_a_compiled_model_is_measured_as_it_was_written(how):
    torch.manual_seed(0)
    model, x = Reader(), torch.randn(TIME, BATCH, INPUT)
    expected = retention(model, x)
    if how == "model":
        compiled = torch.compile(model, backend="eager")
    elif how == "module":
        compiled = model
        model.layer = torch.compile(model.layer, backend="eager")
    elif how == "by default":  # never called, so that nothing is compiled in earnest
        assert list(retention(torch.compile(model), x)) == list(expected)
        return
    else:
        compiled = model
        model.compile(backend="eager")
    torch.testing.assert_close(compiled(x), model(x))
    found = retention(compiled, x)
    assert list(found) == list(expected)
    for name, curve in found.items():
        assert torch.equal(curve.gain, expected[name].gain)
    if how == "module":
        assert isinstance(model.layer, torch._dynamo.OptimizedModule)
