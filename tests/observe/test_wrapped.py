"""Models inside of wrappers: measured through them, by the names of the model, or a sentence that says what to hand over."""

import warnings

import pytest
import torch
from torch import nn
from torch.distributed.fsdp import FSDPModule

from rnnvanish import diagnose
from rnnvanish.probes import retention, weights


class Model(nn.Module):
    def __init__(self, kind=nn.LSTM):
        super().__init__()
        self.rnn, self.head = kind(4, 6, batch_first=True), nn.Linear(6, 2)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])

    def training_step(self, batch, index):
        return self(batch).sum()


@pytest.fixture(scope="module")
def group(tmp_path_factory):
    store = torch.distributed.FileStore(str(tmp_path_factory.mktemp("group") / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


WRAPPED = {
    "DataParallel": nn.DataParallel,
    "DistributedDataParallel": nn.parallel.DistributedDataParallel,
    "compiled": lambda model: torch.compile(model, backend="eager"),
    "compiled ahead of time": lambda model: torch.compile(model, backend="aot_eager"),
    "compiled within": lambda model: nn.DataParallel(torch.compile(model, backend="eager")),
    "symbolically traced": torch.fx.symbolic_trace,
}


@pytest.mark.parametrize("name", WRAPPED)
def test_measured_through_a_wrapper(name, group):
    torch.manual_seed(0)
    model, x = Model(), torch.randn(3, 12, 4)
    plain, wrapped = retention(model, x), WRAPPED[name](model)
    found = retention(wrapped, x)
    assert list(found) == ["rnn/layer0/forward"]
    assert torch.equal(found["rnn/layer0/forward"].gain, plain["rnn/layer0/forward"].gain)
    assert list(weights(wrapped)) == ["rnn/layer0/forward"]
    if name == "DistributedDataParallel":
        told = retention(wrapped, x, loss="training_step")
        assert torch.equal(told["rnn/layer0/forward"].gain, plain["rnn/layer0/forward"].gain)
        diagnosis = diagnose(wrapped, x)
        assert diagnosis.model == "Model"
        assert diagnosis.curves["rnn/layer0/forward"].advice


def test_a_bare_layer_in_a_wrapper_is_read_like_the_layer():
    torch.manual_seed(0)
    layer, x = nn.GRU(4, 6, num_layers=2), torch.randn(9, 2, 4)
    for wrapped in (nn.DataParallel(layer), torch.compile(layer, backend="eager")):
        found = retention(wrapped, x)
        for name, curve in retention(layer, x).items():
            assert torch.equal(found[name].gain, curve.gain), name


def test_under_autocast():
    torch.manual_seed(0)
    model, x = Model().eval(), torch.randn(3, 12, 4)
    plain = retention(model, x)["rnn/layer0/forward"]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        around = retention(model, x)["rnn/layer0/forward"]
    torch.testing.assert_close(around.gain, plain.gain, rtol=0.05, atol=0)


def quantized(model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.ao.quantization.quantize_dynamic(model, {nn.LSTM}, dtype=torch.qint8)


OPAQUE = {
    "scripted": torch.jit.script,
    "traced": lambda model: torch.jit.trace(model, torch.randn(3, 12, 4)),
    "exported": lambda model: torch.export.export(model, (torch.randn(3, 12, 4),)).module(),
    "quantized": quantized,
}


def test_of_what_can_be_seen_into_nothing_is_said():
    class LSTM(nn.LSTM):
        """Its name alone makes it no layer of somebody else's."""

    class Tagger(Model):
        def __init__(self):
            super().__init__()
            self.own = LSTM(4, 5)

        def forward(self, x):
            return super().forward(x) + self.own(x)[0].mean()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(retention(Tagger(), torch.randn(3, 12, 4))) > 1


@pytest.mark.parametrize("name", OPAQUE)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:The tensor attributes")
def test_what_cannot_be_seen_into_says_what_to_hand_over(name):
    x = torch.randn(3, 12, 4)
    opaque = OPAQUE[name](Model().eval())
    with pytest.raises(ValueError, match=r"Not to be seen into: .*Give the module that it was made of"):
        retention(opaque, x)

    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.gru = opaque, nn.GRU(2, 5)

        def forward(self, x):
            return self.gru(self.inner(x)[:, None].expand(3, 4, 2).transpose(0, 1))[0][-1]

    with pytest.warns(UserWarning, match="Not to be seen into: inner"):
        assert list(retention(Both(), x)) == ["gru/layer0/forward"]


def test_sharded_weights_are_refused():
    class Sharded(FSDPModule, Model):
        """As fully_shard makes a module's class."""

        def __new__(cls):
            return nn.Module.__new__(cls)

    with pytest.raises(ValueError, match=r"wrapped by FSDP.*before it is wrapped"):
        retention(Sharded(), torch.randn(3, 12, 4))


class ByItself(nn.GRU):
    """A subclass that computes its steps itself."""

    def forward(self, x):
        h = x.new_zeros(len(x), self.hidden_size)
        for step in x.unbind(1):
            h = torch.tanh(step @ self.weight_ih_l0[:6].T + h @ self.weight_hh_l0[:6].T)
        return h[:, None], h


def test_a_subclass_that_never_comes_to_torchs_layer_is_said():
    x = torch.randn(3, 12, 4)
    with pytest.raises(ValueError, match=r"rnn is not measured: the forward of ByItself computes its steps itself"):
        retention(Model(ByItself), x)
    with pytest.warns(UserWarning, match="0.rnn is not measured"):
        found = retention(nn.Sequential(Model(ByItself), nn.Unflatten(1, (2, 1)), nn.GRU(1, 3, batch_first=True)), x)
    assert list(found) == ["2/layer0/forward"]


class Reading(nn.RNN):
    """A subclass that returns all outputs, and nothing else."""

    def forward(self, x):
        return super().forward(x)[0]


def test_a_bare_subclass_is_read_at_what_it_returns():
    torch.manual_seed(0)
    layer, x = Reading(4, 6), torch.randn(9, 2, 4)
    plain = nn.RNN(4, 6)
    plain.load_state_dict(layer.state_dict())
    torch.testing.assert_close(
        retention(layer, x)["Reading/layer0/forward"].gain, retention(plain, x)["RNN/layer0/forward"].gain
    )
