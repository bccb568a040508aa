"""Section 9: where training stands still: on a plateau with a way down, not in a local minimum."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.claim import Verdict, at_least, at_most, claim, control
from rnnvanish.experiments.learning import Reader
from rnnvanish.experiments.scopes import trained
from rnnvanish.experiments.small import seeded
from rnnvanish.mitigations import OrthogonalStart
from rnnvanish.task import Batch
from rnnvanish.tasks import Recall

TASK, HIDDEN, TRAINED, RATE = Recall(15), 8, 150, 0.05
#: Below this loss, in nats, the network has left the plateau: it recalls nearly all.
OUT = 0.3
#: A rate ten times as large, and how many steps it is given.
FAST, PATIENCE = 0.5, 400


#: What most is measured of.
PLAIN = trained(
    "nn.RNN",
    HIDDEN,
    f"recall of the first of {TASK.length} inputs",
    TRAINED,
    RATE,
    "plain gradient descent",
    stop=False,
)


class Landscape(NamedTuple):
    """A network, and the sequences that its loss is taken over: always the same, so that the ground stands still."""

    network: Reader
    batch: Batch

    def loss(self) -> Tensor:
        """Loss, in nats, over all the sequences."""
        return TASK.loss(self.network(self.batch.inputs), self.batch)

    def weights(self) -> list[nn.Parameter]:
        """All weights."""
        return list(self.network.parameters())

    def slope(self) -> Float[Tensor, " weights"]:
        """Gradient of the loss as one vector."""
        return flat(torch.autograd.grad(self.loss(), self.weights()))

    @torch.no_grad()
    def move(self, step: Float[Tensor, " weights"]) -> None:
        """Add `step` to the weights."""
        nn.utils.vector_to_parameters(nn.utils.parameters_to_vector(self.weights()) + step, self.weights())


def flat(parts: tuple[Tensor, ...]) -> Float[Tensor, " numbers"]:
    """Join tensors to one vector."""
    return torch.cat([part.flatten() for part in parts])


def stuck(
    seed: int, steps: int = TRAINED, lr: float = RATE, task: Recall = TASK, start: str = "default"
) -> tuple[Landscape, list[float]]:
    """Train a small `torch.nn.RNN` by plain gradient descent for so many steps; returns it and its losses.

    It starts as torch draws it ("default"), or with weights that only turn the state ("orthogonal").
    """
    with seeded(seed):
        layer = nn.RNN(1, HIDDEN)
        network = Reader(OrthogonalStart()(layer) if start == "orthogonal" else layer, task).double()
    batch = task.sample(256, torch.Generator().manual_seed(seed))
    here = Landscape(network, batch._replace(inputs=batch.inputs.double()))
    losses = []
    for _ in range(steps):
        losses.append(here.loss().item())
        here.move(-lr * here.slope())
    return here, losses


def flattest(seed: int) -> Landscape:
    """Return the place on the way of `stuck` where the slope is smallest."""
    here, _ = stuck(seed, steps=0)
    lowest, place = math.inf, nn.utils.parameters_to_vector(here.weights()).detach()
    for _ in range(TRAINED):
        slope = here.slope()
        if (steepness := float(slope.norm())) < lowest:
            lowest, place = steepness, nn.utils.parameters_to_vector(here.weights()).detach()
        here.move(-RATE * slope)
    nn.utils.vector_to_parameters(place, here.weights())
    return here


def curvatures(here: Landscape, part: str = "") -> Float[Tensor, " weights"]:
    """Return the eigenvalues of the Hessian, ascending: how the ground bends, in as many directions as weights.

    The weights are those of the network, or of one part of it.
    """
    weights = list(here.network.get_submodule(part).parameters())
    first = flat(torch.autograd.grad(here.loss(), weights, create_graph=True))
    rows = [flat(torch.autograd.grad(slope, weights, retain_graph=True)) for slope in first]
    hessian = torch.stack(rows)
    eigenvalues: Tensor = torch.linalg.eigvalsh((hessian + hessian.T) / 2)
    return eigenvalues


def walk(here: Landscape, stride: float = 0.05, limit: int = 400) -> list[float]:
    """Go downhill in steps of one fixed length, however gentle the slope, until out; returns the loss at each step."""
    losses = [here.loss().item()]
    while losses[-1] >= OUT and len(losses) <= limit:
        here.move(-stride * nn.functional.normalize(here.slope(), dim=0))
        losses.append(here.loss().item())
    return losses


def escape(seed: int, lr: float = FAST, limit: int = PATIENCE) -> float:
    """Return after how many training steps the loss is below `OUT`; endless where it is not after `limit`."""
    here, _ = stuck(seed, steps=0)
    for step in range(limit):
        if here.loss().item() < OUT:
            return step
        here.move(-lr * here.slope())
    return math.inf


@torch.no_grad()
def right(here: Landscape, seed: int) -> float:
    """Return the part of 2000 new sequences that a network answers rightly."""
    batch = TASK.sample(2000, torch.Generator().manual_seed(seed), "test")
    return TASK.score(here.network(batch.inputs.double()), batch)


def climb(losses: list[float]) -> float:
    """Return how far a walk rises above the lowest point so far; infinite where it does not get out."""
    if losses[-1] >= OUT:
        return math.inf
    return max(now - min(losses[: step + 1]) for step, now in enumerate(losses))


@claim(
    section=9,
    sentence="When gradients vanish, training comes to a halt where the network does no better than guess.",
    finding="After 150 steps of training the network costs just what guessing costs. From an orthogonal start the same "
    "training has learnt it by then.",
    scope=PLAIN,
    statistic="difference between the loss after 150 training steps and that of guessing",
    unit="of loss",
    stated=Verdict.HOLDS,
    holds=at_most(0.03),
    fails=at_least(0.1),
    control=control("from an orthogonal start", start="orthogonal"),
)
def halts_at_guessing(seed: int, start: str = "default") -> float:
    """Train, and compare."""
    return abs(stuck(seed, start=start)[0].loss().item() - TASK.floor)


@claim(
    section=9,
    sentence="When gradients vanish, training is stuck in a local minimum: every way from there leads up.",
    finding="Where the slope is gentlest, the ground bends down in many directions. No minimum does that.",
    scope=PLAIN,
    statistic="bend of the ground where it bends down most, as a part of that where it bends up most; "
    "in a minimum nothing bends down",
    unit="of the bend up",
    stated=Verdict.FAILS,
    holds=at_least(-1e-6),
    fails=at_most(-0.005),
    control=control("along the weights of the answer alone: in them the loss is a bowl", part="answer"),
)
def every_way_leads_up(seed: int, part: str = "") -> float:
    """Measure how the ground bends."""
    bends = curvatures(flattest(seed), part)
    return float(bends[0] / bends[-1])


@claim(
    section=9,
    sentence="To get out of where it halts, training would have to climb first.",
    finding="A walk that goes downhill in steps of a fixed length gets out, with hardly any climb on the way.",
    scope=PLAIN + ", then a walk in steps of one length",
    statistic=f"highest climb on the walk to a loss of {OUT}, above the lowest point so far; endless if it does not "
    "get there",
    unit="of loss",
    stated=Verdict.FAILS,
    holds=at_least(0.05),
    fails=at_most(0.02),
    control=control("in steps forty times as long, which leap over the way down", stride=2.0),
)
def way_out_leads_up(seed: int, stride: float = 0.05) -> float:
    """Walk, and remember every climb."""
    return climb(walk(stuck(seed)[0], stride))


@claim(
    section=9,
    sentence="Where training halts, it halts for good.",
    finding="Not with larger steps. Ten times as large, plain gradient descent leaves the same place within a few hundred steps. "
    "How long the halt lasts hangs on the learning rate.",
    scope=trained(
        "nn.RNN", HIDDEN, f"recall of the first of {TASK.length} inputs", PATIENCE, FAST, "plain gradient descent"
    ),
    statistic=f"training steps to a loss of {OUT}; endless if not in {PATIENCE}",
    unit="steps",
    stated=Verdict.FAILS,
    holds=at_least(PATIENCE),
    fails=at_most(300),
    control=control("at a tenth of this rate", lr=RATE),
)
def halts_for_good(seed: int, lr: float = FAST) -> float:
    """Take larger steps, and count them."""
    return escape(seed, lr)


@claim(
    section=9,
    sentence="All that it learns on the way out are its own sequences, by heart.",
    finding="It answers new sequences rightly, too, nearly all of them.",
    scope=PLAIN + ", then a walk in steps of one length",
    statistic="right answers to 2000 new sequences after the walk; guessing gives 0.5",
    unit="of all",
    stated=Verdict.FAILS,
    holds=at_most(0.6),
    fails=at_least(0.9),
    control=control("before the walk", limit=0),
)
def learns_by_heart(seed: int, limit: int = 400) -> float:
    """Walk out, and ask."""
    here, _ = stuck(seed)
    walk(here, limit=limit)
    return right(here, seed)
