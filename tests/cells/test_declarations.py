"""What each listed cell says of itself is so."""

import inspect

import pytest
import torch
from every_cell import BATCH, HIDDEN, INPUT
from oracle import assert_scales, drawn, drawn_state
from torch import nn

from rnnvanish import cells
from rnnvanish.cell import Cell, gates_of, keep_by

every_cell = pytest.mark.parametrize("name", cells.ALL)


def built(name, input_size=INPUT, hidden_size=HIDDEN):
    torch.manual_seed(0)
    return drawn(cells.ALL[name](input_size, hidden_size, **cells.ALL[name].small)).eval()


def stepped(name):
    """A cell, an input, a state and the state after it."""
    cell, x = built(name), torch.randn(BATCH, INPUT).double()
    state = drawn_state(cell, x)
    return cell, x, state, cell(x, state)


@every_cell
def test_shapes_and_types_are_those_that_it_says(name):
    cell, x, state, after = stepped(name)
    assert len(state) == len(cell.state_names) == len(set(cell.state_names))
    assert [(part.shape, part.dtype) for part in after] == [(part.shape, part.dtype) for part in state]
    assert cell.output(x, state, after).shape == (BATCH, cell.output_size)
    narrow = built(name, input_size=1).initial_state(x[:, :1])
    assert [(part.shape, part.dtype) for part in narrow] == [(part.shape, part.dtype) for part in state]
    single = cell.float().initial_state(x.float())
    assert [part.dtype.is_floating_point for part in single] == [part.dtype.is_floating_point for part in state]
    assert all(
        part.dtype.to_real() == torch.float32 for part in single if part.is_floating_point() or part.is_complex()
    )


@every_cell
def test_its_small_options_build_it_in_every_small_width(name):
    for hidden_size in range(3, 9):
        cell = built(name, hidden_size=hidden_size)
        x = torch.randn(BATCH, INPUT).double()
        assert all(part.isfinite().all() for part in cell(x, cell.initial_state(x)))
    default = inspect.signature(cells.ALL[name]).parameters
    assert set(cells.ALL[name].small) <= set(default)


@every_cell
def test_what_it_names_is_there(name):
    cell = built(name)
    assert set(cell.helpers) < set(cell.state_names)
    assert set(cell.wants) <= {"times", "observed"}
    assert set(cell.wants) == set(inspect.signature(cell.forward).parameters) - {"x", "state"}
    if cell.keeps:
        assert {cell.keeps.gate, cell.keeps.writes} <= {*gates_of(cell), ""}
        assert cell.keeps.part in {*cell.state_names} - {*cell.helpers}
    if cell.torch_twin:
        assert issubclass(cell.torch_twin, nn.RNNBase)


@every_cell
def test_a_step_calls_every_layer_that_it_names(name):
    """A cure that changes a layer, or drops what it reads, would do nothing to a weight that is used in another way."""
    cell, called = built(name), []
    for layer in cell.gate_names:
        cell.get_submodule(layer).register_forward_pre_hook(lambda module, args, layer=layer: called.append(layer))
    x = torch.randn(BATCH, INPUT).double()
    state = cell.initial_state(x)
    cell.output(x, state, cell(x, state))
    assert set(called) == set(cell.gate_names)


@every_cell
def test_blocks_are_named_row_by_row(name):
    """Each makes a number for every unit, or for every head.

    A layer without names makes no units of the state: it reads the input alone, or has other rows.
    """
    cell, wider = built(name), built(name, hidden_size=HIDDEN + 1)
    for layer, names in cell.gate_names.items():
        assert len(cell.get_submodule(layer).weight) / len(names) in {HIDDEN, getattr(cell, "heads", HIDDEN)}
    linear = {name: module for name, module in cell.named_children() if isinstance(module, nn.Linear)}
    for layer in linear.keys() - cell.gate_names if cell.gate_names else ():
        units = linear[layer].out_features % HIDDEN == len(wider.get_submodule(layer).weight) % (HIDDEN + 1) == 0
        assert linear[layer].in_features == INPUT or not units, f"name the blocks of {layer}"


@every_cell
def test_what_reads_the_input_is_named_so(name):
    """Its weight grows with the input. Measures and cures of the recurrence leave out what is named `from_x`, or begins so."""
    cell, wider = built(name), built(name, input_size=INPUT + 1)
    for layer in cell.gate_names:
        reads = cell.get_submodule(layer).weight.shape != wider.get_submodule(layer).weight.shape
        said = (
            "reads the input, so its name begins with from_x"
            if reads
            else "reads no input, so its name does not begin with from_x"
        )
        assert layer.startswith("from_x") == reads, f"{name}.{layer} {said}: rename it, in gate_names, too."


#: Cells whose gate that writes reads the part, too: a second way, until it is shut.
SEEING = {"PeepholeLSTM", "PhasedLSTM"}


def from_identity(name, **how):
    """How far what a step hands on of the part that an open gate keeps is from all of it, and nothing else.

    Where the part is scaled, of what it stands for.
    """
    cell, x, state, _ = stepped(name)
    with torch.no_grad():
        keep_by(cell, 20.0, **how)
    place, state = cell.state_names.index(cell.keeps.part), tuple(part[:1] for part in state)
    scale = cell.scales(state)[place]

    def kept(part):
        after = cell(x[:1], (*state[:place], part / scale, *state[place + 1 :]))
        return after[place] * cell.scales(after)[place]

    found = torch.autograd.functional.jacobian(kept, state[place] * scale).flatten(0, state[place].dim() - 1).flatten(1)
    return (found - torch.eye(len(found)).to(found)).abs().max()


@pytest.mark.parametrize("name", [name for name, cell in cells.ALL.items() if cell.keeps])
def test_an_open_gate_hands_on_the_part_that_it_keeps(name):
    assert from_identity(name, write=name in SEEING) < 1e-6


@pytest.mark.parametrize("name", sorted(SEEING))
def test_a_gate_that_writes_and_reads_the_part_is_a_second_way(name):
    assert from_identity(name) > 1e-3


@pytest.mark.parametrize("name", [name for name, cell in cells.ALL.items() if cell.plain])
def test_a_plain_step_is_its_weights_and_a_function(name):
    cell, x, (h,), (new,) = stepped(name)
    torch.testing.assert_close(new, cell.nonlinearity(cell.from_x(x) + cell.from_h(h)))


@pytest.mark.parametrize("name", [name for name, cell in cells.ALL.items() if cell.scales is not Cell.scales])
def test_what_a_part_stands_for_does_not_depend_on_its_scale(name):
    assert_scales(cells.ALL[name])
