"""A compiled program is never older than what it was made from, and nobody's memory is kept for it."""

import enum
import functools
import sys
import types
from collections import OrderedDict, deque
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from program_cells import Base, X, built, compiled, numbers, same
from torch import nn
from torch.nn.utils import parametrizations, parametrize

from rnnvanish import cells, mitigations
from rnnvanish.engine import run


class Colour(enum.Enum):
    RED, BLUE = 0.5, 0.25


class Number(float):
    pass


@dataclass
class Settings:
    gain: float = 0.5
    inner: dict = field(default_factory=lambda: {"gains": [0.5, {"deep": (0.5, [0.5])}]})


class Slotted:
    __slots__ = ("gain",)

    def __init__(self):
        self.gain = 0.5


GAIN, UNREAD = 0.5, 0
OPTIONS = {"gain": 0.5}
helper_module = types.ModuleType("helper_module")
exec("GAIN = 0.5\ndef gain():\n    return GAIN\n", helper_module.__dict__)  # noqa: S102


def through_globals():
    return GAIN * OPTIONS["gain"] * helper_module.gain()


def with_default(gain=0.5, *, also=0.5):
    return gain * also


def over(gain):
    def inner():
        return gain

    return inner


def set_gain(gain):
    def change(holder):
        holder["gain"] = gain

    return change


def attribute(start, read, **changes):
    """A cell with an attribute; what its step reads of it; and what is done to it."""

    class Mine(Base):
        def __init__(self, input_size, hidden_size):
            super().__init__(input_size, hidden_size)
            self.held = start()

        def factor(self):
            return read(self.held)

    return [pytest.param(Mine, lambda layer, do=do: do(layer.cells[0]), id=name) for name, do in changes.items()]


def put(**attributes):
    return lambda cell: [setattr(cell, name, value) for name, value in attributes.items()]


def on(change):
    return lambda cell: change(cell.held)


CASES = [
    *attribute(lambda: 0.5, float, number=put(held=0.7)),
    *attribute(lambda: {"gain": 0.5}, lambda held: held["gain"], dict=on(lambda held: held.update(gain=0.7))),
    *attribute(lambda: OrderedDict(gain=0.5), lambda held: held["gain"], ordered=on(lambda held: held.update(gain=0.7))),
    *attribute(
        lambda: {"gain": 0.5}, lambda held: sum(held.values()), dict_grows=on(lambda held: held.update(more=0.2))
    ),
    *attribute(lambda: [0.5, 0.5], sum, list=on(lambda held: held.append(0.7)), item=on(lambda held: held.__setitem__(0, 0.7))),
    *attribute(lambda: deque([0.5]), sum, deque=on(lambda held: held.append(0.7))),
    *attribute(lambda: {0.5}, sum, set=on(lambda held: held.add(0.7))),
    *attribute(lambda: ([0.5],), lambda held: held[0][0], in_a_tuple=on(lambda held: held[0].__setitem__(0, 0.7))),
    *attribute(
        Settings, lambda held: held.gain * held.inner["gains"][1]["deep"][1][0], dataclass=on(lambda held: setattr(held, "gain", 0.7)),
        nested=on(lambda held: held.inner["gains"][1]["deep"][1].__setitem__(0, 0.7)),
        exchanged=put(held=Settings(0.7)),
    ),
    *attribute(lambda: types.SimpleNamespace(gain=0.5), lambda held: held.gain, namespace=on(lambda held: setattr(held, "gain", 0.7))),
    *attribute(Slotted, lambda held: held.gain, slots=on(lambda held: setattr(held, "gain", 0.7))),
    *attribute(lambda: np.array([0.5, 0.5]), lambda held: float(held[0]), array=on(lambda held: held.__setitem__(0, 0.7))),
    *attribute(lambda: np.float64(0.5), lambda held: held, numpy_number=put(held=np.float64(0.7))),
    *attribute(
        lambda: torch.tensor(0.5), lambda held: held, tensor=on(lambda held: held.mul_(2)),
        tensor_data=on(lambda held: held.data.mul_(2)), tensor_numpy=on(lambda held: held.numpy().fill(0.7)),
    ),
    *attribute(lambda: [torch.tensor(0.5)], lambda held: held[0], tensors=on(lambda held: held[0].mul_(2))),
    *attribute(lambda: functools.partial(with_default, 0.5), lambda held: held(), partial=put(held=functools.partial(with_default, 0.7))),
    *attribute(lambda: over(0.5), lambda held: held(), closure=put(held=over(0.7))),
    *attribute(lambda: True, lambda held: 0.5 if held is True else 0.7, one_for_true=put(held=1)),
    *attribute(lambda: 1, lambda held: 0.5 / held if isinstance(held, int) else 0.7, float_for_int=put(held=1.0)),
    *attribute(lambda: 0.0, lambda held: 1 / torch.full((8,), held), minus_zero=put(held=-0.0)),
    *attribute(lambda: (0.0,), lambda held: 1 / torch.full((8,), held[0]), minus_zero_in_a_tuple=put(held=(-0.0,))),
    *attribute(lambda: 0.5, lambda held: held, nan=put(held=float("nan"))),
    *attribute(lambda: Colour.RED, lambda held: held.value, enum=put(held=Colour.BLUE)),
    *attribute(lambda: Number(0.5), lambda held: 0.5 if type(held) is float else 0.7, subclass_of_float=put(held=0.5)),
    *attribute(lambda: "tanh", lambda held: getattr(torch, held)(torch.ones(8)), word=put(held="relu")),
]  # fmt: skip


