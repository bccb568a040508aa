"""`rnnvanish train`: runs that were killed and gone on with, against one that was not."""

import csv
import json
import os
import subprocess
import sys

import pytest
import torch

from rnnvanish.__main__ import main
from rnnvanish.mitigations import ClipValue
from rnnvanish.training import command
from rnnvanish.training.checkpoints import WholeCheckpoints
from rnnvanish.training.learner import Learner
from rnnvanish.training.runs import MetricsLogger, RunFolder

# Dropout between layers and the monitor: whatever draws random numbers or logs rows takes part.
OPTIONS = """train --cell LSTM --task recall --task_options.length 12 --hidden_size 6 --num_layers 2 --dropout 0.4
    --epochs 3 --steps_per_epoch 20 --batch_size 5 --monitor 7 --json --out"""
COMMAND = OPTIONS.split()

#: Runs the command and sends itself a signal when a step begins: in the middle of the second epoch, of three.
INTERRUPTED = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background of a shell it is ignored
from rnnvanish.__main__ import main
from rnnvanish.training.learner import Learner
step = Learner.training_step
def stopped(self, batch, index):
    if self.global_step == 33:
        os.kill(os.getpid(), int(sys.argv[1]))
    return step(self, batch, index)
Learner.training_step = stopped
sys.exit(main(sys.argv[2:]))
"""
SIGNALS = {"SIGKILL": (9, -9), "SIGINT": (2, 130), "SIGTERM": (15, 143)}  # number, exit code


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """Sums in as many threads add up in another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The folder of an uninterrupted run, and those of runs that were interrupted, each for real and all at once."""
    folder = tmp_path_factory.mktemp("runs")
    processes = {
        name: subprocess.Popen(
            [sys.executable, "-c", INTERRUPTED, str(number), *COMMAND, str(folder / name)],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name, (number, _) in SIGNALS.items()
    }
    assert main([*COMMAND, str(folder / "whole")]) == 0
    said = {}
    for name, process in processes.items():
        said[name] = process.communicate(timeout=300)
        assert process.returncode == SIGNALS[name][1], said[name]
    return folder, said


def rows(folder):
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def kept(folder, name="last.ckpt"):
    """Weights and the optimiser's state of a checkpoint."""
    checkpoint = torch.load(folder / name, weights_only=True)
    state = checkpoint["optimizer_states"][0]["state"]
    return checkpoint["state_dict"] | {f"{i} {name}": value for i in state for name, value in state[i].items()}


def result(folder):
    content = json.loads((folder / "result.json").read_text())
    return {name: content[name] for name in ("loss", "score", "floor", "steps", "versions")}


@pytest.mark.parametrize("signal", SIGNALS)
def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(runs, signal, capsys):
    folder, said = runs
    whole, interrupted = folder / "whole", folder / signal
    assert torch.load(interrupted / "last.ckpt", weights_only=True)["global_step"] == 20
    assert 20 < max(int(row["step"]) for row in rows(interrupted)) < 40  # there are rows that will come again
    assert not (interrupted / "result.json").exists()
    stdout, stderr = said[signal]
    said_so = signal != "SIGKILL"
    assert ("the same command goes on" in stderr) == said_so
    assert ("the same command goes on" in json.loads(stdout)["error"]) if said_so else stdout == ""
    assert "Traceback" not in stderr

    assert main([*COMMAND, str(interrupted)]) == 0
    assert json.loads(capsys.readouterr().out)["checkpoint"] == str(interrupted / "last.ckpt")
    assert (interrupted / "metrics.csv").read_text() == (whole / "metrics.csv").read_text()
    assert result(interrupted) == result(whole)
    for checkpoint in ("last.ckpt", "best.ckpt"):
        ours, theirs = kept(interrupted, checkpoint), kept(whole, checkpoint)
        assert ours.keys() == theirs.keys()
        for name, value in ours.items():
            assert torch.equal(value, theirs[name]), name


