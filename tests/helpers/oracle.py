"""The oracles that a cell owes: its paper's equations in plain Python, and others that are independent of those.

`tests/cells/equations/FILE.py` and `tests/cells/oracles/FILE.py` belong to `src/rnnvanish/cells/FILE.py`.

**Equations.** `NAME(w, x, state)` takes a step of one sequence, with `math` or `cmath`. `w` is the cell's `state_dict` as nested
lists, `x` a list of numbers, `state` a list for each part of it; options come by keyword. It returns `(output, [parts])`: what
is handed on, and each part of the new state. Units call `math.tanh`, gates a `sigmoid` of the file: a test puts each of
`NONLINEARITIES` in their place. `NAME_start(w, parts)` gives the first state where that is not nought,
`OPTIONS = {"NAME": [{...}]}` what else the cell is held with.

**Oracles.** Functions under `@oracle("NAME")`, as many as it takes. Each takes the class and builds it, so that one with a
fault planted in it can be held against the same. Here is what they are made of:

- a cell and what it reads: `drawn` (weights anew, in double precision), `normal`, `drawn_state`;
- torch's own step with the same weights: `as_torch`; made of some gates of a cell: `torchs` and `gate`;
- how weights are drawn, which every cell owes, since its equations hold with any weights: `assert_drawn_as_torch`,
  `assert_uniform`, `assert_ends`, `assert_normal`, `assert_orthogonal`.
"""

import importlib.util
from functools import cache
from pathlib import Path
from unittest.mock import patch

import torch

from rnnvanish import cells

FOLDER = Path(__file__).parents[1] / "cells"
INPUT, HIDDEN, BATCH, STEPS = 3, 6, 2, 5


def oracle(name):
    """Say that a function of a cell's class holds the cell of this name against something independent of it."""

    def mark(function):
        function.cells = (*getattr(function, "cells", ()), name)
        return function

    return mark


def file_of(name):
    """The file, without its ending, that the cell of this name stands in."""
    return cells.ALL[name].__module__.rpartition(".")[2]


@cache
def loaded(folder):
    """The modules of a folder by the names of their files."""
    modules = {}
    for path in sorted((FOLDER / folder).glob("*.py")):
        spec = importlib.util.spec_from_file_location(f"{folder}_{path.stem}", path)
        modules[path.stem] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(modules[path.stem])
    return modules


def oracles(name):
    """The functions that hold the cell of this name against something, by their names."""
    module = loaded("oracles").get(file_of(name))
    found = vars(module).items() if module else ()
    return {called: each for called, each in found if name in getattr(each, "cells", ())}


def assert_passes(kind, check):
    """Hold a cell's class against an oracle of it, which draws the same numbers each time."""
    torch.manual_seed(0)
    check(kind)


def equations(name):
    """The function that computes a step of the cell of this name in plain Python; None where there is none."""
    return getattr(loaded("equations").get(file_of(name)), name, None)


#: What a cell owes, by the folder that it stands in.
OWED = {
    "equations": "{name} needs its equations: a function {name}(w, x, state) in {path}, in plain Python. It returns the output and "
    "the parts of the new state: (output, [part, ...]).",
    "oracles": '{name} needs an oracle beside its equations: a function under @oracle("{name}") in {path}: '
    "torch's own, a closed form, another cell; and one of how its weights are drawn.",
}


def assert_has(name, *folders):
    """Fail, in words, where the cell of this name lacks its equations, or an oracle beside them."""
    for folder in folders:
        path = f"tests/cells/{folder}/{file_of(name)}.py"
        said = OWED[folder].format(name=name, path=path)
        assert {"equations": equations, "oracles": oracles}[folder](name), (
            f"{said} tests/helpers/oracle.py says how, and has what it takes."
        )


def starts(name):
    """The function that says the state before the first step of the cell of this name; None where that is nought."""
    return getattr(loaded("equations").get(file_of(name)), f"{name}_start", None)


def options_of(name):
    """The options with which a cell's equations are held: its `small` ones, and with each of OPTIONS[name] of their file."""
    others = getattr(loaded("equations").get(file_of(name)), "OPTIONS", {}).get(name, ())
    return [{}, *others]


