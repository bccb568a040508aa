"""What a step is traced by."""

import threading

import pytest
import torch
from torch import nn

from rnnvanish import Recurrent, cells
from rnnvanish.compat import tracing
from rnnvanish.diagnosis.cause import traced_step
from rnnvanish.diagnosis.cause.cause import causes
from rnnvanish.engine import run


def test_without_a_trace_no_step_is_taken_apart(monkeypatch):
    def missing(*args, **options):
        raise RuntimeError("there is none")

    monkeypatch.setattr(traced_step, "make_fx", missing)
    (cause,) = causes(nn.GRU(2, 3), torch.randn(4, 1, 2)).values()
    assert set(cause.parts) == {"step", "loss"}
    assert cause.untaken == "it cannot be traced (there is none)"


def test_a_trace_keeps_where_a_gradient_is_cut():
    """Torch 2.14 would take `detach` for the identity: half of a derivative more than there is."""
    traced = tracing.make_fx(lambda x: x * x.detach())(torch.ones(2))
    x = torch.tensor([3.0, 4.0], requires_grad=True)
    (gradient,) = torch.autograd.grad(traced(x).sum(), x)
    torch.testing.assert_close(gradient, x.detach())


def test_a_generator_is_left_out_of_a_trace_that_asks_for_it_and_of_no_other(monkeypatch):
    """As with torch 2.11, which has no way to put one into a graph."""
    kinds, before = torch.fx.proxy._create_arg_bypass, dict(torch.fx.proxy._create_arg_bypass)
    monkeypatch.setattr(tracing, "TAKES_GENERATORS", False)
    monkeypatch.setattr("torch.fx.proxy._create_arg_bypass", dict(before))
    with tracing.generators_left_out():
        assert torch.fx.proxy.TracerBase().create_arg({"generator": torch.Generator()}) == {"generator": None}
    with pytest.raises(NotImplementedError, match="Generator"):
        torch.fx.proxy.TracerBase().create_arg(torch.Generator())
    assert kinds == before


@pytest.mark.parametrize(
    ("cuda", "gpu", "called"), [("13.0", False, True), ("13.0", True, False), (None, False, False)]
)
def test_what_a_trace_puts_in_place_belongs_to_the_thread_that_stays(monkeypatch, cuda, gpu, called):
    """Torch 2.11 for CUDA on a machine without a GPU frees it with the thread that compiled, and then ends the process.

    Where autograd first runs after it, it runs in no fork.
    """
    done, run_autograd = [], torch.Tensor.backward
    monkeypatch.setattr(tracing, "_guard_devices", lambda: done.append(threading.current_thread()))
    monkeypatch.setattr(torch.Tensor, "backward", lambda tensor: [done.append("autograd"), run_autograd(tensor)])
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(run, "_programs", {})
    with torch.inference_mode():
        Recurrent(cells.Elman, 2, 3, engine="cpu")(torch.randn(4, 1, 2))
    assert done == ["autograd", threading.current_thread()] * called
