"""What a loss may be: a function, an object, a module, a method; and what each is given."""

from functools import partial

import pytest
import torch
from networks import BATCH, HIDDEN, INPUT, TIME, Two, same
from pytorch_lightning import LightningModule, Trainer
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from rnnvanish.observe.call import Call
from rnnvanish.probes import retention

torch.manual_seed(0)
X, TARGET = torch.randn(BATCH, TIME, INPUT).double(), torch.tensor([0, 3, 1])


class Holder:
    def __init__(self):
        self.weight = 1.0

    def __call__(self, output, target):
        return self.weight * F.cross_entropy(output, target)

    def of_batch(self, output, batch, weight=1.0):
        return weight * F.cross_entropy(output, batch[1])

    def of_output(self, output, target=TARGET):
        return F.cross_entropy(output, target)


@pytest.mark.parametrize(
    "loss",
    [
        nn.CrossEntropyLoss(),
        F.cross_entropy,
        partial(F.cross_entropy, reduction="mean"),
        partial(F.cross_entropy, target=TARGET),
        Holder(),
        Holder().of_batch,
        Holder().of_output,
        partial(Holder().of_batch, weight=1.0),
        lambda output, batch: F.cross_entropy(output, batch[1]),
        lambda output, labels: F.cross_entropy(output, labels),
    ],
)
@pytest.mark.parametrize("batch", [(X, TARGET), {"x": X, "labels": TARGET}], ids=["tuple", "mapping"])
def test_every_form_of_a_loss(loss, batch):
    if isinstance(batch, dict) and getattr(loss, "__name__", "of_batch") in ("<lambda>", "of_batch"):
        batch = (X, TARGET)
    torch.manual_seed(0)
    model = Two().double()
    expected = retention(model, X, loss=lambda output: F.cross_entropy(output, TARGET))
    for name, curve in retention(model, batch, loss=loss).items():
        same(curve.gain, expected[name].gain)


@pytest.mark.parametrize(
    ("loss", "batch"),
    [
        (lambda output, tg: F.cross_entropy(output, tg), (X, TARGET)),
        (lambda output, gold: F.cross_entropy(output, gold), {"x": X, "gold": TARGET}),
        (lambda output, pair: F.cross_entropy(output, pair[1]), (X, TARGET)),
        (lambda output, x: F.cross_entropy(output, x[1]), (X, TARGET)),
    ],
    ids=["targets", "a part by its name", "the batch", "x"],
)
def test_where_a_name_does_not_say_what_it_is_given_what_runs_is_meant(loss, batch):
    torch.manual_seed(0)
    model = Two().double()
    expected = retention(model, X, loss=lambda output: F.cross_entropy(output, TARGET))
    for name, curve in retention(model, batch, loss=loss).items():
        same(curve.gain, expected[name].gain)


def no(output, other):
    raise RuntimeError("no such loss" if other is TARGET else "no such batch")


def test_where_nothing_runs_both_tries_are_told():
    model = Two().double()
    with pytest.raises(
        ValueError,
        match=r"takes tg .*With the batch, .*: no such batch. With .* Tensor.3,.: no such loss.*batch or target",
    ):
        retention(model, (X, TARGET), loss=lambda output, tg: no(output, tg))
    with pytest.raises(RuntimeError, match="no such batch"):  # a name that says what it is: no other try
        retention(model, (X, TARGET), loss=lambda output, batch: no(output, batch))


def test_what_is_last_in_a_batch_is_the_target():
    torch.manual_seed(0)
    model, one = Two().double(), torch.tensor(1.0).double()
    (curve,) = retention(model, (X, one, ["a", "b", "c"], TARGET), loss=nn.CrossEntropyLoss()).values()
    same(curve.gain, retention(model, (X, TARGET), loss=nn.CrossEntropyLoss())["layer/layer0/forward"].gain)


def test_a_loss_of_several_targets():
    class Reader(Two):
        def forward(self, x):
            return self.layer(x)[0].transpose(0, 1).log_softmax(-1)

    lengths = torch.full((BATCH,), TIME), torch.full((BATCH,), 2)
    batch = (X, torch.ones(BATCH, 2).long(), *lengths)
    model = Reader().double()
    (curve,) = retention(model, batch, loss=nn.CTCLoss()).values()
    (expected,) = retention(model, X, loss=lambda output: nn.CTCLoss()(output, *batch[1:])).values()
    same(curve.gain, expected.gain)


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (
            nn.CrossEntropyLoss(),
            r"The loss CrossEntropyLoss takes target beside.*Tensor\(3, 7, 2\), has nothing beside",
        ),
        (nn.GaussianNLLLoss(), r"takes target, var beside what the model returns"),
        (lambda output: output.mean(0), r"must be a tensor of one number, got torch.Size\(\[4\]\)"),
        (
            lambda output: (output, [output]),
            r"one number, got tuple of \(Tensor\(3, 4\), list of \(Tensor\(3, 4\)\)\)\.$",
        ),
    ],
)
def test_a_loss_that_asks_for_what_is_not_there(loss, said):
    with pytest.raises(ValueError, match=said):
        retention(Two().double(), X, loss=loss)


class Methods(Two):
    """Losses of its own, called in every way; they all give the same number."""

    def of_one(self, batch, scale=1.0, *, weight=1.0):
        return weight * scale * F.cross_entropy(self(batch[0]), batch[1])

    def with_index(self, data, batch_idx, loader=0):
        assert batch_idx == loader == 0
        return self.of_one(data)

    def with_indices(self, data, batch_nb, optimizer_idx):
        assert optimizer_idx == 0
        return self.with_index(data, batch_nb)

    def of_parts(self, x, y, smoothing=0.0):
        return F.cross_entropy(self(x), y, label_smoothing=smoothing)

    def in_a_mapping(self, batch):
        return {"loss": self.of_one(batch), "log": 1}

    def needs_more(self, x, y, teacher):
        return None

    def returns_nothing(self, batch):
        self.of_one(batch)

    @staticmethod
    def of_output(output, target):
        return F.cross_entropy(output, target)


