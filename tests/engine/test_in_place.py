"""What a layer returns belongs to its user; what it was given may be changed, or torch says that it was changed too early."""

import copy
import threading

import pytest
import torch
from engine_steps import STEPS, Step
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnnvanish import Recurrent, cells
from rnnvanish.compat import tensors

INPUT, HIDDEN, BATCH = 5, 6, 4
TORCHS = {name: cell for name, cell in cells.ALL.items() if cell.torch_twin}
CELLS = {**TORCHS, **{step.__name__: step for step in STEPS}}


def first_steps(y):
    y[:5] = 0
    return y


def plus(y):
    y += 1
    return y


#: In place, by every way that autograd sees.
SEEN = {
    "first steps": first_steps,
    "relu_": torch.relu_,
    "nn.ReLU": nn.ReLU(inplace=True),
    "mul_": lambda y: y.mul_(0.5),
    "+=": plus,
    "nn.Dropout": nn.Dropout(0.5, inplace=True),
    "masked_fill_": lambda y: y.masked_fill_(y > 0, 0.0),
    "one unit": lambda y: y[..., 0].zero_() * 0 + y.sum(-1),
    "transposed": lambda y: y.transpose(0, 1).sigmoid_(),
}
#: Behind its back.
UNSEEN = {
    "data": lambda y: y.data.mul_(3),
    "detach": lambda y: y.detach().zero_(),
    "numpy": lambda y: y.detach().numpy().__setitem__(slice(0, 5), 0),
    "set to nan": lambda y: y.data.fill_(torch.nan),
    "dlpack": lambda y: torch.from_dlpack(y.detach()).mul_(2),
}
FORMS = {
    "plain": {},
    "two layers": {"num_layers": 2},
    "bidirectional": {"bidirectional": True},
    "batch first": {"batch_first": True},
    "residual": {"num_layers": 2, "skip": "residual"},
    "highway": {"num_layers": 2, "skip": "highway"},
    "dense": {"num_layers": 2, "skip": "dense"},
    "checkpoints": {"checkpoint_every": 4},
}
CALLS = ["plain", "lengths", "packed", "unbatched", "state"]


def called(layer, x, call):
    """Output and parts of the final state, of whatever form of input."""
    if call == "packed":
        output, final = layer(pack_padded_sequence(x, [9, 7, 4, 1]))
        output = output.data
    elif call == "unbatched":
        output, final = layer(x[:, 0])
    elif call == "state":
        parts = layer.cells[0].initial_state(x.transpose(0, 1)[0] if layer.batch_first else x[0])
        given = tuple(part.new_ones(len(layer.cells), *part.shape) / 2 for part in parts)
        output, final = layer(x, given if len(given) > 1 else given[0])
    else:
        output, final = layer(x, lengths=torch.tensor([9, 7, 4, 1]) if call == "lengths" else None)
    return output, final if isinstance(final, tuple) else (final,)


def gradients(layer, x, call, change):
    torch.manual_seed(5)
    x = x.clone().requires_grad_()
    output, final = called(layer, x, call)
    changed = [change(each) for each in (output, *final)]
    numbers = [torch.view_as_real(each) if each.is_complex() else each for each in changed]
    loss = sum((each * torch.linspace(-1, 1, each.numel()).to(each).view_as(each)).sum() for each in numbers)
    return [each.detach() for each in numbers], torch.autograd.grad(loss, [x, *layer.parameters()], allow_unused=True)


def assert_same(ours, theirs):
    for one, other in zip([*ours[0], *ours[1]], [*theirs[0], *theirs[1]], strict=True):
        if other is not None:
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-10)


def layer_and_input(name, **options):
    torch.manual_seed(0)
    layer = Recurrent(CELLS[name], INPUT, HIDDEN, **options).double()
    shape = (BATCH, 9, INPUT) if layer.batch_first else (9, BATCH, INPUT)
    return layer, torch.randn(shape).double()


@pytest.mark.parametrize("name", ["Elman", "LSTM", "Linear"])
@pytest.mark.parametrize("how", SEEN)
def test_what_is_changed_in_place_is_changed_as_in_the_plain_loop(how, name):
    layer, x = layer_and_input(name)
    for call in CALLS:
        results = []
        for engine in ("cpu", "reference"):
            layer.engine = engine
            results.append(gradients(layer, x, call, SEEN[how]))
        assert_same(*results)


@pytest.mark.parametrize("form", FORMS)
def test_in_every_form(form):
    layer, x = layer_and_input("LSTM", **FORMS[form])
    for call in ["plain", "state"] if layer.batch_first else CALLS:
        for how in ("first steps", "nn.ReLU"):
            results = []
            for engine in ("cpu", "reference"):
                layer.engine = engine
                results.append(gradients(layer, x, call, SEEN[how]))
            assert_same(*results)


