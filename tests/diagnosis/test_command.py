"""`rnnvanish diagnose`: as a user calls it, with what users get wrong."""

import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from torch import nn

from rnnvanish.__main__ import main
from rnnvanish.diagnosis.target import load_target
from rnnvanish.names import WrongUse
from rnnvanish.probes import retention

CLASSIFIER = '''
"""Handwritten digits, read pixel by pixel."""
import torch
from sklearn.datasets import load_digits
from torch import nn


class DigitReader(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(1, 12, batch_first=True)
        self.head = nn.Linear(12, 10)

    def forward(self, pixels):
        output, _ = self.lstm(pixels)
        return self.head(output[:, -1])


def trained():
    digits = load_digits()
    x = torch.tensor(digits.data, dtype=torch.float32).unsqueeze(-1) / 16
    y = torch.tensor(digits.target)
    model = DigitReader()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for step in range(20):
        rows = torch.randint(len(x), (64,))
        loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model, x[:6]
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("user")
    (path / "digits.py").write_text(CLASSIFIER)
    (path / "other.py").write_text(
        textwrap.dedent("""
        import torch
        from torch import nn

        layer = nn.GRU(3, 8, batch_first=True).double()
        pair = nn.RNN(2, 4), torch.zeros(4, 1, 2)
        mlp = nn.Sequential(nn.Linear(2, 3))
        number = 3

        def open_gate():
            module = nn.GRU(1, 4)
            with torch.no_grad():
                module.bias_hh_l0[4:8] = 9.0
            return module, torch.zeros(20, 2, 1)

        def broken():
            return 1 / 0

        def no_recurrence():
            return mlp, torch.zeros(1, 2)
        """)
    )
    (path / "syntax.py").write_text("def f(:\n")
    (path / "fake.ckpt").write_text("not a checkpoint")
    return path


def rnnvanish(folder, *arguments):
    command = [sys.executable, "-m", "rnnvanish", *arguments]
    return subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True, timeout=300)


def test_a_classifier_that_its_user_trained(folder):
    """The whole way, as a process of its own: text, JSON and HTML, a curve a layer with half-life, verdict, cause."""
    done = rnnvanish(folder, "diagnose", "digits.py:trained", "--full", "--out", "report")
    assert done.returncode in (0, 1), done.stderr
    assert (folder / "report/report.txt").read_text() == done.stdout
    layer = json.loads((folder / "report/report.json").read_text())["layers"]["lstm/layer0/forward"]
    assert len(layer["gain"]) == 64
    assert layer["gain"][0] == 1
    assert 0.5 < layer["half_life"] < 64
    assert f"lstm/layer0/forward: {layer['verdict']}" in done.stdout
    assert done.returncode == (layer["verdict"] != "healthy")
    assert layer["cause"].startswith("The forget gates keep 0.")
    page = (folder / "report/report.html").read_text()
    assert f"{layer['half_life']:.3g} steps" in page
    assert "<polyline" in page


def test_targets(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    assert main(["diagnose", "other.py:layer"]) == 1
    assert "GRU/layer0/forward: vanishing" in capsys.readouterr().out
    assert main(["diagnose", "other:pair", "--json"]) == 0  # four steps are not enough to lose a thousandth
    assert list(json.loads(capsys.readouterr().out)["layers"]) == ["RNN/layer0/forward"]
    assert main(["diagnose", "other.py:open_gate"]) == 0


LIT = """
import torch
from pytorch_lightning import LightningModule
from torch import nn
from torch.utils.data import DataLoader


class Forecaster(LightningModule):
    def __init__(self):
        super().__init__()
        self.cell = nn.GRUCell(1, 4)

    def forward(self, x):
        h = x.new_zeros(len(x), 4)
        for now in x.unbind(1):
            h = self.cell(now, h)
        return h

    def training_step(self, batch, index):
        x, y = batch
        return (self(x) - y).square().mean()

    def train_dataloader(self):
        return DataLoader([(torch.randn(9, 1), torch.zeros(4)) for _ in range(12)], batch_size=4)


class WithoutForward(LightningModule):
    def __init__(self):
        super().__init__()
        self.inner = Forecaster()
        self.train_dataloader = self.inner.train_dataloader

    def training_step(self, batch, index):
        return self.inner.training_step(batch, index)


model, without_forward = Forecaster(), WithoutForward()
with_loss = model, model.train_dataloader(), "training_step"
too_many = model, torch.randn(2, 9, 1), torch.zeros(2, 4)
"""


def test_a_lightning_module_brings_its_data_and_a_target_may_bring_its_loss(folder, monkeypatch):
    (folder / "lit.py").write_text(LIT)
    monkeypatch.chdir(folder)
    model, loader, loss = load_target("lit.py:model")
    assert loss is None
    assert [tuple(x.shape) for x, _ in loader] == [(4, 9, 1)] * 3
    assert len(retention(model, loader)["cell"].rates) == 3
    own_loss = retention(*load_target("lit.py:with_loss"))["cell"]
    assert not torch.allclose(own_loss.gain, retention(model, loader)["cell"].gain)
    without_forward = load_target("lit.py:without_forward")
    assert without_forward[2] == "training_step"
    assert list(retention(*without_forward)) == ["inner.cell"]
    with pytest.raises(WrongUse, match=r"gives a Tensor where the loss belongs.*one tuple: \(module, \(x, y\)\)"):
        load_target("lit.py:too_many")


def test_the_same_seed_gives_the_same_report(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    reports = []
    for seed in ("0", "0", "1"):
        main(["diagnose", "other.py:pair", "--seed", seed, "--json"])
        reports.append(json.loads(capsys.readouterr().out)["layers"])
    assert reports[0] == reports[1] != reports[2]


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("other.py:laier", "other.py has no object 'laier'. Did you mean layer? There are: broken, layer,"),
        ("other.py:number", "needs a module, or a function that returns (module, inputs); other.py:number gives 3"),
        ("other.py:mlp", "only you know what it reads"),
        ("other.py:broken", "line 17): ZeroDivisionError: division by zero"),
        ("other.py:no_recurrence", "recurrent layer is needed"),
        ("nothing.py:x", "There is no file nothing.py"),
        ("nothing:x", "No module named 'nothing'"),
        ("syntax.py:f", "SyntaxError"),
        ("a folder/of mine", "needs package.module:object, path.py:object or a checkpoint"),
        (":x", "needs package.module:object, path.py:object or a checkpoint"),
        ("other.py", "other.py:pair (is (module, inputs))"),
        ("nothing.ckpt", "There is no checkpoint nothing.ckpt"),
        ("fake.ckpt", "fake.ckpt is no checkpoint of `rnnvanish train`"),
    ],
)
def test_a_wrong_target_says_what_was_needed(folder, monkeypatch, capsys, target, said):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert main(["diagnose", target]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error


BUILDS = """
from json import loads
import torch
from torch import nn

net = nn.Linear(2, 3)


def build(seed: int = 0):
    def swapped(pair):
        return pair[::-1]

    return nn.GRU(2, 4), torch.randn(9, 2, 2)


def main():
    raise SystemExit("this trains for a week")


def needs(path):
    return net, path
"""
SECOND = """

def other() -> "tuple[nn.Module, torch.Tensor]":
    return build()
"""
LAYERS = """
from torch import nn

layer = nn.LSTM(2, 3)
"""
NOTHING = """
from torch import nn

net = nn.Linear(2, 3)


def main():
    return 3
"""


def test_a_file_without_an_object(tmp_path, monkeypatch, capsys):
    """The only function that returns (module, inputs) is taken; no other function is called."""
    for name, text in {"one": BUILDS, "two": BUILDS + SECOND, "layers": LAYERS, "nothing": NOTHING}.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    for target in ("one.py", "one", "one.py:"):
        model, inputs, _ = load_target(target)
        assert isinstance(model, nn.GRU)
        assert inputs.shape == (9, 2, 2)
        assert f"Diagnosed is {target.rstrip(':')}:build." in capsys.readouterr().err
    assert isinstance(load_target("layers.py")[0], nn.LSTM)
    for target, said in {
        "two.py": r"more than one object that can be diagnosed. Name one: two.py:build \(returns \(module, inputs\)\); two.py:other",
        "nothing.py": r"returns \(module, inputs\), and name it, nothing.py:build. There: net is a Linear, .*main\(\) was not called",
    }.items():
        with pytest.raises(WrongUse, match=said):
            load_target(target)


def test_options_reach_the_diagnosis(monkeypatch, folder, capsys):
    from rnnvanish.diagnosis import command

    monkeypatch.chdir(folder)
    given = {}
    measured = command.diagnose
    monkeypatch.setattr(command, "diagnose", lambda *args, **options: given.update(options) or measured(*args))
    main(["diagnose", "other.py:pair", "--layers", "RNN, head.rnn", "--quick", "--cells", "a,b", "--json"])
    assert given["layers"] == ["RNN", "head.rnn"]
    assert given["cells"] == ["a", "b"]
    assert given["quick"] is True


OWN = """
import torch
from torch import nn


class Step(nn.Module):
    def __init__(self):
        super().__init__()
        self.mix = nn.Linear(6, 4)

    def forward(self, x, h):
        return torch.tanh(self.mix(torch.cat([x, h], 1)))


class Loop(nn.Module):
    def __init__(self, inside):
        super().__init__()
        self.inside, self.step = inside, Step()

    def forward(self, x):
        h = x.new_zeros(x.shape[1], 4)
        for now in x:
            h = torch.tanh(self.step.mix(torch.cat([now, h], 1))) if self.inside else self.step(now, h)
        return h


def module():
    return Loop(False), torch.randn(9, 3, 2)


def inside():
    return Loop(True), torch.randn(9, 3, 2)
"""


def test_steps_are_suggested_as_they_are_typed(tmp_path, monkeypatch, capsys):
    (tmp_path / "own.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    assert main(["diagnose", "own.py:module"]) == 2
    (suggested,) = re.findall(r"say so: (--cells \S+)\.$", capsys.readouterr().err, re.MULTILINE)
    assert main(["diagnose", "own.py:module", *suggested.split(), "--json"]) in (0, 1)
    assert list(json.loads(capsys.readouterr().out)["layers"]) == ["step"]
    assert main(["diagnose", "own.py:inside"]) == 2
    assert "and then: rnnvanish diagnose own.py:inside --cells step" in capsys.readouterr().err


def test_a_checkpoint_of_train(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    sizes = ["--hidden_size", "4", "--epochs", "1", "--steps_per_epoch", "2", "--batch_size", "4", "--monitor", "0"]
    assert main(["train", "--cell", "GRU", "--task", "vowels", "--out", "run", *sizes]) == 0
    (checkpoint,) = Path("run").glob("last.ckpt")
    capsys.readouterr()
    assert main(["diagnose", str(checkpoint), "--json"]) in (0, 1)
    assert list(json.loads(capsys.readouterr().out)["layers"]) == ["recurrent/layer0/forward"]
