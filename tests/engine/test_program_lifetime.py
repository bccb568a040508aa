"""How long programs live, and how many there are."""

import gc
import itertools
import weakref

from program_cells import Base, X, built, compiled, numbers, same

from rnnvanish import cells
from rnnvanish.engine import programs, run


class Big:
    numbers = (1,)


def test_what_a_cell_holds_is_freed_with_it_and_so_is_what_was_refused(log):
    def lives(prepare):
        class Holding(Base):
            def factor(self):
                return 0.5 if self.big.numbers else 0.7

        layer = built(Holding)
        cell = layer.cells[0]
        cell.big, cell.circle = Big(), [cell]
        prepare(cell)
        numbers(layer, "auto")
        assert compiled(layer) == (prepare is free)
        return [weakref.ref(each) for each in (layer, cell, cell.big, cell.from_x, cell.from_x.weight, Holding)]

    def free(cell):
        cell.method = cell.factor

    def refused(cell):
        cell.big.numbers = itertools.count()

    def patched(cell):
        old = cell.forward
        cell.forward = lambda x, state: old(x, state)

    before = len(programs._cells)
    for prepare in (free, refused, patched):
        left = lives(prepare)
        gc.collect()
        assert [each() for each in left] == [None] * len(left)
    assert len(programs._cells) <= before


def test_the_table_of_programs_has_a_bound(monkeypatch):
    monkeypatch.setattr(run, "_programs", {})
    monkeypatch.setattr(programs, "IDLE_PROGRAMS", 2)
    kinds = [type(f"Elman{number}", (cells.ALL["Elman"],), {}) for number in range(4)]
    for kind in kinds:
        for _ in range(3):
            built(kind)(X)
        gc.collect()
    assert len(run._programs) <= 3
    layers = [built(kind) for kind in kinds]
    for layer in layers * 2:
        layer(X)
    assert all(map(compiled, layers))  # what is in use stays


def test_settings_that_change_at_every_call_make_no_program_for_each(log, monkeypatch):
    monkeypatch.setattr(run, "_programs", {})

    class Cooling(Base):
        heat = 1.0

        def factor(self):
            return self.heat

    layer = built(Cooling)
    for step in range(programs.RECOMPILE_LIMIT + 4):
        layer.cells[0].heat = 1.0 - step / 100
        same(numbers(layer, "auto"), numbers(layer, "reference"))
        layer.cells[0].unread = step
        layer(X)
    assert len(run._programs) == programs.RECOMPILE_LIMIT + 1
    assert ["change from call to call" in message for message in log.messages] == [True]
