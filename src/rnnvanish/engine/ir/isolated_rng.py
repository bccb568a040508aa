"""Random numbers for trying a step: of a generator of their own, so that nobody else's are touched, in any thread."""

from typing import Any

import torch
from torch import Tensor

from rnnvanish.compat.tracing import DispatchMode
from rnnvanish.engine.ir.unsupported import Unsupported

#: What of a step's randomness can be drawn again outside of it.
DRAWS = ("rand", "randn", "rand_like", "randn_like", "bernoulli", "bernoulli_")


class IsolatedRNG(DispatchMode):
    """What torch draws in this context comes from a generator that starts at `seed`.

    Raises:
        Unsupported: For other random numbers than `DRAWS`, and for those of a generator of the step's own.
    """

    def __init__(self, device: torch.device, seed: int = 0) -> None:
        super().__init__()
        self.generator = torch.Generator(device).manual_seed(seed)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if torch.Tag.nondeterministic_seeded not in func.tags:
            return func(*args, **kwargs)
        name = func.__name__.partition(".")[0]
        if name == "rrelu_with_noise" and not any(args[4:5]):  # it draws in training alone
            return torch.nn.functional.leaky_relu(args[0], sum(args[2:4] or (1 / 8, 1 / 3)) / 2)
        if name not in DRAWS or kwargs.get("generator") is not None:
            raise Unsupported(f"random numbers by {func}")
        if name == "bernoulli" and len(args) == 1:
            return self._bernoulli(args[0])
        if name.startswith("bernoulli"):
            return func(*args, **{**kwargs, "generator": self.generator})
        like = args[0] if isinstance(args[0], Tensor) else torch.empty(0, device=kwargs.get("device"))
        size = args[0].shape if isinstance(args[0], Tensor) else args[0]
        draw = getattr(torch, name.removesuffix("_like"))
        dtype = kwargs.get("dtype") or like.dtype
        return draw(size, generator=self.generator, dtype=dtype, device=kwargs.get("device") or like.device)

    def _bernoulli(self, chances: Tensor) -> Tensor:
        """As torch's kernel does it on a CPU, by numbers that can be drawn before the chances are known."""
        if chances.device.type != "cpu":
            raise Unsupported("random numbers by torch.bernoulli on the GPU")
        return (torch.rand(chances.shape, generator=self.generator, dtype=chances.dtype) < chances).to(chances.dtype)
