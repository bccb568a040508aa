"""Gradients as a training sees them, in `.grad`: of their own memory, and what optimisers and clipping make of them."""

import copy
import inspect
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from engine_steps import STEPS, Step, assert_memory_of_their_own
from torch import nn

from rnnvanish import Recurrent, cells, mitigations
from rnnvanish.cell import NONLINEARITIES, Cell

INPUT, HIDDEN = 5, 6


class Joined(Step):
    """Weights that are views before they are added, and two matrices that are added before their use."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.a, self.b = (nn.Parameter(torch.randn(1, hidden_size)) for _ in range(2))
        self.u, self.v = (nn.Parameter(torch.randn(hidden_size, hidden_size) / 3) for _ in range(2))
        del self.from_h

    def forward(self, x, state):
        bias = self.a.view(-1) + self.b.view(-1)
        return (torch.tanh(self.from_x(x) + bias + state[0] @ (self.u.t() + self.v.t())),)


class Alike(Step):
    """Two matrices that read the same, and numbers that every unit adds."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.u, self.v = (nn.Parameter(torch.randn(input_size, hidden_size) / 3) for _ in range(2))
        self.a, self.b = nn.Parameter(torch.randn(())), nn.Parameter(torch.randn(1, 1))
        del self.from_x

    def forward(self, x, state):
        return (torch.tanh(x @ self.u + x @ self.v + self.from_h(state[0]) + self.a + self.b),)


class Sum(Cell):
    """What comes in is added up: the gradient of the input is that of the state, and those of two biases are one."""

    paper = Step.paper

    def __init__(self, input_size, hidden_size):
        super().__init__(hidden_size, hidden_size)
        self.a, self.b = (nn.Parameter(torch.randn(hidden_size)) for _ in range(2))
        self.lift = nn.Linear(input_size, hidden_size)

    def forward(self, x, state):
        return (state[0] + self.lift(x) + self.a + self.b,)


class Bare(Sum):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, input_size)
        del self.lift

    def forward(self, x, state):
        return (state[0] + x + self.a + self.b,)


