"""watch: one line beside any training loop, and how far back the gradient of its own loss reaches is measured on the way.

The calls of the model are recorded (`call_recorder`). When the backward pass comes, what it sends to the end of what the model
returned is known; the calls run again on a copy with their loops in sight (`replayed_calls`), and the gradient goes from there
back to every state, as `diagnose` has it. The training's own run is only looked at.
"""

import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress

import torch
from torch import Tensor, nn

from rnnvanish.compat import Missing, is_compiled, require_passes
from rnnvanish.live import Cells, plain_name, recurrent_modules, step_modules, unwrapped
from rnnvanish.monitor.alert import Alert, Verdicts
from rnnvanish.monitor.backward_passes import BackwardPasses
from rnnvanish.monitor.call_record import CallRecord
from rnnvanish.monitor.call_recorder import CallRecorder
from rnnvanish.monitor.history import History
from rnnvanish.monitor.replayed_calls import curves_of
from rnnvanish.names import listed, printable
from rnnvanish.probes.curve import Curve

#: Without a fixed interval: the share of the training's time that measuring may take, and the passes between at least.
SHARE, AT_LEAST = 0.025, 50
#: Backward passes in turn of which no call was seen, after which that is said.
UNSEEN = 3
NOT_SEEN = (
    "gradients reach its weights, but no call was seen that they come from: it is compiled, called by its forward() past its "
    "hooks, or called without gradients inside of a checkpoint."
)


def watch(
    model: nn.Module,
    every: int | None = None,
    cells: Cells = (),
    on_alert: Callable[[Alert], object] | None = None,
) -> "Watch":
    """Measure how far back the gradient reaches while `model` is trained, in any loop, by this one line before it.

    What is measured is the gradient of the training's own loss on its own batch, from one step of what the model returns, as
    `diagnose` has it: back through the whole model to every state of every recurrent layer and direction. It is measured in
    the backward pass itself. No random number is drawn, no weight and no gradient changed, no graph kept: losses are bit for
    bit those without it. What cannot be measured is said once, as a warning and in `problems`, and the training goes on.

    Args:
        model: What is trained: any module with recurrent layers, or an `nn.ModuleList` of those that make one loss together.
            Its calls may be many in one backward pass, such as one a step of a decoder.
        every: Training backward passes from one measurement to the next; each counts, also where gradients add up over
            several. None: 50, or as many as keep the time it takes under 5 % of the training's.
        cells: Modules that are one step of a loop which the model itself writes, as in `probes.retention`.
        on_alert: Is called with an `Alert` when the gradients of a layer vanish, explode or come back, at the end of that
            backward pass; by default that is said as a warning. What it raises ends the training.

    Returns:
        What watches: `history` holds what was measured. Its `close()`, or the end of a `with` around the loop, leaves no
        trace of it. In several processes the first one alone is measured.

    Raises:
        ValueError: For a model without a recurrent layer, or one that is compiled.

    Examples:
        >>> import torch
        >>> model = nn.GRU(2, 8)
        >>> with watch(model, every=2, on_alert=print) as watching:
        ...     for _ in range(4):
        ...         model(torch.ones(10, 3, 2))[0][-1].sum().backward()
        >>> watching.history.steps
        (0, 2)
    """
    return Watch(model, every, cells, on_alert)


