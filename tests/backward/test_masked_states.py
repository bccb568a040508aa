"""States that the model changes between steps, against the loop written again; what cannot be known is no number."""

from functools import partial

import pytest
import torch
from torch import nn

from rnnvanish.diagnosis.cause.cause import causes
from rnnvanish.probes import bypass, cases, depth, jacobian, lyapunov, retention, shares

TIME, BATCH, INPUT, HIDDEN = 7, 3, 2, 4
same = partial(torch.testing.assert_close, rtol=1e-11, atol=1e-12)


class Masked(nn.Module):
    """One step's `between` makes of the new state and the old what is carried on; `see` takes each state on its way."""

    def __init__(self, kind=nn.GRUCell, between=lambda new, old, m: m * new + (1 - m) * old):
        super().__init__()
        self.cell, self.between = kind(INPUT, HIDDEN), between

    def forward(self, x, mask):
        return self.run(x, mask, lambda state: state)

    def run(self, x, mask, see):
        parts = 2 if isinstance(self.cell, nn.LSTMCell) else 1
        state = tuple(x.new_zeros(x.shape[1], HIDDEN) for _ in range(parts))
        for now, m in zip(x, mask, strict=True):
            new = self.cell(now, state if parts == 2 else state[0])
            new = new if parts == 2 else (new,)
            state = see(tuple(self.between(n, old, m) for n, old in zip(new, state, strict=True)))
        return sum(part.sum() for part in state)


def explicit(model, x, mask, lengths):
    """The definition: a zero is added to each state that is carried on; its gradient is the one asked for."""
    zeros = []

    def see(state):
        zeros.append([torch.zeros_like(part).requires_grad_() for part in state])
        return tuple(part + zero for part, zero in zip(state, zeros[-1], strict=True))

    value = model.run(x, mask, see)
    flat = [zero for step in zeros for zero in step]
    found = iter(torch.autograd.grad(value, flat))
    norms = torch.stack([torch.cat([next(found) for _ in step], -1).norm(dim=-1) for step in zeros])
    gains = [
        [(norms[n - 1 - lag, i] / norms[n - 1, i]).log() for i, n in enumerate(lengths) if lag < n]
        for lag in range(TIME)
    ]
    return torch.stack([torch.stack(gain).mean().exp() for gain in gains])


@pytest.mark.parametrize("kind", [nn.GRUCell, nn.LSTMCell, nn.RNNCell])
@pytest.mark.parametrize("form", ["soft", "hard", "ends"])
def test_a_mask_is_part_of_the_way(kind, form):
    torch.manual_seed(0)
    model, x = Masked(kind).double(), torch.randn(TIME, BATCH, INPUT).double()
    mask, lengths = torch.rand(TIME, BATCH, HIDDEN).double(), [TIME] * BATCH
    if form == "hard":  # units rest at single steps
        mask = (mask > 0.4).double()
    if form == "ends":  # sequences are held from their ends on: padding is not a lag
        lengths = [7, 3, 5]
        mask = (torch.arange(TIME)[:, None, None] < torch.tensor(lengths)[:, None]).double()
        model.between = lambda new, old, m: torch.where(m > 0, new, old)
    (curve,) = retention(model, (x, mask)).values()
    same(curve.gain, explicit(model, x, mask, lengths))
    assert any("past a step, by a mask" in note for note in curve.notes)


def test_single_precision_and_the_users_own_loss():
    torch.manual_seed(0)
    model, x, mask = Masked(), torch.randn(TIME, BATCH, INPUT), torch.rand(TIME, BATCH, HIDDEN)
    expected = explicit(model, x, mask, [TIME] * BATCH)
    (curve,) = retention(model, (x, mask), loss=lambda output: 3 * output).values()
    torch.testing.assert_close(curve.gain.float(), expected, rtol=1e-4, atol=0)
    assert curve.total is None


def test_what_only_changes_the_new_state_is_measured_as_the_step_returned_it():
    torch.manual_seed(0)
    model, x = Masked(between=lambda new, old, m: 0.5 * new).double(), torch.randn(TIME, BATCH, INPUT).double()
    (curve,) = retention(model, (x, x)).values()
    same(curve.gain, explicit(model, x, x, [TIME] * BATCH))  # half of each, at every step: the ratio is the same
    assert any("as the step returned it" in note for note in curve.notes)


