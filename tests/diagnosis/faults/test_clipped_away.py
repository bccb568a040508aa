"""Clipping that leaves next to nothing of a step; and clipping that an optimizer makes up for, or that rarely bites."""

import pytest
import torch
from pytorch_lightning import LightningModule, Trainer
from torch import nn

from rnnvanish import diagnose
from rnnvanish.diagnosis.find_faults import find

FAULT = "clipped to next to nothing"
torch.manual_seed(0)
X, Y = torch.randn(8, 4, 2), torch.randn(4, 1)


def loss(output):
    return nn.functional.mse_loss(output, Y)


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.head = nn.GRU(2, 6), nn.Linear(6, 1)

    def forward(self, x):
        return self.head(self.rnn(x)[0][-1])


class Lit(LightningModule):
    def __init__(self, optimizer, clip, algorithm=None):
        super().__init__()
        self.reader, self.make = Reader(), optimizer
        self.trainer = Trainer(
            gradient_clip_val=clip,
            gradient_clip_algorithm=algorithm,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )

    def forward(self, x):
        return self.reader(x)

    def training_step(self, batch, batch_idx):
        return loss(self(batch))

    def configure_optimizers(self):
        optimizer = self.make(self.parameters())
        return {"optimizer": optimizer, "lr_scheduler": torch.optim.lr_scheduler.StepLR(optimizer, 5)}


def sgd(parameters):
    return torch.optim.SGD(parameters, 0.1)


def adam(parameters):
    return torch.optim.Adam(parameters, 1e-3)


def found(model, **options):
    return [finding for finding in find(model, X, **options) if finding.fault == FAULT]


@pytest.mark.parametrize("algorithm", ["norm", "value"])
def test_what_a_trainer_clips_to_nothing_is_named_and_a_norm_that_is_usual_is_tried(algorithm):
    (finding,) = found(Lit(sgd, 1e-6, algorithm), loss="training_step" if algorithm == "norm" else None)
    assert finding.before < 1e-4
    assert finding.after == pytest.approx(1, abs=0.1)
    assert "Clip at about" in finding.remedy


def test_the_share_is_that_of_the_norms():
    model = Lit(sgd, 1e-5)
    loss(model(X)).backward()
    norm = float(torch.stack([weight.grad.norm() for weight in model.parameters()]).norm())
    model.zero_grad()
    (finding,) = found(model, loss="training_step")
    assert finding.before == pytest.approx(1e-5 / norm, rel=0.05)  # of a step of plain gradient descent
    assert f"is {norm:.2g}, and what clips it leaves 1e-05" in finding.seen


def test_hooks_of_weights_and_of_an_optimizer_are_seen_too():
    model = Reader()
    for weight in model.parameters():
        weight.register_hook(lambda gradient: gradient.clamp(-1e-7, 1e-7))
    optimizer = sgd(model.parameters())
    (finding,) = diagnose(model, X, loss=loss, optimizer=optimizer).findings
    assert finding.fault == FAULT
    model = Reader()
    optimizer = sgd(model.parameters())
    optimizer.register_step_pre_hook(
        lambda optimizer, args, kwargs: nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], 1e-7) and None
    )
    kept = [weight.clone() for weight in model.parameters()]
    assert len(found(model, loss=loss, optimizer=optimizer)) == 1
    assert all(torch.equal(*pair) for pair in zip(kept, model.parameters(), strict=True))
    assert all(weight.grad is None for weight in model.parameters())


def test_adam_makes_up_for_it_until_nothing_is_left_beside_its_epsilon():
    assert found(Lit(adam, 1e-4), loss="training_step") == []
    assert len(found(Lit(adam, 1e-12), loss="training_step")) == 1


def test_clipping_that_rarely_bites_is_right():
    assert found(Lit(sgd, 1.0), loss="training_step") == []
    assert found(Lit(sgd, 0.02), loss="training_step") == []
    model = Reader()
    assert found(model, loss=loss, optimizer=sgd(model.parameters())) == []
