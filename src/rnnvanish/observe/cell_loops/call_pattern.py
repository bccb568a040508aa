"""The call pattern of a step: which of its arguments come back, as the next state, in what it returns.

Learned from the model's own ordinary run: a number that a step returned and that a later call receives is part
of the state, whatever the argument is called and wherever it stands.
"""

import inspect
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from rnnvanish.cell import Cell
from rnnvanish.live import cells_of, has_own_forward
from rnnvanish.numerics.real_view import is_number
from rnnvanish.observe.autograd_graph import first_ancestor, gradient_nodes
from rnnvanish.observe.carry import distinct_gradient
from rnnvanish.observe.pytree import Leaves, leaves

#: Calls that are looked at, and earlier ones whose results are looked for.
LEARNED_CALLS, REMEMBERED_CALLS = 64, 8


class CallPattern:
    """What is known of one step.

    Attributes:
        name: The module, as its user knows it.
        module: The step.
        plain: Whether it is a cell of torch's, called by torch's own forward.
        began_after: Calls of all others before its own first.
        pairs: For each part of the state, where it stands among the arguments and where in what is returned.
    """

    def __init__(self, name: str, module: nn.Module, others: list["CallPattern"]) -> None:
        """Begin to learn, beside `others`, the patterns of all steps of a model."""
        self.name, self.module, self._others = name, module, others
        self.plain = isinstance(module, nn.RNNCellBase) and not has_own_forward(module)
        self._own_names = cells_of(module)[0].state_names if self.plain else ()
        self._signature = inspect.signature(module.forward)
        self._links: Counter[tuple[str, str]] = Counter()
        self._exact: Counter[tuple[str, str]] = Counter()
        self._alike: Counter[tuple[tuple[str, str], ...]] = Counter()
        self._earlier: deque[Leaves] = deque(maxlen=REMEMBERED_CALLS)
        self._through: set[tuple[str, CallPattern]] = set()
        self._calls = self.began_after = 0

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> inspect.BoundArguments:
        """Give every argument its name."""
        return self._signature.bind(*args, **kwargs)

    def learn(self, forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run the step as it is, and look where its results go."""
        given = leaves(self.bind(args, kwargs).arguments)  # before it changes a mapping
        if not self._calls:
            self.began_after = sum(other._calls for other in self._others)
        output = forward(*args, **kwargs)
        self._calls += 1
        if self._calls > LEARNED_CALLS:
            return output
        returned = leaves(output)
        for place, leaf in given.items():
            source, exact = self._source(leaf) if _is_numeric(leaf) else (None, False)
            if source is not None:
                self._links[place, source] += 1
                self._exact[place, source] += exact
            elif _is_numeric(leaf):
                self._through.update((place, other) for other in self._between(leaf))
        if alike := _parts_by_shape(given, returned):
            self._alike[alike] += 1
        self._earlier.append(returned)
        return output

    @property
    def seen(self) -> int:
        """How many arguments were one of its results before, or computed from one, in the calls that were looked at."""
        return self._links.total()

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """For each part of the state, where it stands among the arguments and where in what is returned."""
        if len(self._own_names) > 1:
            return tuple((f"['hx'][{place}]", f"[{place}]") for place in range(len(self._own_names)))
        if self.plain:
            return (("['hx']", ""),)
        if self._links:
            most = max(self._links.values())  # what is fed back now and then, as in teacher forcing, is no state
            often = [link for link, count in self._links.items() if count == most or 2 * count > self._calls]
            # A result that is passed on as it is is no part for a second time where something is computed from it.
            whole = {source for place, source in often if 2 * self._exact[place, source] > self._links[place, source]}
            found: dict[str, str] = {}
            for place, source in often:
                if source not in whole or 2 * self._exact[place, source] > self._links[place, source]:
                    found.setdefault(place, source)
            by_source = {source: place for place, source in found.items()}  # passed on twice it is one part
            return tuple((place, source) for place, source in found.items() if by_source[source] == place)
        return self._alike.most_common(1)[0][0] if self._alike else ()

    @property
    def links(self) -> tuple[tuple[str, str], ...]:
        """Those of `pairs` of which it was seen that what was returned is received again, or what is computed from it."""
        return tuple(pair for pair in self.pairs if self._links[pair])

    @property
    def handed_by(self) -> set["CallPattern"]:
        """Other steps that its state comes from, where it never receives one of its own but through theirs."""
        parts = {} if self._links else dict(self.pairs)
        return {other for place, other in self._through if place in parts}

    def is_handed_on(self, link: tuple[str, str]) -> bool:
        """Whether what was returned is mostly received as it is."""
        return 2 * self._exact[link] > self._links[link]

    @property
    def state_names(self) -> tuple[str, ...]:
        """A name for each part: the argument's, or the field's within it."""
        if self.plain:
            return self._own_names
        if isinstance(self.module, Cell) and len(self.pairs) == len(self.module.state_names):
            return self.module.state_names
        if len(self.pairs) == 1:
            return ("h",)
        return tuple(_readable_name(place) for place, _ in self.pairs)

    @property
    def complaint(self) -> str:
        """What is said of a module that was named as a step, was called, and is none; nothing of others."""
        if not self._calls or self.pairs:
            return ""
        how = "has a forward of its own" if isinstance(self.module, nn.RNNCellBase) else "was named in cells="
        return (
            f"{self.name}, a {type(self.module).__name__}, {how}, but none of its arguments comes back "
            "in what it returns: a step is called (x, state) -> state or (output, state), with a state of tensors."
        )

    def _source(self, leaf: Tensor) -> tuple[str | None, bool]:
        """Where in an earlier result a tensor stood, and whether it is what stood there, or was computed from it."""
        fits = [{p: r for p, r in e.items() if _is_numeric(r) and r.shape[1:] == leaf.shape[1:]} for e in self._earlier]
        for earlier in reversed(fits):
            for place, result in earlier.items():
                if result.data_ptr() == leaf.data_ptr() and result.stride() == leaf.stride():
                    return place, True
        alike = [{p: r for p, r in earlier.items() if r.shape == leaf.shape} for earlier in fits]
        for earlier in reversed(alike):
            for place, result in earlier.items():
                if bool(leaf.any()) and torch.equal(leaf, result) and _is_copied(leaf, result):
                    return place, True
        blocked = [node for other in self._others if other is not self for node in other._nodes()]
        for earlier in reversed(alike):
            made = {place: result for place, result in earlier.items() if result.requires_grad}
            while made and (node := first_ancestor([leaf], gradient_nodes(list(made.values())), blocked)) is not None:
                here = [place for place in made if node in gradient_nodes([made[place]])]
                for place in here:
                    if bool(_gradient_at(leaf, made.pop(place)).any()):
                        return place, False
        return None, False

    def _between(self, leaf: Tensor) -> list["CallPattern"]:
        """The other steps whose latest result a tensor was computed from, and that from an earlier result of this one."""
        others = {other: other._nodes() for other in self._others if other is not self}
        node = first_ancestor([leaf], [each for nodes in others.values() for each in nodes])
        if node is None or first_ancestor([leaf], self._nodes()) is None:
            return []
        return [other for other, nodes in others.items() if node in nodes]

    def _nodes(self) -> list[Any]:
        """The nodes of autograd's graph of its latest results."""
        return gradient_nodes([leaf for earlier in self._earlier for leaf in earlier.values() if _is_numeric(leaf)])


def _is_copied(leaf: Tensor, result: Tensor) -> bool:
    """Whether nothing was computed on the way, equal numbers that they are: no mask of ones, for instance."""
    return (
        not leaf.requires_grad
        or not result.requires_grad
        or torch.equal(_gradient_at(leaf, result), distinct_gradient(leaf))
    )


def _gradient_at(leaf: Tensor, result: Tensor) -> Tensor:
    """What comes back at `result` where a gradient is sent from `leaf`."""
    try:
        (found,) = torch.autograd.grad(leaf, result, distinct_gradient(leaf), retain_graph=True, allow_unused=True)
    except RuntimeError:  # something on the way has no derivative: then nobody knows
        found = torch.ones_like(result)
    return torch.zeros_like(result) if found is None else found


def _parts_by_shape(given: Leaves, returned: Leaves) -> tuple[tuple[str, str], ...]:
    """The last argument whose tensors have the shapes of the last ones of what is returned."""
    results = [(place, leaf.shape) for place, leaf in returned.items() if _is_numeric(leaf)]
    arguments: dict[str, list[tuple[str, Any]]] = {}
    for place, leaf in given.items():
        if _is_numeric(leaf):
            arguments.setdefault(place.partition("]")[0], []).append((place, leaf.shape))
    for parts in reversed(arguments.values()):
        last = results[-len(parts) :]
        if [shape for _, shape in parts] == [shape for _, shape in last]:
            return tuple((place, source) for (place, _), (source, _) in zip(parts, last, strict=True))
    return ()


def _is_numeric(value: Any) -> bool:
    return isinstance(value, Tensor) and is_number(value)


def _readable_name(place: str) -> str:
    """ "['state'][0]" is state0, "['h']" is h, "['state'].c" is c."""
    words = [word for word in place.replace("[", ".").replace("]", "").replace("'", "").split(".") if word]
    return words[-1] if not words[-1].isdigit() else "".join(words[-2:])
