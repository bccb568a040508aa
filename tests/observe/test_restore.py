"""Whatever is measured or tried, a user's model is left bit for bit as it was, and so is all else that it can reach."""

import random
import sys
from collections import deque
from pathlib import Path

import numpy as np
import pytest
import torch
from contents import differences, held_by
from pytorch_lightning import LightningModule
from torch import nn
from torch.nn.utils import parametrizations, spectral_norm, weight_norm

from rnnvanish import diagnose, probes


class Plain(nn.Module):
    """An RNN and a head."""

    def __init__(self):
        super().__init__()
        self.rnn, self.head = nn.RNN(3, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.rnn(x)[0][-1])


class Normed(Plain):
    """BatchNorm in training mode, and dropout."""

    def __init__(self):
        super().__init__()
        self.norm, self.drop = nn.BatchNorm1d(3), nn.Dropout(0.3)

    def forward(self, x):
        return super().forward(self.drop(self.norm(x.transpose(1, 2)).transpose(1, 2)))


class Dropping(Plain):
    """Weight drop in the old style: the parameter is deleted, and an attribute set at each forward."""

    def __init__(self):
        super().__init__()
        self.rnn.flatten_parameters = lambda: None
        raw = self.rnn.weight_hh_l0
        del self.rnn._parameters["weight_hh_l0"]
        self.rnn.register_parameter("weight_hh_l0_raw", nn.Parameter(raw.data))

    def forward(self, x):
        self.rnn.weight_hh_l0 = nn.functional.dropout(self.rnn.weight_hh_l0_raw, 0.3, self.training)
        return super().forward(x)


class Aside:
    """A plain object that a module holds."""

    __slots__ = ("count", "seen")

    def __init__(self):
        self.count, self.seen = 0, deque(maxlen=3)


class Noting(Plain):
    """Counts and notes wherever it can."""

    total, every = 0, ()

    def __init__(self):
        super().__init__()
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.register_buffer("mean", torch.zeros(2))
        self.calls, self.notes, self.table, self.kinds = 0, [], {"b": 1, "a": [2]}, {1}
        self.aside, self.array = Aside(), np.zeros(3)

    def forward(self, x):
        y = super().forward(x)
        self.calls += 1
        Noting.total += 1
        Noting.every = (*Noting.every, self.calls)
        self.steps += 1
        self.mean.mul_(0.9).add_(0.1 * y.detach().mean(0).float())
        self.notes.append(y)
        self.table["a"].append(self.calls)
        self.table = {**self.table, "c": self.calls}
        self.kinds.add(self.calls)
        self.aside.count += 1
        self.aside.seen.append(self.calls)
        self.array += 1
        self.made_here = y
        return y


class Carrying(Plain):
    """Keeps its hidden state from call to call, and resets it in place."""

    def __init__(self):
        super().__init__()
        self.state = torch.zeros(1, 2, 4)

    def forward(self, x):
        self.state.mul_(0.5)
        y, state = self.rnn(x, self.state.to(x.dtype).clone())
        self.state = state.detach()
        return self.head(y[-1])


class Drawing(Plain):
    """Draws from every kind of generator, its own among them."""

    def __init__(self):
        super().__init__()
        self.own = [random.Random(0), np.random.default_rng(0), torch.Generator().manual_seed(0)]

    def forward(self, x):
        python, arrays, tensors = self.own
        scale = random.random() + np.random.random() + python.random() + arrays.random()  # noqa: NPY002
        scale = scale + float(torch.rand((), generator=tensors)) + float(torch.rand(()))
        return scale * super().forward(x)


class Renormalising(Plain):
    """An embedding that is renormalised in its forward."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(5, 3, max_norm=0.1)

    def forward(self, x):
        return super().forward(self.embedding(x.argmax(-1)).to(x.dtype) + x)


class Switching(Plain):
    """Turns switches of the whole process, requires_grad and its own mode."""

    def forward(self, x):
        torch.backends.cudnn.benchmark = True
        torch.use_deterministic_algorithms(True, warn_only=True)
        self.head.bias.requires_grad_(False)
        self.head.train(not self.head.training)
        return super().forward(x)


class Writing(Plain):
    """Changes its input and its weights' data and gradients."""

    def forward(self, x):
        x.mul_(1.5)
        self.head.weight.data.mul_(1.01)
        self.head.bias.data = self.head.bias.data + 1
        self.head.weight.grad = torch.ones_like(self.head.weight)
        return super().forward(x)


class Lit(LightningModule):
    """A LightningModule that saves its options."""

    def __init__(self, width=4):
        super().__init__()
        self.save_hyperparameters()
        self.inner = Normed()

    def forward(self, x):
        return self.inner(x)

    def training_step(self, batch, index):
        return self(batch[0]).square().mean()


def lazy():
    model = Plain()
    model.head = nn.LazyLinear(2)
    return model


def hooked():
    """What was seen is kept where a hook closes over it."""
    model, seen = Plain(), []
    model.rnn.register_forward_hook(lambda module, args, output: seen.append(output))
    return model


def of(change):
    def build():
        model = Plain()
        change(model.rnn)
        return model

    return build


