"""The browser draws what torch draws at the same seed: numbers, first weights, batches; and a training goes the same way."""

import pytest
import torch
from torch import nn

from rnnvanish import tasks
from rnnvanish.task import stream
from rnnvanish.training.data import TaskData
from rnnvanish.training.learner import Learner

DOUBLE = torch.float64
STARTS = [  # a start of the engine, its option, what `mitigations` calls it, and how far floats may be off
    ("torch", None, "", 0),
    ("glorot", None, "Glorot", 0),
    ("orthogonal", 1.2, "OrthogonalStart(1.2)", 3e-6),
    ("open", 2, "OpenGate(2.0)", 0),
    ("chrono", 30, "Chrono(span=30)", 3e-7),
]


def drawn(engine, code):
    return torch.tensor(engine.evaluate(code), dtype=DOUBLE)


def test_numbers(engine):
    for count in (7, 16, 40, 1000):
        torch.manual_seed(3)
        ours = drawn(engine, f"[...new rv.Twister(3).fillNormal(new Float64Array({count}))]")
        assert ours.equal(torch.randn(count, dtype=DOUBLE)), count
        torch.manual_seed(3)
        ours = drawn(engine, f"[...new rv.Twister(3, true).fillNormal(new Float64Array({count}))]")
        torch.testing.assert_close(ours, torch.randn(count).double(), rtol=0, atol=2e-6)
    torch.manual_seed(2**40 + 5)  # torch, too, reads the low 32 bits alone
    ours = drawn(
        engine,
        "(() => { const r = new rv.Twister(2 ** 40 + 5); return Array.from({length: 700}, () => r.below(7)); })()",
    )
    assert ours.equal(torch.randint(7, (700,)).double())


@pytest.mark.parametrize(("cell", "kind"), [("Elman", nn.RNN), ("LSTM", nn.LSTM), ("GRU", nn.GRU)])
def test_plain_torch(engine, cell, kind):
    torch.manual_seed(7)
    layers, out = kind(3, 11, 2, dtype=DOUBLE), nn.Linear(11, 2, dtype=DOUBLE)
    options = f"{{cell: '{cell}', inputs: 3, units: 11, layers: 2}}"
    script = f"const net = new rv.Network({options}), r = new rv.Twister(7); rv.starts.module(net, r);"
    found = engine.evaluate(
        f"(() => {{ {script} return Object.entries(net.weights).map(([k, v]) => [k, [...v]]); }})()"
    )
    theirs = dict(layers.named_parameters()) | {f"out.{name}": weight for name, weight in out.named_parameters()}
    assert [name for name, _ in found] == list(theirs)
    for name, values in found:
        ours = torch.tensor(values, dtype=DOUBLE).view_as(theirs[name])
        torch.testing.assert_close(ours, theirs[name].detach(), rtol=0, atol=1e-16)
        assert "out" in name or ours.equal(theirs[name])


def weights_of(learner):
    """The weights of a Learner by the engine's names."""
    found = {}
    for name, weight in learner.named_parameters():
        *_, layer, part = name.split(".")
        if "attention" in name or "readout" in name:
            found[f"{layer}.{part}".replace("readout", "out")] = weight
        else:
            index = name.partition("cells.")[2].partition(".")[0]
            kind = {"from_x": "ih", "from_h": "hh"}.get(layer)
            found[f"{part}_{kind}_l{index}" if kind else f"slope_l{index}"] = weight
    return {name: weight.detach().double() for name, weight in found.items()}


def hold(engine, call, learner, tolerance):
    found = engine.evaluate(f"(() => {{ {call} return Object.entries(net.weights).map(([k, v]) => [k, [...v]]); }})()")
    theirs = weights_of(learner)
    assert {name for name, _ in found} == set(theirs)
    for name, values in found:
        ours = torch.tensor(values, dtype=DOUBLE).view_as(theirs[name])
        torch.testing.assert_close(
            ours, theirs[name], rtol=0, atol=tolerance, msg=lambda said, name=name: f"{name}: {said}"
        )


@pytest.mark.parametrize("cell", ["LSTM", "GRU"])
@pytest.mark.parametrize(("start", "option", "mitigation", "tolerance"), STARTS)
def test_learners(engine, cell, start, option, mitigation, tolerance):
    more = "AttentionOverPast, " if start == "glorot" else ""
    torch.manual_seed(5)
    learner = Learner(cell, "recall", hidden_size=20, num_layers=2, mitigations=f"{more}{mitigation}")
    options = f"{{cell: '{cell}', units: 20, layers: 2, attention: {'true' if more else 'false'}}}"
    given = f"'{start}', {option}" if option is not None else f"'{start}'"
    hold(
        engine,
        f"const net = new rv.Network({options}); rv.draw(net, new rv.Twister(5, true), {given});",
        learner,
        tolerance,
    )


