# ---
# description: A gradient says which way is down, and how steep it is here. It does not say how far to go.
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 2. What a gradient says
#
# You stand on a hill in thick fog and want to get down to the valley. You cannot see it. But your feet feel the
# ground: here it falls to the right, and steeply. So you take a step to the right, and feel again.
#
# ![Somebody on a hill in fog](../assets/drawings/hill.svg)
#
# A network learns like that. How wrong its answers are is a number, the **loss**: the height on the hill. Each weight
# of the network is a direction in which one can step. The **gradient** is what the feet feel: for each weight, how
# the loss changes if this weight grows a little.
#
# ## Predict first
#
# Your feet say that the ground falls by one metre for each metre you walk. You walk ten metres. How much lower are
# you?
#
# 1. Ten metres lower.
# 2. Perhaps ten, perhaps less, perhaps I am even higher up than before.
#
# ??? question "Show the answer"
#     The second. Your feet know the slope where you stand. They know nothing of the ground ten metres on. It may be
#     flat there, or the other side of the valley may go up again.
#
# ## Does the gradient tell the truth?
#
# A network can have thousands of weights. But we can check it for one of them, without any mathematics. Nudge one weight up a little and look at the loss. Nudge it down and look
# again. The difference is the slope. Now compare it with what the gradient says.

# %%
from rnnvanish.experiments import gradients
from rnnvanish.experiments.small import Small

network = Small(seed=0, steps=30)  # a torch.nn.RNN, something to learn
network().backward()  # let torch compute the gradient

weight = network.rnn.bias_ih_l0  # 32 numbers; we take number 5
tried = gradients.slope_by_trying(network, weight.detach(), place=5)
print(f"the gradient says {weight.grad[5]:+.9f}")
print(f"trying it gives   {tried:+.9f}")

# %% tags=["remove-input"]
gradients.gradient_is_the_slope.show()

# %% [markdown]
# ## Does it say how far to go?
#
# Now all weights take one step downhill together. How long the step is, is a number that we choose: the *learning
# rate*. The slope promises a drop: twice as far, twice as deep.
#
# Here is the hill of a real network, seen from the side. You stand at its left. The ground ahead is still in the fog.

# %% [markdown]
# <rv-hill id="hill" markdown>

# %% tags=["remove-input"] alt="Line chart: the loss after one step downhill, against the length of the step. The promise of the slope is a straight line that goes down. The real loss follows the line at first, then flattens out, reaches its lowest point and rises again, while the line goes on down."
import matplotlib.pyplot as plt
import torch

rates = torch.linspace(0, 2, 101, dtype=torch.float64)
promised, real = gradients.drops(seed=0, rates=rates).T
loss = float(network().detach())

fig, ax = plt.subplots()
ax.plot(rates, loss - real, label="what happens")
ax.plot(rates, loss - promised, label="what the slope promises")
ax.set(xlabel="length of the step (learning rate)", title="loss after one step", ylim=(-0.2 * loss, 1.6 * loss))
ax.legend()
plt.show()

# %% tags=["remove-input"]
from rnnvanish import plots

first, far = gradients.drops(0, torch.tensor([0.3, 1.6], dtype=torch.float64)).tolist()
plots.say(
    f"A step of length 0.3: the slope promised that the loss falls by {first[0]:.2f}, and it fell by {first[1]:.2f}. A step of "
    f"length 1.6: the slope promised {far[0]:.2f}, and the loss rose by {-far[1]:.2f}."
)

# %% [markdown]
# </rv-hill>
#
# Pull the person along. Near the start the slope keeps its word. [A longer step](#hill.rate=1.6) ends higher than it
# began. Here are some steps side by side.

# %% tags=["remove-input"]
steps = torch.tensor([0.001, 0.01, 0.1, 0.5, 2.0], dtype=torch.float64)
rows = [
    f"| {rate:g} | {there:.2g} | {got:.2g} | {100 * got / there:.0f} % |"
    for rate, (there, got) in zip(steps.tolist(), gradients.drops(0, steps).tolist(), strict=True)
]
plots.say(
    "| learning rate | promised drop | real drop | kept of the promise |\n|---|---|---|---|\n"
    + "\n".join(rows)
    + f"\n\nThe loss was {loss:.2g} before the step. A real drop below zero means that the loss **rose**."
)

# %% tags=["remove-input"]
gradients.gradient_says_how_far.show()

# %% [markdown]
# ## What this means
#
# A gradient is exact, but it is **local**. It says which way, and how steep, right here. How far to go is our choice.
#
# Think of the row of people from [section 1](structure.py). The gradient is what is whispered to each of them after the
# last word: *a little more of this, a little less of that*. Nobody is told how much.
#
# Remember this for later: if the gradient says *zero* for something, it does not say "this does not matter". It says
# "a tiny change of this makes no difference, from where you stand". A network that gets zero for all of its early
# steps does not learn from them, whether they matter or not.
#
# ## What to do
#
# - The loss jumps up or becomes `nan`? The steps are too long: make the learning rate smaller.
# - The loss falls steadily, but slowly? Try a larger learning rate, before anything else.
# - Do not read the size of a gradient as the distance to the goal.
#
# ??? info "For engineers"
#     To first order, a step $\Delta\theta = -\eta\, g$ with $g = \nabla L(\theta)$ changes the loss by
#
#     $$L(\theta - \eta g) = L(\theta) - \eta\, g^\top g + \frac{\eta^2}{2}\, g^\top H g + \dots$$
#
#     The promise of the page is $\eta\, g^\top g$. The curvature $H$ takes from it: at
#     $\eta = g^\top g / g^\top H g$ half of the promise is kept, if the loss is quadratic along the way, and at twice
#     that rate nothing is. So "how far" needs second-order knowledge, or an optimiser that guesses at it. The claim
#     looks for the first learning rate, of four a factor of ten, that keeps less than half. Where it lies depends on
#     the network and its targets; that it exists does not.
#
#     Slopes by trying are central differences, $(L(\theta + \varepsilon) - L(\theta - \varepsilon)) / 2\varepsilon$
#     with $\varepsilon = 10^{-6}$, in double precision.
#
#     - D. E. Rumelhart, G. E. Hinton, R. J. Williams (1986). Learning representations by back-propagating errors.
#       *Nature* 323. [doi:10.1038/323533a0](https://doi.org/10.1038/323533a0)
#     - I. Goodfellow, Y. Bengio, A. Courville (2016). *Deep Learning*, section 4.3.
#       [deeplearningbook.org](https://www.deeplearningbook.org/contents/numerical.html)
#
# ## Reproduce it
#
# ```bash
# rnnvanish claims --section 2
# ```
#
# Before: [1. A network that reads step by step](structure.py). Next: [3. The film, backwards](bptt.py)
