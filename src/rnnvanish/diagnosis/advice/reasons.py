"""Why a cure could not be tried on a model, in words for its author."""

import traceback
from pathlib import Path

import torch
from torch import nn

from rnnvanish.diagnosis.advice.own_step import OrthogonalBlocks
from rnnvanish.diagnosis.advice.trial import Cure
from rnnvanish.mitigation import Draw
from rnnvanish.mitigations import OrthogonalStart

#: Where this package lies, and torch.
OURS, TORCH = Path(__file__).parents[2], Path(torch.__file__).parent


def why_not(error: Exception, model: nn.Module) -> str:
    """What this package says; else where the model's own code failed, and how."""
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, ValueError | RuntimeError) and Path(frames[-1].filename).is_relative_to(OURS):
        return str(error)
    theirs = [each for each in frames if not any(map(Path(each.filename).is_relative_to, (OURS, TORCH)))]
    where = f" ({Path(theirs[-1].filename).name}, line {theirs[-1].lineno})" if theirs else ""
    return f"With it {type(model).__name__} does not run{where}: {type(error).__name__}: {error}"


def why_unknown(cure: Cure, own: list[str], weights: OrthogonalBlocks | None) -> str:
    """Why a cure cannot be tried on steps that are the author's own, or what is tried instead.

    Args:
        cure: The cure.
        own: The names of the steps.
        weights: The start of those of their weights that were found.
    """
    steps = ", ".join(own)
    if isinstance(cure, OrthogonalStart) and weights is not None:
        return f"What {steps} multiplies its state by was found by looking: {weights!r} is tried instead."
    what = (
        f"It needs {cure.needs}" if isinstance(cure, Draw) else "It changes layers and cells whose equations are known"
    )
    return (
        f"{what}; {steps} was written by the model's author, and what its weights do is not known here. Written as a "
        "rnnvanish.cell.Cell that names its gates it could be tried."
    )
