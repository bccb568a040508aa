"""The recorded calls of a training step, run again on a copy of the model, and measured as `probes.retention` measures."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from rnnvanish.backward.each_loop import gradients_of_loops
from rnnvanish.live import Cells
from rnnvanish.monitor.call_record import CallRecord, tensor_of
from rnnvanish.monitor.graph_link import GraphLink
from rnnvanish.names import printable
from rnnvanish.observe.agreement import agree, numeric_tensors, tensors_in
from rnnvanish.observe.call import Call
from rnnvanish.observe.pytree import map_leaves
from rnnvanish.observe.watch import Run, watch
from rnnvanish.probes.curve import Curve
from rnnvanish.probes.retention import curve_of, curves_resolved

DIFFERS = (
    "{} returns other numbers when it runs a second time on what it was given: it draws from a generator that it does not "
    "hold, remembers earlier calls in a place that is not its own, or has layers whose dropout is drawn on the GPU."
)
NOT_FINITE = "the gradient that comes back to it is nan or infinite at this step."


def curves_of(model: nn.Module, calls: Sequence[CallRecord], cells: Cells = ()) -> dict[str, Curve]:
    """Measure how far the gradient of a training's own loss reaches back, from what the last of some calls returned.

    Args:
        model: A copy of the model as it was before the first of these calls.
        calls: The calls, in order; the last of them has gradients.
        cells: As for `probes.retention`.

    Raises:
        ValueError, RuntimeError: Those of `probes.retention`; also where the second run is not the first.
    """
    last = calls[-1]
    if any(gradient is not None and not bool(gradient.isfinite().all()) for gradient in last.gradients):
        raise ValueError(NOT_FINITE)
    name = printable(last.path or type(model).__name__)
    call = ReplayedCalls.of_records(calls)

    def measured(output: Any, runs: list[Run]) -> dict[str, Curve]:
        autocast = any(run.autocast for run in runs)
        if not agree(numeric_tensors(output), numeric_tensors(last.outputs), autocast):
            raise RuntimeError(DIFFERS.format(name))
        loss = partial(_product, direct_gradients(tensors_in(output), last.gradients))
        loops, _ = gradients_of_loops(model, call, output, runs, loss, whole=False)
        return {each.run.name: curve_of(each) for each in loops}

    with torch.enable_grad():  # in double precision at once: single seldom holds what is left of a gradient
        return watch(model, call, measured, curves_resolved, cells, held=False, in_double=True)


def direct_gradients(outputs: Sequence[Tensor], arrived: Sequence[Tensor | None]) -> list[Tensor | None]:
    """The gradient of a loss by each of several outputs alone, of what came back to each, also by way of others.

    Where one output is made of another, such as words of a hidden state that is returned beside them, what comes back to the
    other has passed the first.
    """
    known = [place for place, gradient in enumerate(arrived) if gradient is not None and outputs[place].requires_grad]
    made_of = {
        place: [other for other in known if other != place and _vjp(outputs[place], outputs[other]) is not None]
        for place in known
    }
    found: list[Tensor | None] = [None] * len(outputs)
    for place in known:
        found[place] = arrived[place].to(outputs[place].dtype)  # type: ignore[union-attr]
    for place in sorted(known, key=lambda place: -len(made_of[place])):  # what is made of others is told first
        for other in made_of[place]:
            passed = _vjp(outputs[place], outputs[other], found[place])
            found[other] = _difference(found[other], passed, arrived[other])
    return found


def _difference(whole: Tensor | None, passed: Tensor | None, arrived: Tensor | None) -> Tensor:
    """What did not pass another output; zero where it is no more than what rounding leaves."""
    assert whole is not None
    assert passed is not None
    assert arrived is not None
    rest = whole - passed
    rounding = torch.finfo(arrived.dtype).eps ** 0.5 * arrived.abs().max()
    return torch.where(rest.abs() > rounding.to(rest.abs()), rest, 0)


def _vjp(output: Tensor, other: Tensor, gradient: Tensor | None = None) -> Tensor | None:
    sent = torch.ones_like(output) if gradient is None else gradient
    found: Tensor | None = torch.autograd.grad(output, other, sent, retain_graph=True, allow_unused=True)[0]
    return found


def _product(gradients: Sequence[Tensor | None], output: Any) -> Tensor:
    """A loss that has these gradients."""
    pairs = zip(tensors_in(output), gradients, strict=True)
    parts = [(value * gradient.conj()).sum() for value, gradient in pairs if gradient is not None]
    return torch.stack([whole.real if whole.is_complex() else whole for whole in parts]).sum()


@dataclass(frozen=True)
class ReplayedCalls(Call):
    """Several calls of a model's modules, one after the other, as one call of it: returns what the last one returns.

    Attributes:
        records: The calls; their arguments are those of this one.
    """

    records: tuple[CallRecord, ...] = ()

    @classmethod
    def of_records(cls, records: Sequence[CallRecord]) -> "ReplayedCalls":
        """Make one call of several."""
        return cls(tuple(record.arguments for record in records), {}, None, records=tuple(records))

    def __call__(self, model: nn.Module) -> Any:
        """Run them again."""
        returned: dict[CallRecord, list[Tensor]] = {}
        output: Any = None
        for record, given in zip(self.records, self.args, strict=True):
            args, kwargs = _linked(record, given, returned)
            with record.conditions.again():
                output = model.get_submodule(record.path)(*args, **kwargs)
            returned[record] = tensors_in(output)
        return output


def _linked(record: CallRecord, given: Any, returned: dict[CallRecord, list[Tensor]]) -> Any:
    """The arguments of a call, computed from what earlier calls return now where they were computed from it then."""

    def change(place: str, leaf: Any) -> Any:
        link, value = record.links.get(place), tensor_of(leaf)
        if link is None or value is None or any(call not in returned for call, _ in link.outputs):
            return leaf
        sources = [returned[call][index] for call, index in link.outputs]
        now = sources[0] if link.is_output else _carry(_renewed(value, link, sources), link, sources)
        return PackedSequence(now, *leaf[1:]) if isinstance(leaf, PackedSequence) else now

    return map_leaves(given, change)


def _renewed(value: Tensor, link: GraphLink, sources: Sequence[Tensor]) -> Tensor:
    """Numbers as they were, but those that had been passed on unchanged, as they are now: so it is seen that they are."""
    for (call, index), now in zip(link.outputs, sources, strict=True):
        then = call.outputs[index]
        if then.numel() == value.numel():
            kept = value == then.to(value.dtype).reshape(value.shape)
            value = torch.where(kept, now.detach().reshape(value.shape).to(value.dtype), value)
    return value


def _carry(value: Tensor, link: GraphLink, sources: Sequence[Tensor]) -> Tensor:
    carried: Tensor = _CarriedGradient.apply(value, link, *sources)
    return carried


class _CarriedGradient(torch.autograd.Function):
    """The numbers that a training computed between two calls; the gradient goes back by the training's own graph."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, link: GraphLink, *sources: Tensor) -> Tensor:
        ctx.link = link
        return value.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
        return None, None, *ctx.link.pull_back(gradient)
