"""watch in the loops of public training scripts, written again: the training is bit for bit the one without it."""

import random

import pytest
import torch
from torch import nn
from torch.distributions import Categorical
from torch.nn.functional import cross_entropy, log_softmax, mse_loss, nll_loss, relu, softmax

from rnnvanish import watch


class CharRNN(nn.Module):
    """One character a call, as spro/char-rnn.pytorch has it; its `train` is a training step."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Embedding(9, 6)
        self.rnn = nn.GRU(6, 8, 2, dropout=0.3)
        self.decoder = nn.Linear(8, 9)

    def forward(self, character, hidden):
        output, hidden = self.rnn(self.encoder(character).view(1, len(character), -1), hidden)
        return self.decoder(output.view(len(character), -1)), hidden


def characters(watching):
    """spro/char-rnn.pytorch: a loss summed over calls, one for each character."""
    model = CharRNN()
    adam = torch.optim.Adam(model.parameters(), lr=0.01)
    watching(model)
    for _ in range(5):
        text = torch.randint(9, (3, 8))
        hidden, loss = torch.zeros(2, 3, 8), 0
        model.zero_grad()
        for now in range(7):
            output, hidden = model(text[:, now], hidden)
            loss += cross_entropy(output.view(3, -1), text[:, now + 1])
        loss.backward()
        adam.step()
        yield loss / 7


class LanguageModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(0.2)
        self.encoder = nn.Embedding(11, 6)
        self.rnn = nn.LSTM(6, 6, 2, dropout=0.2)
        self.decoder = nn.Linear(6, 11)
        self.decoder.weight = self.encoder.weight

    def forward(self, words, hidden):
        output, hidden = self.rnn(self.drop(self.encoder(words)), hidden)
        return log_softmax(self.decoder(self.drop(output)).view(-1, 11), dim=1), hidden


def words(watching):
    """pytorch/examples, word_language_model: a carried state, tied weights, evaluation between epochs, steps by hand."""
    model, corpus = LanguageModel(), torch.randint(11, (36, 4))
    watching(model)
    for _ in range(2):
        model.train()
        hidden = (torch.zeros(2, 4, 6), torch.zeros(2, 4, 6))
        for start in range(0, 35, 12):
            data, targets = corpus[start : start + 12][: 35 - start], corpus[start + 1 : start + 13]
            hidden = tuple(part.detach() for part in hidden)
            model.zero_grad()
            output, hidden = model(data, hidden)
            loss = nll_loss(output, targets.view(-1))
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.25)
            for weight in model.parameters():
                weight.data.add_(weight.grad, alpha=-1.0)
            yield loss
        model.eval()
        with torch.no_grad():
            model(corpus, (torch.zeros(2, 4, 6), torch.zeros(2, 4, 6)))


class Waves(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm1, self.lstm2, self.linear = nn.LSTMCell(1, 6), nn.LSTMCell(6, 6), nn.Linear(6, 1)

    def forward(self, series, future=0):
        first = second = (torch.zeros(len(series), 6, dtype=torch.double),) * 2
        outputs = []
        for now in series.split(1, dim=1):
            first = self.lstm1(now, first)
            second = self.lstm2(first[0], second)
            outputs.append(self.linear(second[0]))
        for _ in range(future):
            first = self.lstm1(outputs[-1], first)
            second = self.lstm2(first[0], second)
            outputs.append(self.linear(second[0]))
        return torch.cat(outputs, dim=1)


def waves(watching):
    """pytorch/examples, time_sequence_prediction: cells in a loop, double precision, closures of LBFGS."""
    model = Waves().double()
    data = torch.sin(torch.arange(12.0).double() / 3 + torch.randn(5, 1).double())
    lbfgs, losses = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=3), []
    watching(model)

    def closure():
        lbfgs.zero_grad()
        loss = mse_loss(model(data[2:, :-1]), data[2:, 1:])
        losses.append(loss)
        loss.backward()
        return loss

    for _ in range(2):
        lbfgs.step(closure)
        with torch.no_grad():
            model(data[:2, :-1], future=4)
    yield from losses


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.see, self.memory = nn.Linear(3, 6), nn.LSTMCell(6, 6)
        self.actor, self.critic = nn.Linear(6, 4), nn.Linear(6, 1)

    def forward(self, seen, memory):
        memory = self.memory(relu(self.see(seen)), (memory[:, :6], memory[:, 6:]))
        logits = log_softmax(self.actor(memory[0]), dim=1)
        return Categorical(logits=logits), self.critic(memory[0]).squeeze(1), torch.cat(memory, dim=1)


def policy(watching):
    """lcswillems/torch-ac: experience is collected without gradients, then the loss adds up over calls with masked memory."""
    model = Policy()
    rms = torch.optim.RMSprop(model.parameters(), 7e-3)
    watching(model)
    for _ in range(3):
        masks = (torch.rand(6, 4, 1) > 0.2).float()
        seen, memory, actions = torch.randn(6, 4, 3), torch.zeros(4, 12), []
        for now in range(6):
            with torch.no_grad():
                chosen, _, memory = model(seen[now], memory * masks[now])
            actions.append(chosen.sample())
        memory, total = torch.zeros(4, 12), 0
        for now in range(6):
            chosen, value, memory = model(seen[now], memory * masks[now])
            advantage = (actions[now] == 1).float() - value.detach()
            gain = (chosen.log_prob(actions[now]) * advantage).mean()
            total += (value - 1).pow(2).mean() / 2 - gain - 0.01 * chosen.entropy().mean()
        rms.zero_grad()
        (total / 6).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        rms.step()
        yield total


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.gru = nn.Embedding(8, 6), nn.GRU(6, 6)

    def forward(self, word, hidden):
        return self.gru(self.embedding(word).view(1, 1, -1), hidden)


class AttentionDecoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.dropout, self.gru = nn.Embedding(8, 6), nn.Dropout(0.1), nn.GRU(6, 6)
        self.attention, self.combine, self.out = nn.Linear(12, 7), nn.Linear(12, 6), nn.Linear(6, 8)

    def forward(self, word, hidden, encoded):
        embedded = self.dropout(self.embedding(word).view(1, 1, -1))
        weights = softmax(self.attention(torch.cat((embedded[0], hidden[0]), 1)), dim=1)
        read = torch.bmm(weights.unsqueeze(0), encoded.unsqueeze(0))
        output = relu(self.combine(torch.cat((embedded[0], read[0]), 1)).unsqueeze(0))
        output, hidden = self.gru(output, hidden)
        return log_softmax(self.out(output[0]), dim=1), hidden


def translation(watching):
    """pytorch/tutorials, seq2seq: two modules and optimisers, a buffer written in place, teacher forcing by a coin."""
    encoder, decoder = Encoder(), AttentionDecoder()
    rules = [torch.optim.SGD(each.parameters(), lr=0.05) for each in (encoder, decoder)]
    watching(nn.ModuleList([encoder, decoder]))
    for _ in range(4):
        source, target = torch.randint(8, (5,)), torch.randint(8, (6,))
        hidden, encoded, loss = torch.zeros(1, 1, 6), torch.zeros(7, 6), 0
        for rule in rules:
            rule.zero_grad()
        for place, word in enumerate(source):
            output, hidden = encoder(word, hidden)
            encoded[place] = output[0, 0]
        word, forced = torch.tensor([[0]]), random.random() < 0.5
        for wanted in target:
            output, hidden = decoder(word, hidden, encoded)
            loss += nll_loss(output, wanted[None])
            word = wanted if forced else output.topk(1)[1].squeeze().detach()
        loss.backward()
        for rule in rules:
            rule.step()
        yield loss / 6


#: Each loop, and the layers that are measured in it, with their lags.
LOOPS = {
    characters: {"rnn/layer0/forward": 7, "rnn/layer1/forward": 7},
    words: {"rnn/layer0/forward": 12, "rnn/layer1/forward": 12},
    waves: {"lstm1": 11, "lstm2": 11},
    policy: {"memory": None},  # as long as its longest episode
    translation: {"0.gru/layer0/forward": 5, "1.gru/layer0/forward": 6},
}


def trained(loop, watching=lambda model: None):
    """All that must not depend on being watched: losses, and where the generators are in the end."""
    torch.manual_seed(1)
    random.seed(1)
    losses = [loss.item() for loss in loop(watching)]
    return losses, torch.get_rng_state().tolist(), random.getstate()


@pytest.mark.parametrize("loop", LOOPS, ids=lambda loop: loop.__name__)
def test_a_public_loop_is_watched_and_left_as_it_is(loop):
    watches = []
    alone = trained(loop)
    beside = trained(loop, lambda model: watches.append(watch(model, every=2, on_alert=str)))
    assert beside == alone
    (watching,) = watches
    watching.close()
    assert not watching.problems
    history = watching.history
    assert history.steps == tuple(range(0, len(alone[0]), 2))
    for layer, lags in LOOPS[loop].items():
        assert all(lags is None or len(each.gain) <= lags for each in history.of(layer))
        assert lags is None or len(history.of(layer)[0].gain) == lags
        assert all(each.half_life > 0 for each in history.of(layer))
    assert set(history.layers) == set(LOOPS[loop])
