"""Copies of models that hold what cannot be copied: they run, take nothing from the model, and write nothing where it writes."""

import logging
import queue
import sqlite3
import tempfile
import threading
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_sequence

from rnnvanish import diagnose
from rnnvanish.observe.model_copy import copy_model


class Plain(nn.Module):
    """Two layers; subclasses hold something besides."""

    def __init__(self):
        super().__init__()
        self.rnn, self.head = nn.RNN(2, 8), nn.Linear(8, 1)
        self.hold()

    def hold(self):
        pass

    def forward(self, x):
        return self.head(self.rnn(x)[0][-1])


class Aside:
    """A plain object that may stand in for anything, and points back to where it is held."""

    def __init__(self, **held):
        vars(self).update(held)
        self.me = self


class Graphs(Plain):
    """Keeps tensors of its last graph, wherever one can."""

    def forward(self, x):
        output, last = self.rnn(x)
        self.last, self.all = last, [output[-1], {"h": last}]
        self.aside = Aside(h=last, packed=pack_sequence([output[:, 0]]))
        self.weight_norms = torch.autograd.grad(output.sum(), self.rnn.weight_hh_l0, create_graph=True)
        self.rnn.note = (last,)
        self.marked = torch.zeros(2)
        self.marked.last = last
        self.slope = torch.zeros(2, requires_grad=True)
        self.slope.grad = last[0, 0, :2] * 1.0
        return self.head(output[-1])


class Locks(Plain):
    def hold(self):
        self.lock, self.guard = threading.Lock(), threading.RLock()
        self.busy, self.done, self.notes = threading.Condition(), threading.Event(), queue.Queue()
        self.lock.acquire()  # somebody else is at it

    def forward(self, x):
        with self.guard, self.busy:
            self.busy.notify_all()
        self.notes.put(1)
        self.notes.get()
        self.done.set()
        if self.lock.acquire(blocking=False):
            self.lock.release()
        return super().forward(x)


class Writer:
    """Writes in a thread of its own, as writers of logs do."""

    def __init__(self):
        self.queue, self.written = queue.Queue(maxsize=3), []
        self.thread = threading.Thread(target=self._work, daemon=True)
        self.thread.start()

    def _work(self):
        while (what := self.queue.get()) is not None:
            self.written.append(what)

    def add(self, what):
        self.queue.put(what)


class Logs(Plain):
    def hold(self):
        self.logger, self.writer = logging.getLogger("tests.stand_ins"), Writer()
        self.file = Path(tempfile.mkdtemp(), "log.txt").open("w")  # noqa: SIM115
        self.temporary = tempfile.NamedTemporaryFile()  # noqa: SIM115

    def forward(self, x):
        for _ in range(5):
            self.logger.warning("seen")
            self.writer.add("seen")
            self.file.write("seen\n")
        return super().forward(x)


class Idle(Plain):
    """Holds what can be given once, and does not use it."""

    def hold(self):
        self.noise = (number for number in range(10))
        self.pairs = zip([1], self.noise, strict=False)
        self.table, self.source = sqlite3.connect(":memory:"), Path(__file__).open()  # noqa: SIM115
        self.module, self.lazy = torch, map(str, [1])


@pytest.mark.parametrize("kind", [Graphs, Locks, Logs, Idle])
def test_a_copy_runs_and_gives_what_the_model_gives(kind):
    torch.manual_seed(0)
    model, x = kind(), torch.randn(30, 3, 2)
    expected = model(x)
    for _ in range(2):
        assert torch.equal(copy_model(model)(x), expected)
    assert torch.equal(model(x), expected)


@pytest.mark.parametrize("kind", [Graphs, Locks, Idle])
def test_cures_are_tried(kind):
    torch.manual_seed(0)
    model, x = kind(), torch.randn(30, 3, 2)
    model(x)
    found = diagnose(model, x, quick=True)
    assert found.curves["rnn/layer0/forward"].advice
    assert not any(kind.__name__ in said and "suits" not in said for said in found.unfit.values())


def test_a_copy_holds_on_to_no_graph():
    torch.manual_seed(0)
    model, x = Graphs(), torch.randn(5, 3, 2)
    model(x)
    kept = copy_model(model)
    assert torch.equal(kept.last, model.last)
    assert kept.aside.me is kept.aside
    assert kept.aside is not model.aside
    assert kept.all[1]["h"] is kept.last is kept.aside.h is kept.rnn.note[0] is kept.marked.last
    assert torch.equal(kept.slope.grad, model.slope.grad)
    for tensor in (kept.last, kept.all[0], kept.aside.packed.data, *kept.weight_norms, kept.slope.grad):
        assert tensor.grad_fn is None
    assert model.last.grad_fn is not None


def test_a_copy_writes_nothing_where_the_model_writes(caplog):
    model, x = Logs(), torch.randn(5, 3, 2)
    copied = copy_model(model)
    copied(x)
    assert caplog.messages == []
    assert model.writer.queue.empty()
    assert model.writer.written == []
    model.file.flush()
    assert Path(model.file.name).read_text() == ""
    del copied
    assert Path(model.temporary.name).exists()
    model(x)
    assert len(caplog.messages) == 5


def test_what_can_be_given_once_is_not_taken_from_the_model():
    class Taking(Plain):
        def hold(self):
            self.noise = {"left": (0.1 * number for number in range(1000))}

        def forward(self, x):
            return super().forward(x + next(self.noise["left"]))

    model, x = Taking(), torch.randn(30, 3, 2)
    copied = copy_model(model)
    with pytest.raises(
        ValueError, match=r"Taking.noise\['left'\], a generator, cannot be copied, so that a second run"
    ):
        copied(x)
    assert next(model.noise["left"]) == 0.0
