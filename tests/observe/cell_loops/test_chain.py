"""Steps that hand one state to each other, and those that only read each other."""

import re

import pytest
import torch
from torch import nn

from rnnvanish.probes import retention

TIME, BATCH, WIDTH = 9, 3, 4


class Flow(nn.Module):
    """From one time to the next."""

    def __init__(self):
        super().__init__()
        self.slope = nn.Linear(WIDTH, WIDTH)

    def forward(self, state, gap):
        return state + gap * self.slope(state).tanh()


class Update(nn.Module):
    def __init__(self):
        super().__init__()
        self.read, self.keep = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x, state):
        return torch.tanh(self.read(x) + self.keep(state))


class Chain(nn.Module):
    """One state that goes through several steps in turn, the last of which reads the input."""

    def __init__(self, update, flows=1, factor=1.0):
        super().__init__()
        self.flows, self.update, self.factor = nn.ModuleList(Flow() for _ in range(flows)), update, factor

    def forward(self, x):
        state = x.new_zeros(BATCH, WIDTH)
        for now in x:
            for flow in self.flows:
                state = flow(state, torch.tensor(0.3)) * self.factor
            state = self.update(now, state)
        return state


class Feedback(nn.Module):
    """Two steps with a state of their own each: the lower one reads what the upper one had returned."""

    def __init__(self):
        super().__init__()
        self.lower, self.upper = Update(), Update()

    def forward(self, x):
        low = high = x.new_zeros(BATCH, WIDTH)
        for now in x:
            low = self.lower(now + high, low)
            high = self.upper(low, high)
        return high


def inputs():
    torch.manual_seed(0)
    return torch.randn(TIME, BATCH, WIDTH)


@pytest.mark.parametrize("factor", [1.0, 0.9])
@pytest.mark.parametrize("flows", [1, 2])
def test_of_a_chain_the_last_step_is_proposed_and_naming_all_is_refused(flows, factor):
    x, model = inputs(), Chain(Update(), flows, factor)
    with pytest.raises(ValueError, match="A recurrent layer is needed") as refused:
        retention(model, x)
    (suggestion,) = re.findall(r"say so: cells=(\[.*?\])\.", str(refused.value))
    assert eval(suggestion) == ["update"]
    ((_, curve),) = retention(model, x, cells=["update"]).items()
    assert len(curve.gain) == TIME
    every = ["update", *(f"flows.{place}" for place in range(flows))]
    some = ", ".join(every[1:])
    with pytest.raises(
        ValueError, match=f"^{some} and update hand one state to each other.*Leave {some} out of cells="
    ):
        retention(model, x, cells=every)


def test_beside_a_cell_of_torch_the_step_is_left_out():
    x, model = inputs(), Chain(nn.GRUCell(WIDTH, WIDTH))
    assert len(retention(model, x)["update"].gain) == TIME
    with pytest.raises(ValueError, match=r"Leave flows\.0 out of cells="):
        retention(model, x, cells=["flows.0"])


def test_steps_that_read_each_other_are_loops_of_their_own():
    x, model = inputs(), Feedback()
    with pytest.raises(ValueError, match=r'cells=\["lower", "upper"\]'):
        retention(model, x)
    curves = retention(model, x, cells=["lower", "upper"])
    assert [len(curve.gain) for curve in curves.values()] == [TIME, TIME]


class Halved(nn.Module):
    """A step that has a torch cell, and does something behind it."""

    def __init__(self):
        super().__init__()
        self.cell = nn.GRUCell(3, 4)

    def forward(self, x, h):
        return 0.5 * self.cell(x, h)


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.step = Halved()

    def forward(self, x):
        h = x.new_zeros(x.shape[1], 4)
        for now in x:
            h = self.step(now, h)
        return h


def test_a_step_that_calls_another_by_itself_is_no_chain():
    torch.manual_seed(0)
    model, x = Reader().double(), torch.randn(6, 2, 3).double()
    (name,), (curve,) = zip(*retention(model, x, cells=["step"]).items(), strict=True)
    assert name == "step"
    h, states = x.new_zeros(2, 4), []
    for now in x:
        h = model.step(now, h)
        states.append(h)
    norms = torch.stack([each.norm(dim=1) for each in torch.autograd.grad(h.sum(), states)]).flip(0)
    torch.testing.assert_close(curve.gain, (norms / norms[0]).log().mean(1).exp(), rtol=1e-10, atol=0)
