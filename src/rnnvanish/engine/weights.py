"""The weights of a cell, as its step reads them."""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn.utils import parametrize


def weights_of(modules: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """Parameters and buffers by name, each once: of a cell, `dict(cell.named_modules())`."""
    found: dict[str, Tensor] = {}
    for kind in ("_parameters", "_buffers"):
        seen = set()
        for prefix, module in modules.items():
            for name, tensor in vars(module)[kind].items():
                if tensor is not None and tensor not in seen:
                    seen.add(tensor)
                    found[f"{prefix}.{name}" if prefix else name] = tensor
    return found


class uncached:
    """Leave `parametrize.cached()` for a while: what is traced must not be kept as a weight."""

    def __enter__(self) -> None:
        self.depth, parametrize._cache_enabled = parametrize._cache_enabled, 0

    def __exit__(self, *_: object) -> None:
        parametrize._cache_enabled = self.depth


def batch_for(*tensors: Tensor) -> int:
    """A number of sequences to try a step with: no size of these."""
    sizes = {factor * size for tensor in tensors for size in tensor.shape for factor in (1, 2)}  # 2: of a complex row
    return next(size for size in range(2, 2 + 2 * len(sizes) + 2) if size not in sizes)
