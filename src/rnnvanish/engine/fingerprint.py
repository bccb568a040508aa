"""What a staged step is known by: the operations of torch that it runs, in order, with all their arguments.

That is all that tracing sees, too: so whatever is changed that a step computes from (its source, a setting, a function
that it calls, torch itself) is another step. To list them is to run the step once. To trace it takes seconds, most of
them to import the tracer, and finds the same in every process: so what was found is kept on disk under this name.
"""

import platform
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from rnnvanish.engine import disk
from rnnvanish.engine.weights import batch_for, uncached, weights_of


class _Operations(TorchDispatchMode):
    """Lists operations as text; tensors are counted in the order in which they appear."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # to be skipped by torch's compiler would import it

    def __init__(self, *inputs: Tensor) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.number: dict[int, int] = {}
        self.alive: list[Tensor] = []  # an id counts for as long as its tensor lives
        for tensor in inputs:
            self._new(tensor)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = self.text(args), self.text(list(kwargs.items()))
        out = func(*args, **kwargs)
        for tensor in out if isinstance(out, list | tuple) else [out]:
            if isinstance(tensor, Tensor) and id(tensor) not in self.number:
                self._new(tensor)
        self.lines.append(f"{func} {given} {self.text(out)}")
        return out

    def _new(self, tensor: Tensor) -> None:
        self.number[id(tensor)] = len(self.number)
        self.alive.append(tensor)
        self.lines.append(f"{tensor.dtype} {tuple(tensor.shape)} {tensor.stride()}")

    def text(self, arg: Any) -> str:
        """An argument; of a tensor that no operation has made, all numbers."""
        if isinstance(arg, Tensor):
            if id(arg) not in self.number:
                self._new(arg)
                self.lines.append(repr(arg.tolist()))
            return f"%{self.number[id(arg)]}"
        if isinstance(arg, list | tuple):
            return f"[{', '.join(map(self.text, arg))}]"
        return repr(arg)


def fingerprint(cell: nn.Module, x: Tensor, state: tuple[Tensor, ...], masked: bool) -> str:
    """The name of a step of `cell`; arguments are those of `stage`."""
    weights = weights_of(dict(cell.named_modules()))
    batch = batch_for(*weights.values(), x[:1], *(part[:1] for part in state))
    x = x.new_zeros(batch, *x.shape[1:])
    state = tuple(part.new_zeros(batch, *part.shape[1:]) for part in state)
    # Copies: what a step writes into its buffers is not to be written by looking at it.
    weights = {name: weight.detach().clone() for name, weight in weights.items()}
    operations = _Operations(*weights.values(), x, *state)
    with torch.random.fork_rng(devices=[x.device] if x.is_cuda else []), torch.no_grad(), uncached(), operations:
        new = torch.func.functional_call(cell, weights, (x, state))
    known = [_versions(), x.device.type, str(masked), *operations.lines, operations.text(new)]
    return disk.name_for("step", *map(str.encode, known))


@cache
def _versions() -> str:
    """Of all that stages a step and reads it again; of this package the text, as it changes between releases."""
    sources = (path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.glob("*.py")))
    return "\n".join([torch.__version__, platform.python_version(), *sources])
