"""What benchmarks, parameters and values are called on a page, and how a number is written."""

from collections.abc import Mapping

TITLES = {
    "speed.TrainingStep.track_vs_torch": "Training step, against torch.nn",
    "speed.TrainingStep.track_vs_loop": "Training step, against a plain tanh loop",
    "speed.TrainingStep.track_vs_reference": "Training step, against our own plain loop",
    "speed.TrainingStep.track_seconds": "Training step, CPU time",
    "speed.InferenceStep.track_vs_torch": "Inference step, against torch.nn",
    "speed.InferenceStep.track_vs_loop": "Inference step, against a plain tanh loop",
    "speed.InferenceStep.track_seconds": "Inference step, CPU time",
    "speed.Growth.track_vs_loop": "Training step of many lengths, against a plain tanh loop",
    "speed.Growth.track_microseconds": "CPU time of one step in time",
    "speed.Layers.track_vs_torch": "Training step of several layers, against torch.nn",
    "speed.Owned.track_cost": "Training step, against one that shares its memory with its user",
    "speed.FirstCall.track_seconds": "First training step, CPU time",
    "imports.Import.track_vs_torch": "Importing all of the package, against import torch",
    "imports.Import.track_more": "Importing all of the package, CPU time more than import torch",
    "memory.Saved.track_saved": "Kept for the backward pass",
    "memory.Saved.track_vs_torch": "Kept for the backward pass, against torch.nn",
    "memory.peakmem_training_step": "Peak of a process that trains an LSTM",
    "retention.Retention.track_decades_lost": "Powers of ten of the gradient that are lost",
    "retention.Retention.track_vs_torch": "Powers of ten that are lost, against torch.nn",
    "retention.Cured.track_decades_lost": "Powers of ten that are lost, with a cure",
    "retention.Lyapunov.track_leading_exponent": "Leading Lyapunov exponent, distance from zero",
    "learning.Learning.track_steps": "Steps until a task is learnt",
    "diagnose.Looking.track_overhead": "Cost of a look, in training steps",
    "diagnose.Parts.track_overhead": "Cost of the parts of a diagnosis, in training steps",
    "diagnose.Monitor.track_overhead": "Training that is watched, against one that is not",
    "diagnose.Watching.track_overhead": "A loop that is watched, against the loop alone",
    "studies.Sweep.track_cost": "What a trial that takes no time costs on two workers",
    "studies.Sweep.track_memory": "Memory that a sweep gains after its first trial",
    "studies.Sweep.track_overhead": "Trials of a tenth of a second on two workers, against their own time",
    "claims.Claims.track_strain": "Claims: how near they are to their threshold",
    "claims.Claims.track_statistic": "Claims: what their verdict hangs on",
    "site.Figures.track_longest_task": "Longest stall of all live figures",
    "site.Site.track_heaviest_page": "Heaviest page",
    "site.Site.track_mean_page": "Mean page",
    "site.Site.track_build_seconds": "Building the site",
    "site.Engine.track_vs_loop": "Training step in a browser, against a plain loop of its products",
    "site.Engine.track_milliseconds": "Training step in a browser, 16 units, 32 sequences, 40 steps",
    "site.Engine.track_longest_task": "Longest stall of a page that trains",
    "site.Engine.track_longest_task_slowed": "Longest stall, at a quarter of the speed",
}
#: Tables of `bench.goals`, and their columns.
GOALS = {
    "torch": "Training step against torch.nn and against the bare matrix products",
    "reference": "Training step against our own plain loop",
    "gru": "Training step of loops without a product in them, 32 sequences",
    "parallel": "What is chosen by itself, against step by step and all steps at once",
    "threads": "Training step on two threads, by the clock on the wall",
    "looks": "A look at the retention, 32 sequences and 64 units",
    "torchrecurrent": "Training step against torchrecurrent",
    "first": "First training step of a process, CPU seconds more than the second",
}
AGAINST = {
    "ms": "Milliseconds",
    "threads": "Two threads over one, times",
    "look": "Against a training step, times",
    "floor": "Against bare products, times",
    "torch": "Against torch.nn, times",
    "reference": "Against our plain loop, times",
    "gru": "Against a GRU, times",
    "products": "Against its own products with the input, times",
    "share": "These products against a GRU, times",
    "step": "Against step by step, times",
    "parallel": "Against all steps at once, times",
    "peer": "Against torchrecurrent, times",
    "cold_s": "Compiled anew, s",
    "cached_s": "Compiled before, s",
    "cold_all_s": "Compiled anew, with imports, s",
    "cached_all_s": "Compiled before, with imports, s",
}
#: Parameters whose values speak for themselves.
NAMELESS = {"cell", "cure", "claim", "look", "task"}
#: Two tables, each as wide as the page.
CELLS = [f"speed.TrainingStep.track_{name}" for name in ("vs_torch", "vs_reference", "vs_loop", "seconds")]
SIDE_BY_SIDE = [f"speed.TrainingStep.track_{name}" for name in ("vs_torch", "seconds")]
BESIDE = [
    *(f"speed.InferenceStep.track_{name}" for name in ("vs_torch", "seconds")),
    "speed.FirstCall.track_seconds",
    "memory.Saved.track_vs_torch",
]
GROWTH = ["speed.Growth.track_microseconds", "speed.Growth.track_vs_loop"]
STACKS = ["speed.Layers.track_vs_torch"]
#: What the page of each section shows in the box of the verdict.
IN_VERDICTS = "claims.Claims.track_statistic"
LOOKS = ["diagnose.Looking.track_overhead", "diagnose.Monitor.track_overhead", "diagnose.Watching.track_overhead"]