@pytest.mark.parametrize("method", ["of_one", "with_index", "with_indices", "of_parts", "in_a_mapping"])
def test_a_method_as_a_loss(method):
    torch.manual_seed(0)
    model = Methods().double()
    (expected,) = retention(model, X, loss=lambda output: F.cross_entropy(output, TARGET)).values()
    for batch in ((X, TARGET), [X, TARGET], DataLoader(TensorDataset(X, TARGET), batch_size=BATCH)):
        (curve,) = retention(model, batch, loss=method).values()
        same(curve.gain, expected.gain)
    (bound,) = retention(model, (X, TARGET), loss=model.of_output).values()
    same(bound.gain, expected.gain)


def test_a_method_that_is_no_loss_for_this_batch():
    with pytest.raises(ValueError, match=r"needs_more\(x, y, teacher\) cannot be the loss.*the batch, which has 2"):
        retention(Methods().double(), (X, TARGET), loss="needs_more")
    with pytest.raises(ValueError, match=r"of_parts\(x, y\) cannot be the loss.*the batch, which has 0"):
        retention(Methods().double(), X, loss="of_parts")
    with pytest.raises(ValueError, match="must be a tensor of one number, got None"):
        retention(Methods().double(), (X, TARGET), loss="returns_nothing")


class OtherLightningModule(nn.Module):
    """Stands for that of the package `lightning`, which need not be there."""

    _trainer = None

    @property
    def trainer(self):
        if self._trainer is None:
            raise RuntimeError("not attached to a Trainer")
        return self._trainer

    @property
    def logger(self):
        return self._trainer and self._trainer.logger

    def log(self, name, value):
        raise RuntimeError("no loop")

    def forward(self, *args):
        return super().forward(*args)


OtherLightningModule.__module__, OtherLightningModule.__name__ = "lightning.pytorch.core.module", "LightningModule"


def learner(base):
    """A LightningModule of either package."""

    class Learner(base):
        def __init__(self):
            super().__init__()
            self.layer, self.head = nn.GRU(INPUT, HIDDEN, batch_first=True), nn.Linear(HIDDEN, 4)
            self.seen = 0

        def outputs(self, x):
            return self.head(self.layer(x)[0][:, -1])

        def training_step(self, batch, index):
            self.seen += 1
            loss = F.cross_entropy(self.outputs(batch[0]), batch[1])
            self.log("loss", loss)
            if self.logger is not None:
                self.logger.experiment.add_scalar("loss", loss, self.trainer.global_step)
            return {"loss": loss * (1 + self.trainer.current_epoch)}

        def by_hand(self, batch, batch_idx):
            optimizer = self.optimizers()
            for half in (slice(0, 2), slice(2, None)):
                loss = F.cross_entropy(self.outputs(batch[0][half]), batch[1][half], reduction="sum") / BATCH
                optimizer.zero_grad()
                self.manual_backward(loss)
                self.clip_gradients(optimizer, gradient_clip_val=0.1)
                optimizer.step()
            self.lr_schedulers().step()

        def asks(self, batch, batch_idx):
            return self.training_step(batch, 0)["loss"] / self.trainer.max_epochs

    return Learner()


@pytest.mark.parametrize("base", [LightningModule, OtherLightningModule])
@pytest.mark.filterwarnings("error:You are trying to")
def test_a_lightning_module_without_a_trainer(base):
    torch.manual_seed(0)
    model = learner(base).double()
    before = dict(vars(model))
    with pytest.raises(ValueError, match="Learner has no forward that could be called"):
        retention(model, [X, TARGET])
    (expected,) = retention(_Plain(model), X, loss=lambda output: F.cross_entropy(output, TARGET)).values()
    (curve,) = retention(model, [X, TARGET], loss="training_step").values()
    same(curve.gain, expected.gain)
    by_hand = retention(model, [X, TARGET], loss="by_hand")
    assert list(by_hand) == ["layer/layer0/forward", "layer (call 2)/layer0/forward"]
    with pytest.raises(
        AttributeError, match=r"asks asks for trainer.max_epochs, which is there only while a Trainer runs"
    ):
        retention(model, [X, TARGET], loss="asks")
    with pytest.raises(ValueError, match="give its name, loss='training_step'"):
        retention(_Plain(model), [X, TARGET], loss=model.training_step)
    assert vars(model) == before


class _Plain(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.layer, self.head = model.layer, model.head

    def forward(self, x):
        return self.head(self.layer(x)[0][:, -1])


def test_a_lightning_module_after_its_training():
    """Its Trainer is there, and no loop in which it could log."""
    torch.manual_seed(0)
    model = learner(LightningModule).double()
    data = DataLoader(TensorDataset(X, TARGET), batch_size=BATCH)
    model.configure_optimizers = lambda: torch.optim.SGD(model.parameters(), 1e-3)
    Trainer(max_epochs=1, logger=False, enable_checkpointing=False, enable_progress_bar=False, accelerator="cpu").fit(
        model.float().double(), data
    )
    trainer, seen = model.trainer, model.seen
    (curve,) = retention(model, data, loss="training_step").values()
    assert len(curve.gain) == TIME
    assert model.seen == seen
    Call.of_method(model, "training_step", [X, TARGET])(model)
    assert model.trainer is trainer
    assert "log" not in vars(model)