class Watch:
    """A model that is watched: see `watch`.

    Attributes:
        history: What was measured.
        alerts: When gradients came to vanish or explode, or came back.
        problems: What could not be measured, and why.
    """

    def __init__(
        self,
        model: nn.Module,
        every: int | None = None,
        cells: Cells = (),
        on_alert: Callable[[Alert], object] | None = None,
        report: Callable[[str], object] = warnings.warn,
    ) -> None:
        if every is not None and every < 1:
            raise ValueError(f"watch needs every >= 1, got {every}.")
        _check(model, cells)
        inner = unwrapped(model)
        self.name = type(inner).__name__
        self.history = History(self.name)
        self.alerts: list[Alert] = []
        self.problems: list[str] = []
        # A list of modules may be nobody else's; a model that somebody calls is the caller's, and goes when that lets it go.
        self._held = inner if isinstance(inner, nn.ModuleList | nn.ModuleDict) else None
        self._every, self._cells = every, cells
        self._on_alert, self._report = on_alert, report
        self._verdicts = Verdicts()
        self._found: dict[str, Curve] = {}
        self._said: set[str] = set()
        self._unseen = 0
        self._last: tuple[int, float, float] | None = None  # pass and time of the last measurement, and what it took
        self._took = 0.0
        self._passes = BackwardPasses(inner, self._pass_ended)
        self._calls = CallRecorder(inner, cells, self._gradient_came, self._measure, self._fail)
        self._calls.begin()

    def close(self) -> None:
        """Leave no trace: no hook on the model, its weights, or a graph that is still there."""
        self._passes.close()
        self._calls.end()
        self._calls.clear()
        self._held = None

    def __enter__(self) -> "Watch":  # noqa: PYI034  # what checks annotations in the tests knows no Self
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Watch of {printable(self.name)}: {self._passes.count} backward passes, {len(self.history.steps)} measured>"

    def _gradient_came(self, call: CallRecord, index: int, gradient: Tensor) -> None:
        """Take note of what came back to an output of a call."""
        self._passes.reach()
        call.gradients[index] = gradient.detach().clone()

    def _measure(self, call: CallRecord) -> None:
        """Measure from the end of a call, if any gradient came there, and not all of its layers are known by now."""
        calls = self._calls.records
        if (
            not _is_first_process()
            or self._calls.copy is None
            or not call.is_read
            or call not in calls
            or self._covers(call)
        ):
            return
        began = time.perf_counter()
        try:
            curves = curves_of(self._calls.copy, calls[: calls.index(call) + 1], self._cells)
            read = {name: curve for name, curve in curves.items() if curve.is_read}
            self._found = read | self._found
        except Exception as error:  # noqa: BLE001  # a training must not end by being watched
            self._fail(error)
        self._took += time.perf_counter() - began

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
        step, recorded = self._passes.count - 1, self._calls.records
        if recorded and any(call.is_read for call in recorded):
            for call in reversed(recorded):
                self._measure(call)
            self._last = step, time.perf_counter(), self._took + self._calls.seconds
            self._calls.clear()
            self._took, self._unseen = 0.0, 0
        elif self._is_due(step):
            self._unseen += 1
            if self._unseen == UNSEEN:
                self._say(f"{self.name} is not measured: {NOT_SEEN}")
        found, self._found = self._found, {}
        if self._is_due(step + 1):
            self._passes.find_weights()
            self._calls.begin()
        else:
            self._calls.end()
        self._publish(step, found)

    def _is_due(self, step: int) -> bool:
        if self._last is None:
            return True
        last, when, took = self._last
        if self._every is not None:
            return step - last >= self._every
        return step - last >= AT_LEAST and (time.perf_counter() - when) * SHARE >= took

    def _publish(self, step: int, curves: Mapping[str, Curve]) -> None:
        measured = {name: curve for name, curve in curves.items() if curve.is_measured}
        for name in curves.keys() - measured.keys():
            self._say(f"{name} is left out of what is measured: it has a single step in a backward pass.")
        self.history.add(step, measured)
        for name, curve in measured.items():
            if (alert := self._verdicts.alert(step, name, curve)) is not None:
                self.alerts.append(alert)
                (self._on_alert or self._warn)(alert)

    def _fail(self, error: Exception) -> None:
        plain = isinstance(error, ValueError | RuntimeError) and str(error)
        said = plain or f"{type(error).__name__}: {error}."
        self._say(f"{self.name} is not measured: {said} The training goes on.")

    def _say(self, said: str) -> None:
        """Say what is not measured: once for each kind of reason, since numbers in it may differ."""
        said = printable(" ".join(said.split()))
        kind = "".join(letter for letter in said if not letter.isdigit())
        if kind not in self._said:
            self._said.add(kind)
            self.problems.append(said)
            self._warn(said)

    def _warn(self, said: object) -> None:
        with suppress(Warning):  # where warnings are errors this one is none, since it would end the training
            self._report(str(said))


def _is_first_process() -> bool:
    """Whether this is the process that speaks, of several that train one model together."""
    several = torch.distributed.is_available() and torch.distributed.is_initialized()
    return not several or torch.distributed.get_rank() == 0


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
