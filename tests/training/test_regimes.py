"""Cures that act while a network trains, in Lightning: what each step reads, and a run that goes on as it would have."""

import pytest
import pytorch_lightning as pl
import torch

from rnnvanish.training.data import TaskData
from rnnvanish.training.learner import Learner

pytestmark = pytest.mark.filterwarnings("ignore:.*many workers", "ignore:.*LeafSpec")  # Lightning's own
CURES = "Curriculum(steps=6, start=0.5), RecurrentRate(3.0), WarmState(windows=2)"


class Read(pl.Callback):
    """How long the sequences of each step are, and whether the layer begins anew."""

    def __init__(self):
        self.steps, self.anew, self.rates = [], [], set()

    def on_train_batch_end(self, trainer, learner, outputs, batch, index):
        self.steps.append(len(batch.inputs))
        self.anew.append(learner.recurrent.start is None)
        self.rates.add(tuple(group["lr"] for group in trainer.optimizers[0].param_groups))


def learner_of(mitigations=CURES):
    torch.manual_seed(0)
    return Learner("GRU", "copying", hidden_size=4, lr=0.01, task_options={"delay": 20}, mitigations=mitigations)


def fit(learner, folder, epochs, path=None, steps=4, **options):
    read = Read()
    data = TaskData(learner.task, batch_size=3, steps_per_epoch=steps, **{"regimes": learner.regimes, **options})
    trainer = pl.Trainer(
        max_epochs=epochs,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        callbacks=[read],
    )
    trainer.fit(learner, data, ckpt_path=path, weights_only=True)
    return trainer, read


def test_a_run_that_was_interrupted_goes_on_as_it_would_have(tmp_path):
    whole = learner_of()
    _, read = fit(whole, tmp_path, 2)
    first, _ = fit(learner_of(), tmp_path, 1)
    first.save_checkpoint(tmp_path / "a.ckpt")
    again = learner_of()
    _, rest = fit(again, tmp_path, 2, tmp_path / "a.ckpt")
    assert rest.steps == read.steps[4:]
    for name, weight in whole.state_dict().items():
        assert torch.equal(again.state_dict()[name], weight), name
    # Each sequence of delay + 20 steps in two windows; the delay grows with each of the sequences.
    assert [sum(pair) - 20 for pair in zip(read.steps[::2], read.steps[1::2], strict=True)] == [10, 12, 14, 15]
    assert read.anew == [True, False] * 4
    assert read.rates == {(0.01, 0.03)}


def test_the_batches_must_be_those_that_a_cure_asks_for(tmp_path):
    with pytest.raises(
        ValueError, match=r"draws the batches: train with TaskData\(learner.task, regimes=learner.regimes"
    ):
        fit(learner_of(), tmp_path, 1, regimes=())
    with pytest.raises(ValueError, match="needs steps_per_epoch to be a multiple of 2, got 3"):
        fit(learner_of(), tmp_path, 1, steps=3)
