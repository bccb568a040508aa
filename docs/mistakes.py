# ---
# description: Mistakes that raise no error, each in ten lines, with what the tool says of it, and ten lines without it.
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Silent mistakes of recurrent models
#
# Some mistakes end with an error. You see it, you mend it. The ones on this page raise none. The program runs, the loss
# even falls a little. But the network can't learn what you want it to, and nobody says why.
#
# `diagnose` looks for them by name. Here is each of them: what goes wrong, a few lines that have it, what the tool says, and
# lines that don't have it. All was run when this page was built.
#
# A **finding** is a mistake. A **question** may be meant that way; only you know. `()` means that nothing was found.
#
# All lines need these first:

# %%
import torch
from torch import nn

from rnnvanish import diagnose

# %% tags=["remove-input"]
#: The files of the faults, by what goes wrong.
GROUPS = {
    "The past is cut off": "detached detached_part detached_step numbers_alone no_gradient state_anew state_drawn state_reset",
    "The wrong steps are read": "padding pooled_padding pooled_zeros read_at_start unread_part single_step short_windows",
    "Sequences touch each other": "mixed_sequences kept_state unreset_state batch_norm_alone batch_statistics",
    "Numbers out of range": "absurd_input saturation stuck_units closed_gate shrinking equal_units half_precision not_finite",
    "The training itself": "double_softmax first_step clipped_away idle_dropout",
}

import contextlib
import io
import re
from importlib import import_module
from inspect import getdoc

from rnnvanish import plots
from rnnvanish.diagnosis import faults

CODE = re.compile(r"^(?:    .*\n|\n(?=(?:\n)*    ))+", re.MULTILINE)
KNOWN = {"torch": torch, "nn": nn, "diagnose": diagnose}


def run(code, names):
    """What some lines print."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "example.py", "exec"), names)  # noqa: S102  # our own, from the package
    return printed.getvalue()


def section(name):
    """A mistake: its title, and what its file says below the first line, with what the lines in there print."""
    text, names, found = getdoc(import_module(f"{faults.__name__}.{name}")).partition("\n\n")[2] + "\n", dict(KNOWN), []

    def printed(lines):
        code = re.sub("^    ", "", lines[0], flags=re.MULTILINE).strip("\n")
        found.append(run(code, names))
        return f"``` {{ .python }}\n{code}\n```\n\n``` {{ .text .rv-out }}\n{found[-1].rstrip()}\n```\n"

    shown = CODE.sub(printed, text)
    title = re.match(r"(?:FOUND|QUESTION): (.*?)(?: in \S+)?\n", found[0]) if len(found) == 2 else None
    if title is None or found[1] != "()\n":
        raise ValueError(
            f"faults/{name}.py must begin with lines that have its fault, and lines that don't, got: {found}"
        )
    return title[1], shown


known = {each.__module__.rpartition(".")[2] for each in (*faults.ALL, *faults.OF_RUN, *faults.OF_MODEL)}
if missing := known ^ {name for names in GROUPS.values() for name in names.split()}:
    raise ValueError(f"GROUPS of this page must have each file of a fault: {sorted(missing)}.")
titles = set()
for group, names in GROUPS.items():
    plots.say(f"## {group}")
    for name in names.split():
        title, shown = section(name)
        heading = f"{title[0].upper()}{title[1:]}" + (f": {name.replace('_', ' ')}" if title in titles else "")
        titles.add(title)
        plots.say(f"### {heading} {{ #{name} }}\n\n{shown}")

# %% [markdown]
# ## And yours?
#
# Ask it of your own model: [Diagnose](diagnose.py). What it looks for is meant to be silent where nothing is wrong. If it is
# not, that is a mistake of ours.
