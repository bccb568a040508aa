"""Goals, and how far a measurement is from them."""

from bench.goals.verdicts import verdicts


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


def test_a_goal_for_the_middle_goes_by_the_worst_cell():
    tables = {"reference": rows("reference", A_batchis1=0.1, A_batchis2=0.2, A_batchis3=0.9, B_batchis1=0.5)}
    assert line(tables, "Our own") == ["0.4", "0.35", "0.9 (A batch=3)", "missed by 25%"]
    tables["reference"].pop("B batch=1")
    assert line(tables, "Our own")[-1] == "kept"


def test_what_was_not_measured_is_not_kept():
    assert line({}, "Our own") == ["0.4", "–", "–", "not measured"]
