"""Tasks against naive loops, raw data and brute force; floors, parts that do not overlap, and what is refused."""

import collections
import dataclasses
import math
import sys

import pytest
import torch
from drawn_batches import draw

from rnnvanish import tasks
from rnnvanish.task import passes, stream
from rnnvanish.tasks import (
    Adding,
    Copying,
    DelayedXOR,
    Digits,
    Multiplication,
    Recall,
    Sunspots,
    TemporalOrder,
    Text,
    Vowels,
    text,
)

ALL = [task() for task in tasks.ALL.values()]


def sequences(batch) -> list[torch.Tensor]:
    """Each sequence without its padding."""
    lengths = [len(batch.inputs)] * batch.inputs.shape[1] if batch.lengths is None else batch.lengths.tolist()
    return [batch.inputs[:length, i] for i, length in enumerate(lengths)]


@pytest.mark.parametrize("task", ALL, ids=repr)
@pytest.mark.parametrize("part", ["train", "test"])
def test_shapes(task, part):
    batch = draw(task, 7, part)
    time, count, features = batch.inputs.shape
    assert (count, features) == (7, task.input_size)
    if task.tolerance is not None:
        assert batch.targets.shape == (7, task.output_size)
    else:
        assert batch.targets.shape == ((7,) if task.answer == "last" else (time, 7))
        assert batch.targets.min() >= 0
        assert batch.targets.max() < task.output_size
    if batch.lengths is not None:
        assert batch.lengths.max() == time


@pytest.mark.parametrize("task", ALL, ids=repr)
def test_a_generator_decides_the_draw(task):
    for part in ("train", "test"):
        assert torch.equal(draw(task, 9, part).inputs, draw(task, 9, part).inputs)
        assert torch.equal(draw(task, 9, part).targets, draw(task, 9, part).targets)
    assert not torch.equal(draw(task, 9).inputs[:5], draw(task, 9, seed=1).inputs[:5])
    generator = torch.Generator().manual_seed(0)
    first, second = task.sample(9, generator), task.sample(9, generator)
    assert not torch.equal(first.inputs[:5], second.inputs[:5])
    assert not torch.equal(draw(task, 9).inputs[:5], draw(task, 9, "test").inputs[:5])


@pytest.mark.parametrize(
    "task", [Adding(), Copying(), DelayedXOR(), Multiplication(), Recall(), TemporalOrder()], ids=repr
)
def test_no_synthetic_sequence_is_in_both_parts(task):
    train, test = (
        {tuple(s.flatten().tolist()) for s in sequences(draw(task, 300, part))} for part in ("train", "test")
    )
    assert not train & test


@pytest.mark.parametrize(("task", "records"), [(Digits(), (1442, 355)), (Vowels(), (270, 370))], ids=repr)
def test_no_record_is_in_both_parts(task, records):
    """Drawn once each, the records of the two parts are all different (one digit's image is in the data twice)."""
    counts = zip(("train", "test"), records, strict=True)
    train, test = ({tuple(s.flatten().tolist()) for s in sequences(draw(task, count, part))} for part, count in counts)
    assert (len(train), len(test)) == records
    assert not train & test
    assert task.test_count == len(test)


def test_windows_of_text_stay_in_their_part():
    """And what one part says is not said in the other: the reference repeats itself a lot."""
    said = {part: "".join(text.ALPHABET[i] for i in text._parts()[part]) for part in ("train", "test")}
    for part, other in (("train", "test"), ("test", "train")):
        batch = draw(Text(length=150), 300, part)
        for window in torch.cat([batch.inputs.argmax(-1), batch.targets[-1:]]).T.tolist():
            characters = "".join(text.ALPHABET[i] for i in window)
            assert characters in said[part]
            assert characters not in said[other]