class Read(Masked):
    """Each state is read on the way, too."""

    def run(self, x, mask, see):
        states = []
        return super().run(x, mask, lambda state: states.append(see(state)) or states[-1]) + sum(
            part.sin().sum() for state in states for part in state
        )


@pytest.mark.parametrize("make", [Read, partial(Masked, between=lambda new, old, m: new + 0.3 * old.sin())])
def test_a_last_state_that_cannot_be_seen_is_left_out(make):
    torch.manual_seed(0)
    model, x = make().double(), torch.randn(TIME, BATCH, INPUT).double()
    mask = torch.rand(TIME, BATCH, HIDDEN).double()
    (curve,) = retention(model, (x, mask)).values()
    whole = explicit(model, x, mask, [TIME] * BATCH)
    same(curve.gain, whole[1:] / whole[1])
    assert any("counted from the one before" in note for note in curve.notes)


class Windows(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.GRU(INPUT, HIDDEN)

    def forward(self, x):
        state = x.new_zeros(1, BATCH, HIDDEN)
        for window in x.split(3):
            state = 0.5 * self.layer(window, state)[1] + 0.5 * state
        return state


def test_what_cannot_be_seen_at_all_is_refused():
    with pytest.raises(ValueError, match=r"changes the state of layer/layer0/forward .* name it: cells="):
        retention(Windows().double(), torch.randn(TIME, BATCH, INPUT).double())


@pytest.mark.parametrize("measure", [partial(jacobian, lag=2), cases, lyapunov, bypass, depth])
def test_products_of_steps_are_not_the_models(measure):
    torch.manual_seed(0)
    model, inputs = Masked().double(), (torch.randn(TIME, BATCH, INPUT).double(), torch.rand(TIME, BATCH, 1).double())
    with pytest.raises(ValueError, match="cell: the model changes its state between steps"):
        measure(model, inputs)


def test_a_diagnosis_says_so_and_measures_the_rest():
    torch.manual_seed(0)
    model, (x, mask) = Masked().double(), torch.rand(2, TIME, BATCH, HIDDEN).double()
    x = x[..., :INPUT]
    (cause,) = causes(model, (x, mask)).values()
    assert cause.words.startswith("cell: the model changes its state between steps")
    (found,) = shares(model, (x, mask)).values()
    sizes = []  # the definition: each step has weights of its own
    for lag in range(TIME):
        weight = model.cell.weight_hh
        own, others = weight.detach().clone().requires_grad_(), weight.detach()
        h = x.new_zeros(BATCH, HIDDEN)
        for t, (now, m) in enumerate(zip(x, mask, strict=True)):
            used = {"weight_hh": own if t == TIME - 1 - lag else others}
            h = m * torch.func.functional_call(model.cell, used, (now, h)) + (1 - m) * h
        sizes.append(torch.autograd.grad(h.sum(), own)[0].norm())
    same(found.by_weight["weight_hh"], torch.stack(sizes) / sum(sizes))


class InPlace(Masked):
    """The state is changed in place, where nobody but the model can see what it was."""

    def run(self, x, mask, see):
        h = x.new_zeros(x.shape[1], HIDDEN)
        c = torch.zeros_like(h)
        for now in x:
            h, c = self.cell(now, (h, c))
            h, c = see((h, c))
            h *= 0.5
            c[:, 0] = 0.25
        return h.sum() + c.sum()


def test_a_state_that_is_changed_in_place_is_measured_as_the_step_returned_it():
    torch.manual_seed(0)
    model, x = InPlace(nn.LSTMCell).double(), torch.randn(TIME, BATCH, INPUT).double()
    (curve,) = retention(model, (x, x)).values()
    same(curve.gain, explicit(model, x, x, [TIME] * BATCH))
    assert any("as the step returned it" in note for note in curve.notes)
    with pytest.raises(ValueError, match="changes its state between steps"):
        jacobian(model, (x, x), lag=2)


class Resumed(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.GRU(INPUT, HIDDEN)

    def forward(self, x):
        state = None
        for window in x.split(3):
            _, state = self.layer(window, state)
            state *= 0.5
        return state


def test_the_state_of_a_layer_changed_in_place_is_no_product_of_steps():
    torch.manual_seed(0)
    model, x = Resumed().double(), torch.randn(TIME, BATCH, INPUT).double()
    with pytest.raises(ValueError, match="changes its state between steps"):
        jacobian(model, x, lag=4)
    (curve,) = retention(model, x).values()
    assert any("as the step returned it" in note for note in curve.notes)


class Siblings(nn.Module):
    """A decoder of two cells that attends to what was read, the state of the first behind dropout."""

    def __init__(self, kind=nn.LSTMCell):
        super().__init__()
        self.first, self.second, self.dropout = kind(2 * HIDDEN, HIDDEN), kind(2 * HIDDEN, HIDDEN), nn.Dropout(0.4)

    def forward(self, memory):
        return self.run(memory, lambda state: state)

    def run(self, memory, see):
        h1 = c1 = h2 = c2 = y = memory.new_zeros(memory.shape[1], HIDDEN)
        for _ in range(TIME):
            weights = (memory * h2).sum(-1).softmax(0)
            context = (weights[..., None] * memory).sum(0)
            h1, c1 = see(self.first(torch.cat([y, context], -1), (h1, c1)))
            h1 = self.dropout(h1)
            h2, c2 = see(self.second(torch.cat([h1, context], -1), (h2, c2)))
            y = h2
        return h2.sum()


def test_siblings_of_a_decoder_are_measured_alike():
    torch.manual_seed(0)
    model, memory = Siblings().double(), torch.randn(5, BATCH, HIDDEN).double()
    torch.manual_seed(1)
    curves, zeros = retention(model, memory), []

    def see(state):
        zeros.append([torch.zeros_like(part, requires_grad=True) for part in state])
        return [part + zero for part, zero in zip(state, zeros[-1], strict=True)]

    torch.manual_seed(1)
    value = model.run(memory, see)
    found = iter(torch.autograd.grad(value, [part for zero in zeros for part in zero], materialize_grads=True))
    norms = torch.stack([torch.cat([next(found), next(found)], 1).norm(dim=1) for _ in zeros])
    for name, steps in (("first", norms[::2].flip(0)), ("second", norms[1::2].flip(0))):
        same(curves[name].gain, (steps / steps[0]).log().mean(1).exp())
    assert curves["second"].notes == ()
    assert [note for note in curves["first"].notes if "mask" in note] == []
    assert any("as the step returned it" in note for note in curves["first"].notes)


class Pulling(nn.Module):
    """A step whose state comes before its input, beside another whose state it reads."""

    def __init__(self):
        super().__init__()
        self.from_h, self.from_x = nn.Linear(HIDDEN, HIDDEN), nn.Linear(HIDDEN, HIDDEN)

    def forward(self, h, x):
        return torch.tanh(self.from_h(h) + self.from_x(x))


class Coupled(nn.Module):
    """Two steps that read each other's states; both states leak between steps."""

    def __init__(self):
        super().__init__()
        self.one, self.other = Pulling(), Pulling()

    def forward(self, x, see=lambda name, state: state):
        h = g = x.new_zeros(x.shape[1], HIDDEN)
        for now in x:
            h = see("one", self.one(0.9 * h, now + g))
            g = see("other", self.other(0.9 * g, 2 * h))
        return g


def test_what_one_step_reads_of_another_is_no_state_of_its_own():
    torch.manual_seed(0)
    model, x = Coupled().double(), torch.randn(12, BATCH, HIDDEN).double()
    curves, zeros = retention(model, x, cells=[Pulling]), {"one": [], "other": []}

    def see(name, state):
        zeros[name].append(torch.zeros_like(state, requires_grad=True))
        return state + zeros[name][-1]

    value = model(x, see).sum()
    assert curves.keys() == zeros.keys()
    for name, added in zeros.items():
        found = torch.autograd.grad(value, added, retain_graph=True)
        norms = torch.stack([gradient.norm(dim=1) for gradient in reversed(found)])
        same(curves[name].gain, (norms / norms[0]).log().mean(1).exp())
