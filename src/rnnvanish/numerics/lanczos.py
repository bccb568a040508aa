"""The largest singular values of maps that are never written down as matrices."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

#: A vector for each of several maps.
Vectors = Float[Tensor, "maps size"]
Map = Callable[[Vectors], Vectors]


def largest_singular_values(
    forward: Map, back: Map, start: Vectors, count: int = 1, limit: int = 100
) -> Float[Tensor, "maps count"]:
    """Compute the `count` largest singular values of several maps at once, descending.

    By Golub-Kahan-Lanczos bidiagonalisation (Golub & Kahan 1965, https://doi.org/10.1137/0702016), every new vector
    made orthogonal to all before it.

    Args:
        forward: The maps, A v.
        back: Their transposes, Aᵀ u.
        start: Vectors to start from, drawn: a special one can lie in a subspace that a map never leaves.
        count: How many.
        limit: Most steps that are taken; the values are lower bounds where these were not enough for them to stand
            still to within a thousand roundings.
    """
    right: list[Tensor] = [_normalise(start)[0]]
    left: list[Tensor] = []
    diagonal: list[Tensor] = []
    beside: list[Tensor] = []
    tolerance = 1e3 * torch.finfo(start.dtype).eps
    known = torch.zeros(len(start), count, dtype=start.dtype)
    for step in range(min(limit, start.shape[1])):
        u = forward(right[-1])
        u, alpha = _normalise(_orthogonalise(u, left))
        left.append(u)
        diagonal.append(alpha)
        v, beta = _normalise(_orthogonalise(back(u), right))
        right.append(v)
        matrix = torch.diag_embed(torch.stack(diagonal, -1))
        if beside:
            matrix = matrix + torch.diag_embed(torch.stack(beside, -1), 1)
        beside.append(beta)
        if step + 1 < count:
            continue
        now: Tensor = torch.linalg.svdvals(matrix)[:, :count]
        if bool(((now - known).abs() <= tolerance * now).all()) or bool((beta == 0).all()):
            return now
        known = now
    return known


def _normalise(vectors: Vectors) -> tuple[Vectors, Float[Tensor, " maps"]]:
    size: Tensor = torch.linalg.vector_norm(vectors, dim=-1)
    return vectors / torch.where(size > 0, size, 1.0)[:, None], size


def _orthogonalise(vectors: Vectors, others: list[Vectors]) -> Vectors:
    """Without what lies along `others`; twice, since once leaves rounding."""
    if others:
        basis = torch.stack(others, -1)
        for _ in range(2):
            vectors = vectors - (basis @ (basis.mT @ vectors[..., None])).squeeze(-1)
    return vectors
