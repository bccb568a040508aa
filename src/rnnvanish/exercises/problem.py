"""Exercises of sections 1 to 6."""

import torch
from torch import nn

from rnnvanish.exercises.exercise import Exercise
from rnnvanish.experiments import bptt, emerges, gradients, multiplication, structure, vanishing

LENGTHS = torch.linspace(0.1, 2.0, 20, dtype=torch.float64)


def changed_before(bidirectional: bool) -> float:
    """Count the steps before the 60th whose output changes when the inputs from there on are replaced."""
    layer, x = structure.network(seed=0, bidirectional=bidirectional)
    return float((structure.change_by_step(layer, x, at=60)[:60] > 0).sum())


def drop(kind: int, rate: float) -> float:
    """How far the loss is promised to fall (0), or falls (1), in one step."""
    return float(gradients.drops(0, torch.tensor([rate], dtype=torch.float64))[0, kind])


def last_ten(scale: float) -> float:
    """The part of the last ten steps in the gradient."""
    return float(emerges.shares(emerges.scaled(0, scale))[-10:].sum())


EXERCISES = (
    Exercise(
        "1.1",
        "A plain network reads 3 numbers a step, and its state has 32. How many weights does it have?",
        "sum(w.numel() for w in torch.nn.RNN(3, 32).parameters())",
        lambda: float(sum(weight.numel() for weight in nn.RNN(3, 32).parameters())),
        "32 times 3 for the input, 32 times 32 for the note, and two biases for each of 32 units.",
    ),
    Exercise(
        "1.2",
        "All inputs from step 60 on are replaced. How many of the 60 outputs before change, in a layer of one direction?",
        "structure.change_by_step(*structure.network(0), at=60)[:60]",
        lambda: changed_before(bidirectional=False),
        "Nobody in the row knows a word that comes later.",
    ),
    Exercise(
        "1.3",
        "And in a layer that reads in both directions?",
        "structure.change_by_step(*structure.network(0, bidirectional=True), at=60)[:60]",
        lambda: changed_before(bidirectional=True),
        "The second row passes its notes from the end to the beginning.",
    ),
    Exercise(
        "2.1",
        "For a learning rate of 0.01 the slope promises a drop of 0.028. What does it promise for 0.1?",
        "gradients.drops(0, torch.tensor([0.1]).double())",
        lambda: drop(0, 0.1),
        "A slope promises ten times the drop for ten times the step.",
        1.05,
    ),
    Exercise(
        "2.2",
        "How far does the loss really fall with a learning rate of 0.5?",
        "gradients.drops(0, torch.tensor([0.5]).double())",
        lambda: drop(1, 0.5),
        "Less than half of what was promised: the ground bends.",
        1.1,
    ),
    Exercise(
        "2.3",
        "With which learning rate from 0.1 to 2 does that step end lowest?",
        "the slider of section 2, or gradients.drops(0, torch.linspace(0.1, 2, 20).double())",
        lambda: float(LENGTHS[gradients.drops(0, LENGTHS)[:, 1].argmax()]),
        "From there on the ground goes up again.",
        1.25,
    ),
    Exercise(
        "3.1",
        "For 400 steps torch keeps 205,064 numbers for the way back. How many does it keep for 800?",
        "bptt.kept(800)",
        lambda: float(bptt.kept(800)),
        "Twice the film, twice the pictures.",
        1.05,
    ),
    Exercise(
        "3.2",
        "Only the last 50 of 400 steps are read. Which part of the numbers is then kept?",
        "bptt.kept(400, read=50) / bptt.kept(400)",
        lambda: bptt.kept(400, read=50) / bptt.kept(400),
        "50 of 400 steps are an eighth. That is what truncated training saves.",
        1.05,
    ),
    Exercise(
        "3.3",
        "The network has ReLU in place of tanh. Does the loop of section 3 still give the right gradient? Yes or no?",
        "bptt.last_step_to_first.sample(0, nonlinearity='relu')",
        lambda: "yes" if bptt.last_step_to_first.sample(0, nonlinearity="relu") < 1e-9 else "no",
        "The loop multiplies by the slope of tanh. ReLU has another one.",
    ),
    Exercise(
        "4.1",
        "Which part of the gradient comes from the last ten of 60 steps?",
        "emerges.shares(emerges.scaled(0))[-10:].sum()",
        lambda: last_ten(1.0),
        "What the early steps put in has passed through many hands.",
        1.02,
    ),
    Exercise(
        "4.2",
        "The recurrent weights are doubled. Which part comes from the last ten steps now?",
        "emerges.shares(emerges.scaled(0, 2.0))[-10:].sum()",
        lambda: last_ten(2.0),
        "Each hand keeps less, so more arrives from far away.",
        1.1,
    ),
    Exercise(
        "4.3",
        "By which of 1, 2 or 3 must the weights be multiplied so that the last ten have less than a fifth?",
        "emerges.shares(emerges.scaled(0, 3.0))[-10:].sum()",
        lambda: next(scale for scale in (1.0, 2.0, 3.0) if last_ten(scale) < 0.2),
        "An equal say would be a sixth.",
    ),
    Exercise(
        "5.1",
        "Each copy is nine tenths as dark as the one before. What is left after 49 copies?",
        "multiplication.curve('linear', gain=0.9).gain[49], or 0.9 ** 49",
        lambda: float(multiplication.curve("linear", 0.9).gain[49]),
        "Nine tenths of nine tenths of nine tenths, 49 times.",
        1.1,
    ),
    Exercise(
        "5.2",
        "Sigmoid, and weights that stretch four times. By what does a step back multiply the gradient?",
        "multiplication.factor('sigmoid', 4.0)",
        lambda: multiplication.factor("sigmoid", 4.0),
        "The slope of sigmoid is a quarter at most, so four times that is one at most.",
        1.1,
    ),
    Exercise(
        "5.3",
        "Tanh, and weights that stretch one and a half times. Does the gradient shrink, or does it grow?",
        "multiplication.factor('tanh', 1.5)",
        lambda: "grow" if multiplication.factor("tanh", 1.5) > 1 else "shrink",
        "Squashing does not decide. Slope times weights does, and it is above one here.",
    ),
    Exercise(
        "6.1",
        "Half of the gradient is gone after 1.5 steps. After how many steps is a thousandth left?",
        "vanishing.curve(0).gain",
        lambda: float((vanishing.curve(0).gain < 1e-3).nonzero()[0]),
        "A thousandth is ten times half of half.",
        1.2,
    ),
    Exercise(
        "6.2",
        "How many times as long does the gradient last from an orthogonal start?",
        "vanishing.curve(0, 'orthogonal').half_life / vanishing.curve(0).half_life",
        lambda: vanishing.curve(0, "orthogonal").half_life / vanishing.curve(0).half_life,
        "The weights take nothing any more. What is lost is lost to the slope of tanh.",
        1.4,
    ),
    Exercise(
        "6.3",
        "The state becomes four times as wide. How many times as long does the gradient last?",
        "vanishing.larger_network_forgets_more_slowly.sample(0)",
        lambda: vanishing.larger_network_forgets_more_slowly.sample(0),
        "PyTorch draws the weights of a wider network smaller, so that they shrink the state as much.",
        1.3,
    ),
)
