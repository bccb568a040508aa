"""Padding that is pooled with the text: a mean or a maximum over all steps of a padded batch reads steps that say nothing.

The answer is the mean over all steps. But the short sentences were filled up with zeros, and those steps are in the
mean, too. So the same sentence gets another answer in another batch.

    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.words = nn.Embedding(20, 6, padding_idx=0)
            self.rnn, self.head = nn.GRU(6, 8, batch_first=True), nn.Linear(8, 2)

        def forward(self, x):
            return self.head(self.rnn(self.words(x))[0].mean(1))

    torch.manual_seed(0)
    lengths = torch.tensor([24, 14, 9, 7])
    x = torch.randint(1, 20, (4, 24)) * (torch.arange(24) < lengths[:, None])
    print(*diagnose(Reader(), x, quick=True).findings)

The mean over the words alone:

    class Right(Reader):
        def forward(self, x):
            mask = (x != 0)[..., None]
            output = self.rnn(self.words(x))[0]
            return self.head((output * mask).sum(1) / mask.sum(1))

    print(diagnose(Right(), x, quick=True).findings)
"""

from functools import partial
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor, nn
from torch.autograd.graph import get_gradient_edge

from rnnvanish.backward.output_steps import direct_gradients, output_steps
from rnnvanish.diagnosis.fault import Symptom, WatchedModel, module_of
from rnnvanish.diagnosis.faults.padding import PaddedLoop, padded_loops
from rnnvanish.diagnosis.rerun.padded_steps import Padding
from rnnvanish.live import RECURRENT
from rnnvanish.observe.agreement import tensors_in
from rnnvanish.observe.record import Run

#: What to say where the model returns nothing but its loss.
ONLY_A_NUMBER = (
    " Only a number comes out: if it is a loss of every step, leave the padding out of that (ignore_index, or a mask)."
)


def pooled_padding(watched: WatchedModel) -> list[Symptom]:
    """See whether of padded sequences that are not packed steps of text and of padding are read together."""
    found = []
    for each in padded_loops(watched):
        run, padding = each.run, each.padding
        wrong = (each.read & padding.deep).any(0) & (each.read & ~padding.steps).any(0)
        if not wrong.any() or not (_is_pooled(watched, each) if each.direct else _is_attended(watched, run)):
            continue
        number = not any(output.dim() for output in tensors_in(watched.output))
        found.append(
            Symptom(
                "padding pooled",
                module_of(run),
                f"{int(wrong.sum())} of {len(wrong)} sequences are padded and read there, on average with "
                f"{float(padding.steps.sum(0)[wrong].double().mean()):.3g} equal steps of {len(run.x)}: what is pooled "
                "over all steps is made of the layer's outputs there, too, and the answer depends on how long the batch is."
                f"{padding.doubt}{ONLY_A_NUMBER if number else ''}",
                "Leave the padding out of the pooling: a mean is (output * mask).sum(time) / mask.sum(time), a maximum is "
                "output.masked_fill(~mask, -inf).amax(time), and attention sets its scores there to -inf; mask is True on "
                "the steps of the text.",
                "of what is read of the layer, what is padding",
                _share(watched, run.name, padding.steps),
                partial(_share, name=run.name, padded=padding.steps),
                partial(pool_text, padded=padding.in_order) if isinstance(run.module, RECURRENT) else None,
                run.name,
                question=number or not padding.certain,
                exact=True,
                helps=lambda before, after: after < before,
            )
        )
    return found


def _is_attended(watched: WatchedModel, run: Run) -> bool:
    """Whether the first step of another loop reads several steps of one sequence: no layer above does."""
    runs = [each.episodes.run for each in watched.loops]
    index = next(place for place, each in enumerate(runs) if each is run)
    for other in runs:
        if other is not run and other.x.requires_grad:
            read = direct_gradients(other.x[0].sum(), None, runs)[index].any(-1)
            if bool((read.sum(0) > 1).any()):
                return True
    return False


def _is_pooled(watched: WatchedModel, each: PaddedLoop) -> bool:
    """Whether an output reads text and padding and is not made of steps: of those a loss may well leave out the padding."""
    runs = [other.episodes.run for other in watched.loops]
    index = next(place for place, run in enumerate(runs) if run is each.run)
    outputs = [output for output in tensors_in(watched.output) if output.dim() and output.grad_fn is not None]
    for output in filter(torch.is_floating_point, outputs):
        weights = torch.rand(output.shape, generator=torch.Generator().manual_seed(0)).to(output) + 0.5
        text = _rows_of_text(output, each.padding)
        read = direct_gradients((output * weights * (1 if text is None else text)).sum(), None, runs)[index].any(-1)
        padded = (
            each.padding.deep if text is None else each.padding.inner
        )  # a convolution reads the steps beside its own
        if (read & padded).any() and (read & ~each.padding.steps).any():
            steps = output_steps(output, get_gradient_edge(output), runs)[index]
            if steps is None or not _several_of_one(steps.step, steps.sequence):
                return True
    return not outputs


def _rows_of_text(output: Tensor, padding: Padding) -> Tensor | None:
    """Of an output with an axis for steps and one for sequences: where it has rows of text, in a shape that broadcasts with it."""
    time, batch = padding.in_order.shape
    axes = [
        (steps, rows)
        for steps, long in enumerate(output.shape)
        for rows, many in enumerate(output.shape)
        if (long, many) == (time, batch) and steps != rows
    ]
    if not axes:
        return None
    steps, rows = axes[0]
    text = ~padding.in_order if steps < rows else ~padding.in_order.T
    shape = [size if axis in axes[0] else 1 for axis, size in enumerate(output.shape)]
    return text.reshape(shape).to(output.device)


def _several_of_one(step: Tensor, sequence: Tensor) -> bool:
    """Whether there are rows of several steps of one sequence."""
    step, sequence = (each.flatten() for each in torch.broadcast_tensors(step, sequence))
    pairs = torch.stack([step, sequence])[:, step >= 0].unique(dim=1)
    return int(pairs.shape[1]) > len(pairs[1].unique())


def _share(watched: WatchedModel, name: str, padded: Bool[Tensor, "time sequences"]) -> float:
    """Of the gradient by what a loop hands on the part that is of padding."""
    size = next(each.gradient for each in padded_loops(watched) if each.run.name == name).norm(dim=-1)
    return float(size[padded].sum() / size.sum())


def pool_text(module: nn.Module, padded: Bool[Tensor, "time sequences"]) -> None:
    """Have `module` hand on the mean of its outputs over the text where there is padding.

    Then their mean over all steps is that over the text, and so is their maximum.
    """
    batch_first = bool(getattr(module, "batch_first", False))
    mask = padded[..., None]

    def after(module: nn.Module, args: tuple[object, ...], output: tuple[Tensor, Any]) -> tuple[Tensor, Any]:
        steps = output[0].transpose(0, 1) if batch_first else output[0]
        text = ~mask.to(steps.device)
        mean = (steps * text).sum(0, keepdim=True) / text.sum(0, keepdim=True)
        filled = torch.where(text, steps, mean)
        return filled.transpose(0, 1) if batch_first else filled, output[1]

    module.register_forward_hook(after)