@pytest.mark.parametrize("name", [*TORCHS, "Linear", "LongExpressive", "InComplexNumbers"])
def test_what_autograd_does_not_see_changes_no_gradient(name):
    for form in ("plain", "checkpoints") if name in TORCHS else ("plain",):
        layer, x = layer_and_input(name, engine="cpu", **FORMS[form])
        x.requires_grad_()
        right = None
        for how, change in {"nothing": lambda _: None, **UNSEEN}.items():
            output, final = layer(x)
            outs = [output, *(final if isinstance(final, tuple) else (final,))]
            loss = sum((torch.view_as_real(out) if out.is_complex() else out).sum() for out in outs)
            for out in outs:
                change(out)
            found = torch.autograd.grad(loss, [x, *layer.parameters()], allow_unused=True)
            right = right or found
            assert all(torch.equal(one, other) for one, other in zip(found, right, strict=True) if one is not None), how


def test_without_a_graph_it_is_the_users_too():
    layer, x = layer_and_input("GRU", engine="cpu")
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            output, _ = layer(x)
            output[:5] = 0
            assert not output[:5].any()
            assert output[5:].all()
    with torch.no_grad():
        output, _ = layer(x)
    output.mul_(nn.Parameter(torch.ones(HIDDEN).double())).sum().backward()


@pytest.mark.parametrize("checkpoint_every", [None, 4])
@pytest.mark.parametrize("engine", ["cpu", "reference"])
@pytest.mark.parametrize("what", ["x", "state", "weight"])
def test_what_the_way_back_reads_is_not_changed_without_a_word(what, engine, checkpoint_every):
    layer, x = layer_and_input("LSTM", engine=engine, checkpoint_every=checkpoint_every)
    state = tuple(torch.rand(1, BATCH, HIDDEN).double() for _ in range(2))
    changed = {"x": x, "state": state[0], "weight": layer.cells[0].from_h.weight}[what]
    output, _ = layer(x, state)
    with torch.no_grad():
        changed.mul_(2)
    with pytest.raises(RuntimeError, match=r"modified by an in.?place operation"):
        output.sum().backward()


@pytest.mark.parametrize("name", sorted(CELLS))
def test_nothing_that_is_given_is_written(name):
    layer, x = layer_and_input(name, engine="cpu")
    parts = layer.cells[0].initial_state(x[0])
    state = tuple(torch.rand(1, *part.shape).to(part.dtype) for part in parts)
    given = [x, *state, *layer.parameters()]
    before = copy.deepcopy(given)
    output, _ = layer(x, state if len(state) > 1 else state[0])
    (output.real if output.is_complex() else output).sum().backward()
    assert all(torch.equal(one, other) for one, other in zip(given, before, strict=True))


def test_a_torch_without_copy_on_write_copies_at_once(monkeypatch):
    monkeypatch.setattr(tensors, "_not_lazy", "torch.Tensor._lazy_clone")
    layer, x = layer_and_input("LSTM", engine="cpu")
    output, _ = layer(x)
    loss = output.sum()
    before = torch.autograd.grad(loss, layer.parameters(), retain_graph=True)
    assert not torch._C._is_cow_tensor(output)
    output.data.zero_()
    after = torch.autograd.grad(loss, layer.parameters())
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


class Added(Step):
    """Its loop reads the input itself, and so the output of the layer below where that lies."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.from_x = nn.Identity() if input_size == hidden_size else nn.Linear(input_size, hidden_size)

    def forward(self, x, state):
        return (torch.tanh(self.from_x(x) + self.from_h(state[0])),)


def test_a_layer_reads_what_the_one_below_has_lent():
    layer, x = layer_and_input("GRU", num_layers=2)
    layer.cells = nn.ModuleList([Added(INPUT, HIDDEN), Added(HIDDEN, HIDDEN)]).double()
    results = []
    for engine in ("cpu", "reference"):
        layer.engine = engine
        results.append(gradients(layer, x, "plain", SEEN["relu_"]))
    assert_same(*results)


def test_outputs_that_are_read_are_not_copied():
    """Copied is only what is written: memory is that of one output, not of two."""
    layer, x = Recurrent(cells.GRU, INPUT, HIDDEN, num_layers=2), torch.randn(200, 8, INPUT)
    output, _ = layer(x)
    head = nn.Linear(HIDDEN, 3)
    head(output).square().sum().backward()
    assert torch._C._is_cow_tensor(output)


def test_a_packed_output_is_changed():
    layer, x = layer_and_input("GRU", engine="cpu")
    packed, _ = layer(pack_padded_sequence(x, [9, 7, 4, 1]))
    packed.data.relu_()
    padded, _ = pad_packed_sequence(packed)
    assert (padded >= 0).all()
    padded.sum().backward()


def test_threads_change_their_own():
    layer, x = layer_and_input("LSTM", engine="cpu")
    right = gradients(layer, x, "plain", SEEN["relu_"])
    results = []

    def work():
        results.extend(gradients(layer, x, "plain", SEEN["relu_"]) for _ in range(5))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 20
    for each in results:
        assert_same(each, right)
