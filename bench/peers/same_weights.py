"""Layers of other packages with our weights: the same function, wherever a layer can be made it."""

import importlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, cat, nn

from bench.common import HIDDEN, INPUT

Weights = Mapping[str, Tensor]
#: What most of torchrecurrent's cells call ours. A bias that we have not stays zero there.
NAMES = {"weight_ih": "from_x.weight", "weight_hh": "from_h.weight", "bias_ih": "from_x.bias", "bias_hh": "from_h.bias"}
ZEROS = torch.zeros(HIDDEN)


class Twin(NamedTuple):
    """A cell that torchrecurrent has too.

    Attributes:
        ours: Its name here.
        weights: Theirs, of ours, but for those that differ in their `NAMES` alone.
        same: Options that are to be what they are in our cell.
        options: Further options of theirs.
        differs: Why no weights make it the same function; empty where some do.
        ours_with: Options of our cell that make the two as large.
    """

    ours: str
    weights: Callable[[Weights], dict[str, Tensor]] = lambda w: {}
    same: tuple[str, ...] = ()
    options: Mapping[str, object] = {}
    differs: str = ""
    ours_with: Mapping[str, object] = {}


def blocks(rows: Tensor, *order: int) -> Tensor:
    """Put the rows of the gates into another order."""
    parts = rows.split(HIDDEN)
    return cat([parts[index] for index in order])


