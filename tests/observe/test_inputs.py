"""Forms of inputs: arguments, keywords, batches, loaders."""

import copy
from collections import UserDict, namedtuple
from dataclasses import dataclass

import pytest
import torch
from networks import BATCH, INPUT, TIME, Two, loader, same
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence
from torch.utils.data import DataLoader, TensorDataset

from rnnvanish.observe.call import Call, map_tensors
from rnnvanish.probes import retention


class OneMapping(Two):
    def forward(self, batch):
        return super().forward(batch["x"], batch["scale"])


class One(Two):
    def forward(self, x):
        return super().forward(x)


class OnePair(Two):
    def forward(self, pair):
        x, scale = pair
        return super().forward(x, scale)


class FirstOfTwo(Two):
    def forward(self, inputs):
        return super().forward(inputs[0])


class Packs(Two):
    def forward(self, x, lengths):
        return super().forward(pad_sequence([row[:length] for row, length in zip(x, lengths, strict=True)], True))


class ListOfSequences(Two):
    def forward(self, sequences):
        return super().forward(pad_sequence(sequences, batch_first=True))


class StepsOfAList(nn.Module):
    """Runs with a list of steps, and with a tensor of them."""

    def __init__(self):
        super().__init__()
        self.layer, self.mix = nn.GRU(INPUT, INPUT), nn.Linear(INPUT, INPUT)

    def forward(self, steps):
        h = torch.zeros(BATCH, INPUT).double()
        for now in steps:
            h = torch.tanh(self.mix(h) + now)
        return self.layer(h[None])[0]


Batch = namedtuple("Batch", "x scale labels")
Other = namedtuple("Other", "text factor labels")


@dataclass
class Fields:
    labels: Tensor
    x: Tensor
    scale: Tensor


torch.manual_seed(0)
X, SCALE, LABELS = torch.randn(BATCH, TIME, INPUT).double(), torch.tensor(2.0).double(), torch.zeros(BATCH)
LENGTHS = torch.tensor([7, 7, 5])

FORMS = {
    "arguments": (Two, (X, SCALE), "X SCALE"),
    "arguments of a batch": (Two, (X, SCALE, LABELS), "X SCALE"),
    "a list": (Two, [X, LABELS], "X"),
    "a list whose last part would fit": (Two, [X, SCALE], "X"),
    "a list with more": (Two, [X, SCALE, LABELS], "X SCALE"),
    "a list of one": (Two, [X], "X"),
    "a tuple for one argument": (One, (X, LABELS), "X"),
    "a tuple for an optional argument that it does not fit": (Two, (X, LABELS.long()[None]), "X"),
    "a tuple as the only argument": (OnePair, (X, SCALE), "(X, SCALE)"),
    "a list as the only argument": (OnePair, [X, SCALE], "(X, SCALE)"),
    "a tuple in a batch": (OnePair, [(X, SCALE), LABELS], "(X, SCALE)"),
    "a list in a batch": (Packs, [[X, LENGTHS], LABELS], "X LENGTHS"),
    "a mapping in a mapping": (Packs, {"in": {"lengths": LENGTHS, "x": X}, "out": LABELS}, "lengths=LENGTHS x=X"),
    "a list in a mapping": (One, {"in": [X, SCALE], "out": LABELS}, "X"),
    "a mapping in a batch": (Packs, [{"lengths": LENGTHS, "x": X}, LABELS], "lengths=LENGTHS x=X"),
    "names": (Two, {"x": X, "scale": SCALE, "labels": LABELS}, "x=X scale=SCALE"),
    "a mapping that is no dict": (Two, UserDict(x=X, scale=SCALE), "x=X scale=SCALE"),
    "a mapping as the only argument": (OneMapping, {"x": X, "scale": SCALE}, "MAPPING"),
    "other names": (One, {"labels": LABELS, "series": X}, "x=X"),
    "some other names": (Packs, {"labels": SCALE, "x": X, "sizes": LENGTHS}, "lengths=LENGTHS x=X"),
    "a named tuple": (Two, Batch(X, SCALE, LABELS), "x=X scale=SCALE"),
    "a named tuple of other names": (Two, Other(X, SCALE, LABELS), "X SCALE"),
    "a named tuple as the only argument": (FirstOfTwo, Other(X, SCALE, LABELS), None),
    "a dataclass": (Two, Fields(LABELS, X, SCALE), "x=X scale=SCALE"),
    "a list of sequences": (ListOfSequences, [X[0], X[1, :5], X[2, :3]], None),
}


