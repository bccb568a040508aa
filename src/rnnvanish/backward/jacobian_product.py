"""The product of the Jacobians of a loop's last steps, as a linear map that is never written down as a matrix."""

import torch
from jaxtyping import Float
from torch import Tensor

from rnnvanish.backward.replay import Replay
from rnnvanish.cell import State
from rnnvanish.observe.watch import Run

Vectors = Float[Tensor, "sequences state"]


class JacobianProduct:
    """ds_T / ds_(T-lag) of every sequence, T its own last step, divided by a number that keeps it near one.

    Attributes:
        log_scale: ln of what was divided by, for each sequence.
    """

    def __init__(self, run: Run, lag: int) -> None:
        replay, rows = Replay(run), torch.arange(len(run.ends), device=run.ends.device)
        self._sizes = [part.shape[-1] for part in replay.before]
        self._steps = [replay.steps_at(run.ends - back, rows) for back in range(lag)]  # the last step first
        self._jvps = [step.jvp() for step in reversed(self._steps)]
        self._like = replay.before[0]
        self._scales: list[Tensor] = []
        vector = self.drawn_vectors()
        for step in self._steps:
            passed = torch.cat(step.vjp(self._split(vector), step.before), dim=-1)
            size = torch.linalg.vector_norm(passed, dim=-1)
            self._scales.append(torch.where(size > 0, size, 1.0)[:, None])
            vector = passed / self._scales[-1]
        self.log_scale = sum((scale[:, 0].log() for scale in self._scales), torch.zeros_like(self._like[0, :, 0]))

    def vjp(self, vectors: Vectors) -> Vectors:
        """Vector-Jacobian product: gradients of the last states, taken back to the early ones."""
        for step, scale in zip(self._steps, self._scales, strict=True):
            vectors = torch.cat(step.vjp(self._split(vectors), step.before), dim=-1) / scale
        return vectors

    def jvp(self, vectors: Vectors) -> Vectors:
        """Jacobian-vector product: changes of the early states, taken on to the last ones."""
        for jvp, scale in zip(self._jvps, reversed(self._scales), strict=True):
            vectors = torch.cat(jvp(self._split(vectors)), dim=-1) / scale
        return vectors

    def drawn_vectors(self) -> Vectors:
        """Draw a vector for each sequence, always the same, of length one."""
        shape = (self._like.shape[1], sum(self._sizes))
        vectors = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        unit: Tensor = vectors / vectors.norm(dim=-1, keepdim=True)
        return unit.to(self._like)

    def _split(self, vectors: Vectors) -> State:
        return tuple(vectors.split(self._sizes, dim=-1))
