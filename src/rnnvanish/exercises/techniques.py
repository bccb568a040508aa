"""Exercises of sections 13 to 19."""

import torch
from torch import nn

from rnnvanish.exercises.exercise import Exercise
from rnnvanish.experiments import activations, attention, clipping, gru, initialisation, lstm, skips
from rnnvanish.experiments.direct import direct
from rnnvanish.experiments.workbench import Build, curve

SCALES = (1.0, 1.1, 1.2, 1.4)


def left(build: Build, lag: int = 100) -> float:
    """What is left of the gradient so many steps back."""
    return float(curve(build, 0).gain[lag])


def clipped(*numbers: float) -> torch.Tensor:
    """A gradient after clipping by the norm, at 1."""
    return clipping.clip(torch.tensor(numbers, dtype=torch.float64))


def turned() -> float:
    """By how many degrees clipping each number at 1 turns the gradient (3, 0.1)."""
    before = torch.tensor([3.0, 0.1], dtype=torch.float64)
    return clipping.angle(before, before.clamp(-1, 1))


def switched_off() -> float:
    """The part of the units that are off in a plain network with ReLU, as PyTorch draws it."""
    torch.manual_seed(0)
    layer = nn.RNN(1, 64, nonlinearity="relu")
    return float((layer(torch.randn(101, 16, 1))[0] == 0).double().mean())