def test_windows_of_years_stay_in_their_part():
    """Every window is found in the raw series; all of the test part's come, each once, and none crosses 1910."""
    from statsmodels.datasets import sunspots

    raw = sunspots.load_pandas().data
    before = raw.SUNACTIVITY[raw.YEAR < 1910]
    z = torch.tensor(((raw.SUNACTIVITY - before.mean()) / before.std()).to_numpy(), dtype=torch.float32)
    task = Sunspots(window=12)
    for part, first, last in (("train", 1700, 1909), ("test", 1910, 2008)):
        batch = draw(task, last - first + 1 - 12, part)
        found = []
        for window, target in zip(batch.inputs[..., 0].T, batch.targets[:, 0], strict=True):
            window = torch.cat([window, target[None]])
            found += (1700 + ((z.unfold(0, 13, 1) - window).abs() < 1e-6).all(1).nonzero().flatten()).tolist()
        assert sorted(found) == list(range(first, last - 12 + 1))


# What the inputs ask for, by a plain loop over a sequence's numbers.


def adding_answer(x):
    return [sum(number for number, mark in x if mark)]


def copying_answer(x):
    read = [row.index(1.0) for row in x]
    return [0] * (len(read) - 10) + read[:10]


def recall_answer(x):
    return int(x[0][0] > 0)


def multiplication_answer(x):
    return [math.prod(number for number, mark in x if mark == 1)]


def temporal_order_answer(x):
    read = "".join("abcdEBXY"[row.index(1.0)] for row in x)
    return ["XX", "XY", "YX", "YY"].index("".join(letter for letter in read if letter in "XY"))


def delayed_xor_answer(x):
    bits = [row[0] for row in x]
    return [int(t >= 6 and bits[t - 3] != bits[t - 6]) for t in range(len(bits))]


@pytest.mark.parametrize(
    ("task", "answer"),
    [
        (Adding(9), adding_answer),
        (Copying(7), copying_answer),
        (Recall(9), recall_answer),
        (Multiplication(9), multiplication_answer),
        (TemporalOrder(30), temporal_order_answer),
        (DelayedXOR(delay=3, length=11), delayed_xor_answer),
    ],
    ids=["adding", "copying", "recall", "multiplication", "temporal order", "delayed xor"],
)
def test_targets_by_a_naive_loop(task, answer):
    batch = draw(task)
    targets = batch.targets if task.answer == "last" else batch.targets.T
    for x, target in zip(sequences(batch), targets.tolist(), strict=True):
        assert answer(x.tolist()) == pytest.approx(target)


def test_adding_marks_one_number_in_each_half():
    marks = draw(Adding(length=7)).inputs[..., 1]
    assert (marks[:3].sum(0) == 1).all()
    assert (marks[3:].sum(0) == 1).all()
    assert (marks.sum(1) > 0).all()  # 200 draws: every place comes


def test_copying_reads_symbols_blanks_signal_blanks():
    read = draw(Copying(delay=4)).inputs.argmax(-1)
    assert set(read[:10].flatten().tolist()) == set(range(1, 9))
    assert read[10:].T.tolist() == [[0, 0, 0, 9] + [0] * 10] * 200


def test_multiplication_marks_one_of_the_first_ten_and_another_of_the_first_half():
    inputs, targets, _ = draw(Multiplication(length=30), 4000)
    marks = inputs[..., 1].clone()
    assert set(marks[[0, -1]].flatten().tolist()) == {-1.0}
    unseen = (marks == 1).sum(0) == 1  # the other is the very first, whose number is 1
    assert (inputs[0, unseen, 0] == 1).all()
    torch.testing.assert_close(targets[unseen, 0], (inputs[..., 0] * (marks == 1)).sum(0)[unseen], rtol=0, atol=0)
    assert unseen.double().mean() == pytest.approx(1 / 10 + 9 / 10 / 14, abs=0.02)
    marks[0] = unseen.float()
    assert (marks[:-1].sum(0) == 2).all()
    assert (marks[:10].sum(0) >= 1).all()
    assert marks[:15].sum() == marks[:-1].sum()
    often = marks[:15].mean(1)  # in each of the first ten once in ten, and anywhere as the other
    assert often[10:].mean() == pytest.approx(1 / 14, abs=0.02)
    assert (often > 0).all()


