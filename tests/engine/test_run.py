"""Which engine runs, and what it says; what is kept on disk; memory; denormal numbers."""

import contextlib
import os
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.autograd import forward_ad

from rnnvanish import Recurrent, cells, mitigations
from rnnvanish.cell import Cell, Paper
from rnnvanish.engine import run
from rnnvanish.engine.cpu import cpu_loop

BIG = (40, 16, 5)  # steps, sequences, features: with 8 units worth compiling


def plain(layer, x):
    layer.engine = "reference"
    try:
        return layer(x)[0]
    finally:
        layer.engine = "auto"


class Odd(Cell):
    """What a step may do that cannot be staged; each way is one method."""

    paper = Paper("-", 2026, "written for the tests", "-")

    def __init__(self, input_size, hidden_size, way):
        super().__init__(input_size, hidden_size)
        self.from_x, self.from_h = nn.Linear(input_size, hidden_size), nn.Linear(hidden_size, hidden_size)
        self.way, self.kept = way, None

    def forward(self, x, state):
        (h,) = state
        a = self.from_x(x) + self.from_h(h)
        return (getattr(self, self.way)(a, h),)

    def sorts(self, a, h):
        return torch.sort(torch.tanh(a), dim=-1).values

    def decides(self, a, h):
        return torch.tanh(a) if a.sum() > 0 else torch.relu(a)

    def cuts(self, a, h):
        with torch.no_grad():
            keep = torch.sigmoid(a)
        return keep * h + torch.tanh(a)

    def mixes_sequences(self, a, h):
        return torch.tanh(a - a.mean(0))

    def remembers(self, a, h):
        old = self.kept if self.kept is not None and self.kept.shape == a.shape else torch.zeros_like(a)
        self.kept = a.detach()
        return torch.tanh(a + old)

    def leaves_torch(self, a, h):
        return torch.tanh(a) + torch.from_numpy(0.5 * h.detach().numpy())


@pytest.mark.parametrize(
    ("way", "why"),
    [
        ("sorts", "no torch.sort of what reads the state"),
        ("decides", "no way to follow an if, a while or an item()"),
        ("cuts", "no "),
        ("mixes_sequences", "no "),
        ("remembers", "no way to follow its step"),
        ("leaves_torch", "no way with a tensor that is neither input nor parameter nor buffer"),
    ],
)
def test_what_cannot_be_staged_runs_as_it_is_and_the_log_says_why(way, why, log):
    torch.manual_seed(0)
    layer = Recurrent(Odd, BIG[2], 8, way=way)
    x = torch.randn(*BIG, requires_grad=True)
    layer.cells[0].kept = None
    ours = layer(x)[0]
    layer.cells[0].kept = None
    expected = plain(layer, x)
    assert torch.equal(ours, expected)
    assert torch.equal(*(torch.autograd.grad(out.square().sum(), x)[0] for out in (ours, expected)))
    assert [record.getMessage().partition(":")[0] for record in log.records] == ["Odd runs as a plain Python loop"]
    assert f"the compiled engine has {why}" in log.records[0].getMessage()
    layer(x)
    assert len(log.records) == 1  # once is enough
    layer.engine = "cpu"
    with pytest.raises(RuntimeError, match="engine='cpu' cannot run Odd: "):
        layer(x)


def test_modes_that_a_compiled_loop_does_not_know(log):
    torch.manual_seed(0)
    layer, x = Recurrent(cells.GRU, BIG[2], 8), torch.randn(*BIG)
    expected = plain(layer, x)
    both = torch.func.vmap(lambda x: layer(x)[0])(torch.stack([x, -x]))
    torch.testing.assert_close(both[0], expected)
    with forward_ad.dual_level():
        tangent = torch.randn_like(x)
        ahead = forward_ad.unpack_dual(layer(forward_ad.make_dual(x, tangent))[0]).tangent
    back = x.clone().requires_grad_()
    direction = torch.randn_like(expected)
    (pulled,) = torch.autograd.grad(plain(layer, back), back, direction)
    torch.testing.assert_close((ahead * direction).sum(), (tangent * pulled).sum(), rtol=1e-4, atol=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer(x)[0], plain(layer, x))
    seen = []
    with layer.cells[0].from_h.register_forward_hook(lambda *args: seen.append(1)):
        layer(x)
    assert len(seen) == len(x)
    reasons = [record.getMessage() for record in log.records]
    assert [word for word in ("torch.func", "forward mode", "autocast", "hooks") if any(word in r for r in reasons)] == [
        "torch.func", "forward mode", "autocast", "hooks",
    ]  # fmt: skip


def test_inference_mode_gives_the_same():
    torch.manual_seed(0)
    layer, x = Recurrent(cells.LSTM, BIG[2], 8), torch.randn(*BIG)
    expected = plain(layer, x)
    with torch.inference_mode():
        torch.testing.assert_close(layer(x)[0], expected)
    with torch.no_grad():
        torch.testing.assert_close(layer(x)[0], expected)


