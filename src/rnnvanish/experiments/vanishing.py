"""Section 6: how fast a plain recurrent network forgets, and how much of it is its start."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.claim import Verdict, at_least, at_most, claim, control
from rnnvanish.experiments import sources
from rnnvanish.experiments.keras_start import keras_start
from rnnvanish.experiments.scopes import before_training
from rnnvanish.experiments.small import seeded
from rnnvanish.probes import Curve, retention

STEPS, BATCH, HIDDEN = 101, 16, 64


def network(
    seed: int, start: str = "default", hidden: int = HIDDEN, dtype: torch.dtype = torch.float64
) -> tuple[nn.RNN, Tensor]:
    """Draw a `torch.nn.RNN` and sequences of noise for it to read.

    Args:
        seed: Of weights and sequences.
        start: "default", as torch draws the recurrent weights, or "orthogonal", which only turn the state, or "Keras", as
            that draws all of the layer; "quiet" is "orthogonal" without biases and with inputs a thousandth as loud, where
            tanh is straight.
        hidden: Width of the state.
        dtype: Precision; the same numbers are drawn in all.
    """
    with seeded(seed):
        layer = nn.RNN(1, hidden)
        x = torch.randn(STEPS, BATCH, 1)
        if start == "Keras":
            keras_start(layer)
        elif start != "default":
            nn.init.orthogonal_(layer.get_parameter("weight_hh_l0"))
    if start == "quiet":
        nn.init.zeros_(layer.get_parameter("bias_ih_l0"))
        nn.init.zeros_(layer.get_parameter("bias_hh_l0"))
        x = x / 1000
    return layer.to(dtype), x.to(dtype)


def curve(seed: int, start: str = "default", hidden: int = HIDDEN) -> Curve:
    """Measure how much of the gradient is left, step by step back."""
    return retention(*network(seed, start, hidden))["RNN/layer0/forward"]


def gradient(layer: nn.RNN, x: Tensor, last: int = STEPS) -> Float[Tensor, "hidden hidden"]:
    """Return the gradient of the recurrent weights from the `last` steps alone: the steps before are cut off."""
    state = layer(x[:-last])[1].detach() if last < len(x) else None
    output, _ = layer(x[-last:], state)
    return torch.autograd.grad(output[-1].square().sum(), layer.get_parameter("weight_hh_l0"))[0]


def angle(seed: int, start: str = "default", last: int = 10) -> float:
    """Return the angle, in degrees, between the gradient of all steps and that of the `last` steps alone."""
    layer, x = network(seed, start)
    whole, part = gradient(layer, x).flatten(), gradient(layer, x, last).flatten()
    return math.degrees(math.acos(min(1.0, float(torch.cosine_similarity(whole, part, dim=0)))))


def lost_in_single_precision(seed: int = 0, steps: int = 200) -> tuple[int, int]:
    """Count, in ordinary single precision, the steps whose gradient is exactly 0, and those too small to be exact."""
    layer, _ = network(seed, dtype=torch.float32)
    with seeded(seed):
        x = torch.randn(steps, BATCH, 1, requires_grad=True)
    size = torch.autograd.grad(layer(x)[0][-1].sum(), x)[0].abs().amax(dim=(1, 2))
    return int((size == 0).sum()), int(((size > 0) & (size < torch.finfo(torch.float32).tiny)).sum())


@claim(
    section=6,
    sentence="In a plain recurrent network, the gradients of the early steps go to nearly zero.",
    finding="In torch.nn.RNN as it comes, far less than a millionth of the gradient is left a hundred steps back.",
    scope=before_training("nn.RNN", HIDDEN, STEPS),
    statistic="powers of ten that the gradient has lost 100 steps back",
    unit="powers of ten",
    source=sources.SIUA,
    stated=Verdict.HOLDS,
    holds=at_least(6),
    fails=at_most(1),
    control=control("with weights that only turn the state, and hardly any input", start="quiet"),
)
def default_network_forgets(seed: int, start: str = "default") -> float:
    """Look a hundred steps back."""
    return curve(seed, start).decades_lost(100)


@claim(
    section=6,
    sentence="When gradients vanish, the early steps tell the network nothing about how to change.",
    finding="Cut away all but the last 10 of 101 steps: the gradient hardly turns. The early steps have no say.",
    scope=before_training("nn.RNN", HIDDEN, STEPS),
    statistic="angle between the gradient of all 101 steps and that of the last 10 alone (90: nothing in common)",
    unit="degrees",
    source=sources.WISAM,
    stated=Verdict.HOLDS,
    holds=at_most(2.5),
    fails=at_least(25),
    control=control("from an orthogonal start", start="orthogonal"),
)
def early_steps_have_no_say(seed: int, start: str = "default") -> float:
    """Compare with the gradient that was cut."""
    return angle(seed, start)


@claim(
    section=6,
    sentence="Every plain recurrent network forgets as fast as the one that PyTorch draws.",
    finding="Start the same network with weights that only turn the state (orthogonal), and it keeps its gradient "
    "several times as long. It still forgets, in the end.",
    scope=before_training("nn.RNN as PyTorch draws it and with an orthogonal start", HIDDEN, STEPS),
    statistic="half-life of the gradient from an orthogonal start, as a multiple of that of the default start",
    unit="times",
    stated=Verdict.FAILS,
    holds=at_most(1.5),
    fails=at_least(3),
    control=control("where the other start is PyTorch's own, too", start="default"),
)
def every_plain_network_forgets(seed: int, start: str = "orthogonal") -> float:
    """Start it the other way."""
    return curve(seed, start).half_life / curve(seed).half_life


@claim(
    section=6,
    sentence="Started as software starts it, a plain network loses half of its gradient every step or two.",
    finding="In PyTorch it does. Keras, another widely used software, draws orthogonal weights from the beginning: there half is "
    "lost every six or seven steps. That is longer, and still short.",
    scope=before_training("nn.RNN as PyTorch draws it and as Keras draws it", HIDDEN, STEPS),
    statistic="half-life of the gradient as Keras draws the network, as a multiple of that as PyTorch draws it",
    unit="times",
    stated=Verdict.CAVEAT,
    holds=at_most(1.5),
    caveat=at_least(3),
    control=control("where PyTorch draws both", start="default"),
)
def software_starts_alike(seed: int, start: str = "Keras") -> float:
    """Start it both ways."""
    return curve(seed, start).half_life / curve(seed).half_life


@claim(
    section=6,
    sentence="A larger network forgets more slowly.",
    finding="Four times as many units, and the gradient is lost just as fast.",
    scope=f"nn.RNN, 32 and 128 units, white noise, {STEPS} steps, before training",
    statistic="half-life of the gradient with 128 units, as a multiple of that with 32 units",
    unit="times",
    stated=Verdict.FAILS,
    holds=at_least(2),
    fails=at_most(1.5),
    control=control("where the larger one has an orthogonal start", start="orthogonal"),
)
def larger_network_forgets_more_slowly(seed: int, start: str = "default") -> float:
    """Start it large, and small."""
    return curve(seed, start, hidden=128).half_life / curve(seed, hidden=32).half_life
