# %% [markdown]
# # How a gradient fades
#
# A whisper, passed down a line of people, with $\rho^k$ left after $k$ of them. [Home](index.md#a-place).
#
# $$\left\|\frac{\partial h_T}{\partial h_0}\right\|_2 \le \prod_{t=1}^{T} \left\| J_t \right\|_2 \qquad \text{for every sequence that is as long as this sentence, which scrolls}$$

# %% tags=["hide-input"] alt="Line chart: the part that is left falls from 1 to a third in ten steps." caption="What is left."
import matplotlib.pyplot as plt

numbers = csv = io = None  # a page may use any name

plt.plot([0.9**k for k in range(11)], label="left")
plt.legend();

# %%
import sys

sys.stderr.write("not for " + "readers")
print("measured", 3)

# %% tags=["remove-input"]
from IPython.display import HTML, Markdown, display

for kind in ("holds", "caveat", "fails", "undecided"):
    display(HTML(
        f'<div class="rv-verdict rv-{kind}"><p class="rv-says"><span>People say</span> It forgets. '
        f'<small class="rv-scope">Of: a network</small></p><div class="rv-judged"><p class="rv-word">{kind}</p>'
        '<p class="rv-finding">A third is left.</p></div><details class="rv-evidence"><summary>Measured</summary>'
        "<dl><div><dt>Measured</dt><dd>what is left</dd></div></dl></details></div>"
    ))
display(Markdown("Text that was *computed*."))

# %% [markdown]
# ## A figure to drag
#
# <rv-slider id="radius" label="Radius">
# <p>At 0.9 a third is left after ten steps.</p>
#
# <template>
# {"values": [0.8, 0.9], "x": [0, 5, 10], "xlabel": "steps * back", "ylabel": "what_is_left", "log": true,
#  "series": [{"name": "here", "y": [[1, 0.3, 0.1], [1, 0.6, 0.3]]}, {"name": "at 1", "y": [1, 1, 1]}],
#
#  "says": ["At 0.8 a tenth is left.", "At 0.9 a third is left."]}
# </template>
# </rv-slider>

# %% tags=["remove-input"]
display(HTML("""<rv-slider id="lag" label="Lag" unit="steps" value="1"><p>Nothing changes.</p><template>
{"values": [10, 20], "x": [0, 1], "xlabel": "x", "ylabel": "y", "series": [{"name": "flat", "y": [3, null]}]}
</template></rv-slider>"""))

# %% caption="A wide table"
import pandas as pd

pd.DataFrame({f"column {i}": [i] for i in range(14)})

# %% [markdown]
# ??? info "For engineers"
#     $$\begin{aligned} a &= b \\ c &= d \end{aligned}$$
#
#     | a | b |
#     |---|---|
#     | 1 | 2 |
#
# ## Predict first
#
# How much is left?
#
# 1. All of *it*.
# 2. A third.
#
# ??? question "Show the answer"
#     The second.
#
# ## All claims
#
# <div data-rv-claims="table"></div>
#
# <div data-rv-claims="corrections"></div>

# %% tags=["remove-input"]
provenance = {"date": "2026-01-02", "commit": "abc", "processor": "a <b>", "threads": "1", "torch": "2", "python": "3"}
results = (1, "holds", "9 steps"), (2, "does not hold", "10 steps"), (10, "holds with a caveat", "-1 steps")
for number, verdict, result in results:
    record = {
        "id": f"control.claim{number}", "section": number, "sentence": f"Claim {number} with `code`.", "stored": number == 2,
        "verdict": verdict, "finding": "It is found.", "measured": "size", "result": result, "seeds": 5, "seconds": 0.25,
        "statistic": float(result.split()[0]), "values": [float(result.split()[0])],
        "bounds": {"holds": [-5.0, 11.0], "fails": [20.0, "inf"]},
        "provenance": provenance, "outdated": number == 2, "scope": "Two <stones>.",
        "source": {"title": "A book", "url": "https://example.org/book"} if number == 2 else None,
    }
    box = f'<p id="control.claim{number}">A box.</p>'
    display({"text/html": box, "application/vnd.rnnvanish.claim+json": record}, raw=True)
