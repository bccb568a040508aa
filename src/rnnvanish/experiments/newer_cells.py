"""Where the field stands, newer cells: exponential and single gates, matrices that only turn, oscillators."""

import torch

from rnnvanish import cells
from rnnvanish.claim import Verdict, at_least, at_most, claim, control
from rnnvanish.experiments import sources
from rnnvanish.experiments.linear import HIDDEN, layer
from rnnvanish.experiments.workbench import Build, curve, gated
from rnnvanish.recurrent import Recurrent

FAR = 300
#: Steps; a half-life beyond is counted as this.
LONGEST = 1000


def exponential(forget: float | None = None) -> Build:
    """Say how to draw an sLSTM of xLSTM: with biases of the forget gate as its authors draw them, or all the same."""

    def build() -> Recurrent:
        network = Recurrent(cells.SLSTM, 1, HIDDEN, engine="reference")
        if forget is not None:
            with torch.no_grad():
                network.get_parameter("cells.0.from_x.bias")[HIDDEN : 2 * HIDDEN] = forget
        return network

    return build


@claim(
    section=24,
    sentence="The exponential gates of xLSTM are what makes it remember.",
    finding="Not in the gradient before training. Take the biases of its forget gates away, as an LSTM starts, and half of the "
    "gradient is gone at each step. What keeps it is the start: gates of which some are all but wholly open.",
    scope=f"sLSTM, {HIDDEN} units, 4 heads, all biases of its forget gates set to 0; noise, before any training",
    statistic="half-life of the gradient in an sLSTM whose forget gates start half open",
    unit="steps",
    stated=Verdict.FAILS,
    holds=at_least(20),
    fails=at_most(3),
    seeds=3,
    control=control("with the biases that its authors draw", forget=None),
)
def exponential_gates_remember(seed: int, forget: float | None = 0.0) -> float:
    """Close its gates halfway."""
    return curve(exponential(forget), seed).half_life


@claim(
    section=24,
    sentence="A cell with a single gate forgets sooner than an LSTM with three.",
    finding="The other way round, as both are drawn. A cell with a forget gate alone (JANET) keeps its gradient many times as long: its "
    "authors open that gate at the start.",
    scope=f"JANET as its authors draw it against torch.nn.LSTM, {HIDDEN} units; noise, before any training",
    statistic=f"half-life of the gradient in JANET, as a multiple of that in an LSTM; more than {LONGEST} steps count as {LONGEST}",
    unit="times",
    stated=Verdict.FAILS,
    holds=at_most(0.9),
    fails=at_least(5),
    seeds=3,
    control=control("against an LSTM whose forget gates are opened by 5", other=5.0),
)
def one_gate_forgets_sooner(seed: int, other: float = 0.0) -> float:
    """Compare both."""
    lstm = gated(torch.nn.LSTM, other or "default", HIDDEN)
    one, three = (min(curve(each, seed).half_life, LONGEST) for each in (layer(cells.JANET), lstm))
    return one / three


@claim(
    section=24,
    sentence="A unitary network keeps its gradient over any distance.",
    finding=f"Over {FAR} steps all of it is left. Its matrix only turns, and its bend keeps the size of what it is given.",
    scope=f"uRNN as its authors draw it, {HIDDEN} complex units; noise, before any training",
    statistic=f"gradient that is left {FAR} steps back",
    unit="of it",
    source=sources.ARJOVSKY,
    stated=Verdict.HOLDS,
    holds=at_least(0.5),
    fails=at_most(0.05),
    seeds=3,
    control=control("with an orthogonal matrix as well, but the bend of a plain network (tanh)", cell="HouseholderRNN"),
)
def unitary_keeps(seed: int, cell: str = "URNN") -> float:
    """Look far back."""
    return float(curve(layer(cells.ALL[cell]), seed, FAR + 1).gain[FAR])


@claim(
    section=24,
    sentence="A network that is made of oscillators, or of many speeds, keeps its gradient.",
    finding="Only where its step is short. LEM, drawn with a step of one, loses half of its gradient in two or three steps. With a "
    "step of a hundredth it keeps half of it for a hundred steps: it moves a hundred times as slowly.",
    scope=f"LEM, {HIDDEN} units, with a step of 1, its default; noise, before any training",
    statistic="half-life of the gradient in LEM",
    unit="steps",
    source=sources.RUSCH,
    stated=Verdict.FAILS,
    holds=at_least(50),
    fails=at_most(5),
    seeds=3,
    control=control("with a step of a hundredth", dt=0.01),
)
def oscillators_keep(seed: int, dt: float = 1.0) -> float:
    """Choose the step."""
    return curve(layer(cells.LEM, dt=dt), seed).half_life
