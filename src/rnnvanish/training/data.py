"""The batches of a task, for Lightning."""

from collections.abc import Iterator, Sequence
from functools import partial

import pytorch_lightning as pl
from torch.utils.data import DataLoader, Dataset, Sampler

from rnnvanish.mitigation import Regime
from rnnvanish.task import Batch, Task, stream


class TaskData(pl.LightningDataModule):
    """A task's batches.

    Which sequences a batch holds depends on the seed, the epoch and its place in it, and on nothing else: a run that
    was interrupted goes on with those that it would have had.

    Validation reads one batch of the test part, the same after every epoch; and so does a test.

    Processes that train one network together (Lightning's strategies, such as "ddp") each take their share of a batch:
    it is the batch that one process would have, and so is the mean of their gradients. Each validates on its own.
    The Trainer needs `use_distributed_sampler=False`, which would deal out whole batches instead.

    Args:
        task: The task.
        batch_size: Sequences in a batch.
        steps_per_epoch: Batches in an epoch.
        seed: Another seed draws other sequences, also for the validation.
        regimes: Those mitigations of a `Learner` that act while it trains: `learner.regimes`.

    Raises:
        ValueError: For sizes below 1, and for epochs that are no multiple of what a regime takes to begin anew.
    """

    def __init__(
        self,
        task: Task,
        batch_size: int = 64,
        steps_per_epoch: int = 100,
        seed: int = 0,
        regimes: Sequence[Regime] = (),
    ) -> None:
        super().__init__()
        for name, size in {"batch_size": batch_size, "steps_per_epoch": steps_per_epoch}.items():
            if size < 1:
                raise ValueError(f"TaskData needs {name} >= 1, got {size}.")
        self.task, self.batch_size, self.steps_per_epoch, self.seed = task, batch_size, steps_per_epoch, seed
        self.regimes = list(regimes)
        for regime in self.regimes:
            if steps_per_epoch % regime.period:  # what was interrupted goes on at the beginning of an epoch
                raise ValueError(
                    f"{regime!r} needs steps_per_epoch to be a multiple of {regime.period}, got {steps_per_epoch}."
                )

    def train_batch(self, epoch: int, index: int) -> Batch:
        """Draw a batch of the train part."""
        draw = self._sample
        for regime in self.regimes:
            draw = partial(regime.batch, draw=draw)
        return draw(self.task, epoch * self.steps_per_epoch + index)

    def _sample(self, task: Task, step: int) -> Batch:
        return task.sample(self.batch_size, stream(self.seed, *divmod(step, self.steps_per_epoch)), "train")

    def test_batch(self) -> Batch:
        """Draw the batch of the test part."""
        return self.task.sample(self.task.test_count, stream(self.seed), "test")

    def train_dataloader(self) -> DataLoader[Batch]:
        """Load an epoch; Lightning tells the sampler which."""
        rank, count = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        return DataLoader(_Batches(self, rank, count), batch_size=None, sampler=_Epoch(self.steps_per_epoch))

    def val_dataloader(self) -> DataLoader[Batch]:
        """Load the batch of the test part."""
        return DataLoader([self.test_batch()], batch_size=None)  # type: ignore[arg-type]  # a list will do

    def test_dataloader(self) -> DataLoader[Batch]:
        """Load the batch that validation reads."""
        return self.val_dataloader()


class _Batches(Dataset[Batch]):
    """Batches by (epoch, index), or the share of one process of several."""

    def __init__(self, data: TaskData, rank: int, count: int) -> None:
        self.data, self.rank, self.count = data, rank, count

    def __getitem__(self, place: tuple[int, int]) -> Batch:
        batch = self.data.train_batch(*place)
        if self.count == 1:
            return batch
        size, rest = divmod(batch.inputs.shape[1], self.count)
        if rest:  # the mean over processes would count some sequences more than others
            raise ValueError(
                f"{self.count} processes need a batch_size that is a multiple of {self.count}, got {size * self.count + rest}."
            )
        first, by_sequence = self.rank * size, 1 if self.data.task.answer == "every" else 0
        return batch._replace(
            inputs=batch.inputs.narrow(1, first, size),
            targets=batch.targets.narrow(by_sequence, first, size),
            lengths=None if batch.lengths is None else batch.lengths.narrow(0, first, size),
        )


class _Epoch(Sampler[tuple[int, int]]):
    """The places of an epoch's batches."""

    def __init__(self, steps: int) -> None:
        self.steps, self.epoch = steps, 0

    def set_epoch(self, epoch: int) -> None:
        """Name the epoch to come."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[tuple[int, int]]:
        for index in range(self.steps):
            yield self.epoch, index  # read late: a resumed run begins to iterate before it is told its epoch

    def __len__(self) -> int:
        return self.steps
