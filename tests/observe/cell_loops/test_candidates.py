"""Where no layer is known: what may be a step is named, so that the suggestion works when it is pasted."""

import re

import pytest
import torch
from torch import nn

from rnnvanish.probes import retention

TIME, BATCH, INPUT, WIDTH = 70, 3, 2, 4  # more steps than are learned from


class Plain(nn.Module):
    def __init__(self, size=INPUT):
        super().__init__()
        self.read, self.keep = nn.Linear(size, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x, h):
        return torch.tanh(self.read(x) + self.keep(h))


class Gated(nn.Module):
    """Takes its state as a keyword, and returns it beside an output."""

    def __init__(self, size=INPUT):
        super().__init__()
        self.mix = nn.Linear(size + WIDTH, 3 * WIDTH)

    def forward(self, x, *, state):
        keep, gate, new = self.mix(torch.cat([x, state["h"]], -1)).chunk(3, -1)
        c = keep.sigmoid() * state["c"] + new.tanh()
        h = gate.sigmoid() * c.tanh()
        return h, {"h": h, "c": c}


class Layer(nn.Module):
    def __init__(self, step, size=INPUT, mask=None):
        super().__init__()
        self.cell, self.head, self.mask = step(size), nn.Linear(WIDTH, WIDTH), mask

    def forward(self, x):
        zero = x.new_zeros(x.shape[1], WIDTH)
        state, outputs = ({"h": zero, "c": zero} if isinstance(self.cell, Gated) else zero), []
        for now in x:
            if isinstance(self.cell, Gated):
                h, state = self.cell(now, state=state)
            else:
                h = state = self.cell(now, state)
            if self.mask is not None:
                state = state * self.mask
            outputs.append(self.head(h))
        return torch.stack(outputs)


class Stack(nn.Module):
    def __init__(self):
        super().__init__()
        self.below, self.above = Layer(Plain), nn.ModuleList([Layer(Gated, WIDTH)])

    def forward(self, x):
        return self.above[0](self.below(x))


class Twice(nn.Module):
    """Siamese: its encoder is called twice, and that is no loop; the one in it is."""

    def __init__(self):
        super().__init__()
        self.encoder = Layer(Plain)

    def forward(self, x):
        return self.encoder(x)[-1] - self.encoder(2 * x)[-1]


@pytest.mark.parametrize(
    ("make", "names", "said"),
    [
        (lambda: Layer(Plain), ["cell"], r"cell \(70 calls; h is the result of the call before\); head \(70 calls\)\."),
        (
            lambda: Layer(Gated),
            ["cell"],
            r"state\['h'\] is result\[0\], state\['c'\] is result\[1\]\['c'\] of the call before",
        ),
        (lambda: Layer(Plain, mask=0.9), ["cell"], r"cell \(70 calls; h is made of the result of"),
        (lambda: Stack().requires_grad_(False), ["below.cell", "above.0.cell"], "these are the steps of a loop"),
        (Twice, ["encoder.cell"], r"encoder \(2 calls\)"),
    ],
)
def test_what_is_suggested_works_when_it_is_pasted(make, names, said):
    torch.manual_seed(0)
    model, x = make(), torch.randn(TIME, BATCH, INPUT)
    with pytest.raises(ValueError, match="A recurrent layer is needed") as refused:
        retention(model, x)
    assert re.search(said, str(refused.value)), refused.value
    (suggestion,) = re.findall(r"say so: cells=(\[.*?\])\.", str(refused.value))
    assert eval(suggestion) == names
    curves = retention(model, x, cells=eval(suggestion))
    assert {name.partition(" (call ")[0] for name in curves} == set(names)
    assert all(len(curve.gain) == TIME for curve in curves.values())


class Settled(nn.Module):
    """Goes on without gradients until nothing changes; one round more has some."""

    def __init__(self):
        super().__init__()
        self.cell = Plain()

    def forward(self, x):
        h = x.new_zeros(len(x), WIDTH)
        with torch.no_grad():
            for _ in range(9):
                h = self.cell(x, h)
            assert not h.requires_grad
        return self.cell(x, h)


def test_a_step_whose_state_has_no_gradients_is_known_by_its_numbers():
    with pytest.raises(
        ValueError, match=r"cell \(10 calls; h is the result of the call before\)\..*cells=\[\"cell\"\]\."
    ):
        retention(Settled(), torch.randn(BATCH, INPUT))


class Inside(nn.Module):
    """The loop stands inside its forward."""

    def __init__(self):
        super().__init__()
        self.first, self.keep = nn.Linear(INPUT, WIDTH), nn.ModuleList([nn.Linear(WIDTH, WIDTH)])
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        h = x.new_zeros(x.shape[1], WIDTH)
        for now in x:
            h = torch.tanh(self.first(now) + self.keep[0](h))
        return h


