"""A task: sequences to learn from, and what it costs to remember nothing of them."""

import hashlib
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from rnnvanish.cell import Paper

Part = Literal["train", "test"]


class Batch(NamedTuple):
    """Sequences and what is asked of them.

    Attributes:
        inputs: What is read, padded with zeros.
        targets: (batch,) where the answer is given at the end, (time, batch) where one is given at every step:
            the number of a class; (batch, outputs) for a regression.
        lengths: Steps in each sequence; None where all fill the batch.
    """

    inputs: Float[Tensor, "time batch features"]
    targets: Tensor
    lengths: Int[Tensor, " batch"] | None


@dataclass(frozen=True)
class Task:
    """Sequences to learn from; a subclass is a frozen dataclass whose fields are the task's sizes.

    A subclass declares the attributes below and writes `draw`. The two parts never overlap: a task on real data keeps
    its records (or its stretches of text or time) apart, a synthetic one draws its parts from different random
    streams, whatever generator is passed.

    Attributes:
        paper: Where the task, or its data, comes from.
        input_size: Features read at each step.
        output_size: Numbers that the model has to give: one a class, or one a predicted quantity.
        answer: Whether the loss reads the output at each sequence's own "last" step, or at "every" step.
        tolerance: None for a classification; for a regression the error below which an answer counts as right.
        forward_only: Whether the inputs hold the answers of earlier steps, so that a reverse direction would read them.
        length_field: The field that makes its sequences longer; empty where they are as long as its data.
    """

    paper: ClassVar[Paper]
    input_size: ClassVar[int]
    output_size: ClassVar[int]
    answer: ClassVar[Literal["last", "every"]] = "last"
    tolerance: ClassVar[float | None] = None
    forward_only: ClassVar[bool] = False
    length_field: ClassVar[str] = ""

    @property
    def floor(self) -> float:
        """The loss of remembering nothing: what the best constant prediction costs, in the unit of the loss."""
        raise NotImplementedError(f"{type(self).__name__} needs a floor.")

    @property
    def test_count(self) -> int:
        """Sequences that make a fair test: all that there are where their number is limited."""
        return 500

    @classmethod
    def options_at(cls, lag: int) -> dict[str, Any] | None:
        """Return the options with which what has to be remembered lies `lag` steps before it is needed, at most.

        None where the task has no distance that could be chosen.
        """
        return None

    def sample(self, count: int, generator: torch.Generator, part: Part = "train") -> Batch:
        """Draw `count` sequences of a part; equal generators give equal sequences.

        Raises:
            ValueError: For fewer than one sequence, or a part that there is not.
        """
        if count < 1:
            raise ValueError(f"{type(self).__name__} needs a count >= 1 of sequences to sample, got {count}.")
        if part not in ("train", "test"):
            raise ValueError(f"{type(self).__name__} needs the part 'train' or 'test', got {part!r}.")
        return self.draw(count, stream(part, int(torch.randint(2**62, (), generator=generator))), part)

    def draw(self, count: int, generator: torch.Generator, part: Part) -> Batch:
        """Draw the sequences; `generator` is a stream of this part alone."""
        raise NotImplementedError(f"{type(self).__name__} needs a draw(count, generator, part) -> Batch.")

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """Mean over sequences, and steps where each has an answer: cross-entropy in nats, or the squared error.

        Args:
            prediction: What the model says: the shape of the targets, for classes with `output_size` numbers last.
            batch: What was asked.
        """
        if self.tolerance is None:
            return functional.cross_entropy(prediction.flatten(0, -2), batch.targets.flatten())
        return functional.mse_loss(prediction, batch.targets)

    def score(self, prediction: Tensor, batch: Batch) -> float:
        """Fraction of answers that are right: the likeliest class, or a value within `tolerance`."""
        if self.tolerance is None:
            return (prediction.argmax(-1) == batch.targets).double().mean().item()
        return ((prediction - batch.targets).abs() <= self.tolerance).double().mean().item()

    def need_at_least(self, least: int, **sizes: int) -> None:
        """Check sizes.

        Raises:
            ValueError: For a size that is smaller than `least`.
        """
        for name, size in sizes.items():
            if size < least:
                raise ValueError(f"{type(self).__name__} needs {name} >= {least}, got {size}.")


def stream(*name: str | int) -> torch.Generator:
    """Return the random stream of this name: the same for equal names, independent for any others."""
    digest = hashlib.sha256(repr(name).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7]))


def passes(records: int, count: int, generator: torch.Generator) -> Int[Tensor, " count"]:
    """Draw `count` of so many records, none a second time before all have come once."""
    rounds = [torch.randperm(records, generator=generator) for _ in range(-(-count // records))]
    return torch.cat(rounds)[:count]


def class_floor(train: Int[Tensor, " train"], test: Int[Tensor, " test"]) -> float:
    """Cross-entropy in nats, on the test part, of always giving the train part's frequencies of the classes."""
    frequencies = torch.bincount(train).double() / len(train)
    return -frequencies[test].log().mean().item()
