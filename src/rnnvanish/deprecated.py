"""Old paths of what README, pages and reference named: they work for one version, and say where a thing stands now."""

import sys
import warnings
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType

#: What moved, from where to where.
MOVED = {
    "rnnvanish.data.TaskData": "rnnvanish.training.data.TaskData",
    "rnnvanish.diagnosis.advice.Trials": "rnnvanish.diagnosis.advice.trials.Trials",
    "rnnvanish.diagnosis.advice.try_cures": "rnnvanish.diagnosis.advice.trials.try_cures",
    "rnnvanish.diagnosis.cause.Cause": "rnnvanish.diagnosis.cause.cause.Cause",
    "rnnvanish.diagnosis.cause.causes": "rnnvanish.diagnosis.cause.cause.causes",
    "rnnvanish.diagnosis.diagnosis.Diagnosis": "rnnvanish.diagnosis.result.Diagnosis",
    "rnnvanish.diagnosis.diagnosis.diagnose": "rnnvanish.diagnosis.diagnose.diagnose",
    "rnnvanish.diagnosis.faults.Finding": "rnnvanish.diagnosis.fault.Finding",
    "rnnvanish.diagnosis.faults.fault.Finding": "rnnvanish.diagnosis.fault.Finding",
    "rnnvanish.diagnosis.faults.fault.find": "rnnvanish.diagnosis.find_faults.find",
    "rnnvanish.diagnosis.faults.find": "rnnvanish.diagnosis.find_faults.find",
    "rnnvanish.diagnosis.lag.Outlook": "rnnvanish.diagnosis.outlook.outlook.Outlook",
    "rnnvanish.diagnosis.lag.outlook": "rnnvanish.diagnosis.outlook.outlook.outlook",
    "rnnvanish.diagnosis.swap.Swap": "rnnvanish.diagnosis.advice.replace_cell.Swap",
    "rnnvanish.diagnosis.trial.Trial": "rnnvanish.diagnosis.advice.trial.Trial",
    "rnnvanish.learner.Learner": "rnnvanish.training.learner.Learner",
    "rnnvanish.probes.monitor.RetentionMonitor": "rnnvanish.training.monitor.RetentionMonitor",
    "rnnvanish.probes.totals.each_loop": "rnnvanish.backward.each_loop.each_loop",
    "rnnvanish.probes.totals.totals": "rnnvanish.backward.each_loop.total_gradients",
    "rnnvanish.provenance.provenance": "rnnvanish.records.provenance.provenance",
    "rnnvanish.training.train": "rnnvanish.training.command.train",
}


def forward(module: str) -> None:
    """Let a module answer for what has left it."""

    def __getattr__(name: str) -> object:
        if (old := f"{module}.{name}") not in MOVED:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        # `from package import name` looks whether it is there, then takes it: one warning is enough.
        if sys._getframe(1).f_globals.get("__name__") != "importlib._bootstrap":
            said = f"{old} is {MOVED[old]} now. The old path goes with the next version."
            warnings.warn(said, DeprecationWarning, stacklevel=2)
        home, _, name = MOVED[old].rpartition(".")
        return getattr(import_module(home), name)

    vars(sys.modules[module])["__getattr__"] = __getattr__


class OldModules:
    """Finds a module that is there no more: an empty one, which answers for what has left it."""

    @staticmethod
    def find_spec(name: str, *_: object) -> ModuleSpec | None:
        """Know a module by what it held."""
        held = any(old.rpartition(".")[0] == name for old in MOVED)
        return ModuleSpec(name, OldModules) if held else None  # type: ignore[arg-type]  # load_module is long gone

    @staticmethod
    def create_module(spec: ModuleSpec) -> None:
        """Leave it to Python."""

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        """Fill it."""
        forward(module.__name__)


sys.meta_path.append(OldModules)  # asked last: for what is nowhere else
