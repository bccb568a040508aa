"""Recurrent weights: what a matrix alone can do to a gradient, gate by gate."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from rnnvanish.backward.gate_values import title
from rnnvanish.cell import Cell, recurrent_layers
from rnnvanish.compat.modules import forward_pre_hooks
from rnnvanish.live import RECURRENT, RecurrentStep, cells_of, plain_name, torch_suffixes
from rnnvanish.measure import Measure, Row
from rnnvanish.mitigation import innermost
from rnnvanish.observe.record import Run
from rnnvanish.observe.restore.borrow import preserve


@dataclass(frozen=True)
class Matrix:
    """What one recurrent matrix does.

    Attributes:
        radius: Spectral radius, the largest absolute eigenvalue: what it does in the long run, alone.
        norm: Largest singular value: no vector is stretched more in one step.
        non_normality: Henrici's departure from normality over the Frobenius norm, √(‖U‖² − Σ|λ|²) / ‖U‖, from 0 (an
            orthogonal basis of eigenvectors) to 1 (all eigenvalues 0). The larger, the less its eigenvalues tell of a
            few steps (Trefethen & Embree 2005, Spectra and Pseudospectra).
        from_orthogonal: Distance from the nearest orthogonal matrix, the Frobenius norm over √n: the root mean square
            of singular value − 1. A gradient keeps its size where it is 0.
    """

    radius: float
    norm: float
    non_normality: float
    from_orthogonal: float


def weights(model: nn.Module) -> dict[str, Mapping[str, Matrix]]:
    """Measure the recurrent matrices of every layer and direction, one for each gate: no run is needed.

    A weight that is computed from others (weight norm, spectral norm, a parametrization) is computed anew.

    Of an LSTM with a projection, a gate's matrix is taken together with the projection. Where several layers make the same
    gate, each matrix is named with its layer: "n (from_y)". Of a cell that does not name its gates (`gate_names`) none are listed, nor any
    that is not square.

    Raises:
        ValueError: Where the model makes a weight anew whenever it runs, as weight drop does: nothing is there to measure.

    Examples:
        >>> layer = nn.GRU(2, 8)
        >>> _ = nn.init.orthogonal_(layer.weight_hh_l0.data[:8], gain=0.5)
        >>> round(weights(layer)["GRU/layer0/forward"]["r"].from_orthogonal, 3)
        0.5
    """
    with preserve(model):
        computed = set(_compute_weights(model))
        for name, module in model.named_modules():
            if isinstance(module, nn.RNNBase | nn.RNNCellBase) and not isinstance(module, RecurrentStep):
                _require_weights(module, plain_name(name, model), computed)
        return {name: dict(_gate_matrices(cell, projection)) for name, cell, projection in _recurrent_cells(model)}


def weights_of(run: Run) -> dict[str, Matrix] | None:
    """Measure the recurrent matrices of a loop as its run had them."""
    end = run.name.partition("/")[2]
    for name, cell, projection in _recurrent_cells(run.module):
        if name.partition("/")[2] == end:
            return dict(_gate_matrices(cell, projection))
    return None


@torch.no_grad()
def _compute_weights(model: nn.Module) -> Iterator[tuple[int, str]]:
    """Compute the weights that torch's hooks compute before each forward: module and name of each."""
    for module in model.modules():
        for hook in forward_pre_hooks(module):
            if isinstance(hook, WeightNorm | SpectralNorm):
                hook(module, ())
                yield id(module), hook.name


def _require_weights(module: nn.RNNBase | nn.RNNCellBase, title: str, computed: set[tuple[int, str]]) -> None:
    suffixes = torch_suffixes(module) if isinstance(module, nn.RNNBase) else [""]
    for name in (f"weight_hh{suffix}" for suffix in suffixes):
        known = module._parameters.get(name) is not None or parametrize.is_parametrized(module, name)
        if not known and (id(module), name) not in computed:
            raise ValueError(
                f"{title}.{name} is no parameter: the model makes it whenever it runs, as weight drop does. "
                "diagnose(model, inputs) measures it as a run has it."
            )


def _recurrent_cells(model: nn.Module) -> Iterator[tuple[str, Cell, Tensor | None]]:
    """Every loop's name, its innermost cell, and its projection."""
    for name, module in model.named_modules():
        named = plain_name(name, model)
        loops = [innermost(cell) for cell in cells_of(module)]
        if not isinstance(module, RECURRENT):
            yield from ((named, cell, None) for cell in loops)
            continue
        directions = 2 if module.bidirectional else 1
        projections: list[Tensor | None] = [None] * len(loops)
        if isinstance(module, nn.RNNBase) and module.proj_size:
            projections = [getattr(module, f"weight_hr{suffix}") for suffix in torch_suffixes(module)]
        for index, (cell, projection) in enumerate(zip(loops, projections, strict=True)):
            direction = "reverse" if index % directions else "forward"
            yield f"{named}/layer{index // directions}/{direction}", cell, projection


@torch.no_grad()
def _gate_matrices(cell: Cell, projection: Tensor | None) -> Iterator[tuple[str, Matrix]]:
    layers = recurrent_layers(cell)
    several = Counter(name for names in layers.values() for name in names)
    for layer, names in layers.items():
        whole = cast(Tensor, cell.get_submodule(layer).weight).detach().double()
        for name, block in zip(names, whole.chunk(len(names)), strict=True):
            matrix = block if projection is None else block @ projection.detach().double()
            if matrix.shape[0] == matrix.shape[1]:  # else it leads from one part of the state to another
                yield name if several[name] == 1 else f"{name} ({layer})", matrix_measures(matrix)


def matrix_measures(matrix: Float[Tensor, "size size"]) -> Matrix:
    """Measure a square matrix."""
    singular, eigen = torch.linalg.svdvals(matrix), torch.linalg.eigvals(matrix).abs()
    square = singular.square().sum()
    departure = ((square - eigen.square().sum()).clamp(min=0) / square).sqrt() if square > 0 else square
    return Matrix(
        radius=float(eigen.max()),
        norm=float(singular.max()),
        non_normality=float(departure),
        from_orthogonal=float((singular - 1).square().mean().sqrt()),
    )


def _rows(matrices: Mapping[str, Matrix]) -> list[Row]:
    said = []
    for name, matrix in matrices.items():
        sizes = f"spectral radius {matrix.radius:.2g}, largest singular value {matrix.norm:.2g}"
        shape = f"non-normality {matrix.non_normality:.2g}, {matrix.from_orthogonal:.2g} from orthogonal"
        said.append(("matrix", f"{title(name)}: {sizes}, {shape}"))
    return said


WEIGHTS = Measure(
    name="weights",
    about=__doc__,
    result=Mapping[str, Matrix],
    units=dict.fromkeys(("radius", "norm", "non_normality", "from_orthogonal"), "ratio"),
    of_loop=lambda run, gradients: weights_of(run),
    rest_rows=_rows,
)