def test_temporal_order_has_its_symbols_in_the_second_and_the_sixth_tenth():
    read = draw(TemporalOrder(length=100), 2000).inputs.argmax(-1)
    assert set(read[0].tolist()) == {4}
    assert set(read[-1].tolist()) == {5}
    counts = torch.nn.functional.one_hot(read[1:-1], 8).sum(1)
    assert set((counts[:, 6:].sum(1) > 0).nonzero().flatten().add(1).tolist()) == {*range(10, 20), *range(50, 60)}
    assert (read[10:20] >= 6).sum(0).tolist() == (read[50:60] >= 6).sum(0).tolist() == [1] * 2000
    assert (counts[:, :4] > 0).all()
    assert (counts[:, 4:6] == 0).all()


def test_recall_hides_one_bit_in_noise():
    inputs = draw(Recall(length=50), 2000).inputs[..., 0]
    assert set(inputs[0].tolist()) == {-1.0, 1.0}
    assert inputs[1:].mean().abs() < 0.01
    assert inputs[1:].std() == pytest.approx(0.5, abs=0.01)


def test_digits_are_the_images():
    from sklearn.datasets import load_digits

    raw = load_digits()
    known = {tuple(image.flatten() / 16): digit for image, digit in zip(raw.images, raw.target, strict=True)}
    for part in ("train", "test"):
        batch = draw(Digits(), 300, part)
        for x, digit in zip(sequences(batch), batch.targets.tolist(), strict=True):
            assert known[tuple(x.flatten().tolist())] == digit
    of_each = draw(Digits(), 355, "test").targets.bincount()
    assert (of_each - torch.tensor(raw.target).bincount() / 5).abs().max() < 1  # stratified


def test_permuted_digits_are_the_images_in_one_other_order():
    plain, permuted = draw(Digits(), 300), draw(Digits(permuted=True), 300)
    assert torch.equal(plain.targets, permuted.targets)
    columns = {tuple(pixel.flatten().tolist()) for pixel in plain.inputs}
    assert {tuple(pixel.flatten().tolist()) for pixel in permuted.inputs} == columns
    assert not torch.equal(plain.inputs, permuted.inputs)
    once, again = (draw(Digits(permuted=True), 300, "test", seed).inputs.std(1) for seed in (0, 1))
    assert (once - again).abs().max() < 0.1 < (once - draw(Digits(), 300, "test").inputs.std(1)).abs().max()


def test_text_asks_for_the_next_character():
    batch = draw(Text(length=20))
    characters = batch.inputs.argmax(-1)
    assert torch.equal(batch.targets[:-1], characters[1:])
    prose = "".join(text.ALPHABET[i] for i in text._parts()["train"])
    assert "an assignment statement" in prose
    assert "  " not in prose


def test_vowels_are_those_that_aeon_reads():
    aeon = pytest.importorskip("aeon.datasets")
    for part, count in (("train", 270), ("test", 370)):
        xs, ys = aeon.load_from_ts_file(f"{aeon.__path__[0]}/data/JapaneseVowels/JapaneseVowels_{part.upper()}.ts")
        known = collections.Counter(
            (str(x.T.astype("float32").tolist()), int(y) - 1) for x, y in zip(xs, ys, strict=True)
        )
        batch = draw(Vowels(), count, part)
        ours = zip(sequences(batch), batch.targets.tolist(), strict=True)
        assert collections.Counter((str(x.tolist()), who) for x, who in ours) == known
        assert {len(x) for x in sequences(batch)} <= set(range(7, 30))
        for i, length in enumerate(batch.lengths):
            assert not batch.inputs[length:, i].any()


@pytest.mark.parametrize("task", ALL, ids=repr)
def test_a_right_answer_scores_one_and_a_wrong_one_nothing(task):
    batch = draw(task, 5)
    if task.tolerance is None:
        right = torch.nn.functional.one_hot(batch.targets, task.output_size) * 100.0
        wrong = -right
        assert task.loss(right, batch).item() == pytest.approx(0.0, abs=1e-6)
    else:
        right, wrong = batch.targets + 0.9 * task.tolerance, batch.targets - 1.1 * task.tolerance
        assert task.loss(right, batch).item() == pytest.approx((0.9 * task.tolerance) ** 2, rel=1e-4)
    assert task.score(right, batch) == 1.0
    assert task.score(wrong, batch) == 0.0


