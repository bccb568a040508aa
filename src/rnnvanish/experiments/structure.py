"""Section 1: a recurrent network reads step by step and carries a state."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.claim import Verdict, at_least, at_most, claim, control
from rnnvanish.experiments import sources
from rnnvanish.experiments.scopes import before_training
from rnnvanish.experiments.small import BATCH, FEATURES, HIDDEN, seeded

STEPS, BREAK = 100, 60

Outputs = Float[Tensor, "time batch hidden"]


def network(seed: int, bidirectional: bool = False) -> tuple[nn.RNN, Tensor]:
    """Draw a network as torch does, and sequences for it to read."""
    with seeded(seed):
        layer = nn.RNN(FEATURES, HIDDEN, bidirectional=bidirectional).double()
        return layer, torch.randn(STEPS, BATCH, FEATURES, dtype=torch.float64)


def in_two_parts(layer: nn.RNN, x: Tensor, at: int, keep: bool = True) -> Outputs:
    """Read the first part, put the state away, and go on with the second part: from that state, or from none."""
    first, state = layer(x[:at])
    second, _ = layer(x[at:], state if keep else None)
    return torch.cat([first, second])


@torch.no_grad()
def change_by_step(layer: nn.RNN, x: Tensor, at: int) -> Float[Tensor, " time"]:
    """Replace the input from step `at` on, and return how much the output of each step changes: the largest change."""
    other = torch.cat([x[:at], -x[at:]])
    changes: Outputs = (layer(x)[0] - layer(other)[0]).abs()
    return changes.amax(dim=(1, 2))


@claim(
    section=1,
    sentence="A recurrent network reads a sequence step by step and keeps what it needs of the past in a state.",
    finding="Stop after 60 of 100 steps, keep nothing but the state, go on from it: the outputs are the same. "
    "All that the network has of its past is the state.",
    scope=before_training("nn.RNN", HIDDEN, STEPS),
    statistic="largest difference between the outputs of one run and of a run in two parts that share only the state",
    unit="on the scale of the outputs, -1 to 1",
    source=sources.ILLUSTRATED,
    stated=Verdict.HOLDS,
    holds=at_most(1e-12),
    fails=at_least(1e-3),
    control=control("where the second part starts without the state", keep=False),
    identity=True,
)
@torch.no_grad()
def state_is_all_the_past(seed: int, keep: bool = True) -> float:
    """Read in one run and in two."""
    layer, x = network(seed)
    return float((layer(x)[0] - in_two_parts(layer, x, BREAK, keep)).abs().max())


@claim(
    section=1,
    sentence="What a recurrent network says at a step depends on the past, not on the future.",
    finding="Replace the input from step 60 on: not one of the 60 outputs before changes, not even in the last digit. "
    "This is so for a layer that reads in one direction.",
    scope=before_training("nn.RNN", HIDDEN, STEPS),
    statistic="largest change of the outputs before step 60 when the input from step 60 on is replaced",
    unit="on the scale of the outputs, -1 to 1",
    source=sources.IBM,
    stated=Verdict.HOLDS,
    holds=at_most(0),
    fails=at_least(1e-3),
    control=control("in a layer that reads in both directions", bidirectional=True),
    identity=True,
)
def future_does_not_leak_in(seed: int, bidirectional: bool = False) -> float:
    """Look at the steps before the change."""
    return float(change_by_step(*network(seed, bidirectional), BREAK)[:BREAK].max())


@claim(
    section=1,
    sentence="No recurrent layer knows the future.",
    finding="A bidirectional layer also reads from the end to the beginning. Its outputs do change with the future, "
    "so it cannot be used where the future is not there yet.",
    scope=before_training("bidirectional nn.RNN", HIDDEN, STEPS),
    statistic="largest change of the outputs of a bidirectional layer before step 60 when the input from step 60 on "
    "is replaced",
    unit="on the scale of the outputs, -1 to 1",
    stated=Verdict.FAILS,
    holds=at_most(0),
    fails=at_least(1e-3),
    control=control("in a layer that reads in one direction", bidirectional=False),
    identity=True,
)
def no_layer_sees_the_future(seed: int, bidirectional: bool = True) -> float:
    """Look at the same steps of a layer that reads both ways."""
    return float(change_by_step(*network(seed, bidirectional), BREAK)[:BREAK].max())
