# ---
# description: The papers that cells, cures and tasks of this package come from, with links.
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # References
#
# Each cell, each cure and each task of the package names the paper that it comes from. This list is made from those
# names while the site is built. So it is always complete. [A second list](#what-the-pages-cite) holds what the pages cite.

# %% tags=["remove-input"]
from rnnvanish import cells, mitigations, plots, tasks

users = {}
for group in (cells.ALL, mitigations.ALL, tasks.ALL):
    for kind in group.values():
        if paper := getattr(kind, "paper", None):
            users.setdefault((paper.authors, paper.year, paper.title, paper.link), []).append(kind.__name__)

plots.say(
    "\n".join(
        f"- {authors} ({year}). [{title}]({link}). For: {', '.join(f'`{name}`' for name in sorted(names))}."
        for (authors, year, title, link), names in sorted(users.items())
    )
)

# %% [markdown]
# ## Who says so
#
# A box names who says its sentence. Here are all of them, each with the claims that it is named at. Where a box asks instead,
# we have found nobody who says so.

# %% tags=["remove-input"]
from rnnvanish import experiments

sayers = {}
for claim in experiments.claims():
    if claim.source is not None:
        sayers.setdefault((claim.source.title, claim.source.url), []).append(claim.id)
plots.say(
    "\n".join(
        f"- [{title}]({url}). At: {', '.join(f'`{name}`' for name in names)}."
        for (title, url), names in sorted(sayers.items())
    )
)

# %% [markdown]
# ## What the pages cite
#
# The pages have their sources at the end, under "For engineers". Here they are once more, all together.
#
# <div data-rv-cited></div>
