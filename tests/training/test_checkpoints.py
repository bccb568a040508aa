"""Checkpoints are data: whatever else lies in their place is refused by name, and never run."""

import json
import os
import pickle
import shutil
from contextlib import suppress

import pytest
import torch

from rnnvanish.__main__ import main
from rnnvanish.training.checkpoints import WholeCheckpoints, read_checkpoint

COMMAND = "train --cell GRU --task recall --task_options.length 8 --hidden_size 4 --steps_per_epoch 3 --batch_size 4"
COMMAND += " --monitor 0 --json --out"


class Planted:
    """Makes a folder when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.fixture(scope="module")
def half(tmp_path_factory):
    """A run of two epochs that has ended after the first one."""
    folder = tmp_path_factory.mktemp("half") / "run"
    assert main([*COMMAND.split(), str(folder), "--epochs", "1"]) == 0
    (folder / "result.json").unlink()
    options = folder / "options.json"
    options.write_text(options.read_text().replace('"epochs": 1', '"epochs": 2'))
    return folder


@pytest.fixture
def run(half, tmp_path, capsys):
    """Go on with a copy of it whose last checkpoint is what `spoil(path)` leaves: exit code, and what was said."""

    def run(spoil):
        folder = tmp_path / "run"
        shutil.copytree(half, folder)
        spoil(folder / "last.ckpt")
        capsys.readouterr()
        code = main([*COMMAND.split(), str(folder), "--epochs", "2"])
        printed = capsys.readouterr()
        return code, printed.err, printed.out

    return run


def changed(**parts):
    def spoil(path):
        torch.save(torch.load(path) | parts, path)

    return spoil


def deep(path):
    checkpoint = torch.load(path)
    checkpoint["loops"]["fit_loop"] = {"epoch_progress": [1]}
    torch.save(checkpoint, path)


SPOILT = {
    "empty": (lambda path: path.write_bytes(b""), "is no checkpoint of `rnnvanish train`: it"),
    "text": (lambda path: path.write_text("hello"), "is no checkpoint of `rnnvanish train`: it"),
    "half of it": (
        lambda path: os.truncate(path, path.stat().st_size // 2),
        "is no checkpoint of `rnnvanish train`: it",
    ),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), "is no checkpoint of `rnnvanish train`: it"),
    "something else": (lambda path: torch.save([1, 2], path), "is no checkpoint of `rnnvanish train`"),
    "weights alone": (lambda path: torch.save({"state_dict": {}}, path), "it has no global_step, hyper_parameters"),
    "another type": (changed(global_step="3"), "it has no global_step"),
    "another network": (changed(state_dict={}), "is the checkpoint of another network"),
    "other options": (changed(hyper_parameters={"lr": 1}), "is the checkpoint of another network"),
    "another optimiser": (changed(optimizer_states=[{}, {}]), "does not fit this run"),
    "other loops": (deep, "does not fit this run"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_what_is_no_checkpoint_of_this_run_is_refused_by_name(name, run, tmp_path):
    spoil, why = SPOILT[name]
    code, said, out = run(spoil)
    assert code == 2
    sentence = json.loads(out)["error"]
    assert said.splitlines()[-1] == f"rnnvanish: {sentence}"
    assert sentence.startswith(f"{tmp_path / 'run' / 'last.ckpt'} ")
    assert why in sentence
    assert sentence.endswith("Remove it to begin anew, or name another folder with --out.")
    assert "Traceback" not in said


@pytest.mark.parametrize("how", ["torch", "torch, old", "pickle", "inside"])
def test_a_planted_program_is_not_run(how, run, tmp_path, capsys):
    planted = Planted(tmp_path / "it ran")
    spoils = {
        "torch": lambda path: torch.save(planted, path),
        "torch, old": lambda path: torch.save(planted, path, _use_new_zipfile_serialization=False),
        "pickle": lambda path: path.write_bytes(pickle.dumps(planted)),
        "inside": changed(callbacks={"Planted": planted}),
    }
    code, said, _ = run(spoils[how])
    assert code == 2
    assert "it holds Python objects, which could run any code" in said
    assert main(["diagnose", str(tmp_path / "run/last.ckpt")]) == 2
    assert "it holds Python objects" in capsys.readouterr().err
    assert not (tmp_path / "it ran").exists()
    with suppress(Exception):  # it is no checkpoint either
        torch.load(tmp_path / "run/last.ckpt", weights_only=False)
    assert (tmp_path / "it ran").exists()  # the control: it would have


def test_paths_in_a_checkpoint_are_no_reason_to_remove_anything(run, tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("data")

    def spoil(path):
        checkpoint = torch.load(path)
        for state in checkpoint["callbacks"].values():
            state |= {
                "dirpath": str(path.parent), "best_model_path": f"local://{precious}",
                "kth_best_model_path": f"local://{precious}", "kth_value": torch.tensor(9.0),
                "best_k_models": {f"local://{precious}": torch.tensor(9.0)},
            }  # fmt: skip
        torch.save(checkpoint, path)

    code, _, _ = run(spoil)
    assert code == 0
    assert precious.exists()


def test_what_is_written_is_read(tmp_path):
    content = {"global_step": 1, "state_dict": {}, "hyper_parameters": {}, "optimizer_states": [], "loops": {}}
    WholeCheckpoints().save_checkpoint(content, tmp_path / "a.ckpt")
    assert read_checkpoint(tmp_path / "a.ckpt") == WholeCheckpoints().load_checkpoint(tmp_path / "a.ckpt") == content


def test_a_trainer_that_asks_for_more_than_data_gets_none(tmp_path):
    torch.save(Planted(tmp_path / "it ran"), tmp_path / "a.ckpt")
    with pytest.raises(ValueError, match="it holds Python objects"):
        WholeCheckpoints().load_checkpoint(tmp_path / "a.ckpt", weights_only=False)
    assert not (tmp_path / "it ran").exists()


def test_a_checkpoint_from_before_there_was_a_choice_of_optimiser_goes_on(run, tmp_path):
    def older(path):
        checkpoint = torch.load(path)
        assert {checkpoint["hyper_parameters"].pop(name) for name in ("optimizer", "momentum")} == {"adam", 0.0}
        torch.save(checkpoint, path)
        assert "optimizer" not in (tmp_path / "run/options.json").read_text()

    code, said, _ = run(older)
    assert code == 0, said
