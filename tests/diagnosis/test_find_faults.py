"""Three kinds of faults: of a loop, of a whole watched run, of a model that is run once more; and questions."""

import pytest
import torch
from torch import nn
from torch.utils.data import BatchSampler, DataLoader, RandomSampler

from rnnvanish import diagnose
from rnnvanish.diagnosis import faults
from rnnvanish.diagnosis.fault import Subject, Symptom


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.memory, self.head = nn.GRU(2, 8, batch_first=True), nn.Linear(8, 1)
        self.register_buffer("runs", torch.zeros(()))

    def forward(self, x):
        self.runs += 1
        return self.head(self.memory(x)[0][:, -1])


def halve(module):
    with torch.no_grad():
        module.weight.mul_(0.5)


def norm_by_hand(watched):
    """Of the whole gradient of the head: the graph of the run is there."""
    (gradient,) = torch.autograd.grad(watched.value, watched.model.head.weight, retain_graph=True)
    assert [each.run.name for each in watched.loops] == ["memory/layer0/forward"]
    assert watched.output.grad_fn is not None
    return float(gradient.norm())


def largest_weight(subject):
    subject.model.eval()
    subject.model(*subject.calls[0].args)
    return float(subject.model.head.weight.detach().abs().max())


def of_run(question):
    def planted(watched):
        value = norm_by_hand(watched)
        return [Symptom("planted", "head", "Said.", "Do.", "norm", value, norm_by_hand, halve, "head", "m", question)]

    return planted


def of_model(question):
    def planted(subject):
        value = largest_weight(subject)
        subject.model.head.weight.data.zero_()  # put back
        return [Symptom("planted", "head", "Said.", "Do.", "most", value, largest_weight, halve, "head", "m", question)]

    return planted


@pytest.mark.parametrize("question", [False, True])
@pytest.mark.parametrize("kind", ["OF_RUN", "OF_MODEL"])
def test_a_fault_of_each_kind_is_tried_on_a_copy_and_a_question_leaves_the_model_healthy(kind, question, monkeypatch):
    torch.manual_seed(0)
    model, x = Reader().train(), torch.randn(6, 3, 2)
    kept = {name: value.clone() for name, value in model.state_dict().items()}
    monkeypatch.setattr(faults, kind, ((of_run if kind == "OF_RUN" else of_model)(question),))
    diagnosis = diagnose(model, DataLoader(x, batch_size=2))
    (finding,) = diagnosis.findings
    assert (finding.layer, finding.question, diagnosis.healthy) == ("head", question, question)
    halved = (
        finding.before if kind == "OF_RUN" else finding.before / 2
    )  # a gradient by the head knows nothing of the head
    assert finding.after == pytest.approx(halved)
    assert f"{finding.before:.3g} m → {finding.after:.3g} m" in str(finding)
    assert ("a question" in str(diagnosis)) == question
    assert model.training
    assert all(torch.equal(value, kept[name]) for name, value in model.state_dict().items())


def test_what_cannot_be_mended_or_measured_is_told_without_a_number(monkeypatch):
    monkeypatch.setattr(faults, "OF_MODEL", (lambda subject: [Symptom("planted", "", "Said.", "Do.")],))
    (finding,) = diagnose(Reader(), torch.randn(2, 3, 2)).findings
    assert str(finding).split() == ["FOUND:", "planted", "seen", "Said.", "to", "do", "Do."]


def test_a_fault_whose_own_run_fails_takes_nothing_from_the_rest(monkeypatch):
    def fails(subject):
        raise KeyError("eval")

    monkeypatch.setattr(faults, "OF_MODEL", (fails, of_model(True)))
    assert len(diagnose(Reader(), torch.randn(2, 3, 2)).findings) == 1


def test_what_a_loader_says_of_its_batches():
    def said(inputs):
        subject = Subject.of(Reader(), inputs, [])
        return subject.batch_size, subject.shuffled

    x = torch.randn(6, 3, 2)
    assert said(x) == (None, False)
    assert said(DataLoader(x, batch_size=3)) == (3, False)
    assert said(DataLoader(x, batch_size=3, shuffle=True)) == (3, True)
    assert said(DataLoader(x, batch_size=None)) == (None, False)
    assert said(DataLoader(x, batch_sampler=BatchSampler(RandomSampler(x), 2, False))) == (2, True)


def test_one_that_cannot_be_looked_for_is_logged_with_its_error(monkeypatch, caplog):
    def broken(subject):
        raise KeyError("the user's own code")

    monkeypatch.setattr(faults, "OF_MODEL", (broken, *faults.OF_MODEL))
    caplog.set_level("DEBUG", logger="rnnvanish.diagnosis")
    diagnose(Reader(), torch.randn(4, 5, 2), quick=True)
    (record,) = [each for each in caplog.records if each.name == "rnnvanish.diagnosis"]
    assert record.getMessage() == "broken could not be looked for."
    assert record.exc_info[0] is KeyError
