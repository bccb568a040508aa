# ---
# description: For teachers. One section is one lesson, with a guess, three exercises, slides to print, and drawings to use.
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # For teachers
#
# One section of this site is one lesson of about a quarter of an hour. Begin with its picture. Let everybody guess, and
# raise a hand. Then look at the figure together. The questions need no mathematics.
#
# ## Slides
#
# Each part has slides: the titles, the drawings, the guesses and the first figure of each section. They are one page each
# that needs no network. Show them in a browser, or print them.
#
# <ul>
# <li><a href="slides/problem.html">The problem: sections 1 to 6</a></li>
# <li><a href="slides/impacts.html">Its impacts: sections 7 to 12</a></li>
# <li><a href="slides/techniques.html">What helps: sections 13 to 19</a></li>
# </ul>
#
# ## Drawings and text
#
# You may use, change and hand on the drawings, the figures and the text, in class and in print. The license is the
# *Apache License 2.0*, the same as that of the code: say where they are from, and say what you changed. Each drawing is a
# small SVG file, beside the page, in `assets/drawings`. Each section is also a notebook: the link is below its title.
#
# ## Exercises
#
# There are three for each section. To try them takes `rnnvanish` on a computer. The names in the code are those of its
# experiments: `from rnnvanish.experiments import vanishing`, and so on. An answer is not looked up. It is measured when
# somebody asks:
#
# ```bash
# rnnvanish check 6.1            # the question
# rnnvanish check 6.1 "about 15" # right or not, what was measured, and why
# ```
#
# A number may be said as *25*, *12 %* or *1 in 2 million*. How close it has to be stands beside the question.

# %% tags=["remove-input"]
from rnnvanish import plots
from rnnvanish.exercises import PARTS

for part, exercises in PARTS.items():
    rows = [f"| {each.number} | {each.question}<br>`{each.try_it}` | {each.tolerance} |" for each in exercises]
    plots.say(f"### {part}\n\n| | question, and what to try | right is |\n|---|---|---|\n" + "\n".join(rows))
