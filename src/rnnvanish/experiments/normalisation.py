"""Section 13, normalisation at every step: it makes the size of the weights moot, and a plain network forgets all the same."""

from rnnvanish import cells
from rnnvanish.cell import Cell
from rnnvanish.claim import Verdict, at_least, at_most, claim, control
from rnnvanish.experiments import sources
from rnnvanish.experiments.linear import layer as layer_of
from rnnvanish.experiments.scopes import before_training
from rnnvanish.experiments.workbench import HIDDEN, STEPS, Build, curve
from rnnvanish.mitigations import LayerNormalisation


def layer(cell: type[Cell]) -> Build:
    """Say how to draw a layer of a cell with layer normalisation in its recurrence."""

    plain = layer_of(cell, HIDDEN)
    return lambda: LayerNormalisation()(plain())


@claim(
    section=13,
    sentence="Layer normalisation keeps the gradient of a recurrent network from vanishing.",
    finding="Not in a plain network. It helps there: the gradient lasts two to four times as long. Less than a millionth is left a hundred steps back all "
    "the same. An LSTM it helps far more.",
    scope=before_training("a plain network with layer normalisation of both its products", HIDDEN, STEPS),
    statistic="gradient that is left 100 steps back",
    unit="of it",
    source=sources.INGOAMPT,
    stated=Verdict.FAILS,
    holds=at_least(0.01),
    fails=at_most(1e-5),
    seeds=5,
    control=control("in an LSTM", cell=cells.LSTM),
)
def ends_vanishing(seed: int, cell: type[Cell] = cells.Elman) -> float:
    """Look a hundred steps back."""
    return float(curve(layer(cell), seed).gain[100])
