"""What a staged step is known by: the operations of torch that it runs, in order, with all their arguments.

That is all that tracing sees, too: so whatever is changed that a step computes from (its source, a setting, a function
that it calls, torch itself) is another step. To list them is to run the step once. To trace it takes seconds, most of
them to import the tracer, and finds the same in every process: so what was found is kept on disk under this name.
"""

import platform
import re
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rnnvanish import compat
from rnnvanish.compat.tracing import schema
from rnnvanish.engine.cache import disk
from rnnvanish.engine.cache.side_effects import BATCH_NAMES, GRADIENT_NAMES, Sandbox
from rnnvanish.engine.ir.isolated_rng import IsolatedRNG
from rnnvanish.engine.ir.parameters import batch_for, named_weights
from rnnvanish.engine.ir.unsupported import Unsupported
from rnnvanish.numerics import real_view
from rnnvanish.numerics.real_view import is_number

#: A number of sequences that no step is likely to expect.
LARGE_BATCH = 1000


class _OperationLog(IsolatedRNG):
    """Lists operations as text; tensors are counted in the order in which they appear."""

    def __init__(self, *inputs: Tensor) -> None:
        super().__init__(inputs[-1].device)
        self.lines: list[str] = []
        self.number: dict[int, int] = {}
        self.alive: list[Tensor] = []  # an id counts for as long as its tensor lives
        self.inputs: set[int] = set()  # where what the step did not make itself lies in memory
        for tensor in inputs:
            self._new(tensor)
            self.inputs.add(_address(tensor))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = self.describe(args), self.describe(list(kwargs.items()))
        for argument, tensor in zip(schema(func).arguments, args, strict=False):
            written = argument.alias_info is not None and argument.alias_info.is_write
            if written and isinstance(tensor, Tensor) and _address(tensor) in self.inputs:
                raise Unsupported(f"buffer that its step changes in place ({func})")
        out = super().__torch_dispatch__(func, types, args, kwargs)
        for tensor in out if isinstance(out, list | tuple) else [out]:
            if isinstance(tensor, Tensor) and id(tensor) not in self.number:
                self._new(tensor)
        self.lines.append(f"{func} {given} {self.describe(out)}")
        return out

    def _new(self, tensor: Tensor) -> None:
        self.number[id(tensor)] = len(self.number)
        self.alive.append(tensor)
        self.lines.append(f"{tensor.dtype} {tuple(tensor.shape)} {tensor.stride()}")

    def describe(self, arg: Any) -> str:
        """An argument; of a tensor that no operation has made, all numbers."""
        if isinstance(arg, Tensor):
            if id(arg) not in self.number:
                if arg.requires_grad:
                    raise Unsupported(
                        "gradient for a tensor that its step reads and that is no parameter (nn.Parameter)"
                    )
                self._new(arg)
                self.inputs.add(_address(arg))
                self.lines.append(repr(arg.tolist()))
            return f"%{self.number[id(arg)]}"
        if isinstance(arg, list | tuple):
            return f"[{', '.join(map(self.describe, arg))}]"
        return repr(arg)


def fingerprint(
    cell: nn.Module, x: Tensor, state: tuple[Tensor, ...], masked: bool, sandbox: Sandbox | None = None
) -> str:
    """The name of a step of `cell`, a copy that nobody uses; other arguments are those of `stage`.

    Raises:
        Unsupported: Where the step does more than compute.
    """
    sandbox = Sandbox(cell) if sandbox is None else sandbox
    weights = named_weights(dict(cell.named_modules()))
    batch = batch_for(*weights.values(), x[:1], *(part[:1] for part in state))

    def operations_of(batch: int, learns: bool = False) -> list[str]:
        for weight in weights.values():
            weight.requires_grad_(learns and is_number(weight))
        inputs = [tensor.new_zeros(batch, *tensor.shape[1:], requires_grad=learns) for tensor in (x, *state)]
        operations = _OperationLog(*weights.values(), *inputs)
        with torch.set_grad_enabled(learns), operations:
            new = sandbox(lambda: cell(inputs[0], tuple(inputs[1:])))
        return [*operations.lines, operations.describe(new)]

    found = operations_of(batch)
    if sandbox.names & GRADIENT_NAMES and _without_detached(operations_of(batch, learns=True)) != _without_detached(
        found
    ):
        raise Unsupported("way to see all that its step does: it asks whether there is a gradient")
    if sandbox.names & BATCH_NAMES and not all(
        _same_for_any_batch(found, batch, operations_of(each), each) for each in (1, LARGE_BATCH)
    ):
        raise Unsupported("way to see all that its step does: it asks how many sequences there are")
    known = [_versions(), x.device.type, str(masked), *found]
    return disk.name_for("step", *map(str.encode, known))


def _without_detached(lines: list[str]) -> list[str]:
    """Operations without what autograd detaches besides, and so without the tensors' numbers."""
    operations = [line for line in lines if line.startswith("aten.") and not line.startswith("aten.detach")]
    return [re.sub(r"%\d+", "%", line) for line in operations]


def _same_for_any_batch(operations: list[str], batch: int, others: list[str], other_batch: int) -> bool:
    """Whether the operations are the same, for another number of sequences."""
    parts = [
        re.split(r"(?<![\w.%-])(\d+)(?![\w.])", "\n".join(_without_detached(each))) for each in (operations, others)
    ]
    return len(parts[0]) == len(parts[1]) and all(
        one == other or (one.isdigit() and other.isdigit() and int(one) * other_batch == int(other) * batch)
        for one, other in zip(*parts, strict=True)
    )


def _address(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


@cache
def _versions() -> str:
    """Of all that stages a step and reads it again; of this package the text, as it changes between releases."""
    folders = Path(__file__).parents[1], Path(compat.__file__).parent
    paths = [*(path for folder in folders for path in sorted(folder.rglob("*.py"))), Path(real_view.__file__)]
    sources = (path.read_text(encoding="utf-8") for path in paths)
    return "\n".join([torch.__version__, platform.python_version(), *sources])
