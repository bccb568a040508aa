"""What a layer takes and gives for every step beside `x`: outputs of a cell's own, parts of any width, resets, times."""

import pytest
import torch
from torch import nn

from rnnvanish import Recurrent, cells, probes
from rnnvanish.cell import Cell, Paper

NOWHERE = Paper("-", 2026, "written for the tests", "-")
TIME, BATCH, INPUT, HIDDEN = 40, 4, 3, 7
LENGTHS = torch.tensor([40, 33, 20, 1])
ENGINES = ("reference", "cpu")


class ReadOut(Cell):
    """A state of 2n and of 3 numbers; the output, n + 1 wide, reads both states around a step, and the input."""

    paper = NOWHERE
    state_names = ("s", "n")

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.decay = nn.Parameter(torch.rand(2 * hidden_size))
        self.from_x = nn.Linear(input_size, 2 * hidden_size)
        self.read = nn.Linear(2 * hidden_size + input_size, hidden_size + 1)

    @property
    def output_size(self):
        return self.hidden_size + 1

    def initial_state(self, x):
        return x.new_full((len(x), 2 * self.hidden_size), 0.3), x.new_zeros(len(x), 3)

    def forward(self, x, state):
        s, n = state
        return self.decay * s + self.from_x(x), 0.5 * n + s[:, :3]

    def output(self, x, before, after):
        return torch.tanh(self.read(torch.cat([after[0] * before[0], x], dim=-1)))


class Irregular(Cell):
    """It forgets by the time that has passed, and reads which features were seen."""

    paper = NOWHERE
    wants = ("times", "observed")

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.from_x = nn.Linear(2 * input_size + 1, hidden_size)
        self.from_h = nn.Linear(hidden_size, hidden_size)

    def forward(self, x, state, times=None, observed=None):
        times = torch.ones_like(x[:, :1]) if times is None else times
        observed = torch.ones_like(x) if observed is None else observed
        read = torch.cat([x, times, observed], dim=-1)
        return (torch.tanh(self.from_x(read) + torch.exp(-times) * self.from_h(state[0])),)


def beside(cell):
    """What such a cell is given for every step: nothing else than resets, for most."""
    given = {"resets": torch.rand(TIME, BATCH) < 0.2}
    if cell.wants:
        given["times"] = torch.rand(TIME, BATCH, dtype=torch.double).cumsum(0)
        given["observed"] = torch.rand(TIME, BATCH, INPUT) < 0.5
    return given


