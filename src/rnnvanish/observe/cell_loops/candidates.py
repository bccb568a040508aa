"""Where a model has no layer that is known: which of its modules may be steps of a loop, by how it calls them."""

import re
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from rnnvanish.live import RECURRENT, plain_name
from rnnvanish.numerics.real_view import is_number
from rnnvanish.observe.autograd_graph import first_ancestor, gradient_nodes
from rnnvanish.observe.call import Call
from rnnvanish.observe.cell_loops.call_pattern import LEARNED_CALLS, CallPattern
from rnnvanish.observe.cell_loops.chain import parts_of_other_steps
from rnnvanish.observe.inputs.failure import failure
from rnnvanish.observe.pytree import Leaves, leaves
from rnnvanish.observe.restore.borrow import borrow

#: What is measured without being named.
KNOWN = (*RECURRENT, nn.RNNCellBase)
#: How many modules a message lists.
LISTED = 8


@dataclass(frozen=True)
class Repeated:
    """A module that is called more than once in a forward.

    Attributes:
        name: The module, as its user knows it.
        holder: The module in whose forward it is called.
        calls: How often it is called.
        returns: Which of its arguments come from which of its results before; nothing where none does.
        fed_back: Whether it reads what is computed from its results before.
        is_step: Whether it is a step of a loop: what it returns goes in again, as it is or beside another argument.
        is_part: Whether that loop is another step's, to which it hands its state.
    """

    name: str
    holder: str
    calls: int
    returns: str
    fed_back: bool
    is_step: bool
    is_part: bool = False

    def __str__(self) -> str:
        """How it is called."""
        read = "it reads what is computed from its result before" if self.fed_back else ""
        return f"{self.name} ({'; '.join(filter(None, (f'{self.calls} calls', self.returns or read)))})"


class _Calls:
    """How one module is called, seen from within its forward."""

    def __init__(self, name: str, module: nn.Module, others: list[CallPattern]) -> None:
        self.pattern, self.among_others = CallPattern(name, module, []), CallPattern(name, module, others)
        others.append(self.among_others)
        self.calls = self.fed_back = self.tensors = 0
        self._before: list[Any] = []
        self.forward = module.forward

    def learn(self, *args: Any, **kwargs: Any) -> Any:
        """Run the module as it is."""
        given = _numbers(leaves((args, kwargs)))
        looked_at, known = self.calls < LEARNED_CALLS, self.pattern.seen
        from_before = looked_at and first_ancestor(given, self._before) is not None
        self.calls, self.tensors = self.calls + 1, max(self.tensors, len(given))
        output = self.among_others.learn(partial(self.pattern.learn, self.forward), *args, **kwargs)
        self.fed_back += from_before or self.pattern.seen > known  # the numbers tell, too, where there are no gradients
        self._before = gradient_nodes(_numbers(leaves(output)))
        return output

    def repeated(self, holder: str) -> Repeated:
        """What was seen."""
        links = {link: self.pattern.is_handed_on(link) for link in self.pattern.links}
        often = 2 * self.fed_back >= min(self.calls, LEARNED_CALLS) - 1
        step = often and bool(links) and (any(links.values()) or self.tensors > 1)
        ways = [
            f"{_argument(place)} {'is' if exact else 'is made of'} {_result(source)}"
            for (place, source), exact in links.items()
        ]
        returns = f"{', '.join(ways)} of the call before" if step else ""
        return Repeated(self.pattern.name, holder, self.calls, returns, self.fed_back > 0, step)


def explain_no_layer(model: nn.Module, call: Call) -> str:
    """Which modules of a model may be steps of its loop, and how they are named; or what must become a module first."""
    try:
        found = repeated_modules(model, call)
    except Exception as error:  # noqa: BLE001  # what was wanted is a layer: that is said first
        return f" It could not be run to look for a loop of its own{failure(error)}"
    listed = "; ".join(map(str, found[:LISTED]))
    said = f" Called more than once: {listed}." if listed else ""
    inside = {holder: [each.name for each in found if each.holder == holder] for holder in _loops_inside(found)}
    if steps := [each.name for each in found if each.is_step and not each.is_part]:
        names = ", ".join(f'"{name}"' for name in steps)
        one = "this is the step" if len(steps) == 1 else "these are the steps"
        said += f" If {one} of a loop that the model writes itself, say so: cells=[{names}]."
    elif not inside:
        inside = _reused_weights(model, call, {each.name for each in found})
    loops = [_make_a_module(holder, plain_name(holder, model), names) for holder, names in inside.items()]
    if steps or loops:
        return said + "".join(loops)
    return (
        f"{said or ' Nothing in it that has weights is called more than once.'} If its forward is itself one step of a loop "
        "that stands outside, put that loop into the forward of a module that holds it."
    )


