"""The call pattern of a step: which of its arguments come back, as the next state, in what it returns.

Learned from the model's own ordinary run: a number that a step returned and that a later call is handed again is part
of the state, whatever the argument is called and wherever it stands.
"""

import inspect
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import keystr, tree_flatten_with_path

from rnnvanish.probes.book import nodes_of, reached, same_memory

#: Calls that are looked at, and earlier ones whose results are looked for.
LEARNED, REMEMBERED = 64, 8

#: Leaves of arguments or results by where they stand: "['state'][0]".
Leaves = dict[str, Any]


class Pattern:
    """What is known of one step.

    Attributes:
        name: The module, as its user knows it.
        module: The step.
        pairs: For each part of the state, where it stands among the arguments and where in what is returned.
    """

    def __init__(self, name: str, module: nn.Module) -> None:
        self.name, self.module = name, module
        self._signature = inspect.signature(module.forward)
        self._links: Counter[tuple[str, str]] = Counter()
        self._alike: Counter[tuple[tuple[str, str], ...]] = Counter()
        self._earlier: deque[Leaves] = deque(maxlen=REMEMBERED)
        self._calls = 0

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> inspect.BoundArguments:
        """Give every argument its name."""
        return self._signature.bind(*args, **kwargs)

    def learn(self, forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run the step as it is, and look where its results go."""
        output = forward(*args, **kwargs)
        self._calls += 1
        if self._calls > LEARNED:
            return output
        given, returned = leaves(self.bind(args, kwargs).arguments), leaves(output)
        for place, leaf in given.items():
            if found := self._came_from(leaf):
                self._links[place, found] += 1
        if alike := _alike(given, returned):
            self._alike[alike] += 1
        self._earlier.append(returned)
        return output

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """For each part of the state, where it stands among the arguments and where in what is returned."""
        if isinstance(self.module, nn.LSTMCell):
            return ("['hx'][0]", "[0]"), ("['hx'][1]", "[1]")
        if isinstance(self.module, nn.RNNCellBase):
            return (("['hx']", ""),)
        if self._links:
            most = max(self._links.values())  # what is fed back now and then, as in teacher forcing, is no state
            found: dict[str, str] = {}
            for (place, source), count in self._links.items():
                if count == most or 2 * count > self._calls:
                    found.setdefault(place, source)
            return tuple(found.items())
        return self._alike.most_common(1)[0][0] if self._alike else ()

    @property
    def state_names(self) -> tuple[str, ...]:
        """A name for each part: the argument's, or the field's within it."""
        if isinstance(self.module, nn.RNNCellBase):
            return ("h", "c")[: len(self.pairs)]
        if len(self.pairs) == 1:
            return ("h",)
        return tuple(_readable(place) for place, _ in self.pairs)

    def check(self) -> None:
        """Complain of a module that was named as a step, was called, and is none."""
        if self._calls and not self.pairs:
            raise ValueError(
                f"{self.name}, a {type(self.module).__name__}, was named in cells=, but none of its arguments comes back "
                "in what it returns: a step is called (x, state) -> state or (output, state), with a state of tensors."
            )

    def _came_from(self, leaf: Any) -> str | None:
        """Where in an earlier result a tensor stood, or what it was computed from."""
        if not _numbers(leaf):
            return None
        for earlier in reversed(self._earlier):
            for place, result in earlier.items():
                if _numbers(result) and result.shape[1:] == leaf.shape[1:] and same_memory(leaf, result):
                    return place
        for earlier in reversed(self._earlier):
            results = {p: r for p, r in earlier.items() if _numbers(r) and r.shape == leaf.shape and r.requires_grad}
            node = reached([leaf], [node for result in results.values() for node in nodes_of([result])])
            for place, result in results.items():
                if node is not None and node in nodes_of([result]):
                    return place
        return None


def leaves(value: Any) -> Leaves:
    """Every leaf by where it stands."""
    return {keystr(path): leaf for path, leaf in tree_flatten_with_path(value)[0]}


def _alike(given: Leaves, returned: Leaves) -> tuple[tuple[str, str], ...]:
    """The last argument whose tensors have the shapes of the last ones of what is returned."""
    results = [(place, leaf.shape) for place, leaf in returned.items() if _numbers(leaf)]
    arguments: dict[str, list[tuple[str, Any]]] = {}
    for place, leaf in given.items():
        if _numbers(leaf):
            arguments.setdefault(place.partition("]")[0], []).append((place, leaf.shape))
    for parts in reversed(arguments.values()):
        last = results[-len(parts) :]
        if [shape for _, shape in parts] == [shape for _, shape in last]:
            return tuple((place, source) for (place, _), (source, _) in zip(parts, last, strict=True))
    return ()


def _numbers(value: Any) -> bool:
    return isinstance(value, Tensor) and (value.is_floating_point() or value.is_complex())


def _readable(place: str) -> str:
    """ "['state'][0]" is state0, "['h']" is h, "['state'].c" is c."""
    words = [word for word in place.replace("[", ".").replace("]", "").replace("'", "").split(".") if word]
    return words[-1] if not words[-1].isdigit() else "".join(words[-2:])
