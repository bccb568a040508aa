"""What an import brings along: nothing of other packages than it needs, nothing of ours that waits for a first use."""

import ast
import json
import pickle
import subprocess
import sys
from pathlib import Path

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
    others = {name.partition(".")[0] for name in found} - sys.stdlib_module_names
    # Of numpy and torch a file or two, that torch itself left out.
    assert {name for name in others if not name.startswith("_sysconfig")} <= {
        "rnnvanish",
        "jaxtyping",
        "numpy",
        "torch",
    }
    assert not found & {"torch._dynamo", "torch.fx.experimental.symbolic_shapes"}
    assert "rnnvanish.diagnosis.diagnose" in found
    assert not found & later


def test_what_waits_comes_with_the_first_use():
    found = brought("import torch; from rnnvanish import diagnose; diagnose(torch.nn.RNN(1, 2), torch.randn(5, 2, 1))")
    assert found >= REPORTS | {"rnnvanish.mitigations"}
    assert not found & LATER - {"rnnvanish.engine.compile"}


def test_what_waits_is_there_by_its_name():
    assert dir(diagnosis) == sorted(diagnosis.__all__)
    for name in diagnosis.__all__:
        held = getattr(diagnosis, name)
        assert held.__name__ == name
        assert pickle.loads(pickle.dumps(held)) is held
    with pytest.raises(AttributeError, match=r"^module 'rnnvanish\.diagnosis' has no attribute 'never'$"):
        _ = diagnosis.never


def test_types_are_checked_of_what_comes_at_run_time():
    """What is imported for a checker of types alone is what `HOMES` says."""
    body = ast.parse(Path(diagnosis.__file__).read_text(encoding="utf-8")).body
    (block,) = (each for each in body if isinstance(each, ast.If))
    seen = {
        each.name: node.module.rpartition(".")[2]
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for each in node.names
    }
    assert seen == diagnosis.HOMES