def test_passes_take_every_record_before_any_twice():
    assert sorted(passes(5, 10, stream("test")).tolist()) == sorted([*range(5)] * 2)
    assert len(set(passes(5, 4, stream("test")).tolist())) == 4


def test_streams_differ_by_name():
    names = [(0, 1), (1, 0), ("0", 1), (0, 1, 0)]
    assert len({torch.rand((), generator=stream(*name)).item() for name in names}) == 4


@pytest.mark.parametrize(
    ("make", "needed"),
    [
        (lambda: Adding(length=1), "Adding needs length >= 2, got 1"),
        (lambda: Copying(delay=0), "Copying needs delay >= 1, got 0"),
        (lambda: Multiplication(length=3), "Multiplication needs length >= 4, got 3"),
        (lambda: TemporalOrder(length=3), "TemporalOrder needs length >= 4, got 3"),
        (lambda: DelayedXOR(delay=0), "DelayedXOR needs delay >= 1, got 0"),
        (lambda: DelayedXOR(delay=5, length=10), "DelayedXOR needs length >= 11, got 10"),
        (lambda: Recall(length=0), "Recall needs length >= 1, got 0"),
        (lambda: Text(length=0), "Text needs length >= 1, got 0"),
        (lambda: Text(length=10**6), "Text needs length <= [0-9]+, the characters of its test part, got 1000000"),
        (lambda: Sunspots(window=0), "Sunspots needs window >= 1, got 0"),
        (lambda: Sunspots(window=99), "Sunspots needs window <= 98, the years of its test part, got 99"),
        (lambda: draw(Recall(), 0), "Recall needs a count >= 1 of sequences to sample, got 0"),
    ],
)
def test_errors_say_what_was_needed(make, needed):
    with pytest.raises(ValueError, match=needed):
        make()


@pytest.mark.parametrize(("module", "task"), [("sklearn", "Digits"), ("aeon", "Vowels"), ("statsmodels", "Sunspots")])
def test_a_missing_package_is_named_with_its_extra(monkeypatch, module, task):
    source = sys.modules[getattr(tasks, task).__module__]
    read = source._utterances if task == "Vowels" else source._parts
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=r'pip install "rnnvanish\[data\]"'):
        read.__wrapped__(*(["train"] if task == "Vowels" else []))


def test_every_task_is_listed_frozen_and_names_its_source():
    for name, task in tasks.ALL.items():
        assert task.__name__.lower() == name
        assert task.paper.link.startswith("https://")
        with pytest.raises(dataclasses.FrozenInstanceError):
            task().length = 3


@pytest.mark.parametrize("lag", [12, 30])
def test_the_distance_that_a_task_is_asked_for_is_the_one_it_has(lag):
    """Farthest step from an input to the answer that it decides, of sequences as they are drawn."""

    def drawn(kind):
        return draw(kind(**kind.options_at(lag)), 4000)

    recall = drawn(Recall)
    assert torch.equal(recall.inputs[0, :, 0] > 0, recall.targets == 1)
    assert len(recall.inputs) - 1 == lag
    adding = drawn(Adding)
    first = adding.inputs[..., 1].argmax(0).min().item()
    assert len(adding.inputs) - 1 - first == lag
    multiplication = drawn(Multiplication)
    first = (multiplication.inputs[..., 1] == 1).double().argmax(0).min().item()
    assert len(multiplication.inputs) - 1 - first == lag
    order = drawn(TemporalOrder)
    first = (order.inputs.argmax(-1) >= 6).double().argmax(0).min().item()
    assert len(order.inputs) - 1 - first == lag
    xor = drawn(DelayedXOR)
    asked = xor.targets.ne(0).nonzero()[:, 0].min().item()
    assert torch.equal(xor.inputs[0, :, 0] != xor.inputs[lag // 2, :, 0], xor.targets[asked] == 1)
    assert asked == lag
    copying = drawn(Copying)
    asked = copying.targets.ne(0).nonzero()[:, 0].min().item()
    assert torch.equal(copying.inputs[0].argmax(-1), copying.targets[asked])
    assert asked == lag


@pytest.mark.parametrize("task", [Digits, Sunspots, Text, Vowels])
def test_a_task_without_such_a_distance_says_so(task):
    assert task.options_at(10) is None