class Tied(Step):
    """One matrix in two places."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.again = nn.Linear(hidden_size, hidden_size)
        self.again.weight = self.from_h.weight

    def forward(self, x, state):
        return (torch.tanh(self.from_x(x) + self.from_h(self.again(state[0]))),)


TORCHS = {name: cell for name, cell in cells.ALL.items() if cell.torch_twin}
OPTIONS = {
    f"{name} without bias": partial(cell, bias=False)
    for name, cell in TORCHS.items()
    if "bias" in inspect.signature(cell).parameters
}
OPTIONS |= {f"Elman-{phi}": partial(cells.Elman, nonlinearity=phi) for phi in NONLINEARITIES}
CELLS = {
    **TORCHS,
    **OPTIONS,
    **{step.__name__: step for step in [*STEPS, Joined, Alike, Sum, Tied]},
}
CURES = {
    "Zoneout": mitigations.Zoneout(output=0.3),
    "VariationalDropout": mitigations.VariationalDropout(),
    "LayerNormalisation": mitigations.LayerNormalisation(),
    "SkipThroughTime": mitigations.SkipThroughTime(lag=3),
    "Dilated": mitigations.Dilated(start=2),
    "OrthogonalConstraint": mitigations.OrthogonalConstraint(),
    "TruncatedBackpropagation": mitigations.TruncatedBackpropagation(window=3),
    "AttentionOverPast": mitigations.AttentionOverPast(),
}


def learn(layer, x, state=None, lengths=None, **how):
    """One way back from everything that the layer returns."""
    torch.manual_seed(3)
    output, final = layer(x, state, lengths)
    outs = [output, *(final if isinstance(final, tuple) else (final,))]
    loss = sum((torch.view_as_real(out) if out.is_complex() else out).sin().sum() for out in outs)
    loss.backward(**how)
    return loss


def assert_like_the_plain_loop(layer, train):
    """What a training makes of both engines: the weights after it."""
    plain = copy.deepcopy(layer)
    layer.engine, plain.engine = "cpu", "reference"
    for model in (layer, plain):
        torch.manual_seed(4)
        train(model)
        assert_memory_of_their_own(model.named_parameters())
    for (name, ours), theirs in zip(layer.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("engine", ["cpu", "reference"])
@pytest.mark.parametrize("name", sorted(CELLS))
def test_every_gradient_has_memory_of_its_own(name, engine):
    torch.manual_seed(0)
    layer = Recurrent(CELLS[name], INPUT, HIDDEN, engine=engine)
    # Two views that are added once, and no more than once, share a gradient in torch itself.
    for steps, batch in ((5, 3), (2 if (name, engine) == ("Joined", "reference") else 1, 1)):
        layer.zero_grad()
        x = torch.randn(steps, batch, INPUT).requires_grad_()
        parts = layer.cells[0].initial_state(x[0])
        state = tuple(torch.rand(1, *part.shape, dtype=part.dtype).requires_grad_() for part in parts)
        learn(layer, x, state if len(state) > 1 else state[0])
        named = dict(enumerate(state))
        assert_memory_of_their_own([*layer.named_parameters(), *named.items()])


def test_the_gradient_of_an_input_that_is_added():
    x, h = torch.randn(7, 3, INPUT).requires_grad_(), torch.randn(1, 3, INPUT).requires_grad_()
    layer = Recurrent(Bare, INPUT, INPUT, engine="cpu")
    learn(layer, x, h)
    assert_memory_of_their_own([*layer.named_parameters(), ("x", x), ("h", h)])


@pytest.mark.parametrize("checkpoint_every", [None, 4])
@pytest.mark.parametrize("name", ["Elman", "GRU", "LSTM", "Joined", "InComplexNumbers"])
def test_layers_directions_lengths(name, checkpoint_every):
    torch.manual_seed(0)
    layer = Recurrent(CELLS[name], INPUT, HIDDEN, 2, bidirectional=True, checkpoint_every=checkpoint_every).double()
    x, lengths = torch.randn(9, 4, INPUT).double(), torch.tensor([9, 1, 4, 7])

    def train(model):
        for _ in range(2):
            learn(model, x, None, lengths)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        torch.optim.SGD(model.parameters(), 0.1).step()

    assert_like_the_plain_loop(layer, train)


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM], ids=["RNN", "LSTM"])
@pytest.mark.parametrize("cure", sorted(CURES))
def test_every_cure_that_changes_the_step(cure, kind):
    torch.manual_seed(0)
    built = CURES[cure](kind(INPUT, HIDDEN, dtype=torch.float64))
    layer = next(module for module in built.modules() if isinstance(module, Recurrent))
    x = torch.randn(9, 3, INPUT).double()

    def train(model):
        for _ in range(2):
            learn(model, x)
        nn.utils.clip_grad_value_(model.parameters(), 0.3)
        torch.optim.SGD(model.parameters(), 0.1).step()

    assert_like_the_plain_loop(layer, train)


def micro_batches(model, x):
    for part in x.chunk(3, dim=1):
        learn(model, part)


def two_losses(model, x):
    output, final = model(x)
    output.sin().sum().backward(retain_graph=True)
    (final if isinstance(final, torch.Tensor) else final[0]).cos().sum().backward()


def twice(model, x):
    loss = learn(model, x, retain_graph=True)
    loss.backward()


def second_derivative(model, x):
    gradients = torch.autograd.grad(model(x)[0].sin().sum(), [*model.parameters()], create_graph=True)
    sum(gradient.square().sum() for gradient in gradients).backward()


WAYS = [micro_batches, two_losses, twice, second_derivative]
RULES = [
    mitigations.ClipNorm(0.5).apply,
    mitigations.ClipValue(0.05).apply,
    mitigations.AdaptiveClip(0.02).apply,
    partial(nn.utils.clip_grad_norm_, max_norm=0.5, foreach=False),
]
OPTIMISERS = {
    "SGD": partial(torch.optim.SGD, lr=0.1, momentum=0.9, foreach=False),
    "SGD, foreach": partial(torch.optim.SGD, lr=0.1, momentum=0.9, foreach=True),
    "Adam": partial(torch.optim.Adam, lr=0.01, foreach=False),
    "Adam, foreach": partial(torch.optim.Adam, lr=0.01, foreach=True),
}


@pytest.mark.parametrize("name", [*TORCHS, *OPTIONS, "Joined", "Alike", "Sum", "Tied"])
def test_trainings_end_as_those_of_the_plain_loop(name):
    x = torch.randn(7, 6, INPUT, generator=torch.Generator().manual_seed(0)).double()
    for index, way in enumerate(WAYS):
        rule, (_, optimiser) = RULES[index % len(RULES)], list(OPTIMISERS.items())[index % len(OPTIMISERS)]
        train_and_compare(name, x, way, rule, optimiser)


@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("rule", range(len(RULES)))
def test_every_clipping_with_every_optimiser(rule, optimiser):
    x = torch.randn(7, 6, INPUT, generator=torch.Generator().manual_seed(0)).double()
    for name in ("Elman", "LSTM"):
        train_and_compare(name, x, micro_batches, RULES[rule], OPTIMISERS[optimiser])


def test_two_processes_learn_what_the_plain_loop_learns(tmp_path):
    """Distributed over two processes, clipped: both have the weights of one plain loop over the whole batch."""
    torch.manual_seed(0)
    layer, x = Recurrent(cells.LSTM, INPUT, HIDDEN).double(), torch.randn(7, 6, INPUT).double()
    torch.save((layer.state_dict(), x), tmp_path / "start.pt")
    script = str(Path(__file__).with_name("distributed.py"))
    ranks = [subprocess.Popen([sys.executable, script, str(rank), str(tmp_path)]) for rank in range(2)]
    assert [rank.wait(120) for rank in ranks] == [0, 0]
    layer.engine = "reference"
    steps = torch.optim.SGD(layer.parameters(), 0.1)
    for _ in range(2):
        steps.zero_grad()
        (layer(x)[0].sin().sum() / 2).backward()  # the mean of both halves
        nn.utils.clip_grad_norm_(layer.parameters(), 0.5)
        steps.step()
    for rank in range(2):
        for name, theirs in torch.load(tmp_path / f"{rank}.pt").items():
            torch.testing.assert_close(theirs, layer.state_dict()[name], rtol=1e-9, atol=1e-10)


def train_and_compare(name, x, way, rule, optimiser):
    torch.manual_seed(0)
    layer = Recurrent(CELLS[name], INPUT, HIDDEN).double()

    def train(model):
        steps = optimiser(model.parameters())
        for _ in range(2):
            steps.zero_grad()
            way(model, x)
            rule(model.parameters())
            steps.step()

    assert_like_the_plain_loop(layer, train)


@pytest.mark.parametrize("name", ["LSTM", "GRU", "Elman"])
def test_many_gradients_at_once(name):
    """As `torch.autograd.functional.jacobian(vectorize=True)` asks for them: none has numbers that lie in memory."""
    torch.manual_seed(0)
    layer = Recurrent(cells.ALL[name], INPUT, HIDDEN).double()
    plain = copy.deepcopy(layer)
    plain.engine, layer.engine = "reference", "cpu"
    x, lengths = torch.randn(3, 4, INPUT).double().transpose(0, 1), torch.tensor([4, 2, 3])
    found = []
    for each in (layer, plain):
        x.requires_grad_()
        output, state = each(x, lengths=lengths)
        state = state if isinstance(state, tuple) else (state,)
        starts = torch.eye(3).double()[:, None, None, :, None].expand(3, 4, 3, 3, 2).reshape(3, 4, 3, HIDDEN)
        wanted = [x, *each.parameters()]
        found.append(torch.autograd.grad((output, *state), wanted, (starts, *(s.expand(3, *s.shape) for s in state)),
                                         is_grads_batched=True))  # fmt: skip
    torch.testing.assert_close(found[0], found[1], rtol=1e-10, atol=1e-12)
