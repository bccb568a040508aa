"""A rate whose first step throws the gates to the end of their range; and rates that are high, and do not."""

import pytest
import torch
from torch import nn

from rnnvanish.diagnosis.find_faults import find

FAULT = "first step too long"
torch.manual_seed(0)
X, Y = torch.randn(12, 8, 3), torch.randn(8, 1)


def loss(output):
    return nn.functional.mse_loss(output, Y)


class Reader(nn.Module):
    def __init__(self, kind=nn.LSTM):
        super().__init__()
        self.rnn, self.head = kind(3, 16), nn.Linear(16, 1)

    def forward(self, x):
        return self.head(self.rnn(x)[0][-1])


def found(model, optimizer):
    return [finding for finding in find(model, X, loss=loss, optimizer=optimizer) if finding.fault == FAULT]


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_it_is_named_and_a_rate_that_leaves_the_gates_open_is_tried(kind):
    model = Reader(kind)
    kept = [weight.clone() for weight in model.parameters()]
    optimizer = torch.optim.Adam(model.parameters(), lr=3.0)
    (finding,) = found(model, optimizer)
    assert finding.layer == "rnn/layer0/forward"
    assert finding.before > 0.5
    assert finding.after < 0.25
    assert "Adam with a rate of 3" in finding.seen
    assert optimizer.param_groups[0]["lr"] == 3.0
    assert not optimizer.state
    assert all(torch.equal(*pair) for pair in zip(kept, model.parameters(), strict=True))


def test_the_promise_is_what_the_user_gets():
    model = Reader()
    (finding,) = found(model, torch.optim.Adam(model.parameters(), lr=3.0))
    rate = float(finding.remedy.split("rate of ")[1].split(",")[0])
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    loss(model(X)).backward()
    optimizer.step()
    outputs, _ = model.rnn(X)
    assert float((outputs.abs() > 0.99).float().mean()) < 0.1
    assert found(model, optimizer) == []


def test_a_rate_that_is_high_for_adam_is_right_for_gradient_descent():
    model = Reader()
    assert found(model, torch.optim.SGD(model.parameters(), lr=3.0)) == []


def test_a_usual_rate_and_one_that_warms_up_are_right():
    model = Reader()
    assert found(model, torch.optim.Adam(model.parameters(), lr=1e-2)) == []
    optimizer = torch.optim.Adam(model.parameters(), lr=3.0)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1e-4 * (step + 1))
    assert found(model, optimizer) == []
    assert scheduler.last_epoch == 0  # its optimizer has taken no step


def test_without_an_optimizer_or_a_loss_nothing_is_trained():
    model = Reader()
    assert find(model, X, loss=loss) == ()
    assert find(model, X, optimizer=torch.optim.Adam(model.parameters(), lr=3.0)) == ()
    assert found(model, torch.optim.Adam(Reader().parameters(), lr=3.0)) == []  # of other weights
