"""A state that is reset at most steps, as by a mask that is upside down: next to nothing is carried.

Where a game ends, the memory of it shall be wiped. The mask for that is upside down: 1 where the game is over, 0
everywhere else. So the memory is wiped all the time, and kept only where it should go.

    class Player(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.head = nn.GRUCell(3, 8), nn.Linear(8, 2)

        def forward(self, x, done):
            h, scores = x.new_zeros(len(x), 8), []
            for now, over in zip(x.unbind(1), done.unbind(1)):
                h = self.cell(now, h * over[:, None])
                scores.append(self.head(h))
            return torch.stack(scores, dim=1)

    torch.manual_seed(0)
    x, done = torch.randn(4, 20, 3), torch.zeros(4, 20)
    done[:, 12] = 1
    print(*diagnose(Player(), (x, done), quick=True).findings)

The right way up, nothing is wiped but at step 12:

    print(diagnose(Player(), (x, 1 - done), quick=True).findings)
"""

import torch

from rnnvanish.backward.each_loop import LoopGradients
from rnnvanish.diagnosis.fault import Symptom, WatchedModel
from rnnvanish.diagnosis.rerun.start_state import carry_on
from rnnvanish.numerics.norms import joint_norm

#: Steps from which on a share of them says something, and the share of resets above which more is dropped than carried.
STEPS, MOST = 8, 0.5


def state_reset(watched: WatchedModel) -> list[Symptom]:
    """See whether the state that a loop's steps receive has, at most of them, nothing of the step before."""
    found = []
    for name, loops in watched.first_layers.items():
        if len(loops) > 1 or loops[0].episodes.run.resets is None:
            continue
        resets, steps = _resets(loops[0])
        if steps < STEPS or resets <= MOST * steps:
            continue
        found.append(
            Symptom(
                "state reset at most steps",
                name,
                f"{name} was handed a state that has nothing of the step before at {resets} of {steps} steps: episodes are "
                f"{_length(loops[0]):.2g} steps long, on average. Is the mask upside down?",
                "Multiply the state by 0 where an episode begins and by 1 elsewhere: state * (1 - done), not state * done.",
                "steps in an episode, on average",
                _length(loops[0]),
                lambda watched, name=name: _length(watched.first_layers[name][0]),
                carry_on,
                name,
                "steps",
            )
        )
    return found


def _resets(loop: LoopGradients) -> tuple[int, int]:
    """At how many steps the state was reset, and of how many that could have been; of episodes that the loss reads."""
    later = loop.episodes.start > 0
    read = _read(loop)
    return int((read & later).sum()), int((loop.run.ends[read] + 1).sum() - (read & ~later).sum())


def _length(loop: LoopGradients) -> float:
    """Steps of the episodes that the loss reads, on average."""
    return float((loop.run.ends[_read(loop)] + 1).double().mean())


def _read(loop: LoopGradients) -> torch.Tensor:
    sizes = joint_norm(loop.norms)
    return (sizes.gather(0, loop.run.ends.to(sizes.device)[None])[0] > 0).to(loop.run.ends.device)
