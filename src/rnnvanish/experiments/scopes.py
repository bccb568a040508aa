"""What a claim was measured of, in a line: network, width, sequences, and where it was trained how."""

from rnnvanish.experiments.learning import RATE


def before_training(network: str, units: int, steps: int, inputs: str = "white noise") -> str:
    """Say of which network, on which sequences, something was measured that needs no training."""
    return f"{network}, {units} units, {inputs}, {steps} steps, before training"


def trained(
    network: str,
    units: int,
    task: str,
    steps: int,
    rates: float | tuple[float, ...] = RATE,
    optimizer: str = "Adam",
    stop: bool = True,
) -> str:
    """Say which network was trained, on what and how; it takes so many `steps`, or fewer where it may `stop`."""
    named = " or ".join(f"{rate:g}" for rate in (rates if isinstance(rates, tuple) else (rates,)))
    most = "at most " if stop else ""
    return f"{network}, {units} units, {task}, {optimizer}, rate {named}, {most}{steps} training steps"
