"""Layers that read the same row are one product."""

import pytest
import torch

from rnnvanish import Recurrent, cells
from rnnvanish.engine.ir.values import walk
from rnnvanish.engine.plan.stage import stage
from rnnvanish.engine.step_form import StepForm


def staged_step(cell):
    form, x = StepForm.of(cell, ()), torch.zeros(1, 5)
    return stage(form.step(cell), x, form.begin(cell, x[None], cell.initial_state(x)), False)


def test_three_layers_of_the_input_are_one_product_in_each_of_its_three_places():
    staged = staged_step(cells.SRU(5, 6))
    assert [(value.op, value.width) for value, _ in staged.early] == [("linear", 4 * 6)]
    after = walk([staged.input_gradient, *staged.invariant_gradients], staged.at)
    assert [value.shape for value in after if value.op == "outer"] == [(4 * 6, 5)]
    assert [len(value.args) for value in after if value.op == "linear"] == [2]


def test_what_a_product_with_the_state_is_added_to_stays_apart():
    staged = staged_step(cells.GRU(5, 6))
    assert [(value.op, value.width) for value, _ in staged.early] == [("linear", 3 * 6)]


@pytest.mark.parametrize("frozen", ["candidate.weight", "from_x.weight", None])
def test_of_one_product_only_some_gradients_may_be_wanted(frozen):
    found = []
    for engine in ("cpu", "reference"):
        torch.manual_seed(0)
        layer = Recurrent(cells.SRU, 5, 6, engine=engine).double()
        x = torch.randn(7, 3, 5, dtype=torch.double, requires_grad=frozen is None)
        wanted = {name: weight for name, weight in layer.named_parameters() if not name.endswith(str(frozen))}
        assert (len(wanted) < len(list(layer.parameters()))) == (frozen is not None)
        for name, weight in layer.named_parameters():
            weight.requires_grad_(name in wanted)
        layer(x)[0].pow(2).sum().backward()
        found.append([weight.grad for weight in wanted.values()] + ([x.grad] if frozen is None else []))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-11)