def test_a_program_is_shared_by_what_is_built_alike_and_by_nothing_else():
    def build(**options):
        torch.manual_seed(0)
        return Recurrent(cells.Elman, BIG[2], 8, engine="cpu", **options)

    x = torch.randn(*BIG)
    run._programs.clear()
    build()(x)
    before = len(run._programs)
    build()(x)
    assert len(run._programs) == before
    relu = build(nonlinearity="relu")
    torch.testing.assert_close(relu(x)[0], plain(relu, x))
    assert len(run._programs) == before + 1
    treated = mitigations.Zoneout(output=0.9)(build()).eval()
    other = mitigations.Zoneout(output=0.1)(build()).eval()
    for layer in (treated, other):
        torch.testing.assert_close(layer(x)[0], plain(layer, x))


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM], ids=["RNN", "GRU", "LSTM"])
def test_it_keeps_no_more_than_torch(kind):
    theirs = kind(32, 32)
    x = torch.randn(128, 16, 32)

    def kept(model):
        sizes = {}

        def pack(tensor):
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            alive = model(x)
        assert alive[0].requires_grad
        return sum(sizes.values())

    assert kept(Recurrent.from_torch(theirs)) <= 1.02 * kept(theirs)


def test_checkpoints_need_the_root_of_the_memory_and_change_no_gradient():
    found, kept = {}, {}
    x = torch.randn(256, 16, 16, requires_grad=True)
    for every in (None, 16):
        torch.manual_seed(0)
        layer = Recurrent(cells.LSTM, 16, 16, checkpoint_every=every)
        bytes_kept = []

        def pack(tensor, bytes_kept=bytes_kept):
            bytes_kept.append(tensor.numel() * 4 if tensor._base is None else 0)
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            output, _ = layer(x)
        found[every] = torch.autograd.grad(output.square().sum(), [x, *layer.parameters()])
        kept[every] = sum(bytes_kept)
    for one, other in zip(found[None], found[16], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * float(one.abs().max()))
    assert kept[16] < kept[None] / 4


@pytest.mark.parametrize("dense", [True, False], ids=["dense", "last step"])
def test_a_vanishing_model_computes_with_no_denormal_number(dense, monkeypatch):
    """Its gradient ends in them, and they take a CPU many times as long."""
    torch.manual_seed(0)
    x, layer = torch.randn(600, 16, 32), Recurrent(cells.Elman, 32, 32)
    with torch.no_grad():
        nn.init.orthogonal_(layer.cells[0].from_h.weight, 0.3)
    last = torch.zeros(600, 1, 1).index_fill(0, torch.tensor(599), 1.0)
    found, run = [], cpu_loop.CPULoop.__call__

    def counted(self, steps, batch, buffers, *rest):
        run(self, steps, batch, buffers, *rest)
        found.append(sum(denormal_numbers(buffer) for buffer in buffers.values()))

    def train():
        found.clear()
        output, _ = layer(x)
        (output * last if dense else output[-1]).sum().backward()
        return sum(found)

    train()  # compiled
    monkeypatch.setattr(cpu_loop.CPULoop, "__call__", counted)
    assert train() == 0
    assert len(found) == 2  # forward and backward
    monkeypatch.setattr(cpu_loop, "_flush_denormals", contextlib.nullcontext)
    assert train() > 0


def denormal_numbers(values):
    """How many are so small that their format keeps fewer digits of them."""
    size = values.abs()
    return int(((size > 0) & (size < torch.finfo(values.dtype).tiny)).sum())


SCRIPT = """
import sys
import torch
before = set(sys.modules)
from rnnvanish import Recurrent, cells
torch.manual_seed(0)
layer = Recurrent(cells.GRU, 5, 8)
x = torch.randn(40, 16, 5)
print(float(layer(x)[0].double().sum()))
print({"numba", "sympy", "scipy", "torch._dynamo"} & (set(sys.modules) - before))
if sys.argv[1:]:
    torch.testing.assert_close(torch.compile(layer, backend="eager")(x)[0], layer(x)[0])
"""


def compiled(folder, *args):
    environment = {**os.environ, "RNNVANISH_CACHE": str(folder), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *args],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_processes_share_a_cache_also_one_that_cannot_be_written(tmp_path):
    both = [compiled(tmp_path), compiled(tmp_path, "and by torch.compile")]
    together = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], together
    assert sorted(path.name.partition("-")[0] for path in tmp_path.iterdir()) == ["loop", "loop", "step"]
    number, imported = together[0][0].splitlines()
    assert "numba" in imported
    # A later process needs neither what traces nor what compiles.
    out, _ = compiled(tmp_path).communicate()
    assert out.splitlines() == [number, "set()"]
    blocked = tmp_path / "a file, no folder"
    blocked.touch()
    out, error = compiled(blocked / "cache").communicate()
    assert out.splitlines()[0] == number
    assert "RNNVANISH_CACHE" in error


ALONE = """
import sys
import warnings
import torch
import rnnvanish
print([name for name in ("torch._dynamo", "numba", "triton") if name in sys.modules])
torch.manual_seed(0)
layer, x = rnnvanish.Recurrent(rnnvanish.cells.GRU, 3, 32), torch.randn(40, 4, 3)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    compiled = torch.compile(layer, backend="eager")(x)[0]
    apart = torch.compile(lambda: torch.ones(1) * (not torch.compiler.is_exporting()), backend="eager")()
    exported = torch.export.export(layer, (x,), strict=True).module()(x)[0]
torch.testing.assert_close(exported, layer(x)[0])
torch.testing.assert_close(compiled, layer(x)[0])
print(torch.equal(compiled, layer(x)[0]) == bool(apart), not [each for each in caught if issubclass(each.category, UserWarning)])
"""


def test_the_package_imports_no_compiler_and_torchs_own_leaves_the_loop_alone_without_a_word():
    """In a process without the checks of annotations, which torch.compile cannot follow.

    Torch 2.11 takes its own compiler for an export: there the loop is compiled as it is written.
    """
    found = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["[]", "True", "True"]