#: What is added to the name of a machine for each of its devices.
DEVICES = {"cpu": "", "cuda": ", on its GPU"}


#: What the suites are about.
GROUPS = {
    "speed": "Speed",
    "memory": "Memory",
    "retention": "What is left of the gradient",
    "learning": "Learning",
    "diagnose": "Looking at a model",
    "studies": "Studies",
    "claims": "Claims",
    "site": "This site",
}


def by_size(value: str) -> tuple[float, str]:
    """What parameters are sorted by: numbers by their size, before words."""
    return (float(value) if value.isdigit() else float("inf"), value)


def choice(name: str, value: str) -> str:
    """A value of a parameter, where the parameter's name stands beside it."""
    return {"cpu": "processor", "cuda": "GPU"}[value] if name == "device" else value


def scale(unit: str) -> str:
    """A unit, as it stands beside an axis."""
    return "times" if unit.startswith("x ") else unit


def parameter(name: str, value: str) -> str:
    """A parameter in words; that a number was taken on the processor goes without saying."""
    if name == "device":
        return DEVICES[value].removeprefix(", ")
    return value if name in NAMELESS else f"{name} {value}"


def parameters(values: Mapping[str, str]) -> str:
    """Parameters in words: "LSTM, lag 100"; empty where there are none."""
    return ", ".join(filter(None, (parameter(name, value) for name, value in values.items())))


def title(name: str, unit: str) -> str:
    """What a benchmark is called; one that has no name here goes by its own."""
    own = " ".join(name.replace("track_", "").replace("_", " ").split(".")[-2:])
    return TITLES.get(name, f"{own} ({unit})" if unit else own)


def amount(value: float | None, unit: str) -> str:
    """A number with its unit, in three digits."""
    if value is None:
        return "not measured"
    if unit.startswith("x "):
        return f"{value:.3g} times"
    if unit == "seconds" and value < 0.1:
        return f"{1000 * value:.3g} ms"
    if unit == "bytes":
        return f"{value / 1e6:.3g} MB"
    return f"{value:.3g} {'s' if unit == 'seconds' else unit}"


def times(value: float | None) -> str:
    """A ratio, or that there is none."""
    return "not measured" if value is None else f"{value:.3g} times"