def every_number(layer, x, **given):
    """Outputs, final states and all gradients of a run."""
    x = x.clone().requires_grad_()
    layer.zero_grad()
    y, state = layer(x, **given)
    parts = state if isinstance(state, tuple) else (state,)
    (y.square().sum() + sum(part.square().sum() for part in parts)).backward()
    return [y, *parts, x.grad, *(parameter.grad for parameter in layer.parameters())]


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", [ReadOut, Irregular, cells.LSTM])
def test_both_engines_give_the_same(cell, bidirectional):
    torch.manual_seed(0)
    layer = Recurrent(cell, INPUT, HIDDEN, num_layers=2, bidirectional=bidirectional).double()
    x, given = torch.randn(TIME, BATCH, INPUT).double(), beside(cell)
    found = []
    for layer.engine in ENGINES:
        found.append(every_number(layer, x, lengths=LENGTHS, **given))
    for ours, plain in zip(found[1], found[0], strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-9, atol=1e-9)
    layer.checkpoint_every = 7
    for ours, plain in zip(every_number(layer, x, lengths=LENGTHS, **given), found[0], strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", [ReadOut, Irregular, cells.LSTM])
def test_where_a_sequence_begins_anew_it_is_run_piece_by_piece(cell, bidirectional, engine):
    torch.manual_seed(1)
    layer = Recurrent(cell, INPUT, HIDDEN, bidirectional=bidirectional, batch_first=True, engine=engine).double()
    x = torch.randn(BATCH, TIME, INPUT).double().requires_grad_()
    given = {name: value.transpose(0, 1) for name, value in beside(cell).items()}
    state = tuple(
        torch.randn(1 + bidirectional, BATCH, *part.shape[1:]).double()
        for part in layer.cells[0].initial_state(x[:, 0])
    )
    state = state if len(state) > 1 else state[0]
    y, _ = layer(x, state if not bidirectional else None, **given)
    layer.engine = "reference"
    for sequence, resets in enumerate(given.pop("resets")):
        starts = sorted({0, *resets.nonzero().flatten().tolist()})
        assert len(starts) > 1
        for start, end in zip(starts, [*starts[1:], TIME], strict=True):
            piece = slice(sequence, sequence + 1), slice(start, end)
            begin = None
            if start == 0 and not resets[0] and not bidirectional:
                begin = tuple(part[:, piece[0]] for part in state) if isinstance(state, tuple) else state[:, piece[0]]
            alone, _ = layer(x[piece], begin, **{name: value[piece] for name, value in given.items()})
            torch.testing.assert_close(y[piece], alone)
        (gradient,) = torch.autograd.grad(y[sequence, starts[1]].sum(), x, retain_graph=True)
        if not bidirectional:
            assert gradient[sequence, starts[1]].any()
            assert not gradient[sequence, : starts[1]].any()


def test_what_a_layer_returns_it_takes():
    torch.manual_seed(2)
    layer, x = Recurrent(ReadOut, INPUT, HIDDEN, num_layers=2), torch.randn(TIME, BATCH, INPUT)
    whole, final = layer(x)
    first, state = layer(x[:9])
    second, last = layer(x[9:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    for one, other in zip(last, final, strict=True):
        torch.testing.assert_close(one, other)
    assert whole.shape == (TIME, BATCH, HIDDEN + 1)
    assert final[0].shape == (2, BATCH, 2 * HIDDEN)
    assert final[1].shape == (2, BATCH, 3)
    with pytest.raises(ValueError, match=r"needs n of the state in shape \(2, 4, 3\), got \(2, 4, 7\)"):
        layer(x, (final[0], torch.zeros(2, BATCH, 7)))


def test_the_gradient_of_a_state_holds_what_its_outputs_read():
    torch.manual_seed(3)
    layer, x = Recurrent(ReadOut, INPUT, HIDDEN).double(), torch.randn(12, 1, INPUT).double()
    (cell,) = layer.cells
    states = [cell.initial_state(x[0])]
    for row in x:
        states.append(cell(row, states[-1]))
    last = cell.output(x[-1], states[-2], states[-1]).sum()
    expected = [torch.stack([g.norm() for g in torch.autograd.grad(last, s[0], retain_graph=True)]) for s in states[1:]]
    (curve,) = probes.retention(layer, x, lambda output: output[0][-1].sum()).values()
    gains = torch.stack(expected[::-1]).flatten() / expected[-1]
    torch.testing.assert_close(curve.gain, gains[: len(curve.gain)], rtol=1e-9, atol=0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"times": torch.zeros(5, 2)}, "LSTM takes no times: leave it out"),
        ({"observed": torch.zeros(5, 2, 3)}, "LSTM takes no observed"),
        ({"resets": torch.zeros(2, 5)}, r"needs resets of shape \(5, 2\), as x has it, got \(2, 5\)"),
    ],
)
def test_what_a_cell_does_not_take_is_an_error(given, message):
    with pytest.raises(ValueError, match=message):
        Recurrent(cells.LSTM, 3, 4)(torch.zeros(5, 2, 3), **given)


def test_times_that_go_back_are_an_error_but_where_another_sequence_begins():
    layer, x = Recurrent(Irregular, 3, 4), torch.zeros(4, 1, 3)
    times = torch.tensor([[0.0], [1.0], [0.0], [1.0]])
    with pytest.raises(ValueError, match="those of sequence 0 do after step 1"):
        layer(x, times=times)
    resets = torch.tensor([[0], [0], [1], [0]])
    y, _ = layer(x, times=times, resets=resets)
    torch.testing.assert_close(y[:2], y[2:])
    layer(x, times=times, lengths=[2])
    layer(x[:, 0], times=times[:2].repeat_interleave(2, 0)[:, 0])