def written(call):
    """The arguments of a call by the names that they have here."""
    known = {id(X): "X", id(SCALE): "SCALE", id(LABELS): "LABELS", id(LENGTHS): "LENGTHS"}

    def name(value):
        if isinstance(value, tuple | list):
            return f"({', '.join(map(name, value))})"
        return "MAPPING" if isinstance(value, dict) else known.get(id(value), "?")

    return " ".join([*map(name, call.args), *(f"{key}={name(value)}" for key, value in call.kwargs.items())])


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_inputs(form):
    make, inputs, arguments = FORMS[form]
    torch.manual_seed(0)
    model = make().double()
    if arguments is not None:
        assert written(Call.of(model, inputs)) == arguments
    (curve,) = retention(model, inputs).values()
    plain = {
        "X": X,
        "x=X": X,
        "X SCALE": (X, SCALE),
        "x=X scale=SCALE": (X, SCALE),
        "(X, SCALE)": (X, SCALE),
        "MAPPING": (X, SCALE),
    }
    if arguments in plain:
        expected = Two().double()
        expected.load_state_dict(model.state_dict())
        same(curve.gain, retention(expected, plain[arguments])["layer/layer0/forward"].gain)


@pytest.mark.parametrize(
    ("inputs", "beside"),
    [
        ((X, SCALE, LABELS), "LABELS"),
        ([X, LABELS], "LABELS"),
        ({"x": X, "labels": LABELS}, "LABELS"),
        ([(X, SCALE), LABELS], "LABELS"),
        ({"in": [X, SCALE], "out": LABELS}, "LABELS"),
        (X, ""),
    ],
)
def test_what_is_not_given_stands_beside_the_call(inputs, beside):
    model = OnePair() if isinstance(inputs, list) and isinstance(inputs[0], tuple) else Two()
    call = Call.of(model.double(), inputs)
    assert written(Call(call.beside, {}, None)) == beside


class Counts(Two):
    """Remembers that it ran, and draws."""

    def __init__(self):
        super().__init__()
        self.seen, self.norm = [], nn.BatchNorm1d(TIME)

    def forward(self, x):
        self.seen.append(torch.rand(()))
        return super().forward(self.norm(x))


def test_what_is_tried_leaves_no_trace():
    model = Counts().double()
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    call = Call.of(model, [X, LABELS])
    assert written(call) == "X"
    assert model.seen == []
    assert torch.equal(torch.get_rng_state(), state)
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)


class Differentiates(Two):
    """Takes a derivative in its forward, and is lazy."""

    def __init__(self):
        super().__init__()
        self.head = nn.LazyLinear(2)

    def forward(self, x):
        y = self.head(super().forward(x.requires_grad_()))
        return y + torch.autograd.grad(y.sum(), x, create_graph=True)[0].mean()


def test_a_model_that_differentiates_in_its_forward_is_tried_with_a_graph():
    model, x = Differentiates().double(), X.clone()
    assert Call.of(model, [x, LABELS]).args[0] is x
    assert list(retention(model, [x, LABELS])) == ["layer/layer0/forward"]
    assert isinstance(model.head, nn.LazyLinear)
    assert not x.requires_grad


@pytest.mark.parametrize(
    ("make", "inputs", "said"),
    [
        (
            One,
            (LABELS, SCALE),
            r"One could not be called.*tuple of \(Tensor\(3,\), Tensor\(\)\).*One\(batch\).*One\(batch\[0\]\)",
        ),
        (One, {"a": LABELS, "b": SCALE}, r"Tried was One\(batch\).*AttributeError.*One\(x=batch\['a'\]\)"),
        (One, {"a": X, "b": X + 1}, r"One can be called as One\(x=batch\['a'\]\) and as One\(x=batch\['b'\]\)"),
        (StepsOfAList, [X[:, 0], X[:, 1]], r"StepsOfAList can be called as StepsOfAList\(batch\) and as"),
        (
            Packs,
            [X, LABELS[:2]],
            r"Packs could not be called.*Tried was Packs\(batch\[0\], batch\[1\]\).*TypeError: only integer",
        ),
        (
            Packs,
            [X],
            r"Tried was Packs\(batch\[0\]\).*: TypeError: .*missing 1 required positional argument: 'lengths'",
        ),
        (One, iter([X]), "One batch is needed here, got a list_iterator"),
        (One, TensorDataset(X), "One batch is needed here, got a TensorDataset"),
    ],
)
def test_where_nobody_knows_what_is_meant_it_is_said_what_was_tried(make, inputs, said):
    with pytest.raises(ValueError, match=said):
        retention(make().double(), inputs)