class Raw(nn.Module):
    """A loop over bare parameters."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.eye(INPUT))

    def forward(self, x):
        h = torch.zeros_like(x[0])
        for now in x:
            h = torch.tanh(now + h @ self.weight)
        return h


class Holds(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x)


class Step(nn.Module):
    """What a round of Inside computes."""

    def __init__(self, first, keep):
        super().__init__()
        self.first, self.keep = first, keep

    def forward(self, x, h):
        return torch.tanh(self.first(x) + self.keep(h))


LINES = r"in __init__: (.*);\n +in the loop: (.*);\n +and then: +(.*)$"


def test_a_step_inside_a_forward_becomes_a_module_by_the_lines_that_are_shown():
    torch.manual_seed(0)
    x = torch.randn(TIME, BATCH, INPUT)
    model = Holds(Inside())
    with pytest.raises(ValueError, match="A loop stands inside the forward of inner: its step must") as refused:
        retention(model, x)
    assert "keep.0 (70 calls; it reads what is computed from its result before)" in str(refused.value)
    ((begin, loop, call),) = re.findall(LINES, str(refused.value))
    assert begin == "self.step = Step(self.first, self.keep[0])"

    class Mended(Inside):
        def __init__(self):
            super().__init__()
            exec(begin, {"self": self, "Step": Step})  # noqa: S102

        def forward(self, x):
            names = {"self": self, "h": x.new_zeros(x.shape[1], WIDTH)}
            for now in x:
                names["x"] = now
                exec(loop, names)  # noqa: S102
            return names["h"]

    mended = Holds(Mended())
    mended.inner.load_state_dict(model.inner.state_dict(), strict=False)
    torch.testing.assert_close(mended(x), model(x))
    curves = eval(call, {"diagnose": retention, "model": mended, "inputs": x})
    assert list(curves) == ["inner.step"]


class OverWeights(nn.Module):
    """What a round of Raw computes."""

    def __init__(self, weight):
        super().__init__()
        self.weight = weight

    def forward(self, x, h):
        return torch.tanh(x + h @ self.weight)


def test_a_loop_over_bare_weights_is_found_by_how_often_they_are_used():
    with pytest.raises(ValueError, match="A loop stands inside the forward of inner") as refused:
        retention(Holds(Raw()), torch.randn(TIME, BATCH, INPUT))
    assert "more than once" not in str(refused.value)
    ((begin, loop, call),) = re.findall(LINES, str(refused.value))
    assert begin == "self.step = Step(self.weight)"
    assert call == 'diagnose(model, inputs, cells=["inner.step"])'
    names = {"self": Raw(), "h": torch.zeros(BATCH, INPUT), "x": torch.ones(BATCH, INPUT), "Step": OverWeights}
    exec(begin, names)  # noqa: S102
    exec(loop, names)  # noqa: S102
    torch.testing.assert_close(names["h"], torch.ones(BATCH, INPUT).tanh())


class Both(nn.Module):
    """A step that is a module, behind a loop that stands inside a forward."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = Inside(), Plain(WIDTH)

    def forward(self, x):
        h = token = self.encoder(x)
        for _ in range(TIME):
            h = self.decoder(token, h)
        return h


def test_of_two_loops_each_is_told():
    with pytest.raises(ValueError, match="A recurrent layer is needed") as refused:
        retention(Both(), torch.randn(TIME, BATCH, INPUT))
    assert 'say so: cells=["decoder"]. A loop stands inside the forward of encoder' in str(refused.value)


def test_a_module_that_is_no_step_is_answered_with_those_that_may_be():
    """The class of the whole model, as people name it first."""
    x = torch.randn(TIME, BATCH, INPUT)
    with pytest.raises(ValueError, match="Layer, a Layer, was named in cells=, but none of its arguments") as refused:
        retention(Layer(Plain), x, cells=[Layer])
    assert 'say so: cells=["cell"].' in str(refused.value)


class Writes(nn.Module):
    """What its head says is read by its step."""

    def __init__(self):
        super().__init__()
        self.cell, self.head = Plain(INPUT), nn.Linear(WIDTH, INPUT)

    def forward(self, x):
        h, token = x.new_zeros(x.shape[1], WIDTH), x[0]
        for _ in range(TIME):
            h = self.cell(token, h)
            token = self.head(h)
        return token


def test_a_head_that_is_read_by_the_step_is_no_loop_of_its_own():
    with pytest.raises(ValueError, match=r"head .70 calls; it reads what is computed from its result") as refused:
        retention(Writes(), torch.randn(TIME, BATCH, INPUT))
    assert str(refused.value).endswith('say so: cells=["cell"].')


class Thrice(nn.Module):
    """Calls a layer three times, and that is no loop."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(INPUT, 3)

    def forward(self, x):
        return self.layer(x) + self.layer(2 * x) * self.layer(x.flip(0))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: nn.Sequential(nn.Linear(INPUT, 3), nn.ReLU()),
            "Nothing in it that has weights is called more than once.",
        ),
        (lambda: nn.Linear(INPUT, 1), "Nothing in it that has weights is called more than once."),
        (Thrice, r"Called more than once: layer \(3 calls\)\."),
    ],
)
def test_where_there_is_no_loop_none_is_claimed(make, said):
    said += " If its forward is itself one step of a loop that stands outside"
    with pytest.raises(ValueError, match=said) as refused:
        retention(make(), torch.randn(TIME, BATCH, INPUT))
    assert "cells=" not in str(refused.value)


def test_looking_for_candidates_leaves_the_model_as_it_was():
    torch.manual_seed(0)
    model = Inside()
    model.keep.requires_grad_(False)
    before, state = {name: dict(vars(module)) for name, module in model.named_modules()}, torch.get_rng_state()
    with pytest.raises(ValueError, match="its step must become a module"):
        retention(model, torch.randn(TIME, BATCH, INPUT, generator=torch.Generator()))
    assert {name: dict(vars(module)) for name, module in model.named_modules()} == before
    assert torch.equal(torch.get_rng_state(), state)
    assert [weight.requires_grad for weight in model.parameters()] == [True, True, False, False]


def test_a_model_that_cannot_be_run_is_told_what_is_needed_all_the_same():
    with pytest.raises(ValueError, match=r"A recurrent layer is needed.*could not be run.*shapes cannot be multiplied"):
        retention(nn.Linear(5, 5), torch.randn(TIME, BATCH, INPUT))