def test_large_stamps_are_told_apart():
    layer, x = Recurrent(Irregular, 3, 4), torch.randn(4, 1, 3)
    late = 1e9 + torch.arange(4, dtype=torch.double)[:, None] / 8
    torch.testing.assert_close(layer(x, times=late)[0], layer(x, times=torch.arange(4)[:, None] / 8)[0])


@pytest.mark.parametrize(
    "times", [torch.tensor([3, 2, 1, 0]).byte(), torch.tensor([1, 1, 0, 0]).bool(), torch.tensor([0, 1, torch.nan, 3])]
)
def test_times_that_wrap_around_or_are_no_numbers_are_seen_to_go_back(times):
    layer, x = Recurrent(Irregular, INPUT, HIDDEN), torch.randn(4, 1, INPUT)
    with pytest.raises(ValueError, match="sort its steps"):
        layer(x, times=times[:, None])
    given = times.sort().values[:2, None]
    torch.testing.assert_close(layer(x[:2], times=given)[0], layer(x[:2], times=given.float())[0])


class Wrong(Cell):
    """A plain step that returns, begins with, or hands on, what is asked of it."""

    paper = NOWHERE

    def __init__(self, input_size, hidden_size, returned=lambda h: (h,), begun=lambda h: (h,), wide=1):
        super().__init__(input_size, hidden_size)
        self.from_x, self.returned, self.begun, self.wide = nn.Linear(input_size, hidden_size), returned, begun, wide

    def initial_state(self, x):
        return self.begun(x.new_zeros(len(x), self.hidden_size))

    def forward(self, x, state):
        return self.returned(torch.tanh(self.from_x(x) + state[0]))

    def output(self, x, before, after):
        return torch.cat([after[0]] * self.wide, dim=-1)


class Bare(Wrong):
    output = Cell.output


@pytest.mark.parametrize("time", [3, 200])  # the longer one is tried compiled
@pytest.mark.parametrize(
    ("options", "needed"),
    [
        ({"returned": lambda h: h}, "a tuple of .* its state.* a tensor"),
        ({"returned": lambda h: (h, h)}, r"a tuple of the . part\(s\)"),
        ({"begun": lambda h: h}, r"initial_state needs to return a tuple of 1 part\(s\) \(h\), got a tensor"),
        ({"begun": lambda h: (h, h)}, r"initial_state needs to return a tuple of 1 part\(s\) \(h\), got 2"),
        ({"wide": 2}, "Wrong hands on 14 numbers where its output_size is 7"),
    ],
)
def test_a_cell_that_does_not_keep_its_word_is_told_so(options, needed, time):
    for kind in (Wrong,) if "wide" in options else (Wrong, Bare):
        for batch in (1, 4):
            with pytest.raises(ValueError, match=needed):
                Recurrent(kind, INPUT, HIDDEN, **options)(torch.randn(time, batch, INPUT))


class OfItsInput(Wrong):
    def initial_state(self, x):
        return (torch.zeros_like(x),)

    def forward(self, x, state):
        return (torch.tanh(x + state[0]),)

    @property
    def output_size(self):
        return self.input_size


def test_what_is_no_cell_and_a_state_as_wide_as_the_input_are_refused():
    for kind, needed in (
        (nn.GRUCell, "one derived from rnnvanish.cell.Cell; what it was given makes a GRUCell"),
        (cells.GRU(INPUT, HIDDEN), "a cell's class, such as"),
        (type("Hasty", (Cell,), {"__init__": lambda self, *sizes: nn.Module.__init__(self)}), "Hasty needs super"),
    ):
        with pytest.raises(ValueError, match=needed):
            Recurrent(kind, INPUT, HIDDEN)
    deep = Recurrent(OfItsInput, INPUT, HIDDEN, num_layers=2, skip="dense")
    with pytest.raises(ValueError, match=r"the same shape in every layer, got \(3,\) and \(6,\)"):
        deep(torch.randn(2, 1, INPUT))
