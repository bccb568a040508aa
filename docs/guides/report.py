# ---
# description: The report of diagnose as JSON, field by field, and how to compare two of them in your own tests.
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Guide: the report in your own tests
#
# A model that remembered well last week can forget today, after a harmless change. Two lines notice it.
#
# ## Compare with an earlier report
#
# Keep a report, once:
#
# ```sh
# rnnvanish diagnose my_project/model.py:build --json > earlier.json
# ```
#
# And have every change compared with it:
#
# ```sh
# rnnvanish diagnose my_project/model.py:build --against earlier.json --tolerance 0.2
# ```
#
# The exit code is 1 where **retention fell**: where the half-life of a layer is shorter by more than the tolerance. With
# 0.2, one of 10 steps may become one of 8. A layer that has come to explode, or can no longer be measured, has fallen
# too. Layers that are new or gone are named. Here is what that looks like:

# %%
import torch
from torch import nn

from rnnvanish import diagnose
from rnnvanish.diagnosis import compare

torch.manual_seed(0)
model, series = nn.GRU(3, 16), torch.randn(40, 4, 3)
with torch.no_grad():
    model.bias_hh_l0[16:32] = 2.0
earlier = diagnose(model, series)

with torch.no_grad():
    model.bias_hh_l0[16:32] = 0.0  # a harmless change?
print(compare(earlier, diagnose(model, series)))

# %% [markdown]
# ## Or ask for what you need
#
# ```python
# from rnnvanish import assert_retention
#
# def test_the_model_can_see_a_hundred_steps_back():
#     assert_retention(build_model(), example_batch(), lag=100, at_least=1e-3)
# ```
#
# It is a plain assertion, for any test runner. Where it fails, it says which layer, what is left and how far it reaches.
#
# ## The report as JSON
#
# `--json` prints it, `diagnosis.to_json("report.json")` writes it. To look around in one, or to see two side by side, open it in
# [Explore a report](../explore-report.py). The last column has what stands in the report of the GRU
# above, before the change. A number that lies below what the number format can
# hold, or was not measured, is `null`. An infinite one is `"infinity"`.

# %% tags=["remove-input"]
import importlib.resources
import json

from rnnvanish import plots

schema = json.loads((importlib.resources.files("rnnvanish.diagnosis") / "report.schema.json").read_text())


def fields(title, properties, example):
    rows = [f"| `{name}` | {field['description']} | {here(example.get(name))} |" for name, field in properties.items()]
    plots.say(f"### {title}\n\n| field | what it says | here |\n|---|---|---|\n" + "\n".join(rows))


def here(value, longest=28):
    if isinstance(value, (dict, list)):
        return "–" if not value else f"{len(value)} entries"
    text = f"{value:.4g}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False)
    return f"`{text if len(text) <= longest else text[:longest] + '…'}`"


parts = schema["$defs"]
report = json.loads(earlier.to_json("report.json").read_text())
(layer,) = report["layers"].values()
fields("The whole", schema["properties"], report)
fields("A layer, in `layers`", parts["layer"]["properties"], layer)
fields("A finding, in `findings`", parts["finding"]["properties"], next(iter(report["findings"]), {}))
fields("A factor, in `factors`", parts["factor"]["properties"], next(iter(layer["factors"]), {}))
fields("A cure, in `advice`", parts["trial"]["properties"], next(iter(layer["advice"]), {}))
fields("What else was measured, in `measures`", parts["measures"]["properties"], layer["measures"])
fields("The outlook, in `outlook`", parts["outlook"]["properties"], report["outlook"] or {})

# %% [markdown]
# ??? info "For engineers"
#     These lists are read from the JSON Schema that comes with the package,
#     `rnnvanish/diagnosis/report.schema.json`, which also has the fields of every measure. It is made of the
#     classes that the report is written from, and the tests hold every report against it. `schema` is its version: it
#     changes when a reader of the older format would misread the newer. `--against` reads reports of version 1, too.
#     Half-lives of more than ten times the sequence count as equal when two reports are compared: the sequence cannot
#     tell them apart.
