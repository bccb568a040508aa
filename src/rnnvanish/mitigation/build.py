"""A build: a mitigation that changes how a network computes, when it is built."""

from dataclasses import dataclass
from typing import cast

from torch import nn

from rnnvanish.cell import Cell
from rnnvanish.live import (
    RecurrentStep,
    cells_of,
    has_own_forward,
    recurrent_modules,
    replace_module,
    step_modules,
)
from rnnvanish.mitigation.mitigation import Mitigation
from rnnvanish.recurrent import Recurrent


@dataclass(frozen=True)
class Build(Mitigation):
    """Acts when a network is built: it changes how its recurrent layers compute."""

    moment = "when a network is built"

    def build(self, layer: Recurrent) -> nn.Module:
        """Change `layer`, or wrap it; what is returned is called like it."""
        raise NotImplementedError(f"{type(self).__name__} needs a build(layer) -> module.")

    def __call__(self, model: nn.Module) -> nn.Module:
        """Change every recurrent layer of `model`, and every torch cell that it calls in a loop of its own.

        One of `torch.nn` becomes the same `Recurrent`, or `RecurrentStep`, first. A step stays as it is where what is
        changed does not fit a loop that hands on the state of its cell alone.

        Returns:
            `model`; where it is itself a recurrent layer, what takes its place.

        Raises:
            ValueError: For a layer that it does not suit, and where it suits no step.
        """
        modules = recurrent_modules(model)
        steps = {name: each for name, each in step_modules(model).items() if name not in modules}
        if not modules and not steps:
            raise ValueError(f"{type(self).__name__} needs a model with a recurrent layer.")
        for module in modules.values():
            layer = module if isinstance(module, Recurrent) else Recurrent.from_torch(cast(nn.RNNBase, module))
            changed = self.build(layer)
            if isinstance(module, Recurrent) and has_own_forward(module) and changed is not module:
                raise ValueError(
                    f"{type(module).__name__} has a forward of its own, which what {type(self).__name__} puts in its place would "
                    "not have: let it hold a Recurrent instead of being one."
                )
            layer.register_weights()  # what is changed may be no longer what torch can hold
            if module is model:
                return changed
            replace_module(model, module, changed)
        refused = []
        for name, module in steps.items():
            try:
                replace_module(model, module, self._changed_step(name, cast(nn.RNNCellBase, module)))
            except ValueError as error:
                refused.append(error)
        if steps and not modules and len(refused) == len(steps):
            raise refused[0]
        return model

    def _changed_step(self, name: str, module: nn.RNNCellBase) -> RecurrentStep:
        """What takes the place of one step."""
        own, title = type(self).__name__, f"{name}, of class {type(module).__name__},"
        if has_own_forward(module):
            raise ValueError(f"{title} has a forward of its own, which what {own} puts in its place would not have.")
        (cell,) = cells_of(module)
        held = [each for linear in cell.modules() for each in linear._parameters.items()]
        computed = [weight for weight, value in held if not isinstance(value, nn.Parameter | None)]
        if computed:
            raise ValueError(
                f"{title} computes its {', '.join(computed)} from other parameters, which {own} would lose."
            )
        layer = Recurrent(lambda *sizes: cell, cell.input_size, cell.hidden_size).train(module.training)
        changed = self.build(layer)
        if not isinstance(changed, Recurrent):
            raise ValueError(f"{own} reads whole sequences, and {title} is called step by step.")
        step = RecurrentStep(cast(Cell, changed.cells[0]))
        if len(step.cell.state_names) != len(cell.state_names):
            parts = step.cell.state_names if len(step.cell.state_names) < 4 else (*step.cell.state_names[:2], "...")
            raise ValueError(
                f"{own} does not fit {title} since its state would have {len(step.cell.state_names)} part(s), {', '.join(parts)}, "
                f"and the loop that calls it hands on {' and '.join(cell.state_names)}: change that loop, or use a layer."
            )
        return step.train(module.training)


def run_as_plain_loop(layer: Recurrent, cure: str) -> None:
    """Have a layer run as a plain loop; a ValueError where it is told to run compiled."""
    if layer.engine not in ("auto", "reference"):
        raise ValueError(f"{cure} needs the plain loop, got engine={layer.engine!r}: engine='auto' has it.")
    layer.engine = "reference"
