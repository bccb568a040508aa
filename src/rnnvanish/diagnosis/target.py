"""What a user asks to have diagnosed: an object of their own code, or a checkpoint of `rnnvanish train`."""

import ast
import inspect
import re
import textwrap
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, cast

import torch
from torch import nn

from rnnvanish.backward.loss import Loss
from rnnvanish.console import complain
from rnnvanish.names import WrongUse, did_you_mean, listed
from rnnvanish.observe.inputs.forms import Parameters
from rnnvanish.observe.inputs.lightning import is_lightning, overrides, without_trainer
from rnnvanish.observe.inputs.own_code import guarded, import_own, parted
from rnnvanish.recurrent import Recurrent

#: What has returns of its own within a function.
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)

#: Sequences, and steps in each, that a bare recurrent module is given to read.
BATCH, STEPS = 16, 100


def load_target(target: str) -> tuple[nn.Module, Any, Loss]:
    """Find the module to diagnose, its inputs, and its loss: None where the target brings none.

    Args:
        target: "package.module:object" or "path/to/file.py:object", where the object is a recurrent module, or a pair
            (module, inputs), or (module, inputs, loss), or a LightningModule with a `train_dataloader`, or a function
            without arguments that returns one of these; or a checkpoint, "run/last.ckpt". Inputs may be a DataLoader.
            No object need be named where the file has only one such function, or only one other such object.

    Raises:
        WrongUse: Where there is no such thing: says what was needed.
    """
    if target.endswith(".ckpt"):
        return _from_checkpoint(Path(target))
    where, name = parted(target)
    if not where or not (where.endswith(".py") or all(part.isidentifier() for part in where.split("."))):
        raise WrongUse(f"diagnose needs package.module:object, path.py:object or a checkpoint (.ckpt), got {target!r}.")
    module = import_own(where)
    objects = {key: value for key, value in vars(module).items() if key[0] != "_"}
    if not name:
        name = _only_target(where, module, objects)
        target = f"{where}:{name}"
        complain(f"Diagnosed is {target}.")
    if name not in objects:
        raise WrongUse(f"{where} has no object {name!r}.{did_you_mean(name, objects)} There are: {listed(objects)}.")
    found: Any = objects[name]
    if callable(found) and not isinstance(found, nn.Module):
        found = guarded(found, f"{target}()")
    if _is_pair(found):
        model, inputs, loss = (*found, None)[:3]
        if loss is not None and not callable(loss) and not isinstance(loss, str):
            raise WrongUse(
                f"{target} gives a {type(loss).__name__} where the loss belongs: it takes what the model returns and gives "
                "a number. Several arguments of the model are one tuple: (module, (x, y))."
            )
        return model, inputs, loss
    if isinstance(found, nn.RNNBase | Recurrent):
        shape = (BATCH, STEPS) if found.batch_first else (STEPS, BATCH)
        layer: nn.Module = found
        return layer, torch.randn(*shape, found.input_size, dtype=next(layer.parameters()).dtype), None
    if isinstance(found, nn.Module) and (loader := _own_loader(found)) is not None:
        return found, loader, None if overrides(found, "forward") else "training_step"
    if isinstance(found, nn.Module):
        raise WrongUse(
            f"{target} is a {type(found).__name__}, and only you know what it reads: "
            "name a function that returns (module, inputs), or (module, inputs, loss)."
        )
    raise WrongUse(f"diagnose needs a module, or a function that returns (module, inputs); {target} gives {found!r}.")


def _is_pair(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) in (2, 3) and isinstance(value[0], nn.Module)


def _only_target(where: str, module: ModuleType, objects: dict[str, Any]) -> str:
    """The name of the only object of a file that can be diagnosed: of a function that returns (module, inputs), first."""
    functions = {
        name: value
        for name, value in objects.items()
        if isinstance(value, FunctionType) and value.__module__ == module.__name__ and not Parameters.of(value).needed
    }
    build = {name: "returns (module, inputs)" for name, value in functions.items() if _returns_pair(value)}
    others = {name: "is (module, inputs)" for name, value in objects.items() if _is_pair(value)}
    modules = {name: value for name, value in objects.items() if isinstance(value, nn.Module)}
    for name, value in modules.items():
        if isinstance(value, nn.RNNBase | Recurrent):
            others[name] = f"a {type(value).__name__}, which is given random sequences"
        elif is_lightning(value) and overrides(value, "train_dataloader"):
            others[name] = f"a {type(value).__name__}, which brings its data"
    for found in (build, others):
        if len(found) == 1 and (found is build or not build):
            return next(iter(found))
    if every := build | others:
        rows = "; ".join(f"{where}:{name} ({what})" for name, what in every.items())
        raise WrongUse(f"{where} holds more than one object that can be diagnosed. Name one: {rows}.")
    there = [f"{name} is a {type(value).__name__}, and only you know what it reads" for name, value in modules.items()]
    there += [f"{name}() was not called" for name in functions]
    raise WrongUse(
        f"{where} holds no object that can be diagnosed as it is: write a function without arguments that returns "
        f"(module, inputs), and name it, {where}:build." + (f" There: {'; '.join(there)}." if there else "")
    )


def _returns_pair(function: FunctionType) -> bool:
    """Whether a function returns two or three things, by its annotation or its source; it is not called."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function))))
    except (OSError, SyntaxError):
        return False
    (own,) = tree.body
    inner = {node for part in ast.walk(own) if part is not own and isinstance(part, SCOPES) for node in ast.walk(part)}
    returned = [node.value for node in ast.walk(own) if isinstance(node, ast.Return) and node not in inner]
    pairs = [isinstance(value, ast.Tuple) and len(value.elts) in (2, 3) for value in returned]
    said = inspect.formatannotation(inspect.signature(function).return_annotation).strip("'\"")
    return (bool(pairs) and all(pairs)) or bool(re.match(r"(typing\.)?tuple\[", said, re.IGNORECASE))


def _own_loader(model: nn.Module) -> Any:
    """The training data that a LightningModule brings itself; None where it brings none."""
    if not is_lightning(model) or not overrides(model, "train_dataloader"):
        return None

    def load() -> Any:
        with without_trainer(model, "train_dataloader"):
            for name, arguments in (("prepare_data", ()), ("setup", ("fit",))):  # as a Trainer does first
                if overrides(model, name):
                    getattr(model, name)(*arguments)
            return cast(Any, model).train_dataloader()

    return guarded(load, f"{type(model).__name__}.train_dataloader()")


def _from_checkpoint(path: Path) -> tuple[nn.Module, Any, Loss]:
    if not path.is_file():
        raise WrongUse(f"There is no checkpoint {path}.")
    from rnnvanish.tasks import is_own
    from rnnvanish.training.checkpoints import read_checkpoint
    from rnnvanish.training.learner import Learner

    try:
        checkpoint = read_checkpoint(path)
    except ValueError as error:
        raise WrongUse(str(error)) from error
    if is_own(str(task := checkpoint["hyper_parameters"].get("task"))):
        raise WrongUse(
            f"{path} is of a task of somebody's own, {task}, and a checkpoint runs no code: "
            "name a function that returns (module, inputs)."
        )
    try:
        learner = Learner(**checkpoint["hyper_parameters"])
        learner.load_state_dict(checkpoint["state_dict"])
    except Exception as error:  # any file can end in .ckpt
        raise WrongUse(f"{path} is no checkpoint of `rnnvanish train`: {type(error).__name__}: {error}") from error
    batch = learner.task.sample(BATCH, torch.Generator().manual_seed(0), "test")
    learner.eval()
    return learner, (batch.inputs, batch.lengths), None
