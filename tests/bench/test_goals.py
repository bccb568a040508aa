"""Goals, and how far a measurement is from them."""

import pytest
import torch

from bench.goals import __main__ as goals
from bench.goals.verdicts import verdicts
from rnnvanish import cells


def line(tables, start):
    (found,) = [each for each in verdicts(tables) if each[0].startswith(start)]
    return found[1:]


def rows(column, **values):
    return {name.replace("_", " ").replace("is", "="): {column: value} for name, value in values.items()}


def test_a_goal_for_every_size_goes_by_the_worst_that_it_speaks_of():
    tables = {
        "torch": rows(
            "floor", GRU_stepsis64_batchis32_hiddenis64=1.5, GRU_stepsis64_batchis32_hiddenis128=2.0,
            GRU_stepsis64_batchis1_hiddenis128=9.0, GRU_stepsis64_batchis32_hiddenis32=9.0,
        )
    }  # fmt: skip
    worst = "2 (GRU steps=64 batch=32 hidden=128)"
    assert line(tables, "Bare products") == ["1.6", "1.8", worst, "missed by 25%; 1 of 2 are inside"]


def test_a_goal_for_the_middle_goes_by_the_worst_cell_that_it_speaks_of():
    tables = {"reference": rows("reference", GRU_batchis1=0.1, GRU_batchis2=0.2, GRU_batchis3=0.9, LSTM_batchis1=0.5)}
    tables["reference"]["Other batch=1"] = {"reference": 1.0}
    goal = "Our own plain loop, the cells of torch.nn"
    assert line(tables, goal) == ["0.4", "0.35", "0.9 (GRU batch=3)", "missed by 25%"]
    tables["reference"].pop("LSTM batch=1")
    assert line(tables, goal)[-1] == "kept"
    assert line(tables, "Our own plain loop, every cell")[-1] == "kept; 4 of 4 are inside"


def test_what_was_not_measured_is_not_kept():
    assert line({}, "Two threads") == ["1", "–", "–", "not measured"]


@pytest.mark.parametrize("name", ["GRU", "LSTM", "LRU", "S4D", "MLSTM"])
def test_the_numbers_of_a_state_are_those_that_a_step_hands_on(name):
    state = cells.ALL[name](3, 16)(torch.zeros(1, 3), cells.ALL[name](3, 16).initial_state(torch.zeros(1, 3)))
    assert goals.numbers(name, 16) == sum(part.element_size() // 4 * part.numel() for part in state)


def test_every_cell_has_a_row_at_every_size_and_large_states_fewer_steps():
    sizes = {}
    for row, _ in goals.against_reference():
        cell, steps, *size = row.split()
        sizes.setdefault(cell, []).append(tuple(size))
        assert steps == "steps=256" or cell not in ("GRU", "LSTM", "LMU")
    assert sizes.keys() == cells.ALL.keys()
    assert len({tuple(each) for each in sizes.values()}) == 1


def test_a_gru_is_a_goal_where_products_alone_leave_room_for_it(monkeypatch):
    monkeypatch.setattr(goals, "BUDGET", 0.0)
    monkeypatch.setattr(goals, "layers_of_input", lambda blocks, x, width: lambda: sum(range(1000 * blocks)))
    measure = dict(goals.against_gru())["SRU steps=256 batch=32 input=16 hidden=64"]
    row = measure()
    assert row["blocks"] == 4
    assert row["possible"] == row["gru"]
    monkeypatch.setattr(goals, "WITHOUT_PRODUCT", row["share"] / 1000)
    assert "possible" not in measure()


def test_a_parallel_form_is_measured_beside_steps_that_never_become_it(monkeypatch):
    monkeypatch.setattr(goals, "BUDGET", 0.0)
    rows = dict(goals.parallel_forms())
    assert {row.split()[0] for row in rows} == {"S4D", "MLSTM", "DeltaNet"}
    row = rows["S4D steps=4 batch=1 hidden=16 inference"]()
    assert row["better"] == max(row["step"], row["parallel"])
    x, stepped = torch.randn(4, 2, 16), goals.step_by_step("S4D", 16)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cells.S4D, "parallel", None)
        outputs = stepped(x)[0]
    torch.testing.assert_close(outputs, goals.AllAtOnce(stepped)(x)[0], atol=1e-5, rtol=1e-5)