@pytest.mark.parametrize(("cell", "change"), CASES)
def test_what_a_cell_holds(cell, change):
    layer = built(cell)
    same(numbers(layer, "auto"), numbers(layer, "reference"))
    assert compiled(layer)
    for each in (layer, built(cell)):
        change(each)
        same(numbers(each, "auto"), numbers(each, "reference"))
        assert compiled(each)
    same(numbers(built(cell), "auto"), numbers(built(cell), "reference"))


class Globals(Base):
    def factor(self):
        return through_globals()


class Inheriting(Base):
    own = 0.5

    def factor(self):
        return self.inherited * self.own


class Default(Base):
    def factor(self, gain=0.5):
        return gain * with_default()


class Closing(Base):
    factor = None


def closing():
    gain = 0.5

    class Closes(Base):
        def factor(self):
            return gain

        def change(self):
            nonlocal gain
            gain = 0.7

    return Closes


Closes = closing()
HERE = sys.modules[__name__]


def new_code():
    exec("def helper():\n    return 0.7\n", HERE.__dict__)  # noqa: S102


def helper():
    return 0.5


class Helped(Base):
    def factor(self):
        return helper()


class Named(Base):
    """A helper by the name that an attribute has."""

    way = "half"

    def factor(self):
        return getattr(self, self.way)()

    def half(self):
        return 0.5

    def most(self):
        return 0.7


class Prop(Base):
    @property
    def gain(self):
        return OPTIONS["gain"]

    @staticmethod
    def also():
        return GAIN

    def factor(self):
        return self.gain * self.also()


OUTSIDE = [
    (Globals, "GAIN", lambda patch: patch.setattr(HERE, "GAIN", 0.7)),
    (Globals, "a dict among the globals", lambda patch: patch.setitem(OPTIONS, "gain", 0.7)),
    (Globals, "a global of another module", lambda patch: patch.setattr(helper_module, "GAIN", 0.7)),
    (Globals, "a function of another module", lambda patch: patch.setattr(helper_module, "gain", lambda: 0.7)),
    (Globals, "a function", lambda patch: patch.setattr(HERE, "through_globals", lambda: 0.7)),
    (Inheriting, "a class attribute", lambda patch: patch.setattr(Inheriting, "own", 0.7)),
    (Inheriting, "that of a base", lambda patch: patch.setattr(Base, "inherited", 0.7)),
    (Inheriting, "one that hides that of a base", lambda patch: patch.setattr(Inheriting, "inherited", 0.7, raising=False)),
    (Default, "a default argument", lambda patch: patch.setattr(Default.factor, "__defaults__", (0.7,))),
    (Default, "that of a helper", lambda patch: patch.setattr(with_default, "__defaults__", (0.7,))),
    (Default, "one by name", lambda patch: patch.setattr(with_default, "__kwdefaults__", {"also": 0.7})),
    (Closes, "a variable of a closure", lambda patch: Closes.change(None)),
    (Helped, "a function that is defined again", lambda patch: (patch.setattr(HERE, "helper", helper), new_code())),
    (Helped, "the code of a function", lambda patch: patch.setattr(helper, "__code__", (lambda: 0.7).__code__)),
    (Helped, "a method", lambda patch: patch.setattr(Helped, "factor", lambda self: 0.7)),
    (Helped, "forward", lambda patch: patch.setattr(Helped, "forward", lambda self, x, state: (self.from_x(x),))),
    (Helped, "forward of a base", lambda patch: patch.setattr(Base, "forward", lambda self, x, state: (self.from_x(x),))),
    (Helped, "forward of torch's", lambda patch: patch.setattr(nn.Linear, "forward", lambda self, x: x @ self.weight.T)),
    (Helped, "a function of torch", lambda patch: patch.setattr(torch, "tanh", torch.sigmoid)),
    (Named, "which helper", lambda patch: patch.setattr(Named, "way", "most")),
    (Named, "a helper of that name", lambda patch: patch.setattr(Named, "half", lambda self: 0.7)),
    (Prop, "what a property reads", lambda patch: patch.setitem(OPTIONS, "gain", 0.7)),
    (Prop, "a property", lambda patch: patch.setattr(Prop, "gain", property(lambda self: 0.7))),
    (Prop, "what a static method reads", lambda patch: patch.setattr(HERE, "GAIN", 0.7)),
    (Prop, "torch's default dtype", lambda patch: patch.setattr(Prop, "factor", lambda self: torch.tensor(0.7).float())),
]  # fmt: skip