def test_the_rows_and_the_result_of_a_run(runs):
    folder = runs[0] / "whole"
    logged = [(int(row["step"]), name) for row in rows(folder) for name, value in row.items() if value]
    assert [step for step, name in logged if name == "train_loss"] == [9, 19, 29, 39, 49, 59]
    assert [step for step, name in logged if name == "val_loss"] == [19, 39, 59]
    for layer in (0, 1):
        name = f"retention/recurrent/layer{layer}/forward/half_life"
        assert [step for step, logged_name in logged if logged_name == name] == list(range(0, 60, 7))
    last = rows(folder)[-1]
    assert result(folder)["loss"] == pytest.approx(float(last["val_loss"]))
    assert result(folder)["score"] == pytest.approx(float(last["val_score"]))
    assert result(folder)["steps"] == 60
    learner = Learner.load_from_checkpoint(folder / "last.ckpt")
    assert all(torch.equal(weight, kept(folder)[name]) for name, weight in learner.state_dict().items())
    losses = [float(row["val_loss"]) for row in rows(folder) if row["val_loss"]]
    best = torch.load(folder / "best.ckpt", weights_only=True)
    assert best["epoch"] == losses.index(min(losses))
    assert any((folder / "tensorboard").glob("events*"))


def test_a_finished_run_says_so(runs, capsys):
    folder = runs[0] / "whole"
    before = {file: file.stat().st_mtime_ns for file in folder.iterdir()}
    assert main([*COMMAND, str(folder)]) == 0
    printed = capsys.readouterr()
    assert "This run is finished" in printed.err
    assert json.loads(printed.out) == json.loads((folder / "result.json").read_text())
    assert {file: file.stat().st_mtime_ns for file in folder.iterdir()} == before
    assert main([word for word in [*COMMAND, str(folder)] if word != "--json"]) == 0
    assert "remembering nothing costs 0.6931" in capsys.readouterr().out


def test_a_run_that_was_stopped_between_its_last_epoch_and_its_result_gives_it(runs, capsys):
    folder = runs[0] / "whole"
    before, its_rows = result(folder), rows(folder)
    (folder / "result.json").unlink()
    assert main([*COMMAND, str(folder)]) == 0
    assert result(folder) == before
    assert rows(folder) == its_rows


def test_other_options_are_refused_by_name(runs, capsys):
    folder = runs[0] / "whole"
    assert main([*COMMAND, str(folder), "--lr", "0.01", "--cell", "GRU"]) == 2
    message = capsys.readouterr().err
    assert "cell=LSTM (now GRU), lr=0.005 (now 0.01): name another folder with --out" in message
    assert main([*COMMAND, str(folder.parent)]) == 2
    assert "holds something that is no run" in capsys.readouterr().err


def test_mitigations_are_options_of_the_run(tmp_path, capsys):
    """However they are written; others are refused, and a rule takes the place of the clipping by default."""
    words = "train --cell GRU --task recall --hidden_size 3 --epochs 1 --steps_per_epoch 2 --json --out"
    command = [*words.split(), str(tmp_path / "run"), "--mitigations"]
    assert main([*command, "Chrono(9), ClipValue"]) == 0
    options = json.loads((tmp_path / "run/options.json").read_text())
    assert options["mitigations"] == "Chrono(span=9), ClipValue(threshold=1.0)"
    assert options["clip"] == 0
    capsys.readouterr()
    assert main([*command, "Chrono(span=9),ClipValue()"]) == 0
    assert "This run is finished" in capsys.readouterr().err
    assert main([*command, "Chrono(span=8), ClipValue"]) == 2
    assert "mitigations=Chrono(span=9), ClipValue(threshold=1.0) (now Chrono(span=8)" in capsys.readouterr().err
    learner = Learner.load_from_checkpoint(tmp_path / "run" / "last.ckpt")
    assert learner.rules == [ClipValue()]


