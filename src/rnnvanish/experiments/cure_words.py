"""What the study of cures found, in words: of one network in sentences and in a cell of a table, and when not to use a cure."""

from collections.abc import Mapping

from rnnvanish.experiments.cure_prices import Price
from rnnvanish.experiments.cure_study import REAL, REMEMBERED, Trained, reach_effect, reaches, score_effect

#: The networks as they stand in a sentence.
CALLED = {"tanh": "a plain network", "ReLU": "a plain network with ReLU", "LSTM": "an LSTM", "GRU": "a GRU"}


def sentences(network: str, before: Trained, after: Trained) -> str:
    """Say what was measured of a cure on a network.

    Args:
        network: One of `CALLED`.
        before: What became of it without the cure.
        after: With it.
    """
    return f"{_of_the_reach(CALLED[network], before, after)} {_of_the_score(before, after)}"


def in_a_table(before: Trained, after: Trained) -> str:
    """Say it in a cell of a table: the longest lags that were learnt, and the scores; "missing" where results are."""
    without, treated = reaches(before, after)
    known = without is not None and treated is not None
    reach = f"{without or 'none'} → {treated or 'none'}" if known else "missing"
    if len(after.learnt) < len(before.learnt):
        reach += f" of {max(after.learnt, default=0)}"
    scores = "–" if _was_not_tried(after) else "missing"
    if before.score is not None and after.score is not None:
        scores = f"{before.score:.0%} → {after.score:.0%}"
    return f"{reach}<br>{scores}"


def when_not(results: Mapping[str, tuple[Trained, Trained]]) -> str:
    """Say where a cure hurt, or that it was not seen to; nothing where nothing is known.

    Args:
        results: What became of each network without the cure and with it.
    """
    shorter = [CALLED[network] for network, both in results.items() if reach_effect(*both) == "hurts"]
    worse = [CALLED[network] for network, both in results.items() if score_effect(*both) == "hurts"]
    said = [f"it learnt less far back in {' and in '.join(shorter)}"] * bool(shorter)
    said += [f"it made {' and '.join(worse)} worse at handwritten digits"] * bool(worse)
    if said:
        return f"When not to: {', and '.join(said)}."
    known = any(reach_effect(*both) or score_effect(*both) for both in results.values())
    return "It was not seen to hurt here." if known else ""


def price(prices: Mapping[str, Price]) -> list[str]:
    """Say what a cure costs, network by network: multiples of what the network without it does."""
    said = []
    for network, each in prices.items():
        memory = f"memory {each.memory:.2g} ×, " if each.memory else ""
        said.append(
            f"What it costs in {CALLED[network]}: time of a training step {each.step:.2g} ×, {memory}weights {each.parameters:.3g} ×."
        )
    return said


def _of_the_reach(name: str, before: Trained, after: Trained) -> str:
    subject = name[:1].upper() + name[1:]
    if reach_effect(before, after) is None:
        return f"How far back {name} learns with it is not known yet: {_missing(before, after, REMEMBERED)}."
    without, treated = map(_back, reaches(before, after))
    lags = sorted(after.learnt)
    tried = f" No longer way than {lags[-1]} steps was tried." if len(lags) < len(before.learnt) else ""
    if without == treated:
        return f"{subject} learnt {treated}, with it and without.{tried}"
    return f"{subject} learnt {without} without it, and {treated} with it.{tried}"


def _of_the_score(before: Trained, after: Trained) -> str:
    effect = score_effect(before, after)
    if _was_not_tried(after):
        return "It was not tried on handwritten digits."
    if effect is None:
        return f"What it does on handwritten digits is not known yet: {_missing(before, after, REAL)}."
    said = {"helps": "it helps", "hurts": "it hurts", "no difference": "no more than chance"}[effect]
    return f"Of handwritten digits {before.score:.0%} were right without it, and {after.score:.0%} with it: {said}."


def _was_not_tried(after: Trained) -> bool:
    """Whether the study has none of these networks on real data."""
    return not after.scores and not after.missing.get(REAL)


def _back(lag: int | None) -> str:
    return f"what lies {lag} steps back" if lag else "nothing"


def _missing(before: Trained, after: Trained, task: str) -> str:
    count = sum(each.missing.get(task, 0) for each in (before, after))
    return f"{count} training{'s are' if count != 1 else ' is'} missing"