def drawn(cell):
    """The same cell in double precision, its weights and biases drawn anew: none is nought, none a default."""
    with torch.no_grad():
        for parameter in cell.double().parameters():
            parameter.copy_(torch.randn_like(parameter) / 2)
    return cell


def drawn_state(cell, x):
    """A state of which nothing is nought; what counts or scales is moved by whole numbers."""
    return tuple(
        part + torch.randint(4, part.shape) if name in cell.helpers or not _is_number(part) else torch.randn_like(part)
        for name, part in zip(cell.state_names, cell.initial_state(x), strict=True)
    )


def _is_number(part):
    return part.is_floating_point() or part.is_complex()


def assert_follows_equations(kind, name, **options):
    """Several steps, from a state and with weights that are drawn, equal a function of plain Python; and the first state.

    `step(w, x, state, **options)` gives the output and the new state of one sequence, in nested lists; `start(w, parts)`
    the state before the first step, for parts of noughts.

    Args:
        kind: The cell's class.
        name: The cell that it is held against.
        options: Besides the class's `small` ones.
    """
    torch.manual_seed(0)
    options = {**kind.small, **options}
    cell = drawn(kind(INPUT, HIDDEN, **options)).eval()
    weights = {name: value.tolist() for name, value in cell.state_dict().items()}
    wanted = {
        "times": torch.rand(STEPS, BATCH, 1).double(),
        "observed": torch.rand(STEPS, BATCH, INPUT) < 0.5,
    }
    step, start = equations(name), starts(name)
    state = cell.initial_state(torch.randn(BATCH, INPUT).double())
    for row in range(BATCH):
        noughts = [torch.zeros_like(part[row]).tolist() for part in state]
        for part, value in zip(state, start(weights, noughts) if start else noughts, strict=True):
            assert_close(part[row], value, "the state before the first step")
    state = drawn_state(cell, torch.zeros(BATCH, INPUT).double())
    for t in range(STEPS):
        x = torch.randn(BATCH, INPUT).double()
        before = [[part[row].tolist() for part in state] for row in range(BATCH)]  # the cell must not write into it
        # The last step goes without: a caller need not give them.
        more = {name: values[t] for name, values in wanted.items() if name in kind.wants and t < STEPS - 1}
        with torch.no_grad():
            new = cell(x, state, **more)
            output = cell.output(x, state, new)
        assert output.shape == (BATCH, cell.output_size)
        assert [part.dtype for part in new] == [part.dtype for part in state]
        for row in range(BATCH):
            given = {name: value[row].tolist() for name, value in more.items()}
            expected, after = step(weights, x[row].tolist(), before[row], **options, **given)
            names = ["the output", *cell.state_names]
            for what, part, value in zip(names, [output, *new], [expected, *after], strict=True):
                assert_close(part[row], value, f"{what} of step {t}")
        state = new


def assert_scales(kind):
    """With another scale, and parts divided by it, a step gives the same output, and the same that its parts stand for."""
    torch.manual_seed(0)
    cell, x = drawn(kind(INPUT, HIDDEN, **kind.small)).eval(), torch.randn(BATCH, INPUT).double()
    state = drawn_state(cell, x)
    moved = tuple(part + (name in cell.helpers) for name, part in zip(cell.state_names, state, strict=True))
    scales = list(zip(cell.scales(state), cell.scales(moved), strict=True))
    other = tuple(part * old / new for part, (old, new) in zip(moved, scales, strict=True))
    found = []
    for before in (state, other):
        after = cell(x, before)
        parts = zip(cell.state_names, after, cell.scales(after), strict=True)
        memory = [part * scale for name, part, scale in parts if name not in cell.helpers]
        found.append([cell.output(x, before, after), *memory])
    torch.testing.assert_close(found[0], found[1])
    assert all(
        old == new == 1 for name, (old, new) in zip(cell.state_names, scales, strict=True) if name in cell.helpers
    )


def assert_close(ours, expected, what):
    """A tensor equals nested lists of numbers to 1e-10."""
    theirs = torch.tensor(expected, dtype=ours.dtype)
    torch.testing.assert_close(
        ours, theirs, rtol=1e-10, atol=1e-10, msg=lambda text: f"{what} is not what the equations say. {text}"
    )


