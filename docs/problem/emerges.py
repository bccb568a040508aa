# ---
# description: Contributions of the steps to a weight add up; derivatives from state to state multiply. It matters.
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 4. What adds and what multiplies
#
# Sixty people stand in a long row and collect money for a common pot. The pot stands at one end. Each puts in the same.
# But the money of the person at the far end must pass through 59 pairs of hands, and each hand keeps a little.
#
# What arrives from each person **adds up** in the pot. What happens on the way **multiplies**: nine tenths of nine
# tenths of nine tenths. The pot is not empty. But most of what is in it came from those who stand close.
#
# ![A row of people who collect coins for a pot](../assets/drawings/coins.svg)
#
# So it is with the gradient of a recurrent network. It is the row of people again, and all of them follow one and the
# same rule. Each has something to say about how the rule should change. That is the coin: it goes into one common pot,
# the gradient of the weights. But what an early person has to say hangs on the whisper, and the whisper has come through
# all later ones.
#
# Explanations often mix the two up. They say that the derivatives of all steps are multiplied, and that therefore
# *the* gradient becomes tiny. We can measure which of the two it is.
#
# ## Predict first
#
# A network has read 60 steps and made an error. How large is the gradient of its weights?
#
# 1. Tiny: 60 small numbers multiplied.
# 2. Not tiny: 60 contributions added up, of which most are tiny, but not all.
#
# ??? question "Show the answer"
#     The second. The gradient of the weights as a whole is of an ordinary size. That is why it is so easy to
#     overlook: only what the network could have learnt from the early steps is missing.
#
# ## The pot
#
# Before we ask a network, ask the sixty people. Choose how much each hand passes on, and look who filled the pot.

# %% [markdown]
# <rv-pot id="pot" markdown>

# %% tags=["remove-input"]
import torch

from rnnvanish import plots

arrives = 0.9 ** torch.arange(59, -1, -1, dtype=torch.float64)  # of the coin of the first, the second, ...
first, last = (float(part.sum() / arrives.sum()) for part in (arrives[:10], arrives[-10:]))
plots.say(
    f"Sixty coins were put in, and each hand passed on nine tenths. {arrives.sum():.1f} coins are in the pot. The last ten people "
    f"have {100 * last:.0f} % of it, the first ten {plots.one_in(first)}."
)

# %% [markdown]
# </rv-pot>
#
# The pot is never empty. At [nine tenths](#pot.keeps=0.9) it is still well filled, and what the first ten have put in is
# nearly gone. At [one half](#pot.keeps=0.5) nobody could find their coins. Only where [nobody takes
# anything](#pot.keeps=1) all have the same say.
#
# ## Add or multiply?
#
# To see each step's own contribution, we give every step a private copy of the weights. Then we ask torch for the
# gradient of each copy.

# %% tags=["hide-input"]
from rnnvanish.experiments import emerges

network = emerges.scaled(seed=0)  # a torch.nn.RNN as it comes, 60 steps
parts = emerges.contributions(network)  # one for each step
whole = emerges.gradient(network)  # when all steps share their weights

# Step 1 starts from an empty state and contributes nothing: left out.
sizes = parts.flatten(1).norm(dim=1)[1:]
product = float(sizes.log10().sum())
print(f"the gradient: {float(whole.norm()):.4f}")
print(f"added up:     {float(parts.sum(0).norm()):.4f}")
print(f"multiplied:   10 to the power of {product:.0f}")

# %% tags=["remove-input"]
emerges.contributions_add.show()

# %% tags=["remove-input"]
emerges.derivatives_of_weights_multiply.show()

# %% [markdown]
# ## Where the multiplying happens
#
# Something does multiply: the way from one state to the next. If a state changes a little, how much does the next
# state change? And the one after that? To get from the first state to the last, these answers are multiplied, one for
# each step on the way.

# %% tags=["remove-input"]
emerges.derivatives_of_states_multiply.show()

# %% [markdown]
# This product is where the trouble starts. It sits inside each contribution, and the earlier the step, the longer it is.
#
# ## Who has a say
#
# So the contributions add, but each has come through a product. The figure shows how large each step's part in the pot
# is.

