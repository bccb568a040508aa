"""Which cures suit what it is that loses a gradient: in which order they are tried, and which are named alone."""

from collections.abc import Iterable, Mapping, Sequence

from rnnvanish.diagnosis.advice.replace_cell import Swap
from rnnvanish.diagnosis.advice.trial import Cure
from rnnvanish.mitigation import Build, Draw
from rnnvanish.mitigations import (
    Chrono,
    Critical,
    Identity,
    LayerNormalisation,
    NpRNN,
    OpenGate,
    OrthogonalStart,
    RMSNormalisation,
    RotationStart,
    SkipThroughTime,
    UniformGate,
)
from rnnvanish.probes.curve import Curve

#: Cures that are tried on one model, at most: each is measured anew, up to five times.
BUDGET = 12
#: By the part of a step that loses most, what mends it; for a gradient that is cut nothing that is tried does.
SUITED: Mapping[str, tuple[type[Cure], ...]] = {
    "gates": (OpenGate, Chrono, UniformGate, SkipThroughTime, Swap),
    "weights": (OrthogonalStart, RotationStart, Critical, Identity, NpRNN, SkipThroughTime, Swap),
    "slopes": (LayerNormalisation, RMSNormalisation, Critical, Identity, NpRNN, Swap),
}
#: What is tried besides the usual ones, where it suits.
MORE: Mapping[str, Cure] = {"gates": UniformGate(), "weights": RotationStart(), "slopes": RMSNormalisation()}
#: What shows its worth in training alone, and so is named, not tried.
IN_TRAINING: Mapping[str, tuple[str, ...]] = {
    "gates": ("AuxiliaryReconstruction", "GradientNormPenalty", "Curriculum"),
    "weights": ("OrthogonalConstraint", "SoftOrthogonality", "GradientFlossing", "RecurrentRate", "Curriculum"),
    "slopes": ("JacobianPenalty", "ActivationRegularisation", "GradientNormPenalty", "Curriculum"),
    "cut": ("SyntheticGradients", "UORO", "WarmState", "AuxiliaryReconstruction"),
    "exploding": ("AdaptiveClip", "JacobianPenalty", "NormStabiliser", "OrthogonalConstraint"),
}
#: How much is left to do once a cure is in place: a start costs nothing, another step is to be trained from the start.
PRICES = (Draw, Build)


def kind_of(curve: Curve, main: str) -> str:
    """What it is about a curve that cures go by: "exploding", "cut" where exactly nothing arrives, else the main part."""
    if curve.verdict == "exploding":
        return "exploding"
    return "cut" if bool((curve.gain == 0).any()) else main


def ordered(cures: Sequence[Cure], kinds: Iterable[str]) -> tuple[list[Cure], list[Cure]]:
    """Those to try, what suits first and of it the cheapest, and those that suit and are left out.

    Where no cause is known, all as they are.
    """
    known = [kind for kind in kinds if kind in SUITED]
    if not known:
        return list(cures), []
    suited = tuple(each for kind in known for each in SUITED[kind])
    more = [MORE[kind] for kind in dict.fromkeys(known)]
    every = sorted(
        [*cures, *(each for each in more if each not in cures)],
        key=lambda cure: (not isinstance(cure, suited), _price(cure)),
    )
    return every[:BUDGET], [cure for cure in every[BUDGET:] if isinstance(cure, suited)]


def _price(cure: Cure) -> int:
    return next((place for place, kind in enumerate(PRICES) if isinstance(cure, kind)), len(PRICES))
