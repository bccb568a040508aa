"""The learner against the same network written in torch.nn, its checkpoints, and the batches of a run."""

import contextlib
import copy
import re
from dataclasses import dataclass

import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from rnnvanish import tasks
from rnnvanish.live import live_cells
from rnnvanish.mitigation import Penalty, innermost
from rnnvanish.mitigations import ALL as MITIGATIONS
from rnnvanish.mitigations import ClipNorm
from rnnvanish.task import stream
from rnnvanish.training.data import TaskData
from rnnvanish.training.learner import Learner

pytestmark = pytest.mark.filterwarnings("ignore:.*many workers", "ignore:.*LeafSpec")  # Lightning's own


def batch_of(learner: Learner, count: int = 6):
    return learner.task.sample(count, stream("test_learner"))


@pytest.mark.parametrize("task", tasks.ALL)
def test_every_task_is_learnt_from(task):
    """A few steps on one batch make its loss smaller."""
    torch.manual_seed(0)
    learner = Learner("GRU", task, hidden_size=8)
    batch = batch_of(learner)
    optimizer = learner.configure_optimizers()
    losses = []
    for _ in range(8):
        prediction = learner(batch.inputs, batch.lengths)
        loss = learner.task.loss(prediction, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert 0 <= learner.task.score(prediction, batch) <= 1


@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_answer_is_read_at_each_sequences_own_end(bidirectional):
    """Each sequence alone through torch.nn.LSTM: the final state of each direction, through the read-out."""
    torch.manual_seed(0)
    learner = Learner("LSTM", "vowels", hidden_size=5, num_layers=2, bidirectional=bidirectional).double()
    theirs = learner.recurrent.to_torch()
    inputs, _, lengths = batch_of(learner)
    assert len(set(lengths.tolist())) > 2
    prediction = learner(inputs.double(), lengths)
    for i, length in enumerate(lengths):
        _, (h, _) = theirs(inputs[:length, i].double())
        expected = learner.readout(torch.cat([h[-2], h[-1]]) if bidirectional else h[-1])
        torch.testing.assert_close(prediction[i], expected, rtol=1e-12, atol=1e-12)


def test_an_answer_at_every_step_is_read_at_every_step():
    torch.manual_seed(0)
    learner = Learner("GRU", "copying", hidden_size=5, task_options={"delay": 3})
    inputs = batch_of(learner).inputs
    torch.testing.assert_close(learner(inputs), learner.readout(learner.recurrent.to_torch()(inputs)[0]))


def fit(learner: Learner, data: TaskData, path=None, **options) -> pl.Trainer:
    trainer = pl.Trainer(
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=path,
        **{"max_epochs": 1} | options,
    )
    trainer.fit(learner, data)
    return trainer


def test_a_checkpoint_is_all_that_is_needed(tmp_path):
    torch.manual_seed(0)
    options = {"cell_options": {"nonlinearity": "relu"}, "task_options": {"length": 7}}
    learner = Learner("Elman", "adding", hidden_size=4, num_layers=2, skip="residual", lr=0.01, **options)
    trainer = fit(learner, TaskData(learner.task, batch_size=3, steps_per_epoch=2), tmp_path)
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    again = Learner.load_from_checkpoint(tmp_path / "a.ckpt")
    assert again.task == tasks.Adding(length=7)
    batch = batch_of(learner)
    assert torch.equal(again(batch.inputs), learner(batch.inputs))
    assert repr(again) == repr(learner)


def test_what_is_logged(tmp_path):
    """Loss, score and floor of the validation batch, computed again here."""
    torch.manual_seed(0)
    learner = Learner("GRU", "recall", hidden_size=4, task_options={"length": 5})
    data = TaskData(learner.task, batch_size=3, steps_per_epoch=2)
    logged = fit(learner, data, tmp_path).logged_metrics
    batch = data.test_batch()
    logits = learner.readout(learner.recurrent.to_torch()(batch.inputs)[0][-1])
    assert logged["val_loss"].item() == pytest.approx(nn.functional.cross_entropy(logits, batch.targets).item())
    right = sum(int(row[1] > row[0]) == target for row, target in zip(logits, batch.targets, strict=True))
    assert logged["val_score"].item() == pytest.approx(right.item() / 500)
    assert logged["floor"].item() == pytest.approx(0.6931472)
    assert set(logged) == {"train_loss", "val_loss", "val_score", "floor"}


def weights_of(**options):
    torch.manual_seed(0)
    return Learner("LSTM", "recall", hidden_size=4, **options)


def test_draws_come_first_and_leave_all_other_weights_alone():
    """Also where the order given is another: a wrapped layer is drawn in before it is wrapped."""
    plain, drawn = weights_of(), weights_of(mitigations="Zoneout(0.1), OpenGate(2.0)")
    assert torch.equal(drawn.readout.weight, plain.readout.weight)
    (cell,) = live_cells(drawn.recurrent)
    assert torch.equal(innermost(cell).from_h.weight, live_cells(plain)[0].from_h.weight)
    assert innermost(cell).from_h.bias[4:8].tolist() == [2.0] * 4
    assert cell is not innermost(cell)


def test_a_built_network_comes_back_from_its_checkpoint_alone(tmp_path):
    learner = weights_of(mitigations="UniformGate, AttentionOverPast('dot'), ClipNorm(0.5)", num_layers=2)
    trainer = fit(learner, TaskData(learner.task, batch_size=3, steps_per_epoch=2), tmp_path)
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    again = Learner.load_from_checkpoint(tmp_path / "a.ckpt").eval()
    inputs = batch_of(learner).inputs
    assert torch.equal(again(inputs), learner.eval()(inputs))
    assert again.rules == [ClipNorm(0.5)]


@pytest.mark.parametrize("name", MITIGATIONS)
def test_every_mitigation_can_be_trained_with_and_comes_back(name):
    """A step of the Learner's own, on the first of four networks that it suits, and a learner of the same options."""
    text = {"Chrono": "Chrono(9)"}.get(name, name)
    networks = [("LSTM", {}, 2), ("Elman", {}, 2), ("Elman", {"nonlinearity": "relu"}, 2), ("LSTM", {}, 1)]
    for cell, own, layers in networks:
        options = {"cell": cell, "cell_options": own, "task": "recall", "hidden_size": 6, "num_layers": layers}
        with contextlib.suppress(ValueError):  # suits no layer
            learner = Learner(**options, task_options={"length": 30}, mitigations=text)
            break
    learner.log = lambda *args, **options: None
    batch = batch_of(learner)
    optimizer = learner.configure_optimizers()
    before = [weight.clone() for weight in learner.parameters()]
    loss = learner.training_step(batch, 0)
    loss.backward()
    for rule in learner.rules:
        rule.apply(learner.parameters())
    optimizer.step()
    assert loss.isfinite()
    assert any(not torch.equal(weight, was) for weight, was in zip(learner.parameters(), before, strict=True))
    assert all(weight.isfinite().all() for weight in learner.parameters())
    again = Learner(**learner.hparams)
    again.load_state_dict(learner.state_dict())
    assert torch.equal(again.eval()(batch.inputs), learner.eval()(batch.inputs))


class Norm(pl.Callback):
    """Norm of the gradient that the optimiser was given."""

    def on_train_batch_end(self, trainer, learner, *rest) -> None:
        self.norm = torch.cat([weight.grad.flatten() for weight in learner.parameters()]).norm().item()


@pytest.mark.parametrize(
    ("rules", "trainers", "expected"),
    [("ClipNorm(1e-4)", None, 1e-4), ("ClipNorm(1e-4)", 1e-3, 1e-4), ("ClipNorm(1e-3)", 1e-4, 1e-4), ("", 1e-4, 1e-4)],
)
def test_rules_act_before_the_step_and_so_does_the_trainers_own_clipping(tmp_path, rules, trainers, expected):
    learner, watch = weights_of(mitigations=rules), Norm()
    data = TaskData(learner.task, batch_size=3, steps_per_epoch=2)
    fit(learner, data, tmp_path, callbacks=[watch], gradient_clip_val=trainers)
    assert watch.norm == pytest.approx(expected, rel=0.02)  # torch divides by the norm and a millionth


@dataclass(frozen=True)
class Shrink(Penalty):
    """Half the square of the read-out, and a hundredth of the task's own loss."""

    def penalty(self, model, inputs, loss):
        return model.readout.weight.square().sum() / 2 + loss(model(*inputs)) / 100


def test_a_penalty_is_a_part_of_the_loss_and_of_its_gradient(tmp_path, monkeypatch):
    monkeypatch.setitem(MITIGATIONS, "Shrink", Shrink)
    plain, shrunk = weights_of(), weights_of(mitigations="Shrink")
    data = TaskData(plain.task, batch_size=3, steps_per_epoch=1)
    logged = fit(shrunk, data, tmp_path).logged_metrics
    batch = data.train_batch(0, 0)
    loss = plain.task.loss(plain(batch.inputs), batch)
    loss.backward()
    expected = plain.readout.weight.square().sum().item() / 2 + loss.item() / 100
    assert logged["train_loss"].item() == pytest.approx(loss.item(), rel=1e-5)
    assert logged["penalty"].item() == pytest.approx(expected, rel=1e-5)
    again = weights_of(mitigations="Shrink")
    again.log = lambda *args, **options: None
    again.training_step(batch, 0).backward()
    expected = 1.01 * plain.readout.weight.grad + plain.readout.weight
    torch.testing.assert_close(again.readout.weight.grad, expected)


class Watch(pl.Callback):
    """What the training steps read, and what the global random stream would draw in each."""

    def __init__(self) -> None:
        self.read, self.drawn = [], []

    def on_train_batch_start(self, trainer, learner, batch, index) -> None:
        self.read.append(batch.inputs)

    def on_before_zero_grad(self, trainer, learner, optimizer) -> None:
        self.drawn.append(torch.rand(()).item())


def test_the_batches_of_a_run_depend_on_seed_epoch_and_place_alone(tmp_path):
    learner = Learner("GRU", "recall", hidden_size=4)
    data, watch = TaskData(learner.task, batch_size=3, steps_per_epoch=2, seed=5), Watch()
    trainer = fit(learner, data, tmp_path, callbacks=[watch])
    trainer.fit_loop.max_epochs = 2
    torch.rand(7)  # whatever else has been drawn meanwhile
    trainer.fit(learner, data)
    places = [(0, 0), (0, 1), (1, 0), (1, 1)]
    for inputs, place in zip(watch.read, places, strict=True):
        assert torch.equal(inputs, TaskData(learner.task, 3, 2, seed=5).train_batch(*place).inputs)
    all_of_them = torch.stack(
        [*watch.read, data.train_batch(2, 0).inputs, TaskData(learner.task, 3).train_batch(0, 0).inputs]
    )
    assert len(all_of_them.flatten(1).unique(dim=0)) == 6
    assert len(set(watch.drawn)) == 4  # each step drops other outputs


def test_validation_reads_all_records_of_the_test_part_once():
    batch = TaskData(tasks.Digits()).test_batch()
    assert batch.targets.shape == (355,)
    assert len(batch.inputs[..., 0].T.unique(dim=0)) == 355


@pytest.mark.parametrize(
    ("make", "needed"),
    [
        (lambda: Learner("lstm", "adding"), r"no cell 'lstm'. Did you mean LSTM\? There are: AntisymmetricRNN, ATR, "),
        (lambda: Learner("LSTM", "Addding"), r"no task 'Addding'. Did you mean adding\? There are: adding, copying"),
        (lambda: Learner("LSTM", "zebra"), r"no task 'zebra'. There are: adding"),
        (lambda: Learner("LSTM", "adding", lr=0.0), "learning rate lr > 0, got 0.0"),
        (lambda: Learner("LSTM", "text", bidirectional=True), "which a reverse direction would read"),
        (lambda: Learner("LSTM", "adding", mitigations="Identity"), "Identity suits no layer of this model"),
        (lambda: Learner("LSTM", "adding", mitigations="Chrono(1)"), "Chrono needs a span > 2 steps, got 1"),
        (lambda: Learner("GRU", "adding", cell_options={"bais": False}), r"no option 'bais'. Did you mean bias\?"),
        (lambda: Learner("GRU", "adding", cell_options={"bias": "no"}), "cell GRU needs bias as bool, got 'no'"),
        (lambda: Learner("GRU", "vowels", task_options={"length": 3}), "no option 'length'. There are: none"),
        (lambda: Learner("GRU", "adding", task_options={"length": "x"}), "task adding needs length as int, got 'x'"),
        (lambda: TaskData(tasks.Recall(), batch_size=0), "batch_size >= 1, got 0"),
        (lambda: TaskData(tasks.Recall(), steps_per_epoch=0), "steps_per_epoch >= 1, got 0"),
    ],
)
def test_errors_say_what_there_is(make, needed):
    with pytest.raises(ValueError, match=needed):
        make()


@pytest.mark.parametrize(
    ("name", "kind", "own"),
    [
        ("adam", torch.optim.Adam, {}),
        ("adamw", torch.optim.AdamW, {}),
        ("rmsprop", torch.optim.RMSprop, {}),
        ("sgd", torch.optim.SGD, {"momentum": 0.9}),
        ("adamw", torch.optim.AdamW, {"weight_decay": 0.3}),
        ("rmsprop", torch.optim.RMSprop, {"weight_decay": 0.3}),
    ],
)
def test_the_optimiser_is_torchs_own(name, kind, own):
    torch.manual_seed(0)
    learner = Learner("GRU", "recall", hidden_size=3, lr=0.01, optimizer=name, **own)
    theirs = copy.deepcopy(learner)
    steps = learner.configure_optimizers(), kind(theirs.parameters(), lr=0.01, **own)
    for model, optimizer in zip((learner, theirs), steps, strict=True):
        for _ in range(3):
            optimizer.zero_grad()
            model.losses(batch_of(learner))[0].backward()
            optimizer.step()
    for ours, other in zip(learner.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(ours, other, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("constant", lambda optimizer: torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0)),
        ("linear", lambda optimizer: torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, 8)),
        ("cosine", lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 8)),
        ("step", lambda optimizer: torch.optim.lr_scheduler.MultiStepLR(optimizer, [4, 6], 0.1)),
    ],
)
def test_a_schedule_is_torchs_own_over_all_steps(name, theirs):
    """Of each group, the rate of every step, in a training by Lightning against a bare optimiser."""
    learner = Learner("GRU", "recall", hidden_size=3, lr=0.1, schedule=name, mitigations="RecurrentRate(0.5)")
    rates = []
    step = learner.on_train_batch_start
    learner.on_train_batch_start = lambda *args: (
        rates.append([group["lr"] for group in learner.optimizers().param_groups]),
        step(*args),
    )[1]
    fit(learner, TaskData(learner.task, 2, 4, regimes=learner.regimes), max_epochs=2)
    optimizer = torch.optim.SGD([{"params": [torch.zeros(1, requires_grad=True)], "lr": lr} for lr in (0.1, 0.05)])
    schedule, expected = theirs(optimizer), []
    for _ in range(8):
        expected.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        schedule.step()
    assert rates == [pytest.approx(each) for each in expected]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"schedule": "cosinus"}, "There is no schedule 'cosinus'. Did you mean cosine?"),
        ({"weight_decay": -0.1}, "weight_decay >= 0, got -0.1"),
        (
            {"optimizer": "adan"},
            "There is no optimizer 'adan'. Did you mean adam? There are: adam, adamw, rmsprop, sgd.",
        ),
        ({"momentum": 0.9}, "of sgd alone, got 0.9 of adam"),
        ({"optimizer": "sgd", "momentum": 1.0}, "0 <= momentum < 1"),
    ],
)
def test_an_optimiser_that_there_is_not_is_refused(options, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        Learner("GRU", "recall", hidden_size=3, **options)
