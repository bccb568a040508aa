"""Exercises of sections 7 to 12."""

from rnnvanish.exercises.exercise import Exercise
from rnnvanish.experiments import depth, instability, longterm, plateau, recent, slow

SETTINGS = (0.8, 1.0, 1.5, 2.0)


def right_if_believed(witness: int) -> float:
    """How often a judge is right who believes one witness alone."""
    cases = recent.tested(recent.Witnesses())
    return float(((cases.inputs[witness, :, 0] > 0) == (cases.targets == 1)).double().mean())


def bends_down() -> float:
    """In how many directions the ground bends down where training has halted."""
    bends = plateau.curvatures(plateau.stuck(0)[0])
    return float((bends < -1e-6 * bends[-1]).sum())


EXERCISES = (
    Exercise(
        "7.1",
        "The push with 80 inputs, as a part of that with 5: how much is it?",
        "slow.push(0, length=80) / slow.push(0, length=5)",
        lambda: slow.push(0, 80) / slow.push(0, 5),
        "The push does not get small. It gets useless.",
        1.3,
    ),
    Exercise(
        "7.2",
        "And the useful part with 40 inputs, as a part of that with 5? A power of ten will do.",
        "slow.useful(0, 40).norm() / slow.useful(0, 5).norm()",
        lambda: float(slow.useful(0, 40).norm() / slow.useful(0, 5).norm()),
        "It has come through 35 more steps, and each took its part.",
        10,
    ),
    Exercise(
        "7.3",
        "From 40 to 60 inputs, what is left of the useful part? A power of ten will do.",
        "slow.useful(0, 60).norm() / slow.useful(0, 40).norm()",
        lambda: float(slow.useful(0, 60).norm() / slow.useful(0, 40).norm()),
        "It shrinks by about the same factor for each step more.",
        10,
    ),
    Exercise(
        "8.1",
        "In 1000 steps the switch loses 773 powers of ten of its gradient. How many in 500?",
        "longterm.lost(longterm.latch(0))[500]",
        lambda: float(longterm.lost(longterm.latch(0))[500]),
        "Each step takes the same part, so half the steps take half the powers of ten.",
        1.05,
    ),
    Exercise(
        "8.2",
        "The unit reads itself one and a half times. What part of the switches still stands after 1000 steps?",
        "longterm.kept(longterm.latch(0, 1.5))",
        lambda: longterm.kept(longterm.latch(0, 1.5)),
        "It is firm enough to be shaken.",
        1.05,
    ),
    Exercise(
        "8.3",
        "With which of 0.8, 1, 1.5 and 2 does the switch lose least of its gradient?",
        "longterm.lost(longterm.latch(0, 1.0), 1.0)[-1]",
        lambda: min(SETTINGS, key=lambda weight: float(longterm.lost(longterm.latch(0, weight), weight)[-1])),
        "Below it the weight is small, above it the slope.",
    ),
    Exercise(
        "9.1",
        "What is the loss of guessing, if there are two answers?",
        "plateau.TASK.floor",
        lambda: plateau.TASK.floor,
        "It is the logarithm of two.",
        1.01,
    ),
    Exercise(
        "9.2",
        "In how many of 106 directions does the ground bend down where training has halted?",
        "plateau.curvatures(plateau.stuck(0)[0])",
        bends_down,
        "In a hollow there would be none.",
        1.2,
    ),
    Exercise(
        "9.3",
        "After how many steps of a length of 0.05 is the walk out?",
        "len(plateau.walk(plateau.stuck(0)[0])) - 1",
        lambda: float(len(plateau.walk(plateau.stuck(0)[0])) - 1),
        "There is a way down. It was only too gentle for a rule that looks at the slope.",
        1.2,
    ),
    Exercise(
        "10.1",
        "The weights are four times those of PyTorch. Does a nudge die or grow?",
        "instability.distance(0, 4.0)[-1]",
        lambda: "grow" if float(instability.distance(0, 4.0)[-1]) > 1 else "die",
        "It is the hill: two balls that start side by side roll apart.",
    ),
    Exercise(
        "10.2",
        "With 1.25 times the weights, what is left of a nudge after 30 steps? A power of ten will do.",
        "instability.distance(0, 1.25)[-1]",
        lambda: float(instability.distance(0, 1.25)[-1]),
        "It is about what is left of a gradient.",
        10,
    ),
    Exercise(
        "10.3",
        "And what is left of a gradient, with the same weights? A power of ten will do.",
        "instability.jacobian(0, 1.25)",
        lambda: instability.jacobian(0, 1.25),
        "A nudge goes forward through the same steps through which a gradient goes back.",
        10,
    ),
    Exercise(
        "11.1",
        "How often is a judge right who believes the last witness alone?",
        "compare the last input of recent.tested(recent.Witnesses()) with the targets",
        lambda: right_if_believed(-1),
        "The last witness is wrong once in five times.",
        1.05,
    ),
    Exercise(
        "11.2",
        "And a judge who believes the first one alone?",
        "compare the first input of recent.tested(recent.Witnesses()) with the targets",
        lambda: right_if_believed(0),
        "The first witness is never wrong. The judge who believes the last one does not even notice.",
    ),
    Exercise(
        "11.3",
        f"Thirty voters, and a network before training. What part of the answer do the last {recent.LATE} make up?",
        "recent.influence(recent.untaught(recent.Votes(), 0), recent.tested(recent.Votes()))",
        lambda: float(
            recent.influence(recent.untaught(recent.Votes(), 0), recent.tested(recent.Votes()))[-recent.LATE :].sum()
        ),
        "Before it has learnt anything, a few late votes make up more than half.",
        1.1,
    ),
    Exercise(
        "12.1",
        "Twenty floors of sigmoid from a Glorot start, and each passes on 23 %. What gets to the lowest? A power of ten "
        "will do.",
        "depth.left(0, 'sigmoid', 'glorot')[0]",
        lambda: float(depth.left(0, "sigmoid", "glorot")[0]),
        "0.23, nineteen times over.",
        10,
    ),
    Exercise(
        "12.2",
        "The same with tanh. What gets to the lowest floor?",
        "depth.left(0, 'tanh', 'glorot')[0]",
        lambda: float(depth.left(0, "tanh", "glorot")[0]),
        "Each floor passes on more than nine tenths, and that still multiplies.",
        1.4,
    ),
    Exercise(
        "12.3",
        "Tanh as PyTorch starts it. What part does a floor pass on?",
        "depth.factor(0, 'tanh')",
        lambda: depth.factor(0, "tanh"),
        "PyTorch draws these weights smaller than Glorot's rule: the square root of a third is 0.58.",
        1.1,
    ),
)
