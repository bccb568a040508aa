"""The weights of a cell, as its step reads them."""

from torch import Tensor, nn
from torch.nn.utils import parametrize


def weights_of(cell: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers, by name."""
    return {**dict(cell.named_parameters()), **dict(cell.named_buffers())}


class uncached:
    """Leave `parametrize.cached()` for a while: what is traced must not be kept as a weight."""

    def __enter__(self) -> None:
        self.depth, parametrize._cache_enabled = parametrize._cache_enabled, 0

    def __exit__(self, *_: object) -> None:
        parametrize._cache_enabled = self.depth


def batch_for(cell: nn.Module, x: Tensor, state: tuple[Tensor, ...]) -> int:
    """A number of sequences to try a step with that no other size of it equals."""
    tensors = (*weights_of(cell).values(), x[:1], *(part[:1] for part in state))
    sizes = {size for tensor in tensors for size in tensor.shape}
    return next(size for size in range(2, 2 + 2 * len(sizes) + 2) if size not in sizes)
