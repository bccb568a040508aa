"""A mitigation: something that is said to help, and the one moment at which it acts.

There are five moments and so five kinds: when weights are drawn (`Draw`), when a network is built (`Build`), as a part
of the loss (`Penalty`), on the gradient before the step (`Rule`), and from step to step of a training (`Regime`). Each
works on `Recurrent` and on a user's `torch.nn.RNN`, `LSTM` and `GRU`, wherever they stand in a model.
"""

from rnnvanish.mitigation.build import Build, run_as_plain_loop
from rnnvanish.mitigation.draw import Draw, MatrixDraw, free_matrices
from rnnvanish.mitigation.mitigation import Mitigation
from rnnvanish.mitigation.penalty import Penalty
from rnnvanish.mitigation.regime import Regime, parameter_groups
from rnnvanish.mitigation.rule import Rule
from rnnvanish.mitigation.wrapper import Wrapper, innermost, wrap

__all__ = [
    "Build",
    "Draw",
    "MatrixDraw",
    "Mitigation",
    "Penalty",
    "Regime",
    "Rule",
    "Wrapper",
    "free_matrices",
    "innermost",
    "parameter_groups",
    "run_as_plain_loop",
    "wrap",
]
