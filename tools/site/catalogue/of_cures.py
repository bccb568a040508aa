"""What the table of cures and the page of each say: when it acts, on which networks, what it keeps, and the lines to use it."""

from __future__ import annotations

from typing import Any

from rnnvanish.experiments import cures
from rnnvanish.mitigation import Build, Draw, Penalty, Rule

ALL = "cures"
HEAD = ["Cure", "What it is", "Year", "When it acts"]
#: What the kinds themselves say.
HIDDEN = "draw|build|penalty|apply|paper|checked|invariant|moment|needs"
#: Of each network a layer of ours, and a layer of torch.
LAYERS = {
    "tanh": ("Recurrent(cells.Elman, 8, 32)", "nn.RNN(8, 32)"),
    "ReLU": ('Recurrent(cells.Elman, 8, 32, nonlinearity="relu")', 'nn.RNN(8, 32, nonlinearity="relu")'),
    "LSTM": ("Recurrent(cells.LSTM, 8, 32)", "nn.LSTM(8, 32)"),
    "GRU": ("Recurrent(cells.GRU, 8, 32)", "nn.GRU(8, 32)"),
}
CHANGES = """from torch import nn

from rnnvanish import Recurrent, cells, mitigations

cure = mitigations.{cure}
layer = cure({ours})
layer = cure({theirs})  # or a model of yours that has such layers
"""
STEP = """import torch
from torch import nn

from rnnvanish import mitigations

cure = mitigations.{cure}
model = {theirs}  # or a layer of ours, or a model of yours
optimizer = torch.optim.Adam(model.parameters())


def loss(output):
    return output[0][-1].square().mean()


x = torch.randn(10, 4, 8)
"""
IN_THE_LOSS = "(loss(model(x)) + cure.penalty(model, x, loss)).backward()\noptimizer.step()\n"
ON_THE_GRADIENT = "loss(model(x)).backward()\ncure.apply(model.parameters())\noptimizer.step()\n"
#: How each kind is used from Python.
CALLS = {Draw: CHANGES, Build: CHANGES, Penalty: STEP + IN_THE_LOSS, Rule: STEP + ON_THE_GRADIENT}


def columns(cure: Any) -> tuple[str, ...]:
    """Its last cells in the table."""
    return str(cure.paper.year), cure.moment


def facts(cure: Any) -> dict[str, str]:
    """What is told of it at once."""
    suited = ", ".join(cures.suited(cures.example(cure.__name__)))
    return {
        "When it acts": cure.moment,
        "Acts on": suited,
        "Needs": cure.needs,
        "What it keeps": cure.invariant,
    }


def use(cure: Any) -> str:
    """The lines to use it, from Python, where its kind has a call, and by the command line; what was measured of it."""
    cell = cures.CALLED[_network(cure.__name__)]
    command = f"rnnvanish train --cell {cell} --task copying --mitigations '{cures.written(cure.__name__)}'"
    code = python(cure.__name__)
    lines = (f"```python\n{code}```\n\n" if code else "") + f"```bash\n{command}\n```"
    return f'{lines}\n\n<div data-rv-cure="{cure.__name__}"></div>'


def python(name: str) -> str:
    """How it is used from Python; empty where its kind has no call of its own."""
    made = cures.example(name)
    code = next((code for kind, code in CALLS.items() if isinstance(made, kind)), "")
    call = cures.written(name)
    ours, theirs = LAYERS[_network(name)]
    return code.format(cure=call if call.endswith(")") else f"{call}()", ours=ours, theirs=theirs)


def _network(name: str) -> str:
    """The network that a cure is shown on: the LSTM, where it takes one."""
    return max(cures.suited(cures.example(name)), key=lambda network: network == "LSTM")
