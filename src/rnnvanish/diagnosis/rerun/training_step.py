"""One step of somebody's training, taken by copies of the model and of its optimizer."""

import copy
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from rnnvanish.backward.each_loop import resolve_call
from rnnvanish.backward.loss import Loss, evaluate_loss
from rnnvanish.compat.tensors import tensor_hooks
from rnnvanish.diagnosis.fault import Subject
from rnnvanish.live import unwrapped
from rnnvanish.observe.call import Call, map_tensors
from rnnvanish.observe.inputs.lightning import is_lightning, overrides
from rnnvanish.observe.model_copy import copy_model

#: What changes gradients before a step: takes the copies.
Clip = Callable[[nn.Module, torch.optim.Optimizer], object]


@dataclass(frozen=True, eq=False)
class Training:
    """A copy of a model and of its optimizer, that a step can be taken with.

    Attributes:
        model: The copy.
        optimizer: An optimizer of its parameters, with the options of the user's.
        clips: What the user does to gradients before a step.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    clips: tuple[Clip, ...]

    def step(self, call: Call, loss: Loss, clipped: bool = True) -> tuple[float, float]:
        """Take a step; returns the norm of the gradient before and after it was clipped."""
        call = resolve_call(self.model, call, loss).map(torch.clone)
        with torch.enable_grad():
            self.model.zero_grad(set_to_none=True)
            evaluate_loss(self.model, call, call(self.model), loss).backward()
        before = gradient_norm(self.model)
        for clip in self.clips if clipped else ():
            clip(self.model, self.optimizer)
        after = gradient_norm(self.model)
        self.optimizer.step()
        return before, after


def training_of(subject: Subject, model: nn.Module | None = None) -> Training | None:
    """Copies of a model and of the optimizer that it is trained with; None where there is none.

    Args:
        subject: The model, and its optimizer where that is known; a LightningModule brings its own.
        model: A copy of the model, to take steps with itself.
    """
    own = unwrapped(subject.model)
    candidate = copy_model(own) if model is None else model
    if subject.optimizer is not None:
        optimizer = _copy_optimizer(subject.optimizer, own, candidate)
    elif is_lightning(own) and overrides(own, "configure_optimizers"):
        optimizer = _first_optimizer(candidate.configure_optimizers())  # type: ignore[operator]
    else:
        return None
    return Training(candidate, optimizer, clips_of(subject)) if optimizer is not None else None


def training_loss(subject: Subject) -> Loss:
    """The loss that is trained with: the one that was given, else a LightningModule's own; None where neither is known."""
    own = unwrapped(subject.model)
    lightning = is_lightning(own) and overrides(own, "training_step")
    return "training_step" if subject.loss is None and lightning else subject.loss


def gradient_norm(model: nn.Module) -> float:
    """The norm of the gradient of all weights."""
    norms = [weight.grad.double().norm() for weight in model.parameters() if weight.grad is not None]
    return float(torch.stack(norms).norm()) if norms else 0.0


def clips_of(subject: Subject) -> tuple[Clip, ...]:
    """What changes gradients before a step: hooks of weights, a Trainer's clipping, hooks of an optimizer."""
    model, optimizer = unwrapped(subject.model), subject.optimizer
    hooks = {name: list((tensor_hooks(weight) or {}).values()) for name, weight in model.named_parameters()}
    found: list[Clip] = []
    if any(hooks.values()):
        found.append(lambda model, optimizer: _apply_hooks(model, hooks))
    if is_lightning(model) and (clip := _lightning_clip(model)) is not None:
        found.append(clip)
    if before := list(getattr(optimizer, "_optimizer_step_pre_hooks", {}).values()):
        found.append(lambda model, optimizer: [hook(optimizer, (), {}) for hook in before])
    return tuple(found)


def _apply_hooks(model: nn.Module, hooks: Mapping[str, list[Callable[[Tensor], Tensor | None]]]) -> None:
    for name, weight in model.named_parameters():
        for hook in hooks[name]:
            if weight.grad is not None:
                changed = hook(weight.grad)
                weight.grad = weight.grad if changed is None else changed


def _lightning_clip(model: nn.Module) -> Clip | None:
    try:
        trainer: Any = model.trainer
    except RuntimeError:  # it has none
        trainer = None
    value, kind = (getattr(trainer, name, None) for name in ("gradient_clip_val", "gradient_clip_algorithm"))
    if overrides(model, "configure_gradient_clipping"):
        return lambda model, optimizer: model.configure_gradient_clipping(optimizer, value, kind)  # type: ignore[operator]
    if not value:
        return None
    if str(getattr(kind, "value", kind)) == "value":
        return lambda model, optimizer: nn.utils.clip_grad_value_(model.parameters(), value)
    return lambda model, optimizer: nn.utils.clip_grad_norm_(model.parameters(), value)


def _first_optimizer(configured: Any) -> torch.optim.Optimizer | None:
    """The first of what `configure_optimizers` may return: one, several, with schedulers, in a mapping."""
    if isinstance(configured, Mapping):
        return _first_optimizer(configured.get("optimizer"))
    if isinstance(configured, tuple | list) and configured:
        return _first_optimizer(configured[0])
    return configured if isinstance(configured, torch.optim.Optimizer) else None


def _copy_optimizer(
    optimizer: torch.optim.Optimizer, model: nn.Module, candidate: nn.Module
) -> torch.optim.Optimizer | None:
    """One of the same class, options and state for the weights of a copy, without hooks; None where it has others."""
    own = dict(zip(map(id, model.parameters()), candidate.parameters(), strict=True))
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    if any(id(weight) not in own for weight in weights):
        return None
    twin = object.__new__(type(optimizer))
    twin.__dict__.update(
        {name: value for name, value in vars(optimizer).items() if name != "step"}
    )  # a scheduler's is ours
    twin.__dict__.update({name: type(value)() for name, value in vars(optimizer).items() if name.endswith("_hooks")})
    twin.param_groups = [
        {
            **copy.deepcopy({key: value for key, value in group.items() if key != "params"}),
            "params": [own[id(w)] for w in group["params"]],
        }
        for group in optimizer.param_groups
    ]
    twin.state = defaultdict(
        dict,
        {own[id(weight)]: map_tensors(dict(state), torch.clone) for weight, state in optimizer.state.items()},
    )
    return twin
