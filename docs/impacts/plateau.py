# ---
# description: Training that stands still is on a plateau with a way down, not in a local minimum.
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 9. The plateau
#
# You walk in thick fog and want to get down into the valley. You can feel only the ground beneath your feet. Your rule is:
# the steeper it is, the longer the step. After a while the ground is nearly level, your steps become very short, and you
# get nowhere.
#
# Are you at the bottom of a hollow, with hills all round? Or on a wide plain, where a gentle slope leads on, too gentle for
# your rule? In the fog, both feel the same. But from the hollow you would have to climb. From the plain you would not.
#
# ![A hollow and a plain, in fog](../assets/drawings/fog.svg)
#
# It is what the row of people feels when the whisper fades. Hardly anybody at the front of the row is told anything, and so
# nearly nothing changes. But to be told nothing is not the same as to be told that all is well.
#
# People often say that networks with vanishing gradients get stuck in such hollows, in **local minima**. We can measure
# which of the two it is.
#
# ## Predict first
#
# A network has been trained for 150 steps and makes no progress. We let it go on, downhill only, but always in steps of
# the same length. What happens?
#
# 1. Nothing: it is in a hollow, and every way leads up.
# 2. It gets out, but has to climb first.
# 3. It gets out, and hardly climbs on the way.
#
# ??? question "Show the answer"
#     The third. There is a way down. The slope is just too gentle at first.
#
# ## Where it stands
#
# A small network has to recall the first of 15 inputs. It learns in the plainest way there is: the steeper the
# ground, the longer the step.

# %% tags=["hide-input"]
from rnnvanish.experiments import plateau

here, losses = plateau.stuck(seed=0)
print(f"loss at the start:     {losses[0]:.3f}")
print(f"loss after {len(losses)} steps: {here.loss().item():.3f}")
print(f"loss of guessing:      {plateau.TASK.floor:.3f}")

# %% tags=["remove-input"]
plateau.halts_at_guessing.show()

# %% [markdown]
# Is it the vanishing gradient that halts it? Then the same training must not halt where the gradient arrives: with the answer
# close by, or from a start that keeps the gradient.

# %% tags=["remove-input"]
from rnnvanish import plots
from rnnvanish.tasks import Recall

cases = {
    "15 inputs, as PyTorch starts it": {},
    "15 inputs, from an orthogonal start": {"start": "orthogonal"},
    "3 inputs": {"task": Recall(3)},
    "2 inputs": {"task": Recall(2)},
}
rows = [
    f"| {name} | " + " | ".join(f"{plateau.stuck(seed, **case)[1][-1]:.2f}" for seed in range(3)) + " |"
    for name, case in cases.items()
]
plots.say(
    f"The loss after {plateau.TRAINED} steps, of three networks each. Guessing costs {plateau.TASK.floor:.2f}.\n\n"
    "| | first | second | third |\n|---|---|---|---|\n" + "\n".join(rows)
)

# %% [markdown]
# ## Feel the ground
#
# In a hollow, the ground bends **up** in every direction. The network has about a hundred weights, so there are about a
# hundred directions to feel. We measure the bend in each, and count.

# %% tags=["hide-input"] alt="Three bars: in how many directions the ground bends down, is level, and bends up. The bar for down is long, about as long as that for up. In a hollow it would have no length at all."
import matplotlib.pyplot as plt

here = plateau.flattest(0)  # where the slope was gentlest on the way
bends = plateau.curvatures(here)
flat = 1e-6 * bends[-1]  # what is smaller may be rounding
counts = {
    "down": int((bends < -flat).sum()),
    "level": int((bends.abs() <= flat).sum()),
    "up": int((bends > flat).sum()),
}
fig, ax = plt.subplots(figsize=(4.6, 2.0))
ax.bar_label(ax.barh(list(counts), list(counts.values()), color=["C1", "C4", "C0"]), padding=4)
ax.set(xlabel="directions in which the ground bends so", xlim=(0, 1.15 * max(counts.values())))
ax.invert_yaxis()
plt.show()

# %% tags=["remove-input"]
plots.say(f"The ground bends down in {counts['down']} of {len(bends)} directions. In a hollow it would do so in none.")
plateau.every_way_leads_up.show()

