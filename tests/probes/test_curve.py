"""Curves of several batches, averaged."""

import math

import torch
from networks import HIDDEN, INPUT, Two, loader, same
from torch.utils.data import DataLoader

from rnnvanish import Recurrent, cells
from rnnvanish.probes import retention


def test_batches_are_averaged_with_an_interval():
    x, batches = loader()
    model = Recurrent(cells.LSTM, INPUT, HIDDEN, batch_first=True).double()
    read_last = lambda returned: returned[0][:, -1].sum()
    (curve,) = retention(model, batches, loss=read_last).values()
    each = [retention(model, part, loss=read_last)["Recurrent/layer0/forward"] for part in x.split(4)]
    logs = torch.stack([one.gain.log() for one in each])
    same(curve.gain, logs.mean(0).exp())
    half = 4.302652729911275 * logs.std(0) / math.sqrt(3)  # Student's t of two degrees of freedom
    torch.testing.assert_close(curve.low, (logs.mean(0) - half).exp(), rtol=1e-9, atol=0)
    torch.testing.assert_close(curve.high, (logs.mean(0) + half).exp(), rtol=1e-9, atol=0)
    same(curve.part("c").gain, torch.stack([one.part("c").gain.log() for one in each]).mean(0).exp())
    assert curve.rates == tuple(one.rate for one in each)
    low, high = curve.rate_interval
    assert low < curve.rate < high
    assert each[0].low is None
    assert each[0].rate_interval is None
    read_all = lambda returned: returned[0].square().sum()
    (whole,) = retention(model, batches, loss=read_all).values()
    each = [retention(model, part, loss=read_all)["Recurrent/layer0/forward"].total for part in x.split(4)]
    same(whole.total.gain, torch.stack([one.gain.log() for one in each]).mean(0).exp())


def test_a_lag_is_averaged_over_the_batches_that_reach_it():
    torch.manual_seed(0)
    model = Two().double()
    parts = [torch.randn(2, time, INPUT).double() for time in (7, 4, 6)]
    batches = DataLoader(parts, batch_size=None)
    (curve,) = retention(model, batches).values()
    each = [retention(model, part)["layer/layer0/forward"].gain for part in parts]
    assert len(curve.gain) == 7
    same(curve.gain[:4], torch.stack([gain[:4] for gain in each]).log().mean(0).exp())
    same(curve.gain[4:6], (each[0][4:6] * each[2][4:]).sqrt())
    same(curve.gain[6], each[0][6])
    assert curve.low[6].isnan()