# %% tags=["hide-input"] alt="Bar chart: each step's part in the gradient. The bars of the first fifty steps cannot be seen. The last few steps have nearly all of it, and the bars grow towards the last step."
import matplotlib.pyplot as plt

shares = emerges.shares(network)
fig, ax = plt.subplots()
ax.bar(range(1, 61), 100 * shares)
ax.set(xlabel="step", title="part in the gradient, in per cent")
plt.show()

# %% tags=["remove-input"]
plots.say(
    f"The last step alone has {100 * shares[-1]:.0f} per cent of the gradient, the last ten have "
    f"{100 * shares[-10:].sum():.1f} per cent. The first ten steps together make up "
    f"{plots.one_in(float(shares[:10].sum()))} of it."
)

# %% tags=["remove-input"]
emerges.every_step_has_a_say.show()

# %% [markdown]
# ## Drag it
#
# How much a hand keeps is decided by the recurrent weights. Make them larger or smaller than PyTorch draws them, and see
# who gets a say.

# %% tags=["remove-input"]
scales = [0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0]
curves = [emerges.shares(emerges.scaled(0, scale)).tolist() for scale in scales]
plots.slider(
    id="weights",
    label="Recurrent weights",
    unit="times those of PyTorch",
    values=scales,
    start=scales.index(1.0),
    x=range(2, 61),
    xlabel="step",
    ylabel="part in the gradient",
    series={"this network": [curve[1:] for curve in curves], "an equal say": [[1 / 59] * 59 for _ in scales]},
    says=[
        f"The last ten of the 60 steps make up {'nearly all' if last > 0.999 else f'{100 * last:.3g} %'} of the "
        f"gradient, the first ten {plots.one_in(sum(curve[:10]))}."
        for curve in curves
        for last in [sum(curve[-10:])]
    ],
)

# %% [markdown]
# ## What this means
#
# The vanishing gradient is **not** a gradient of zero. The network gets a clear message about how to change. But the
# message is written by the last few steps. What the early steps would have said is in it too, far too faint to matter.
#
# Nothing looks broken: there is a gradient, it has an ordinary size, and the loss can fall.
#
# ## What to do
#
# - Do not look at the size of the gradient of the *weights* to find out whether gradients vanish. It cannot show it.
# - Look at the gradient of the *states*, step by step. That is what `rnnvanish` measures:
#   `probes.retention(model, inputs)`, for your own model.
#
# ??? info "For engineers"
#     For a loss that reads the last state $h_T$ alone, with $J_t = \partial h_t / \partial h_{t-1}$,
#
#     $$\frac{dL}{d\theta} = \sum_{t=1}^{T} \frac{\partial L}{\partial h_T}
#     \left( J_T\, J_{T-1} \cdots J_{t+1} \right) \frac{\partial^{+} h_t}{\partial \theta},
#     \qquad J_t = \mathrm{diag}(1 - h_t^2)\; U$$
#
#     where $\partial^{+} h_t / \partial \theta$ is the immediate derivative, with $h_{t-1}$ held fixed. The **sum** over $t$ belongs to the parameter, which all
#     steps share. The **product** belongs to the way from state to state, and has $T - t$ factors. Both are in Pascanu et al.,
#     equations (3) to (5).
#
#     The claim about the product compares the size of the gradient with the product of the sizes of the 59
#     contributions that are not zero (the first step multiplies an initial state of zeros), in powers of ten, since no
#     floating-point format holds it. A part in the gradient is
#     $\lVert c_t \rVert / \sum_s \lVert c_s \rVert$, with the contribution $c_t$ of step $t$ to $\partial L/\partial U$.
#     Inputs are independent noise with one loss at the end. The share of a step is measured before training;
#     training can change it.
#
#     - R. Pascanu, T. Mikolov, Y. Bengio (2013). On the difficulty of training recurrent neural networks. *ICML*.
#       [arXiv:1211.5063](https://arxiv.org/abs/1211.5063)
#
# ## Reproduce it
#
# ```bash
# rnnvanish claims --section 4
# ```
#
# Before: [3. The film, backwards](bptt.py). Next: [5. Copies of copies](multiplication.py)
