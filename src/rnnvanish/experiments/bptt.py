"""Section 3: backpropagation through time, by hand, from the last step to the first."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from rnnvanish.claim import Bounds, Verdict, at_least, at_most, claim, control
from rnnvanish.experiments import sources
from rnnvanish.experiments.scopes import before_training
from rnnvanish.experiments.small import BATCH, HIDDEN, STEPS, Small, difference

#: Gradient of each weight of a `torch.nn.RNN`, by its name.
Gradients = dict[str, Tensor]


@torch.no_grad()
def by_hand(network: Small) -> Gradients:
    """Walk back, from the last step to the first, and collect gradients."""
    x, rnn = network.x, network.rnn
    output = rnn(x)[0]
    # The film: the state before the first step, and after each step.
    states = [torch.zeros_like(output[0]), *output]
    # How the loss hangs on the last state.
    error = states[-1] @ network.readout - network.target
    blame = 2 / len(error) * error[:, None] * network.readout
    gradients = {k: torch.zeros_like(w) for k, w in rnn.named_parameters()}
    for t in reversed(range(len(x))):  # the film, backwards
        # Through the tanh of step t.
        blame = blame * (1 - states[t + 1] ** 2)
        # What it means for the weights.
        gradients["weight_ih_l0"] += blame.T @ x[t]
        gradients["weight_hh_l0"] += blame.T @ states[t]
        gradients["bias_ih_l0"] += blame.sum(0)
        gradients["bias_hh_l0"] += blame.sum(0)
        # Through the weights, to the state one step back.
        blame = blame @ rnn.weight_hh_l0
    return gradients


def by_autograd(network: Small) -> Gradients:
    """Ask torch."""
    names, weights = zip(*network.rnn.named_parameters(), strict=True)
    return dict(zip(names, torch.autograd.grad(network(), weights), strict=True))


def numbers_kept(run: Callable[[], object], own: Iterable[Tensor]) -> int:
    """Count the numbers that torch keeps of `run` for the way back: each storage once, and those of `own` not at all."""
    sizes: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes() // tensor.element_size()
        return tensor

    def give_back(tensor: Any) -> Any:
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, give_back):
        result = run()
    left_out = {tensor.untyped_storage().data_ptr() for tensor in own}
    del result  # until here, so that no storage takes the place of another
    return sum(size for storage, size in sizes.items() if storage not in left_out)


def kept(steps: int, seed: int = 0, read: int | None = None) -> int:
    """Count the numbers that torch keeps of the way there, because the way back will need them.

    Read are all steps, or the last `read` of them.
    """
    network = Small(seed, steps)
    network.x = network.x[-(read or steps) :]
    return numbers_kept(network, (*network.parameters(), network.x))


def kept_of_pieces(steps: int, seed: int = 0, pieces: int | None = None) -> int:
    """Count the numbers that are kept where whole pieces of the sequence are computed again on the way back.

    Kept are the states between the pieces, and everything of the one piece that is computed again.

    Args:
        steps: Length of the sequences.
        seed: Of the weights and the sequences.
        pieces: Into which they are cut; None for the square root of the steps.
    """
    network = Small(seed, steps)
    cut = network.x.split(-(-steps // (pieces or round(steps**0.5))))
    own = (*network.parameters(), network.x)

    def read(piece: Tensor, state: Tensor) -> Tensor:
        after: Tensor = network.rnn(piece, state)[1]
        return after

    def there() -> Tensor:
        state = torch.zeros(1, BATCH, HIDDEN, dtype=torch.float64, requires_grad=True)
        for piece in cut:
            state = checkpoint(read, piece, state, use_reentrant=True)
        return (state[0] @ network.readout - network.target).square().mean()

    again = numbers_kept(lambda: read(cut[0], torch.zeros(1, BATCH, HIDDEN, dtype=torch.float64)), own)
    return numbers_kept(there, own) + again


@claim(
    section=3,
    sentence="Training unrolls the network over time and carries the error back from the last step to the first.",
    finding="A loop that does exactly this, written by hand, gives the gradient that PyTorch gives, to the last digits.",
    scope=before_training("nn.RNN", HIDDEN, STEPS, "a number to guess from white noise"),
    statistic="largest difference between the gradient by hand and PyTorch's, over all weights",
    unit="of its size",
    source=sources.PYTORCH_BOOK,
    stated=Verdict.HOLDS,
    holds=at_most(1e-12),
    fails=at_least(1e-3),
    control=control("by the same loop in a network with ReLU, whose slope is another", nonlinearity="relu"),
    identity=True,
)
def last_step_to_first(seed: int, nonlinearity: str = "tanh") -> float:
    """Compare with torch."""
    network = Small(seed, nonlinearity=nonlinearity)
    ours, theirs = by_hand(network), by_autograd(network)
    return max(difference(ours[name], theirs[name]) for name in theirs)


@claim(
    section=3,
    sentence="For the way back, PyTorch remembers every step of the way there.",
    finding="It does, if nobody tells it otherwise. Over sequences twice as long, it keeps twice as many numbers.",
    scope=f"nn.RNN, {HIDDEN} units, a number to guess from white noise, 200 and 400 steps, one pass there and back",
    statistic="numbers kept for the way back over 400 steps, as a multiple of those over 200 steps",
    unit="times",
    source=sources.DEEP_LEARNING_NOTES,
    stated=Verdict.HOLDS,
    holds=Bounds(1.8, 2.2),
    fails=at_most(1.2),
    seeds=1,
    control=control("where the last 50 steps alone are read", read=50),
)
def every_step_is_kept(seed: int, read: int | None = None) -> float:
    """Double the length."""
    return kept(400, seed, read) / kept(200, seed, read)


@claim(
    section=3,
    sentence="The way back needs the memory of every step.",
    finding="It can do without most of them, for more work. Keep one state in every stretch of steps, and compute the others "
    "again on the way back: twice as many steps then need 1.4 times the memory, not twice.",
    scope=f"nn.RNN, {HIDDEN} units, a number to guess from white noise, 200 and 400 steps, computed again in pieces "
    "of about 14 and 20 steps",
    statistic="numbers kept for the way back over 400 steps, as a multiple of those over 200 steps",
    unit="times",
    stated=Verdict.FAILS,
    holds=at_least(1.8),
    fails=at_most(1.5),
    seeds=1,
    control=control("where the whole sequence is one piece", pieces=1),
)
def way_back_needs_every_step(seed: int, pieces: int | None = None) -> float:
    """Double the length."""
    return kept_of_pieces(400, seed, pieces) / kept_of_pieces(200, seed, pieces)