def _loops_inside(found: list[Repeated]) -> list[str]:
    """The modules in whose forward a loop stands, and no step that it may be the loop of."""
    told = {each.holder for each in found if each.is_step}
    return list(dict.fromkeys(each.holder for each in found if each.fed_back and each.holder not in told))


def _make_a_module(holder: str, where: str, names: list[str]) -> str:
    """What is to be done where a loop stands inside one forward."""
    parts = ", ".join(f"self.{name.removeprefix(f'{holder}.')}" for name in names)
    parts = re.sub(r"[.]([0-9]+)", r"[\1]", parts)
    step = f"{holder}.step" if holder else "step"
    return (
        f" A loop stands inside the forward of {where}: its step must become a module, whose forward(x, h) computes "
        "what one round of the loop computes now, and returns h."
        f"\n    in __init__: self.step = Step({parts});"
        "\n    in the loop: h = self.step(x, h);"
        f'\n    and then:    diagnose(model, inputs, cells=["{step}"])'
    )


def _reused_weights(model: nn.Module, call: Call, repeated: set[str]) -> dict[str, list[str]]:
    """The modules that use weights of their own more than twice in one call, and these weights."""
    uses: Counter[int] = Counter()

    class Count(TorchFunctionMode):
        def __torch_function__(
            self, function: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
        ) -> Any:
            uses.update(id(each) for each in args if isinstance(each, nn.Parameter))
            return function(*args, **kwargs or {})

    _run(model, call, {}, Count())
    found = {}
    for name, module in model.named_modules():
        if plain_name(name, model) in repeated:
            continue
        own = [weight for weight, value in module.named_parameters(recurse=False) if uses[id(value)] > 2]
        if own:
            found[name] = [f"{name}.{weight}" if name else weight for weight in own]
    return found


def repeated_modules(model: nn.Module, call: Call) -> list[Repeated]:
    """The modules with weights that `model` calls more than once, without what is inside of a loop's step.

    It is run twice, and left as it was.
    """
    names = {
        module: plain_name(name, model)
        for name, module in model.named_modules()
        if name and any(True for _ in module.parameters()) and not isinstance(module, KNOWN)
    }
    counts: Counter[nn.Module] = Counter()
    holders: dict[nn.Module, str] = {}
    around: list[str] = []

    def counted(module: nn.Module, forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        counts[module] += 1
        holders.setdefault(module, around[-1] if around else "")
        around.append(names[module])
        try:
            return forward(*args, **kwargs)
        finally:
            around.pop()

    _run(model, call, {module: partial(counted, module, module.forward) for module in names})
    others: list[CallPattern] = []
    seen = {module: _Calls(names[module], module, others) for module, count in counts.items() if count > 1}
    _run(model, call, {module: each.learn for module, each in seen.items()})
    found = [each.repeated(holders[module]) for module, each in seen.items()]
    outer = [f"{each.name}." for each in found if each.fed_back]
    found = [each for each in found if not each.name.startswith(tuple(outer))]
    steps = {each.name for each in found if each.is_step}
    parts = parts_of_other_steps([each for each in others if each.name in steps])
    return [replace(each, is_part=any(part.name == each.name for part in parts)) for each in found]


def _run(
    model: nn.Module,
    call: Call,
    forwards: dict[nn.Module, Callable[..., Any]],
    mode: AbstractContextManager[Any] = nullcontext(),  # noqa: B008
) -> None:
    with ExitStack() as stack:
        stack.enter_context(borrow(model, None, *call.contents))
        stack.enter_context(torch.enable_grad())
        for parameter in model.parameters():
            if is_number(parameter):
                parameter.requires_grad_()  # or nobody sees where results go
        for module, forward in forwards.items():
            vars(module)["forward"] = forward
        with mode:
            call(model)


def _numbers(found: Leaves) -> list[Tensor]:
    return [leaf for leaf in found.values() if isinstance(leaf, Tensor) and leaf.is_floating_point()]


def _argument(place: str) -> str:
    """ "['state'][0]" is state[0]."""
    return re.sub(r"^\['(\w+)'\]", r"\1", place)


def _result(source: str) -> str:
    return f"result{source}" if source else "the result"
