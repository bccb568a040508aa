"""One backward pass of a training, measured as it goes back: from the end of what the model returned to every state."""

import re
import time
from collections import Counter
from collections.abc import Callable

import torch
from torch import Tensor, nn

from rnnvanish.compat.backward_pass import require_passes
from rnnvanish.compat.modules import is_compiled
from rnnvanish.compat.private_names import Missing
from rnnvanish.live import Cells, plain_name, recurrent_modules, step_modules, unwrapped
from rnnvanish.monitor.backward_passes import BackwardPasses
from rnnvanish.monitor.call_record import CallRecord
from rnnvanish.monitor.call_recorder import CallRecorder
from rnnvanish.monitor.replayed_calls import curves_of
from rnnvanish.names import listed
from rnnvanish.probes.curve import Curve

#: Backward passes in turn of which no call was seen, after which that is said.
UNSEEN = 3
NOT_SEEN = (
    "gradients reach its weights, but no call was seen that they come from: it is compiled, called by its forward() past its "
    "hooks, or called without gradients inside of a checkpoint."
)
SYNCHRONISED = "{} speaks with the other processes in its forward, and a second run in one of them alone would wait for these for ever."


class PassMeasurement:
    """Measures the backward passes whose calls come between `begin` and `end`.

    The calls of the model are recorded (`call_recorder`). When the backward pass comes, what it sends to the end of what the
    model returned is known; the calls run again on a copy with their loops in sight (`replayed_calls`), and the gradient goes
    from there back to every state, as `diagnose` has it. The training's own run is only looked at.

    Args:
        model: What is trained.
        cells: As for `probes.retention`.
        on_pass: Is called at the end of each backward pass.
        on_failure: Is told of what cannot be measured.

    Raises:
        ValueError: For a model without a recurrent layer, or one that is compiled.
    """

    def __init__(
        self,
        model: nn.Module,
        cells: Cells,
        on_pass: Callable[[], None],
        on_failure: Callable[[Exception], None],
    ) -> None:
        _check(model, cells)
        inner = unwrapped(model)
        # A list of modules may be nobody else's; a model that somebody calls is the caller's, and goes when that lets it go.
        self._held = inner if isinstance(inner, nn.ModuleList | nn.ModuleDict) else None
        self._cells, self._on_pass, self._on_failure = cells, on_pass, on_failure
        self._found: dict[str, Curve] = {}
        self._took: float | None = None
        self._unseen = 0
        self._begun = False
        self._synchronised = [name for name, module in inner.named_modules() if isinstance(module, nn.SyncBatchNorm)]
        self._passes = BackwardPasses(inner, self._pass_ended)
        self._calls = CallRecorder(inner, cells, self._gradient_came, self._measure, on_failure)

    @property
    def count(self) -> int:
        """How many backward passes there were."""
        return self._passes.count

    def begin(self) -> None:
        """Measure from now on; of several processes that train one model together the first one alone."""
        if not _is_first_process():
            return
        if self._synchronised and _are_several():
            self._on_failure(ValueError(SYNCHRONISED.format(listed(self._synchronised))))
            return
        self._begun = True
        self._passes.find_weights()
        self._calls.begin()

    def end(self) -> None:
        """Measure no pass whose calls are still to come."""
        self._begun = False
        self._calls.end()

    def take(self) -> tuple[dict[str, Curve], float | None]:
        """What was measured since this was last asked, and the seconds that it took; None where no pass was seen."""
        taken = self._found, self._took
        self._found, self._took = {}, None
        return taken

    def close(self) -> None:
        """Leave no trace: no hook on the model, its weights, or a graph that is still there."""
        self.end()
        self._passes.close()
        self._calls.clear()
        self._held = None

    def _gradient_came(self, call: CallRecord, index: int, gradient: Tensor) -> None:
        """Take note of what came back to an output of a call."""
        self._passes.reach()
        call.gradients[index] = gradient.detach().clone()

    def _measure(self, call: CallRecord) -> None:
        """Measure from the end of a call, if any gradient came there, and not all of its layers are known by now."""
        calls = self._calls.records
        if self._calls.copy is None or not call.is_read or call not in calls or self._covers(call):
            return
        began = time.perf_counter()
        try:
            curves = curves_of(self._calls.copy, calls[: calls.index(call) + 1], self._cells)
            read = {name: curve for name, curve in curves.items() if curve.is_read}
            self._found = _named(read) | self._found
        except Exception as error:  # noqa: BLE001  # a training must not end by being watched
            self._on_failure(error)
        self._took = (self._took or 0.0) + time.perf_counter() - began

    def _covers(self, call: CallRecord) -> bool:
        """Whether all recurrent layers and steps in what was called are measured."""
        assert self._calls.copy is not None
        inside = set(map(id, self._calls.copy.get_submodule(call.path).modules()))
        layers = {**recurrent_modules(self._calls.copy), **step_modules(self._calls.copy, self._cells)}
        own = [name for name, module in layers.items() if id(module) in inside]
        return all(
            any(loop == name or loop.startswith((f"{name}/", f"{name} (call")) for loop in self._found) for name in own
        )

    def _pass_ended(self) -> None:
        recorded = self._calls.records
        if any(call.is_read for call in recorded):
            for call in reversed(recorded):
                self._measure(call)
            self._took = (self._took or 0.0) + self._calls.seconds
            self._calls.clear()
            self._unseen = 0
        elif self._begun:
            self._unseen += 1
            if self._unseen == UNSEEN:
                self._on_failure(ValueError(NOT_SEEN))
        self._on_pass()


def _named(curves: dict[str, Curve]) -> dict[str, Curve]:
    """A loop of which one call alone is read goes by its name without that: how many calls there are may change in a training."""
    plain = {name: re.sub(r" \(call \d+\)", "", name) for name in curves}
    count = Counter(plain.values())
    return {plain[name] if count[plain[name]] == 1 else name: curve for name, curve in curves.items()}


def _are_several() -> bool:
    """Whether several processes train one model together."""
    known = torch.distributed.is_available() and torch.distributed.is_initialized()
    return known and torch.distributed.get_world_size() > 1


def _is_first_process() -> bool:
    return not _are_several() or torch.distributed.get_rank() == 0


def _check(model: nn.Module, cells: Cells) -> None:
    """There is something to measure, it runs as it is written, and this torch lets itself be watched."""
    try:
        require_passes()
    except Missing as missing:
        raise ValueError(f"watch cannot work with this torch: there is no {missing}.") from missing
    compiled = [plain_name(name, model) for name, module in model.named_modules() if is_compiled(module)]
    if compiled:
        raise ValueError(
            f"watch needs a model that runs as it is written, and torch.compile has compiled {listed(set(compiled))}: what is "
            "compiled keeps its states and its dropout to itself. Watch a training without torch.compile; or diagnose the "
            "model, which takes a compiled one, now and then."
        )
    if not recurrent_modules(model) and not step_modules(model, cells):
        raise ValueError(
            "watch needs a recurrent layer (torch.nn.RNN, LSTM, GRU or their Cell classes, or rnnvanish.Recurrent), got a "
            f"{type(model).__name__} made of {listed({type(module).__name__ for module in model.modules()})}. Of a loop that "
            "it writes itself name the step, (x, state) -> state: cells=[...]."
        )