def renamed(w: Weights, change: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
    """All of `NAMES`, each changed alike."""
    return {theirs: change(w[ours]) for theirs, ours in NAMES.items() if ours in w}


def half_of_g(rows: Tensor) -> Tensor:
    """Rows of i, g, o for tanh(g), where ours has 4 σ(g) − 2 = 2 tanh(g / 2), in a memory twice as large."""
    i, g, o = rows.split(HIDDEN)
    return cat([i, g / 2, o])


ANTISYMMETRIC = {"weights": lambda w: {"weight_hh": w["m"]}, "same": ("epsilon", "gamma")}
#: By torchrecurrent's names.
TWINS = {
    "AntisymmetricRNN": Twin("AntisymmetricRNN", **ANTISYMMETRIC),
    "GatedAntisymmetricRNN": Twin("GatedAntisymmetricRNN", **ANTISYMMETRIC),
    "ATR": Twin("ATR"),
    "BR": Twin("BRC", lambda w: {
        "weight_ih": cat([w["from_x.weight"], w["from_x_to_n.weight"]]), "bias_ih": cat([w["from_x.bias"], ZEROS]),
        "weight_hh": cat([w["memory_a"], w["memory_c"]]),
    }),
    "CFN": Twin("CFN"),
    "coRNN": Twin(
        "CoRNN", lambda w: {"weight_hh": w["from_y.weight"], "weight_ch": w["from_z.weight"]},
        same=("dt", "gamma", "epsilon"),
    ),
    "FastGRNN": Twin(
        "FastGRNN", lambda w: {"bias_ih": cat([w["bias_z"], w["bias_n"]]), "zeta": w["zeta"], "nu": w["nu"]},
        options={"nonlinearity": "sigmoid"},  # the gate's
    ),
    "FastRNN": Twin("FastRNN", lambda w: {"alpha": w["alpha"], "beta": w["beta"]}),
    "IndRNN": Twin("IndRNN", lambda w: {"vector_u": w["u"]}, options={"nonlinearity": "relu"}),
    "JANET": Twin("JANET"),
    "LEM": Twin("LEM", same=("dt",), differs="y reads the old z there, not the new one"),
    "MGU": Twin("MGU", lambda w: {"weight_hh": cat([w["from_h.weight"], w["from_forgotten.weight"]])}),
    "MinimalRNN": Twin("MinimalRNN", lambda w: {"weight_mm": w["from_z"]}),
    "MUT1": Twin("MUT1", lambda w: {
        "weight_ih": cat([w["from_x.weight"], w["lift.weight"]]), "bias_ih": cat([w["from_x.bias"], ZEROS]),
        "weight_hh": cat([w["from_h.weight"], w["from_reset.weight"]]), "bias_hh": cat([ZEROS, w["from_reset.bias"]]),
    }),
    "MUT2": Twin("MUT2", lambda w: {
        "weight_ih": blocks(cat([w["from_x.weight"], w["lift.weight"]]), 0, 2, 1),
        "weight_hh": cat([w["from_h.weight"], w["from_reset.weight"]]),
        "bias_hh": cat([w["from_h.bias"], w["from_reset.bias"]]),
    }),
    "MUT3": Twin("MUT3", lambda w: {
        "weight_hh": cat([w["from_squashed.weight"], w["from_h.weight"], w["from_reset.weight"]]),
    }),
    "NBR": Twin("NBRC"),
    "OriginalLSTM": Twin("LSTM1997", lambda w: renamed(w, half_of_g)),
    "PeepholeLSTM": Twin("PeepholeLSTM", lambda w: {"weight_ph": w["peepholes"]}),
    "RAN": Twin("RAN", lambda w: {"weight_ih": blocks(w["from_x.weight"], 2, 0, 1)}),
    "SCRN": Twin(
        "SCRN", same=("alpha",), ours_with={"context_size": HIDDEN},
        differs="one more matrix between the hidden layer and the output, and the context is not handed on",
    ),
    "STAR": Twin("STAR", differs="one gate weighs both what is kept and what is added; in the authors' code they differ by 1"),
    "UGRNN": Twin("UGRNN", lambda w: renamed(w, lambda rows: blocks(rows, 1, 0))),
    "UnICORNN": Twin("UnICORNN", lambda w: {"weight_hh": w["w"], "weight_ch": w["c"]}, same=("dt", "alpha")),
}  # fmt: skip


def handed_on(twin: Twin, cell: nn.Module) -> dict[str, Tensor]:
    """The weights of our cell, as its twin has them."""
    return renamed(weights := cell.state_dict(), torch.clone) | twin.weights(weights)


@torch.no_grad()
def in_torchrecurrent(name: str, ours: nn.Module) -> nn.Module:
    """Its layer of this name, with the weights of our layer where that makes both the same function."""
    twin, (cell,) = TWINS[name], ours.cells
    options = {option: getattr(cell, option) for option in twin.same}
    theirs = getattr(importlib.import_module("torchrecurrent"), name)(INPUT, HIDDEN, **options, **twin.options)
    if not twin.differs:
        for place, value in handed_on(twin, cell).items():
            mine = getattr(theirs.cells[0], place)
            mine.copy_(value.reshape(mine.shape))
    return theirs


@torch.no_grad()
def in_min_gru_pytorch(name: str, ours: nn.Module) -> tuple[nn.Module, nn.Linear]:
    """Its minGRU or minLSTM, which read 64 features and have no bias, and the layer that brings x, and a 1, to 64."""
    theirs = getattr(importlib.import_module(f"minGRU_pytorch.{name}"), name)(HIDDEN)
    wider, own = nn.Linear(INPUT, HIDDEN), ours.cells[0].from_x
    wider.weight.copy_(torch.eye(HIDDEN, INPUT))
    wider.bias.copy_(torch.eye(HIDDEN)[INPUT])
    (weight,) = theirs.parameters()
    weight[:, :INPUT], weight[:, INPUT] = own.weight, own.bias
    return theirs, wider


@torch.no_grad()
def in_sru(ours: nn.Module) -> nn.Module:
    """Asapp's SRU, whose one matrix makes candidate, forget gate, reset gate and highway of each unit side by side."""
    theirs, (cell,) = importlib.import_module("sru").SRU(INPUT, HIDDEN, num_layers=1), ours.cells
    (inner,) = theirs.rnn_lst
    rows = [cell.candidate.weight, *cell.from_x.weight.split(HIDDEN), cell.highway.weight]
    inner.weight.copy_(torch.stack(rows).permute(2, 1, 0).reshape(INPUT, 4 * HIDDEN))
    inner.weight_c.copy_(cell.v.flatten())
    inner.bias.copy_(cell.from_x.bias)
    return theirs