@pytest.mark.parametrize(
    ("cell", "change"), [(cell, change) for cell, _, change in OUTSIDE], ids=[name for _, name, _ in OUTSIDE]
)
def test_what_a_step_reads_elsewhere(cell, change, monkeypatch):
    layer = built(cell)
    before = numbers(layer, "auto")
    same(before, numbers(layer, "reference"))
    assert compiled(layer)
    with monkeypatch.context() as patch:
        change(patch)
        for each in (layer, built(cell)):
            now = numbers(each, "auto")
            same(now, numbers(each, "reference"))
            assert compiled(each)
        assert cell is Prop or not torch.equal(now[0], before[0])
    if cell is not Closes:
        same(numbers(layer, "auto"), before)


def test_what_a_step_does_not_read_makes_no_new_program(monkeypatch):
    layer = built(Helped)
    layer(X)
    before = dict(run._programs)
    layer.cells[0].note = {"not": "read"}
    monkeypatch.setattr(HERE, "UNREAD", 1)
    monkeypatch.setattr(Base, "note", 1, raising=False)
    layer(X)
    with torch.no_grad():
        layer.cells[0].from_x.weight.mul_(0.5)
    layer.load_state_dict(layer.state_dict())
    layer(X)
    assert run._programs == before


def test_a_submodule_that_is_exchanged_and_the_mode(log):
    layer = built(cells.ALL["Elman"])
    layer(X)
    cell = layer.cells[0]

    class Doubled(nn.Linear):
        def forward(self, x):
            return 2 * super().forward(x)

    for module in (
        nn.Linear(8, 8, bias=False),
        Doubled(8, 8),
        nn.Sequential(nn.Linear(8, 8), nn.ReLU()),
        nn.Linear(8, 8),
    ):
        cell.from_h = module
        same(numbers(layer, "auto"), numbers(layer, "reference"))
        assert compiled(layer)
    parametrizations.orthogonal(cell.from_h)
    same(numbers(layer, "auto"), numbers(layer, "reference"))
    parametrize.remove_parametrizations(cell.from_h, "weight")
    same(numbers(layer, "auto"), numbers(layer, "reference"))
    dropped = mitigations.Zoneout()(layer)
    for _ in range(2):
        dropped.train()
        torch.manual_seed(1)
        ours = numbers(dropped, "auto")
        torch.manual_seed(1)
        same(ours, numbers(dropped, "reference"))
        dropped.eval()
        same(numbers(dropped, "auto"), numbers(dropped, "reference"))
    assert not log.records


def test_tensors_that_are_no_parameters_are_never_constants_without_a_word(log):
    """A gradient would be lost; what is too large to be compared at every call would grow old."""

    class Outside(Base):
        def factor(self):
            return self.gain[0]

    for gain in (torch.tensor(0.5, requires_grad=True), torch.full((100_000,), 0.5)):
        layer = built(Outside)
        layer.cells[0].gain = [gain] if gain.dim() == 0 else gain
        y, _ = layer(X)
        layer.engine = "reference"
        torch.testing.assert_close(y, layer(X)[0])
        if gain.requires_grad:
            assert torch.autograd.grad(y.sum(), gain)[0].abs() > 0
        assert not compiled(layer)
    assert len(log.records) == 2


def test_a_parameter_that_is_held_twice_has_its_gradient():
    class Twice(Base):
        def __init__(self, input_size, hidden_size):
            super().__init__(input_size, hidden_size)
            self.weights = [self.from_x.weight]

        def factor(self):
            return self.weights[0].sum()

    layer = built(Twice)
    same(numbers(layer, "auto"), numbers(layer, "reference"))
