"""Each layer of another package, the one of ours that it is held against, and whether they are the same function.

Both read the same sequences and give all outputs; a training step takes the gradients of weights and input. Before the
clock starts, both get the same weights and the outputs are compared: what differs is said in the row.
"""

import importlib
from collections.abc import Callable, Mapping
from functools import partial
from importlib import metadata
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from bench.common import (
    BATCH,
    HIDDEN,
    INPUT,
    TIME,
    inference_step,
    interleaved,
    layer,
    one_thread,
    ratio,
    training_step,
)
from bench.peers.same_weights import TWINS, in_min_gru_pytorch, in_sru, in_torchrecurrent

#: Of outputs of size 1. In single precision some layers amplify how numbers are rounded.
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-5}


class Peer(NamedTuple):
    """A layer of another package.

    Attributes:
        package: Its name on the package index.
        name: The layer.
        ours: The cell that it is held against.
        build: Builds it from our layer: with the same weights, where there is such a thing.
        differs: What differs; empty where nothing should, and then that is checked.
        options: Of our cell.
        compared: In which precision the outputs are.
    """

    package: str
    name: str
    ours: str
    build: Callable[[nn.Module], nn.Module]
    differs: str = ""
    options: Mapping[str, object] = {}
    compared: torch.dtype = torch.float64


class Called(nn.Module):
    """Call a layer as torch's are called: time first, output and state out.

    Args:
        layer: What is called.
        before: A layer that brings the input to its width.
        batch_first: Whether it wants the batch first.
    """

    def __init__(self, layer: nn.Module, before: nn.Module | None = None, batch_first: bool = False) -> None:
        super().__init__()
        self.layer, self.before, self.batch_first = layer, before or nn.Identity(), batch_first

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        """Return all outputs."""
        x = self.before(x)
        out = self.layer(x.transpose(0, 1) if self.batch_first else x)
        out = out[0] if isinstance(out, tuple) else out
        return (out.transpose(0, 1) if self.batch_first else out), None


def _parallel(name: str) -> Callable[[nn.Module], nn.Module]:
    return lambda ours: Called(*in_min_gru_pytorch(name, ours), batch_first=True)


PEERS = [
    Peer("torch", "nn.RNN", "Elman", lambda ours: ours.to_torch()),
    Peer("torch", "nn.GRU", "GRU", lambda ours: ours.to_torch()),
    Peer("torch", "nn.LSTM", "LSTM", lambda ours: ours.to_torch()),
    *(
        Peer(
            "torchrecurrent",
            name,
            twin.ours,
            partial(in_torchrecurrent, name),
            twin.differs and f"No: {twin.differs}.",
            twin.ours_with,
        )
        for name, twin in TWINS.items()
    ),
    Peer("minGRU-pytorch", "minGRU, all steps at once", "MinGRU", _parallel("minGRU")),
    Peer("minGRU-pytorch", "minLSTM, all steps at once", "MinLSTM", _parallel("minLSTM")),
    Peer(
        "ncps",
        "CfC",
        "GRU",
        lambda _: Called(importlib.import_module("ncps.torch").CfC(INPUT, HIDDEN, batch_first=False)),
        "No: a continuous-time cell with a hidden layer of 128 units inside each step.",
    ),
    Peer("sru", "SRU", "SRU", in_sru, compared=torch.float32),  # it has no other
]


def apart(peer: Peer, ours: nn.Module, theirs: nn.Module, x: Tensor) -> str:
    """Say whether both are the same function."""
    with torch.no_grad():
        mine, other = (each.to(peer.compared)(x.to(peer.compared))[0] for each in (ours, theirs))
    for each in (ours, theirs):
        each.to(x.dtype)
    if mine.shape != other.shape:
        return f"No: it gives outputs of shape {tuple(other.shape)}, ours {tuple(mine.shape)}."
    if peer.differs:
        return peer.differs
    difference = (mine - other).abs().max().item()
    if difference > TOLERANCE[peer.compared]:
        return f"No: with the same weights the outputs are up to {difference:.1g} apart."
    return f"Yes: outputs are at most {difference:.0e} apart." if difference else "Yes: outputs are the same."


def row(peer: Peer) -> dict[str, Any]:
    """Measure one peer against ours."""
    torch.manual_seed(0)
    found: dict[str, Any] = {
        "package": f"{peer.package} {version(peer.package)}",
        "layer": peer.name,
        "ours": peer.ours,
    }
    try:
        ours, x = layer(peer.ours, **peer.options), torch.randn(TIME, BATCH, INPUT)
        theirs = peer.build(ours)
        found["same"] = apart(peer, ours, theirs, x)
        for name, step in (("inference", inference_step), ("training", training_step)):
            one, other = interleaved(step(theirs, x.clone()), step(ours, x.clone()))
            found[name] = round(ratio(one, other), 4)
    except Exception as error:  # noqa: BLE001  # one that does not run here does not take the others with it
        found["same"] = f"Not measured: {type(error).__name__}: {error}".splitlines()[0][:200]
    return found


def version(package: str) -> str:
    """Version of an installed package."""
    try:
        return metadata.version(package).partition("+")[0]
    except metadata.PackageNotFoundError:
        return "(not installed)"


def rows() -> list[dict[str, Any]]:
    """Measure every peer."""
    with one_thread():
        return [row(peer) for peer in PEERS]