MODELS = {
    "batch norm and dropout": Normed,
    "old spectral norm": of(lambda rnn: spectral_norm(rnn, "weight_hh_l0")),
    "new spectral norm": of(lambda rnn: parametrizations.spectral_norm(rnn, "weight_hh_l0")),
    "old weight norm": of(lambda rnn: weight_norm(rnn, "weight_hh_l0")),
    "new weight norm": of(lambda rnn: parametrizations.weight_norm(rnn, "weight_hh_l0")),
    "orthogonal": of(lambda rnn: parametrizations.orthogonal(rnn, "weight_hh_l0")),
    "weight drop": Dropping,
    "counters and notes": Noting,
    "state as attribute": Carrying,
    "generators": Drawing,
    "embedding with max_norm": Renormalising,
    "switches": Switching,
    "writes": Writing,
    "Lightning": Lit,
    "lazy": lazy,
    "hook": hooked,
}


#: Models in which a layer cannot be replaced.
UNFIT = {"weight drop", "state as attribute"}


@pytest.fixture(autouse=True)
def switches_as_they_were():
    yield
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.benchmark = False


def built(name):
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    model = MODELS[name]()
    optimiser = torch.optim.Adam([p for p in model.parameters() if not isinstance(p, nn.UninitializedParameter)])
    for parameter in list(model.parameters())[:2]:
        parameter.grad = torch.ones_like(parameter)
    return model, 4 * torch.randn(15, 2, 3), optimiser


def check(held, run):
    before = held_by(*held)
    run()
    assert differences(before, held_by(*held)) == []


def no_error(run, *args, **kwargs):
    try:
        return run(*args, **kwargs)
    except (ValueError, RuntimeError) as error:
        return error


@pytest.mark.parametrize("name", MODELS)
def test_a_diagnosis_with_cures_and_training_leaves_everything_as_it_was(name):
    model, x, optimiser = built(name)
    found = []
    loss = nn.Sequential(nn.BatchNorm1d(2), nn.Flatten(0))  # a loss may hold something, too

    def scalar(output):
        return loss(output).square().sum()

    check(
        (model, x, optimiser, loss),
        lambda: found.append(diagnose(model, x, loss=scalar, lag=3, train=1)),
    )
    (curve,) = found[0].curves.values()
    assert curve.verdict == "vanishing"
    assert curve.advice or found[0].unfit  # so cures were tried
    assert not any("rror:" in said for said in found[0].unfit.values()) or name in UNFIT


@pytest.mark.parametrize(
    "name", ["batch norm and dropout", "counters and notes", "generators", "weight drop", "writes"]
)
def test_every_probe_leaves_everything_as_it_was(name):
    model, x, optimiser = built(name)
    calls = {"jacobian": {"lag": 2}, "weights": None}
    measures = [name for name in probes.__all__ if name[0].islower()]
    for measure in measures:
        options = calls.get(measure, {})
        args = (model,) if options is None else (model, x)
        check((model, x, optimiser), lambda m=measure, a=args, o=options: no_error(getattr(probes, m), *a, **(o or {})))


@pytest.mark.parametrize(
    "name", ["batch norm and dropout", "counters and notes", "writes", "lazy", "state as attribute"]
)
@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt])
def test_an_exception_in_forward_loss_or_backward_leaves_everything_as_it_was(name, error):
    model, x, optimiser = built(name)

    class Failing(torch.autograd.Function):
        @staticmethod
        def forward(ctx, y):
            return y.clone()

        @staticmethod
        def backward(ctx, g):
            raise error

    def in_loss(output):
        raise error

    def in_backward(output):
        return Failing.apply(output).sum()

    def fails(*args, **kwargs):
        with pytest.raises((error, RuntimeError)):
            probes.retention(*args, **kwargs)

    check((model, x, optimiser), lambda: fails(model, x, loss=in_loss))
    check((model, x, optimiser), lambda: fails(model, x, loss=in_backward))

    def in_forward(module, args, output):
        raise error

    hook = model.head.register_forward_hook(in_forward)
    check((model, x, optimiser), lambda: fails(model, x))
    hook.remove()


@pytest.mark.parametrize("at", [20, 77, 150, 330, 600, 1000])
def test_an_interrupt_anywhere_leaves_everything_as_it_was(at):
    model, x, _ = built("counters and notes")
    package, calls = str(Path(probes.__file__).parents[1]), 0

    def interrupt(frame, event, argument):
        nonlocal calls
        if event == "call" and frame.f_code.co_filename.startswith(package):
            calls += 1
            if calls == at:
                sys.setprofile(None)
                raise KeyboardInterrupt

    def run():
        sys.setprofile(interrupt)
        try:
            probes.retention(model, x)
        except KeyboardInterrupt:
            pass
        finally:
            sys.setprofile(None)

    check((model, x), run)
    assert calls >= min(at, 300)


def test_a_batch_that_is_a_column_of_a_larger_tensor_can_be_compared():
    class Words(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.gru = nn.Embedding(9, 3), nn.GRU(3, 4)

        def forward(self, words):
            return self.gru(self.embed(words)[:, None])[0]

    words = torch.randint(9, (12, 5))
    held = words.clone()
    (curve,) = diagnose(Words(), words[:, 0], quick=True).curves.values()
    assert len(curve.gain) == 12
    assert torch.equal(words, held)