@pytest.mark.parametrize(
    ("activation", "start", "mitigation", "tolerance"),
    [
        ("tanh", "torch", "", 0),
        ("relu", "he", "He", 3e-6),
        ("prelu", "he", "He", 3e-6),
        ("relu", "identity", "Identity", 0),
    ],
)
def test_learners_without_gates(engine, activation, start, mitigation, tolerance):
    torch.manual_seed(5)
    learner = Learner(
        "Elman", "adding", hidden_size=20, cell_options={"nonlinearity": activation}, mitigations=mitigation
    )
    options = f"{{cell: 'Elman', activation: '{activation}', units: 20, inputs: 2, outputs: 1, readout: 'linear'}}"
    hold(
        engine,
        f"const net = new rv.Network({options}); rv.draw(net, new rv.Twister(5, true), '{start}');",
        learner,
        tolerance,
    )


def test_several_starts_one_after_the_other(engine):
    torch.manual_seed(5)
    learner = Learner("LSTM", "recall", hidden_size=16, mitigations="OrthogonalStart, Chrono(span=30)")
    draw = "rv.draw(net, new rv.Twister(5, true), [['orthogonal'], ['chrono', 30]]);"
    hold(engine, f"const net = new rv.Network(); {draw}", learner, 3e-6)


def test_keras(engine):
    torch.manual_seed(5)
    layer = nn.LSTM(3, 16, dtype=DOUBLE)
    nn.Linear(16, 2, dtype=DOUBLE)
    nn.init.xavier_uniform_(layer.weight_ih_l0)
    nn.init.orthogonal_(layer.weight_hh_l0)
    script = "const net = new rv.Network({inputs: 3}), r = new rv.Twister(5); rv.starts.module(net, r); rv.starts.keras(net, r);"
    for name in ("weight_ih_l0", "weight_hh_l0"):
        ours = drawn(engine, f"(() => {{ {script} return [...net.weights.{name}]; }})()")
        torch.testing.assert_close(ours, getattr(layer, name).detach().flatten(), rtol=0, atol=1e-14)
    ours = drawn(engine, f"(() => {{ {script} return [...net.weights.bias_ih_l0, ...net.weights.bias_hh_l0]; }})()")
    assert ours.view(2, 4, 16).sum(0).equal(torch.tensor([0.0, 1, 0, 0], dtype=DOUBLE)[:, None].expand(4, 16))


@pytest.mark.parametrize(("name", "lag"), [("recall", 12), ("adding", 13), ("copying", 15)])
def test_batches(engine, name, lag):
    task = tasks.ALL[name](**tasks.ALL[name].options_at(lag))
    assert engine.evaluate(f"rv.tasks.{name}.options({lag})") == tasks.ALL[name].options_at(lag)
    assert engine.evaluate(f"rv.tasks.{name}.floor({lag})") == pytest.approx(task.floor, rel=1e-15)
    data = TaskData(task, batch_size=9, steps_per_epoch=50, seed=3)
    for place, batch in [("'train', 3, 2, 17", data.train_batch(2, 17)), ("'test', 3", data.test_batch())]:
        count = batch.inputs.shape[1]
        script = f"const net = new rv.Network({{...rv.tasks.{name}.shape({lag}), batch: {count}, units: 1}});"
        script += f"rv.batch(rv.tasks.{name}, net, {place}); return [[...net.x], [...net.y]];"
        x, y = engine.evaluate(f"(() => {{ {script} }})()")
        x = torch.tensor(x, dtype=DOUBLE).view_as(batch.inputs)
        torch.testing.assert_close(x, batch.inputs.double(), rtol=0, atol=2e-6 if name == "recall" else 0)
        assert torch.tensor(y, dtype=DOUBLE).view_as(batch.targets).equal(batch.targets.double())


def test_names_of_streams(engine):
    for name in [("train", 2**62 - 1), (0,), (12, 3, 4), ("a", "b", 5)]:
        given = ", ".join(f"'{part}'" if isinstance(part, str) else f"{part}n" for part in name)
        ours = drawn(engine, f"(() => {{ const r = rv.stream({given}); return [r.below(1000), r.below(1000)]; }})()")
        assert ours.equal(torch.randint(1000, (2,), generator=stream(*name)).double()), name