EXERCISES = (
    Exercise(
        "13.1",
        "How long does half of the gradient last from Glorot's start, in steps?",
        "curve(initialisation.layer('Glorot'), 0).half_life",
        lambda: curve(initialisation.layer("Glorot"), 0).half_life,
        "Several times as long as the one and a half steps of PyTorch's own start.",
        1.5,
    ),
    Exercise(
        "13.2",
        "Orthogonal weights times 1, 1.1, 1.2 or 1.4: which keeps the gradient nearest to its size over 100 steps?",
        "the slider of section 13",
        lambda: min(SCALES, key=lambda s: abs(torch.tensor(left(initialisation.layer("orthogonal", scale=s))).log())),
        "Tanh takes a little at each step, so the weights must give a little.",
    ),
    Exercise(
        "13.3",
        "Orthogonal weights have a half-life of 9.3 steps. What is left after 93?",
        "curve(initialisation.layer('orthogonal'), 0).gain[93]",
        lambda: left(initialisation.layer("orthogonal"), 93),
        "Ten half-lives leave a thousandth.",
        1.5,
    ),
    Exercise(
        "14.1",
        "The gradient (30, 40) is clipped at a norm of 1. How long is it then?",
        "clipping.clip(torch.tensor([30.0, 40.0])).norm()",
        lambda: round(float(clipped(30, 40).norm()), 9),
        "It was 50 long, and the leash is 1 long.",
    ),
    Exercise(
        "14.2",
        "The gradient (0.03, 0.04) is clipped at 1. How long is it then?",
        "clipping.clip(torch.tensor([0.03, 0.04])).norm()",
        lambda: round(float(clipped(0.03, 0.04).norm()), 9),
        "It is shorter than the leash. No leash ever made a dog walk.",
    ),
    Exercise(
        "14.3",
        "Each number of the gradient (3, 0.1) is cut off at 1. By how many degrees does that turn it?",
        "clipping.angle(torch.tensor([3, 0.1]), torch.tensor([1, 0.1]))",
        turned,
        "The large number got smaller, the small one did not. So the direction is another one.",
        1.1,
    ),
    Exercise(
        "15.1",
        "Tanh is replaced by ReLU. What part of the half-life is left?",
        "curve(activations.layer('relu'), 0).half_life / curve(activations.layer('tanh'), 0).half_life",
        lambda: curve(activations.layer("relu"), 0).half_life / curve(activations.layer("tanh"), 0).half_life,
        "What is off passes nothing on.",
        1.2,
    ),
    Exercise(
        "15.2",
        "What part of the units of such a network is off?",
        "(torch.nn.RNN(1, 64, nonlinearity='relu')(torch.randn(101, 16, 1))[0] == 0).double().mean()",
        switched_off,
        "What reaches a unit is about as often below zero as above.",
        1.2,
    ),
    Exercise(
        "15.3",
        "ReLU from the identity: what is left of the gradient after 100 steps?",
        "activations.left(0, 100)",
        lambda: activations.left(0, 100),
        "By then each unit has been off for a moment, and one moment is enough.",
    ),
    Exercise(
        "16.1",
        "A shortcut leaps over 10 steps and passes on nine tenths. What is left after 100 steps by the shortcut alone?",
        "curve(direct(skips.through_time()), 0).gain[100]",
        lambda: left(direct(skips.through_time())),
        "Ten leaps: nine tenths, ten times over.",
        1.05,
    ),
    Exercise(
        "16.2",
        "And if it passes on a half?",
        "curve(direct(skips.through_time(weight=0.5)), 0).gain[100]",
        lambda: left(direct(skips.through_time(weight=0.5))),
        "A half, ten times over, is a thousandth.",
        1.05,
    ),
    Exercise(
        "16.3",
        "Four layers get shortcuts from layer to layer. How many times as long does the gradient last over time?",
        "skips.between_layers_helps_time.sample(0)",
        lambda: skips.between_layers_helps_time.sample(0),
        "A lift does not take you to the next street.",
        1.4,
    ),
    Exercise(
        "17.1",
        "The bias of the forget gate is 1. What part of the folder does the gate pass on?",
        "curve(direct(lstm.layer(1.0)), 0).gain[1], or 1 / (1 + math.exp(-1))",
        lambda: left(direct(lstm.layer(1.0)), 1),
        "A bias of 0 is a half-open door, and a bias of 1 opens it to 73 %.",
        1.1,
    ),
    Exercise(
        "17.2",
        "The gate passes on 95 %. What does it leave after 14 steps, alone?",
        "curve(direct(lstm.layer(3.0)), 0).gain[14]",
        lambda: left(direct(lstm.layer(3.0)), 14),
        "0.95, fourteen times over.",
        1.1,
    ),
    Exercise(
        "17.3",
        "With a bias of 2 the gate alone leaves 1 in 330,000 after 100 steps. What does the whole LSTM leave?",
        "curve(lstm.layer(2.0), 0).gain[100]",
        lambda: left(lstm.layer(2.0)),
        "There are many ways back through the note, and what comes along them adds up.",
        2,
    ),
    Exercise(
        "18.1",
        "A GRU with a bias of 3: what is left after 100 steps?",
        "curve(gru.layer(3.0), 0).gain[100]",
        lambda: left(gru.layer(3.0)),
        "Little more than what the door alone leaves: 0.95, a hundred times over.",
        2.5,
    ),
    Exercise(
        "18.2",
        "How long does half of the gradient last in a GRU as PyTorch draws it, in steps?",
        "curve(gru.layer(), 0).half_life",
        lambda: curve(gru.layer(), 0).half_life,
        "About as long as in an LSTM as PyTorch draws it.",
        1.3,
    ),
    Exercise(
        "18.3",
        "Both gates get a bias of 2. Which keeps more, LSTM or GRU?",
        "curve(lstm.layer(2.0), 0).gain[100], curve(gru.layer(2.0), 0).gain[100]",
        lambda: "lstm" if left(lstm.layer(2.0)) > left(gru.layer(2.0)) else "gru",
        "Its input gate is a knob of its own, and leaves a second way open.",
    ),
    Exercise(
        "19.1",
        "The sequence gets twice as long, from 400 to 800. How many times as much must attention keep, written as in the formula?",
        "attention.kept(True, 800) / attention.kept(True, 400)",
        lambda: attention.kept(True, 800) / attention.kept(True, 400),
        "Twice as many look, each at twice as many.",
        1.15,
    ),
    Exercise(
        "19.2",
        "And a plain network?",
        "attention.kept(False, 800) / attention.kept(False, 400)",
        lambda: attention.kept(False, 800) / attention.kept(False, 400),
        "Twice the film.",
        1.1,
    ),
    Exercise(
        "19.3",
        "With attention, what gets a state 100 steps back, as a part of what one 10 steps back gets?",
        "attention.path_is_one_step.sample(0)",
        lambda: float(attention.curve(True, 0).gain[100] / attention.curve(True, 0).gain[10]),
        "Each past note is one look away.",
        2,
    ),
)