def test_seeds(tmp_path, monkeypatch, capsys):
    """The same seed gives the same run, in a folder named by the options; another seed another one in another."""
    short = [*COMMAND[:-1], "--epochs", "1", "--steps_per_epoch", "3"]
    for place, seed in (("a", 1), ("b", 1), ("b", 2)):
        (tmp_path / place).mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / place)
        assert main([*short, "--seed", str(seed)]) == 0
    first, again, other = (kept(tmp_path / path) for path in sorted_by_seed(tmp_path))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["readout.weight"], other["readout.weight"])


def sorted_by_seed(folder):
    options = {path: json.loads(path.read_text()) for path in folder.glob("*/runs/recall-LSTM-*/options.json")}
    assert len(options) == 3
    return [path.parent for path in sorted(options, key=lambda path: (options[path]["seed"], path))]


def test_weights_are_those_that_the_seed_draws(tmp_path, capsys):
    """Seeded before anything is built: another engine of the draw, by hand."""
    command = "train --cell GRU --task recall --hidden_size 3 --epochs 1 --steps_per_epoch 1 --lr 1e-30 --seed 4 --out"
    assert main([*command.split(), str(tmp_path / "run")]) == 0
    torch.manual_seed(4)
    expected = Learner("GRU", "recall", hidden_size=3).state_dict()
    weights = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)["state_dict"]
    assert all(torch.equal(weights[name], value) for name, value in expected.items())


