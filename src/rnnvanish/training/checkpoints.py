"""Checkpoints of `rnnvanish train`: written whole, and read as data."""

import pickle
import warnings
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins import TorchCheckpointIO

from rnnvanish.records.files import put_in_place

#: What a checkpoint of a run holds, at least.
CHECKPOINT_KEYS = {
    "global_step": int, "state_dict": dict, "hyper_parameters": dict, "optimizer_states": list, "loops": dict,
}  # fmt: skip


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read the tensors, numbers and words of a checkpoint. One that holds anything else is not read.

    Raises:
        ValueError: For what is no checkpoint of `rnnvanish train`, or only a part of one: says why.
    """
    what = f"{path} is no checkpoint of `rnnvanish train`"
    try:
        with warnings.catch_warnings(action="ignore"):  # of torch, about files that are none of its own
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        objects = "it holds Python objects, which could run any code while they are read, or it is damaged"
        raise ValueError(f"{what}: {objects}.") from error
    except Exception as error:  # an empty file, half of one, a folder
        raise ValueError(f"{what}: it is damaged ({type(error).__name__}).") from error
    found = content if isinstance(content, dict) else {}
    if missing := [name for name, kind in CHECKPOINT_KEYS.items() if not isinstance(found.get(name), kind)]:
        raise ValueError(f"{what}: it has no {', '.join(missing)}.")
    return found


class WholeCheckpoints(TorchCheckpointIO):
    """Checkpoints that are there as a whole or not at all, also when the process is killed while it writes one."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write beside the file, then put it in its place."""
        super().save_checkpoint(checkpoint, f"{path}.part", storage_options)
        put_in_place(Path(f"{path}.part"), Path(path))

    def load_checkpoint(self, path: Any, *_: Any, **__: Any) -> dict[str, Any]:
        """Read it as data."""
        return read_checkpoint(path)

    def remove_checkpoint(self, path: Any) -> None:
        """Nothing: each is written over, and a path that stands in a checkpoint is no reason to remove anything."""
