"""The callback of Hugging Face's Trainer, with the part of a Trainer that calls it written again."""

from types import SimpleNamespace

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from rnnvanish.monitor.transformers_callback import RetentionCallback


class Classifier(nn.Module):
    """Takes what a tokenizer gives, and returns its loss beside logits."""

    def __init__(self):
        super().__init__()
        self.embedding, self.lstm, self.head = nn.Embedding(9, 4), nn.LSTM(4, 6, batch_first=True), nn.Linear(6, 2)

    def forward(self, input_ids, labels=None):
        logits = self.head(self.lstm(self.embedding(input_ids))[0][:, -1])
        return {"loss": cross_entropy(logits, labels), "logits": logits}


class TrainerLike:
    """Calls the events of its callbacks by name, with the model by keyword, as transformers.Trainer does."""

    def __init__(self, model, callbacks):
        self.model, self.callbacks, self.state = model, callbacks, SimpleNamespace(log_history=[])

    def call(self, event, **given):
        for callback in self.callbacks:
            assert getattr(callback, event)(None, self.state, SimpleNamespace(), model=self.model, **given) is None

    def train(self):
        torch.manual_seed(0)
        rule, losses = torch.optim.AdamW(self.model.parameters()), []
        self.call("on_train_begin")
        for step in range(6):
            self.call("on_step_begin")
            for _ in range(2):
                ids = torch.randint(9, (3, 10))
                loss = self.model(input_ids=ids, labels=ids[:, 0] % 2)["loss"] / 2
                loss.backward()
                losses.append(loss.item())
            self.call("on_pre_optimizer_step")
            rule.step()
            self.model.zero_grad()
            self.call("on_step_end")
            logs = {"loss": losses[-1]}
            self.state.log_history.append({**logs, "step": step})
            self.call("on_log", logs=logs)
        self.call("on_train_end")
        return losses


def trained(*callbacks):
    torch.manual_seed(1)
    trainer = TrainerLike(Classifier(), callbacks)
    return trainer.train(), trainer


def test_it_watches_a_trainer_and_adds_to_its_log():
    callback = RetentionCallback(every=4, on_alert=str)
    alone, _ = trained()
    beside, trainer = trained(callback)
    assert beside == alone
    assert callback.history.steps == (0, 4, 8)
    assert not callback.problems
    last = callback.history.of("lstm/layer0/forward")[-1]
    assert trainer.state.log_history[-1]["retention/lstm/layer0/forward/reach"] == last.reach
    assert trainer.state.log_history[-1]["retention/lstm/layer0/forward/half_life"] == last.half_life
    assert not any(module._forward_hooks for module in trainer.model.modules())
