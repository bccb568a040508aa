"""Sequences of a single step: there is nothing to carry, and a recurrent layer does what a feed-forward one would.

Your table has twenty rows, one for each day. The layer got twenty stories of one day each, and not one story of twenty
days. Nothing is carried from day to day, and nobody complains.

    class Reader(nn.Module):
        def __init__(self, axis):
            super().__init__()
            self.rnn, self.head, self.axis = nn.LSTM(3, 8, batch_first=True), nn.Linear(8, 1), axis

        def forward(self, days):
            output, _ = self.rnn(days.unsqueeze(self.axis))
            return self.head(output.squeeze(self.axis))

    torch.manual_seed(0)
    days = torch.randn(20, 3)
    print(*diagnose(Reader(axis=1), days, quick=True).findings)

One story, of twenty steps:

    print(diagnose(Reader(axis=0), days, quick=True).findings)
"""

from typing import Any

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from rnnvanish.compat.pytree import tree_leaves
from rnnvanish.diagnosis.fault import Symptom, WatchedModel
from rnnvanish.diagnosis.rerun.start_state import comes_from_outside, starts_from_nothing
from rnnvanish.live import RECURRENT, unwrapped
from rnnvanish.observe.record import Run


def single_step(watched: WatchedModel) -> list[Symptom]:
    """See whether a layer reads sequences of one step, starts from nothing, and hands its state to nobody."""
    found = []
    others = any(len(each.run.x) > 1 for each in watched.loops)
    for name, loops in watched.first_layers.items():
        run = loops[0].run
        if len(loops) > 1 or len(run.x) > 1 or not starts_from_nothing(run) or _is_handed_on(watched, run):
            continue
        rows = run.x.shape[1]
        layer = isinstance(run.module, RECURRENT)
        found.append(
            Symptom(
                "sequences of one step",
                name,
                f"{name} read {rows} sequence{'s' * (rows > 1)} of one step {'each, ' if rows > 1 else ''}from a state that has "
                "nothing of a step before: nothing is carried, and its recurrent weights see "
                + ("the same state always." if any(bool(part.any()) for part in run.initial) else "nothing but zeros."),
                _remedy(run, layer),
                "length of a sequence",
                1.0,
                lambda watched, name=name: float(len(watched.first_layers[name][0].run.x)),
                swap_batch_and_time if layer and rows > 1 else None,
                name,
                "steps",
                question=others or comes_from_outside(watched.call, run),
            )
        )
    return found


def _is_handed_on(watched: WatchedModel, run: Run) -> bool:
    """Whether the model returns the state, or keeps it: the loop over time is then outside."""
    if isinstance(unwrapped(watched.model), RECURRENT):
        return False
    returned = [leaf for leaf in tree_leaves(watched.output) if isinstance(leaf, Tensor)]
    kept = [leaf for module in watched.model.modules() for leaf in tree_leaves(_attributes(module))]
    return any(
        isinstance(leaf, Tensor)
        and leaf.numel() == part.numel()
        and bool((leaf.detach().flatten() == part.detach().flatten()).all())
        for leaf in (*(returned if len(returned) > 1 else ()), *kept)
        for part in run.states[-1]
    )


def _attributes(module: nn.Module) -> dict[str, Any]:
    return {key: value for key, value in vars(module).items() if key not in ("_parameters", "_modules")}


def _remedy(run: Run, layer: bool) -> str:
    if not layer:
        return "Call it once for each step of a sequence, each time with the state that it returned."
    first = getattr(run.module, "batch_first", False)
    axes, of_rows = (
        ("(batch, time, features)", "x.unsqueeze(0)") if first else ("(time, batch, features)", "x.unsqueeze(1)")
    )
    return (
        f"It reads {axes}: put the steps on the axis of time. Where the rows of the batch are the steps of one sequence, that "
        f"is {of_rows} of (time, features). Where there are no steps, a torch.nn.Linear does the same."
    )


def swap_batch_and_time(module: nn.Module) -> None:
    """Have a layer take the rows of its batch for steps."""

    def swapped(value: Any) -> Any:
        return value.transpose(0, 1) if isinstance(value, Tensor) and value.dim() == 3 else value

    def before(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        if isinstance(args[0], PackedSequence):
            raise ValueError("A packed batch has no axis of time to swap.")
        return (swapped(args[0]),)

    def after(module: nn.Module, args: tuple[object, ...], output: tuple[Tensor, Any]) -> tuple[Tensor, Any]:
        return swapped(output[0]), output[1]

    module.register_forward_pre_hook(before)
    module.register_forward_hook(after)
