"""Measuring in segments: the same numbers, with less memory."""

import weakref
from collections import Counter

import pytest
import torch
from networks import BATCH, HIDDEN, INPUT, Tagger
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from rnnvanish import Recurrent, cells
from rnnvanish.probes import retention


class Memory(TorchDispatchMode):
    """Bytes of all tensors that are alive at once, at their most; recomputed ones, too."""

    def __init__(self):
        super().__init__()
        self.now = self.most = 0
        self.alive = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        output = function(*args, **kwargs or {})
        for tensor in tree_leaves(output):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                self.count(storage._cdata, storage.nbytes(), 1)
                weakref.finalize(tensor, self.count, storage._cdata, storage.nbytes(), -1)
        return output

    def count(self, storage, size, change):
        before = self.alive[storage]
        self.alive[storage] += change
        self.now += size * ((self.alive[storage] > 0) - (before > 0))
        self.most = max(self.most, self.now)


@pytest.mark.parametrize("kind", ["layer", "packed", "Recurrent", "cell"])
def test_segments_give_the_same_numbers(kind):
    torch.manual_seed(0)
    x = torch.randn(13, BATCH, INPUT).double()
    model = {
        "layer": nn.LSTM(INPUT, HIDDEN, num_layers=2, bidirectional=True),
        "packed": nn.LSTM(INPUT, HIDDEN, num_layers=2, bidirectional=True),
        "Recurrent": Recurrent(cells.LSTM, INPUT, HIDDEN),
        "cell": Tagger("cell"),
    }[kind].double()
    inputs = pack_padded_sequence(x, [13, 9, 3]) if kind == "packed" else x
    whole = retention(model, inputs)
    for name, curve in retention(model, inputs, segment=4).items():
        assert torch.equal(curve.gain, whole[name].gain)
    with pytest.raises(ValueError, match="segment=0"):
        retention(model, inputs, segment=0)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.LSTMCell])
def test_segments_need_less_memory(kind):
    model = Loop(kind(INPUT, 64)).double()
    x, peaks = torch.randn(64, 2, INPUT).double(), []
    for segment in (None, 8):
        with Memory() as memory:
            retention(model, x, segment=segment)
        peaks.append(memory.most)
    assert peaks[1] < 0.9 * peaks[0], peaks  # states, what is read of them, and their gradients stay


class Loop(nn.Module):
    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, x):
        if isinstance(self.module, nn.LSTM):
            return self.module(x)[0][-1]
        state = None
        for now in x:
            state = self.module(now, state)
        return state[0]
