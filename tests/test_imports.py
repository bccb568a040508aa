"""What an import brings along: nothing of other packages than it needs, nothing of ours that waits for a first use."""

import json
import pickle
import subprocess
import sys

import pytest

from rnnvanish import diagnosis

LINE = "import rnnvanish; from rnnvanish import diagnose, Recurrent, probes"
PUBLIC = "import rnnvanish; [getattr(rnnvanish, name) for name in rnnvanish.__all__ if name != 'RetentionMonitor']"
#: What a diagnosis alone needs.
REPORTS = {
    f"rnnvanish.diagnosis.{name}" for name in ("advice", "cause", "faults", "outlook", "report", "rerun", "result")
}
#: What compiles, trains, explains, or is run from a command line.
LATER = {
    f"rnnvanish.{name}"
    for name in ("arguments", "catalogue", "claim", "engine.compile", "experiments", "studies", "tasks", "training")
}


def brought(code):
    """The modules that `code` imports, beside those of torch."""
    script = (
        f"import json, sys, torch; before = set(sys.modules)\n{code}\nprint(json.dumps([*set(sys.modules) - before]))"
    )
    ran = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=120)
    return set(json.loads(ran.stdout))


@pytest.mark.parametrize(
    ("code", "later"), [(LINE, REPORTS | LATER | {"rnnvanish.mitigations"}), (PUBLIC, REPORTS | LATER)]
)
def test_an_import_brings_what_it_needs(code, later):
    found = brought(code)
    packages = {name.partition(".")[0] for name in found}
    # numpy and torch were there before, but for a file or two.
    assert {name for name in packages - sys.stdlib_module_names if not name.startswith("_sysconfigdata")} <= {
        "rnnvanish",
        "jaxtyping",
        "numpy",
        "torch",
    }
    assert not found & {"torch._dynamo", "torch.fx.experimental.symbolic_shapes", "sympy"}
    assert "rnnvanish.diagnosis.diagnose" in found
    assert not later & found


def test_what_waits_comes_with_the_first_use():
    found = brought("import torch; from rnnvanish import diagnose; diagnose(torch.nn.RNN(1, 2), torch.randn(5, 2, 1))")
    assert found >= REPORTS | {"rnnvanish.mitigations"}
    assert not found & LATER - {"rnnvanish.engine.compile"}


def test_what_waits_is_the_same_by_either_name():
    assert diagnosis.Diagnosis is pickle.loads(pickle.dumps(diagnosis.Diagnosis))
    assert {getattr(diagnosis, name).__name__ for name in diagnosis.__all__} == set(diagnosis.__all__)
    with pytest.raises(AttributeError, match=r"^module 'rnnvanish\.diagnosis' has no attribute 'Diagnoses'$"):
        _ = diagnosis.Diagnoses