def as_torch(theirs, ours):
    """A step of `torch.nn` and one of ours with the same weights, in double precision."""
    with torch.no_grad():
        for layer, end in ((ours.from_x, "ih"), (ours.from_h, "hh")):
            for name, parameter in layer.named_parameters():
                parameter.copy_(getattr(theirs, f"{name}_{end}"))
    return theirs.double(), ours.double()


def assert_drawn_as_torch(kind, twin, input_size=40, hidden_size=25):
    """The same shapes and bounds, and as uniform: the largest of many draws comes close to the bound."""
    torch.manual_seed(0)
    ours, theirs = kind(input_size, hidden_size), twin(input_size, hidden_size)
    bound = hidden_size**-0.5
    for layer, end in ((ours.from_x, "ih"), (ours.from_h, "hh")):
        for name, parameter in layer.named_parameters():
            assert parameter.shape == getattr(theirs, f"{name}_{end}").shape
            assert 0.85 * bound < parameter.abs().max() <= bound
            assert parameter.mean().abs() < bound / 2


def normal(*widths):
    """Two sequences' numbers in double precision: one tensor for each width."""
    return tuple(torch.randn(BATCH, width).double() for width in widths)


def gate(cell, name):
    """What a cell's layers have of one of its gates: weights of the input, weights of the state, biases, summed."""
    size = cell.hidden_size
    found = [torch.zeros(size, cell.input_size), torch.zeros(size, size), torch.zeros(size)]
    for layer, names in cell.gate_names.items():
        if name in names:
            rows = slice(names.index(name) * size, (names.index(name) + 1) * size)
            module = cell.get_submodule(layer)
            found[not layer.startswith("from_x")] = module.weight.detach()[rows]
            if module.bias is not None:
                found[2] = found[2] + module.bias.detach()[rows]
    return tuple(part.double() for part in found)


def torchs(kind, **gates):
    """A step of `torch.nn` in double precision, of what `gate` gives for each of its gates; its second bias is 0."""
    blocks = [gates[name] for name in {torch.nn.LSTMCell: "ifgo", torch.nn.GRUCell: "rzn"}[kind]]
    theirs = kind(blocks[0][0].shape[1], blocks[0][1].shape[1]).double()
    with torch.no_grad():
        for name, parts in zip(("weight_ih", "weight_hh", "bias_ih"), zip(*blocks, strict=True), strict=True):
            getattr(theirs, name).copy_(torch.cat(parts))
        theirs.bias_hh.zero_()
    return theirs


def assert_uniform(values, high, low=None):
    """Many values are uniform from -high, or from low, to high: the more there are, the closer."""
    low = -high if low is None else low
    count, bound, values = values.numel(), (high - low) / 2, values - (high + low) / 2
    assert (1 - 10 / count) * bound < values.abs().max() <= (1 + 1e-6) * bound
    assert abs(values.abs().mean() - bound / 2) < bound / count**0.5
    assert values.mean().abs() < 2 * bound / count**0.5


def at_the_ends_of_draws(build):
    """What is built where every number that is uniformly drawn is the smallest that it can be, and the largest."""
    for end in (0, 1):
        with patch.object(torch.Tensor, "uniform_", lambda tensor, *ends, end=end, **_: tensor.fill_(ends[end])):
            yield build()


def assert_ends(build, **bounds):
    """Parameters, `layer_weight` for that of a layer, are drawn uniformly between two numbers, or up to one of both signs."""
    for end, cell in enumerate(at_the_ends_of_draws(build)):
        parameters = {name.replace(".", "_"): value for name, value in cell.named_parameters()}
        for name, bound in bounds.items():
            expected = (bound if isinstance(bound, tuple) else (-bound, bound))[end]
            torch.testing.assert_close(parameters[name], torch.full_like(parameters[name], expected))


def assert_normal(values, std):
    """Many values are normal around 0: the more there are, the closer."""
    count = values.numel()
    assert abs(values.std() / std - 1) < 4 / (2 * count) ** 0.5
    assert abs(values.mean()) < 4 * std / count**0.5
    assert abs((values.abs() < std).float().mean() - 0.683) < 2 / count**0.5


def assert_orthogonal(matrix):
    """The rows of a matrix, or its columns where these are fewer, are orthogonal and of length 1."""
    matrix = matrix if len(matrix) <= matrix.shape[1] else matrix.T
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(len(matrix), dtype=matrix.dtype), rtol=0, atol=1e-5)