def test_without_tensorboard(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    folder = RunFolder({"task": "recall", "cell": "GRU"}, str(tmp_path / "run"))
    assert [type(logger) for logger in command.loggers(folder, 0)] == [MetricsLogger]
    assert 'pip install "rnnvanish[log]"' in capsys.readouterr().err


def test_a_checkpoint_that_could_not_be_written_leaves_the_last_one(tmp_path, monkeypatch):
    path = str(tmp_path / "last.ckpt")
    WholeCheckpoints().save_checkpoint({"epoch": 1}, path)

    def killed(checkpoint, file):
        with open(file.name if hasattr(file, "name") else file, "wb") as half:
            half.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr("lightning_fabric.plugins.io.torch_io._atomic_save", killed)
    with pytest.raises(KeyboardInterrupt):
        WholeCheckpoints().save_checkpoint({"epoch": 2}, path)
    assert torch.load(path) == {"epoch": 1}


def test_rows_from_the_checkpoint_on_are_dropped(tmp_path):
    path = tmp_path / "metrics.csv"
    table = MetricsLogger(path, step=0)
    for step in (1, 3, 5):
        table.log_metrics({"loss": step / 3}, step)
    table.log_metrics({"score": 1.0}, 5)
    assert path.read_text() == f"step,loss,score\n1,{1 / 3},\n3,1.0,\n5,{5 / 3},\n5,,1.0\n"
    table = MetricsLogger(path, step=4)
    assert path.read_text() == f"step,loss,score\n1,{1 / 3},\n3,1.0,\n"
    table.log_metrics({"loss": 2.0}, 5)
    assert path.read_text().endswith("5,2.0,\n")


@pytest.mark.parametrize("wrong", ["--epochs 0", "--clip -1", "--monitor -1", "--hidden_size 0", "--batch_size 0"])
def test_wrong_sizes(tmp_path, capsys, wrong):
    assert main([*COMMAND, str(tmp_path / "run"), *wrong.split()]) == 2
    name, value = wrong.removeprefix("--").split()
    assert f"{name} >= {0 if name in ('clip', 'monitor') else 1}, got {value}" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


SOLVED = """train --cell GRU --task recall --task_options.length 6 --hidden_size 8 --lr 0.03 --epochs 12 --steps_per_epoch 10
    --batch_size 32 --monitor 0 --schedule cosine --until_solved --json --out"""


def test_a_run_ends_when_it_is_solved_and_says_after_how_many_steps(tmp_path, capsys):
    """Interrupted after any epoch and gone on with, it ends at the same step, and one that had ended stays at its end."""
    assert main([*SOLVED.split(), str(tmp_path / "whole")]) == 0
    whole = json.loads(capsys.readouterr().out)
    assert 0 < whole["solved"] == whole["steps"] - 10 < 110
    scores = [(int(row["step"]) + 1, float(row["val_score"])) for row in rows(tmp_path / "whole") if row["val_score"]]
    assert [step for step, score in scores if score >= 0.95] == [whole["solved"], whole["steps"]]
    for epochs in {1, whole["solved"] // 10, whole["steps"] // 10}:
        interrupted = tmp_path / f"after {epochs}"
        with pytest.MonkeyPatch.context() as patch:
            save = WholeCheckpoints.save_checkpoint

            def stop_after(self, checkpoint, path, epochs=epochs, save=save, **options):
                save(self, checkpoint, path, **options)
                if checkpoint["epoch"] == epochs - 1 and str(path).endswith("last.ckpt"):
                    raise KeyboardInterrupt

            patch.setattr(WholeCheckpoints, "save_checkpoint", stop_after)
            assert main([*SOLVED.split(), str(interrupted)]) == 130
        capsys.readouterr()
        assert main([*SOLVED.split(), str(interrupted)]) == 0
        gone_on = json.loads(capsys.readouterr().out)
        same = ("solved", "steps", "loss", "score")
        assert [gone_on[name] for name in same] == [whole[name] for name in same]
        assert (interrupted / "metrics.csv").read_text() == (tmp_path / "whole/metrics.csv").read_text()
    assert main([word for word in [*SOLVED.split(), str(tmp_path / "whole")] if word != "--json"]) == 0
    assert f"solved      after {whole['solved']} steps" in capsys.readouterr().out


def test_options_stand_in_a_file_and_what_is_typed_counts_instead(tmp_path, capsys):
    options = "cell: RNN\ntask: adding\ntask_options: {length: 4}\nhidden_size: 3\nepochs: 1\nsteps_per_epoch: 2\n"
    (tmp_path / "options.yaml").write_text(options)
    words = [
        "train",
        "--config",
        str(tmp_path / "options.yaml"),
        "--steps_per_epoch",
        "1",
        "--out",
        str(tmp_path / "run"),
    ]
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["cell"], found["task"], found["steps"]) == ("RNN", "adding", 1)
    assert "config" not in json.loads((tmp_path / "run/options.json").read_text())
    (tmp_path / "options.yaml").write_text(options + "hiden_size: 3\n")
    assert main(words) == 2
    assert "hiden_size" in capsys.readouterr().err


def test_another_name_of_a_cell_gives_the_same_weights():
    drawn = [torch.manual_seed(0) and Learner(name, "recall", hidden_size=3).state_dict() for name in ("RNN", "Elman")]
    assert all(torch.equal(weight, drawn[1][name]) for name, weight in drawn[0].items())


OWN = """
from dataclasses import dataclass
from rnnvanish.task import Task
from rnnvanish.tasks import Recall
@dataclass(frozen=True)
class Mine(Task):
    paper, input_size, output_size, floor = Recall.paper, 1, 2, 0.7
    def draw(self, count, generator, part):
        return Recall(3).draw(count, generator, part)
"""


def test_a_task_of_ones_own_is_trained_and_only_the_command_runs_its_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(OWN)
    words = "train --cell GRU --task mine.py:Mine --hidden_size 3 --epochs 1 --steps_per_epoch 1 --json"
    assert main(words.split()) == 0
    checkpoint = json.loads(capsys.readouterr().out)["checkpoint"]
    assert checkpoint.startswith("runs/mine-py-Mine-GRU-")
    assert main(["diagnose", checkpoint]) == 2
    assert "a checkpoint runs no code" in capsys.readouterr().err