# %% [markdown]
# ## Walk on
#
# Here is the ground itself: a slice of the loss of this network, computed on your own device. The bluer, the lower. Walk
# on by the old rule first, and nothing happens. Now we change the rule. We still go downhill. But each step has
# [the same length](#walk.rule=same), no matter how gentle the slope is.
#
# <rv-plateau id="walk" markdown>

# %% tags=["remove-input"]
rows = []
for stride in (0.02, 0.03, 0.05, 0.08):
    walk = plateau.walk(plateau.stuck(0)[0], stride)
    up = plateau.climb(walk)
    out = f"{len(walk) - 1}" if walk[-1] < plateau.OUT else "not out"
    rows.append(f"| {stride:g} | {out} | {f'{up:.4f}' if up >= 5e-5 else 'none'} |")
plots.say("| length of a step | steps to the way out | highest climb |\n|---|---|---|\n" + "\n".join(rows))

# %% [markdown]
# </rv-plateau>

# %% tags=["remove-input"]
plateau.way_out_leads_up.show()

# %% [markdown]
# Does it know anything, out there? Or has it only learnt these sequences by heart? We ask it for new ones.

# %% tags=["remove-input"]
plateau.learns_by_heart.show()

# %% [markdown]
# ## Or just take larger steps
#
# The rule that halted here takes a twentieth of the slope as its step. What if it takes half of it?

# %% tags=["remove-input"]
plateau.halts_for_good.show()

# %% [markdown]
# ## What this means
#
# The network is **not** in a local minimum. It stands on a plateau, at the height of mere guessing. There is a way down,
# and no hill bars it. But vanishing gradients have made the slope so gentle that the usual rule takes tiny steps.
#
# The difference matters. From a local minimum, one would have to jump. On a plateau it is enough to go on, and not to let
# the slope decide how long a step is.
#
# ## What to do
#
# - Use a rule that does not let the size of the slope decide, such as *Adam*. It is the rule of most networks of today: it
#   makes each step about equally long. Over longer distances that alone is not enough: see [section 8](longterm.py).
# - Be patient, or better: start where the slope is not so gentle, for instance with orthogonal weights.
# - If the loss stands still, compare it with the loss of guessing. If the two are equal, your model is likely to be on
#   this plateau.
#
# ??? info "For engineers"
#     The network is a `torch.nn.RNN` with 8 units and a linear readout, 106 weights in all, in double precision; the loss is
#     the cross-entropy over 256 sequences of 15 inputs, always the same, so that the surface stands still. "Stuck" is
#     150 steps of gradient descent at a rate of 0.05. The bends are the eigenvalues of the full Hessian there. The claim
#     takes the smallest over the largest: in a local minimum it cannot be negative.
#
#     The gradient there is small but not zero, so it is not a stationary point at all. Where the readout ignores the
#     state, the loss is that of the best constant, $\ln 2$, and the Hessian has negative eigenvalues: a saddle. The walk
#     is $\theta \leftarrow \theta - \eta\, g / \lVert g \rVert$ with $\eta = 0.05$, until the loss is below 0.3. Its
#     climb is the largest rise above the lowest loss so far.
#
#     The bends are taken at the place of the smallest gradient on the way. At a rate of 0.5 the same descent is out after 20
#     to 203 steps, so "halt" is said of rate times steps.
#
#     That this network gets out does not say that larger problems have no poor local minima. It says that *this* halt, the one that vanishing gradients bring about, is none.
#
#     - Y. N. Dauphin, R. Pascanu, C. Gulcehre, K. Cho, S. Ganguli, Y. Bengio (2014). Identifying and attacking the
#       saddle point problem in high-dimensional non-convex optimization. *NeurIPS*.
#       [arXiv:1406.2572](https://arxiv.org/abs/1406.2572)
#     - I. J. Goodfellow, O. Vinyals, A. M. Saxe (2015). Qualitatively characterizing neural network optimization
#       problems. *ICLR*. [arXiv:1412.6544](https://arxiv.org/abs/1412.6544)
#
# ## Reproduce it
#
# ```bash
# rnnvanish claims --section 9
# ```
#
# Before: [8. Keeping and learning to keep](longterm.py). Next: [10. Twins](instability.py)
