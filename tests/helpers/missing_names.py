"""Run in a process of its own: the engine and the measures with a torch that has each of some names not, in turn.

Each name is taken away in a child of this process, before the package is imported there. Prints a line of JSON for each.
"""

import ctypes
import functools
import importlib.util
import json
import logging
import os
import sys

import torch
from torch import nn

#: What torch itself cannot do without in what is run here: hidden from the package alone.
NEEDED = {
    "torch.overrides._get_current_function_mode_stack",
    "torch.utils._device.DeviceContext",
    "torch.utils._python_dispatch.TorchDispatchMode",
    "torch.fx.experimental.proxy_tensor.make_fx",
    "torch._decomp.get_decompositions",
    "torch.utils._pytree.tree_leaves",
    "torch.utils._pytree.tree_map",
    "torch.nn.Module._forward_hooks",
}
#: What is needed to trace a step, and not where what was traced is kept on disk.
OF_TRACING = {
    "torch.fx.experimental.proxy_tensor.make_fx",
    "torch._decomp.core_aten_decompositions",
    "torch._decomp.get_decompositions",
}


class Without:
    """A module without one of its names."""

    def __init__(self, module, name):
        self.module, self.name = module, name

    def __getattr__(self, name):
        if name == self.name:
            raise AttributeError(name)
        return getattr(self.module, name)


def replace(owner, name, other):
    """Replace a function by one that is given the first."""
    setattr(owner, name, functools.partial(other, getattr(owner, name)))


def take_away(name):
    """Take a name away; one of a class that is written in C is hidden by one that is not there."""

    def absent(self):
        if name not in NEEDED or sys._getframe(1).f_globals["__name__"].startswith("rnnvanish.compat."):
            raise AttributeError(name)
        return vars(self)[own]

    def load(original, path, *args):
        if path.endswith(name):
            raise OSError(path)
        return original(path, *args)

    path, _, own = name.rpartition(".")
    if name == "torch._dynamo":
        replace(
            importlib.util, "find_spec", lambda original, each, *args: None if each == name else original(each, *args)
        )
    elif name == "lib/libtorch_cpu.so":
        replace(ctypes, "CDLL", load)
        sys.modules["scipy"] = None  # has a BLAS, too
    elif name in NEEDED and not path[path.rfind(".") + 1].isupper():
        replace(
            importlib,
            "import_module",
            lambda original, each, *args, **kw: (
                Without(original(each), own) if each == path else original(each, *args, **kw)
            ),
        )
    else:
        owner = torch
        for part in path.split(".")[1:]:
            if not hasattr(owner, part):
                importlib.import_module(path)
            owner = getattr(owner, part)
        if isinstance(owner, type):
            setattr(owner, own, property(absent, lambda self, value: vars(self).update({own: value})))
        else:
            delattr(owner, own)


class Counting(nn.Module):
    """Writes into a buffer at each run."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 4)
        self.register_buffer("count", torch.zeros(1))

    def forward(self, x):
        self.count += 1
        return self.lstm(x)[0]


def measured():
    """What comes out of a layer by each engine, of a measure and of a diagnosis; what the log says; what was compiled."""
    said = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())
    logging.getLogger("rnnvanish").addHandler(handler)

    from rnnvanish import Recurrent, cells, diagnose, probes
    from rnnvanish.engine import run

    results = []
    for engine in ("auto", "reference"):
        torch.manual_seed(0)
        layer = Recurrent(cells.GRU, 5, 8, engine=engine, checkpoint_every=16)
        x = torch.randn(40, 16, 5, requires_grad=True)
        with torch.device("cpu"):
            output, _ = layer(x)
            results.append([output, *torch.autograd.grad(output.square().sum(), [x, *layer.parameters()])])
    same = all(torch.allclose(*each, rtol=1e-4, atol=1e-4) for each in zip(*results, strict=True))
    compiled = sum(not isinstance(each, Exception) for each in run._programs.values())
    torch.manual_seed(0)
    model, inputs = Counting(), torch.randn(12, 2, 3)
    curve = probes.retention(model, inputs)["lstm/layer0/forward"]
    found = diagnose(model, inputs).curves["lstm/layer0/forward"]
    return {
        "same": same,
        "compiled": compiled,
        "said": said,
        "rates": [curve.rate, found.rate],
        "verdict": found.verdict,
    }


if __name__ == "__main__":
    for name in sys.argv[1:]:
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            try:
                if name in OF_TRACING:
                    os.environ["RNNVANISH_CACHE"] = os.devnull
                if name != "-":
                    take_away(name)
                result = measured()
            except Exception as error:  # noqa: BLE001  # what a user would meet
                result = {"error": f"{type(error).__name__}: {error}"}
            print(json.dumps({"name": name, **result}), flush=True)
            os._exit(0)
        os.waitpid(child, 0)