def test_what_is_ambiguous_can_be_said():
    steps = [X[:, 0], X[:, 1]]
    assert written(Call.of(StepsOfAList().double(), (steps,))) == "(?, ?)"
    assert Call.of(StepsOfAList().double(), (steps[0],)).args[0] is steps[0]


def test_a_signature_decides_where_it_can():
    class Annotated(StepsOfAList):
        def forward(self, steps: list[Tensor]) -> Tensor:
            return super().forward(steps)

    class OfATensor(StepsOfAList):
        def forward(self, steps: "torch.Tensor | None" = None) -> Tensor:
            return super().forward(steps)

    steps = [X[:, 0], X[:, 1]]
    assert Call.of(Annotated().double(), steps).args[0] is steps
    assert Call.of(OfATensor().double(), steps).args[0] is steps[0]


class Handwritten:
    """A loader as people write them, which remembers where it is."""

    def __init__(self):
        self.place = 0

    def __iter__(self):
        for start in range(0, BATCH, 1):
            self.place = start
            yield X[start : start + 1], LABELS[start : start + 1]


class OwnBatch:
    """A batch that can be gone through, and is no loader."""

    def __iter__(self):
        yield "x", X
        yield "labels", LABELS


class OfOwnBatch(Two):
    def forward(self, batch):
        return super().forward(dict(batch)["x"])


def collate(rows):
    rows = sorted(rows, key=lambda row: -len(row[0]))
    x = pad_sequence([row for row, _ in rows])
    lengths = torch.tensor([len(row) for row, _ in rows])
    return pack_padded_sequence(x, lengths), torch.stack([label for _, label in rows])


class OfPacked(Two):
    def forward(self, packed, state=None):
        return self.layer(packed, state)[1][-1]


def test_loaders():
    ragged = [(X[row, : TIME - row], LABELS[row]) for row in range(BATCH)]
    (curve,) = retention(OfPacked().double(), DataLoader(ragged, batch_size=3, collate_fn=collate)).values()
    assert len(curve.gain) == TIME
    own = Handwritten()
    (curve,) = retention(One().double(), own).values()
    assert len(curve.rates) == BATCH
    assert own.place == 0
    (curve,) = retention(OfOwnBatch().double(), OwnBatch()).values()
    assert len(curve.gain) == TIME
    mappings = DataLoader([{"series": row, "label": 0} for row in X], batch_size=2)
    assert len(next(iter(retention(One().double(), mappings).values())).rates) == 2


def test_what_a_batch_holds_is_mapped_in_its_own_form():
    doubled = map_tensors(Fields(LABELS, X, SCALE), lambda value: 2 * value)
    assert isinstance(doubled, Fields)
    assert torch.equal(doubled.x, 2 * X)
    assert isinstance(map_tensors(Batch(X, [SCALE], None), torch.clone), Batch)


def test_a_loader_is_sampled_and_left_as_it_was():
    x, batches = loader()
    model = Two().double()
    before, state = batches.generator.get_state(), torch.get_rng_state()
    (two,) = retention(model, batches, batches=2).values()
    assert len(two.rates) == 2
    assert torch.equal(batches.generator.get_state(), before)
    assert torch.equal(torch.get_rng_state(), state)
    (one,) = retention(model, batches, batches=1).values()
    same(one.gain, retention(model, x[:4])["layer/layer0/forward"].gain)
    same(one.gain, retention(model, next(iter(batches)))["layer/layer0/forward"].gain)
    with pytest.raises(ValueError, match="At least one batch has to be measured, got batches=0"):
        retention(model, batches, batches=0)
    with pytest.raises(ValueError, match="DataLoader has no batch"):
        retention(model, DataLoader([]))


class NoForward(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.GRU(INPUT, 2, batch_first=True)

    def loss(self, batch):
        return self.layer(batch[0])[0][:, -1].sum()


def test_a_model_without_forward():
    with pytest.raises(ValueError, match=r'NoForward has no forward.*loss="training_step". Its methods: loss\.'):
        retention(NoForward().double(), [X, LABELS])
    with pytest.raises(ValueError, match=r"Give it one \(model.forward = model.loss\), or"):
        retention(NoForward().double(), [X, LABELS])
    assert list(retention(NoForward().double(), [X, LABELS], loss="loss")) == ["layer/layer0/forward"]
