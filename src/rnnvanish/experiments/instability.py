"""Section 10: a vanishing gradient is a network that calms every disturbance; an exploding one magnifies it."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.claim import Verdict, at_least, at_most, claim, control
from rnnvanish.experiments import sources
from rnnvanish.experiments.learning import Reader, teach
from rnnvanish.experiments.scopes import before_training, trained
from rnnvanish.experiments.small import seeded
from rnnvanish.tasks import Recall

STEPS, HIDDEN = 30, 64
#: A step by which the network as torch draws it has calmed down, but not yet to below the resolution.
CALM = 15
#: Recurrent weights, as a multiple of those that torch draws, with which gradients explode.
WILD = 4.0
NUDGE, WHAT = 1e-9, ("state", "input")
#: Of twins that are trained: what parts their weights, how many inputs they read, their units, and how long they train.
HAIR, LENGTH, LEARNER, TRAINED = 1e-9, 20, 32, 40
#: Double precision keeps 16 digits of states that are about one: a distance below this cannot be told from rounding.
RESOLUTION = 1e-15
#: Recurrent weights as multiples of those that torch draws.
SCALES = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0)


def network(seed: int, scale: float = 1.0, steps: int = STEPS) -> tuple[nn.RNN, Tensor]:
    """Draw a `torch.nn.RNN` with recurrent weights `scale` times as large as torch draws them, and one sequence."""
    with seeded(seed):
        layer = nn.RNN(1, HIDDEN).double()
        x = torch.randn(steps, 1, 1, dtype=torch.float64)
    with torch.no_grad():
        layer.get_parameter("weight_hh_l0").mul_(scale)
    return layer, x


@torch.no_grad()
def distance(seed: int, scale: float = 1.0, what: str = "state", steps: int = STEPS) -> Float[Tensor, " time"]:
    """Return how far apart twins are after each step, as a multiple of the nudge that first parted them; lag 0 is 1.

    Of one of them the initial "state" is moved by `NUDGE`, in a direction that is drawn, or the first "input".
    """
    layer, x = network(seed, scale, steps)
    if what == "input":
        other = layer(torch.cat([x[:1] + NUDGE, x[1:]]))[0]
    else:
        with seeded(seed):
            way = nn.functional.normalize(torch.randn(1, 1, HIDDEN, dtype=torch.float64), dim=-1)
        other = layer(x, way * NUDGE)[0]
    apart = (other - layer(x)[0])[:, 0].norm(dim=-1)
    apart = torch.where(apart < RESOLUTION, torch.nan, apart)
    return torch.cat([torch.ones(1, dtype=torch.float64), apart / NUDGE])


@torch.no_grad()
def jacobian(seed: int, scale: float = 1.0, what: str = "state", steps: int = STEPS) -> float:
    """Return the typical size of the derivative of the last state by the initial one: what gradients are multiplied by.

    Frobenius norm over the root of the width: what becomes of a nudge in a direction that is drawn. By the first
    "input", which is one number, it is the norm.
    """
    layer, x = network(seed, scale, steps)
    whole = layer.get_parameter("weight_ih_l0" if what == "input" else "weight_hh_l0")
    first, *later = layer(x)[0][:, 0]
    whole = (1 - first.square())[:, None] * whole
    for state in later:
        whole = (1 - state.square())[:, None] * (layer.get_parameter("weight_hh_l0") @ whole)
    return float(whole.norm()) / math.sqrt(whole.shape[1])


class Precise(Reader):
    """Computes in double precision, which can tell twins from each other that are very close."""

    def forward(self, x: Tensor) -> Tensor:
        """Answer, (batch, outputs)."""
        return super().forward(x.to(self.answer.weight.dtype))


def trained_apart(seed: int, scale: float = 1.0) -> float:
    """Train twins whose first weights lie a hair apart, on the same batches; return how far their answers then differ.

    Mean difference of the chances that they give to an answer, as a multiple of the standard deviation of the nudges.
    """
    task = Recall(LENGTH)

    def answers(hair: float) -> Tensor:
        def build() -> Reader:
            layer = nn.RNN(1, LEARNER)
            layer.get_parameter("weight_hh_l0").data.mul_(scale)
            reader = Precise(layer, task).double()
            for weight in reader.parameters():
                weight.data.add_(hair * torch.randn_like(weight))
            return reader

        model = teach(build, task, seed, limit=TRAINED, batch=32, stop=False).model
        chances: Tensor = model(task.sample(500, torch.Generator().manual_seed(seed), "test").inputs).softmax(-1)
        return chances.detach()

    return float((answers(0.0) - answers(HAIR)).abs().mean()) / HAIR


@claim(
    section=10,
    sentence="A network with vanishing gradients is unstable: a tiny change makes its predictions very different.",
    finding="The reverse is true. It calms every disturbance, of its state or of an early input: twins that were parted soon "
    "cannot be told apart.",
    scope=before_training("nn.RNN", HIDDEN, STEPS),
    statistic=f"powers of ten by which the distance between twins has shrunk after {CALM} steps, as PyTorch draws the "
    "network (below 0: grown): the smaller one of a nudge of the state and one of the first input",
    unit="powers of ten",
    stated=Verdict.FAILS,
    holds=at_most(-1),
    fails=at_least(2),
    control=control(f"with recurrent weights {WILD:g} times as large", scale=WILD),
)
def vanishing_is_unstable(seed: int, scale: float = 1.0) -> float:
    """Nudge it."""
    return min(-math.log10(float(distance(seed, scale, what)[CALM])) for what in WHAT)


@claim(
    section=10,
    sentence="A network with exploding gradients is unstable.",
    finding=f"With recurrent weights {WILD:g} times as large, gradients explode, and twins drift far apart.",
    scope=before_training(f"nn.RNN with recurrent weights {WILD:g} times as large", HIDDEN, STEPS),
    statistic=f"powers of ten by which the distance between twins has grown after {STEPS} steps",
    unit="powers of ten",
    source=sources.R_PROJECTS,
    stated=Verdict.HOLDS,
    holds=at_least(2),
    fails=at_most(0),
    control=control("with recurrent weights 1.5 times as large as PyTorch draws them", scale=1.5),
)
def exploding_is_unstable(seed: int, scale: float = WILD) -> float:
    """Nudge it, with large weights."""
    return math.log10(float(distance(seed, scale)[-1]))


@claim(
    section=10,
    sentence="As long as twins are close, a disturbance grows just as a gradient does.",
    finding="From small weights to large ones, both grow about a million times. At each size of the weights the two "
    "are alike, whether the state was nudged or an input. Twins that have drifted far apart cannot part any further, while a "
    "gradient grows on.",
    scope=before_training(
        f"nn.RNN with recurrent weights {SCALES[0]:g} to {SCALES[-1]:g} times as large", HIDDEN, STEPS
    ),
    statistic="largest gap between the growth of the distance and that of the gradient, for nudges of state and input, over "
    "all sizes of the weights at which the distance can be told from rounding",
    unit="powers of ten",
    stated=Verdict.HOLDS,
    holds=at_most(1),
    fails=at_least(3),
    control=control("after 200 steps, when twins lie as far apart as states can", steps=200),
)
def nudges_match_gradients(seed: int, steps: int = STEPS) -> float:
    """Compare the two at each scale."""
    cases = [(seed, scale, what, steps) for scale in SCALES for what in WHAT]
    pairs = [(float(distance(*case)[-1]), jacobian(*case)) for case in cases]
    return max(abs(math.log10(nudge / gradient)) for nudge, gradient in pairs if not math.isnan(nudge))


@claim(
    section=10,
    sentence="Training a network with vanishing gradients is unstable: begin a hair aside, and it ends elsewhere.",
    finding="It does not. Two networks whose first weights lay a hair apart were trained alike, and gave nearly the same answers.",
    scope=trained("nn.RNN", LEARNER, f"recall of the first of {LENGTH} inputs", TRAINED, stop=False),
    statistic="powers of ten by which the difference of two networks' answers after training exceeds that of their first weights",
    unit="powers of ten",
    stated=Verdict.FAILS,
    holds=at_least(2),
    fails=at_most(0.5),
    seeds=3,
    control=control(f"with recurrent weights {WILD:g} times as large", scale=WILD),
)
def training_is_unstable(seed: int, scale: float = 1.0) -> float:
    """Train twins."""
    return math.log10(trained_apart(seed, scale))
