# ---
# description: Backpropagation through time is a film run backwards. A short loop by hand gives the gradient of torch.
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 3. The film, backwards
#
# A glass falls off a table and breaks. Somebody has filmed it, and you want to know how it came about. So you run the
# film backwards. The glass is broken; one picture earlier it hits the floor; one earlier it falls; and there, a long
# way back, an elbow touches it.
#
# At each picture you ask the same question: *how much did this moment have to do with what came right after it?*
#
# ![A film that runs backwards](../assets/drawings/film.svg)
#
# A recurrent network is trained like that. It reads the sequence from the first step to the last, and its answer is
# wrong by some amount. Then the film runs backwards. From the last step to the first, each state gets its share of the
# blame from the state after it. This is called **backpropagation through time**.
#
# In our row of people it is the whisper. It starts with the last person and goes back from each to the one before: *this
# is what your note did to mine*.
#
# ## Predict first
#
# We write this walk backwards by hand, as one short loop. Then we ask torch (that is PyTorch), which computes gradients
# in its own general way. How close are the two?
#
# 1. Roughly alike: torch does something cleverer.
# 2. Alike to about three digits.
# 3. Alike to about fifteen digits, which is all that the computer can tell apart.
#
# ??? question "Show the answer"
#     Alike to about fifteen digits. There is no secret in training a recurrent network: it is this loop.
#
# ## The film of a network
#
# A network has read 20 steps, and its answer is wrong. Here is its film, a picture for each step. Run it back, and see how
# much of the blame gets to each picture.

# %% [markdown]
# <rv-film id="film" markdown>

# %% tags=["remove-input"] alt="Bar chart: the blame that arrives at each of 20 pictures of the film, on an axis of powers of ten. All of it is there at the last picture. Each bar to the left is a little shorter than its neighbour, and the first picture gets less than 1 in ten thousand."
import matplotlib.pyplot as plt
import torch

from rnnvanish import plots
from rnnvanish.experiments import bptt
from rnnvanish.experiments.small import Small

network = Small(seed=0, steps=20)  # a torch.nn.RNN, something to learn
states = [torch.zeros_like(network.rnn(network.x)[1])]
for word in network.x:  # one step at a time, so that each state can be blamed
    states.append(network.rnn(word[None], states[-1])[1])
loss = (states[-1][0] @ network.readout - network.target).square().mean()
blame = [float(share.norm()) for share in torch.autograd.grad(loss, states[1:])]

fig, ax = plt.subplots()
ax.bar(range(1, 21), [share / blame[-1] for share in blame], color="C1")
ax.set(xlabel="picture", title="blame that arrives", yscale="log", ylim=(1e-6, 1), xticks=[1, 5, 10, 15, 20])
plots.label_decades(ax)
plt.show()

# %% tags=["remove-input"]
plots.say(f"Of the blame at the last picture, {plots.one_in(blame[0] / blame[-1])} arrives at the first.")

# %% [markdown]
# </rv-film>
#
# The blame is handed from picture to picture, and it fades on its way. At the [elbow](#film.at=5) it is faint. And what if
# [the film is cut](#film.at=3&film.cut=9)? Then everything before the cut stays dark: no blame gets past it. Why the blame
# fades is the story of this site.
#
# ## The loop
#
# This is the walk. The name `blame` stands for how much the error at the end changes if the state changes a little. The
# loop does two things at each step. It notes what the blame means for the weights. And it hands the blame on, one step
# further back.

# %% tags=["remove-input"]
plots.source(bptt.by_hand, "Show the loop")

# %% [markdown]
# ## Compare
#
# By how much do the two differ, as a part of the gradient's size?

# %% tags=["hide-input"]
from rnnvanish.experiments.small import difference

network = Small(seed=0)  # 60 steps
ours, theirs = bptt.by_hand(network), bptt.by_autograd(network)
for name in theirs:
    print(f"{name:12}  differs by {difference(ours[name], theirs[name]):.1e}")

# %% tags=["remove-input"]
bptt.last_step_to_first.show()

# %% [markdown]
# ## What the walk back costs
#
# To run a film backwards, one needs the film. On its way there the network has to keep every state, because the way
# back asks for it. How much is that?

# %% tags=["hide-input"] alt="Line chart: numbers kept in memory for the way back, against the length of the sequence. It is a straight line: twice as many steps, twice as many numbers."
lengths = [25, 50, 100, 200, 400]
kept = [bptt.kept(steps) for steps in lengths]

fig, ax = plt.subplots()
ax.plot(lengths, [count / 1000 for count in kept], marker="o")
ax.set(xlabel="steps in the sequence", title="thousands of numbers kept", ylim=(0, None), xlim=(0, None))
plt.show()

# %% tags=["remove-input"]
plots.say(
    f"For {lengths[-1]} steps of {network.rnn.hidden_size} numbers, in {len(network.target)} sequences at once, torch "
    f"keeps {kept[-1]:,} numbers. For {lengths[0]} steps it keeps {kept[0]:,}."
)

# %% tags=["remove-input"]
bptt.every_step_is_kept.show()

# %% [markdown]
# Must it? One can also throw most of the film away and keep one picture in twenty. When the way back gets there, the
# pictures in between are made again, from the last one that was kept. This costs work, and it saves memory.

# %% tags=["remove-input"]
bptt.way_back_needs_every_step.show()

# %% [markdown]
# ## What this means
#
# The walk back is one long chain. What an early step learns about the error has come **through every later step**,
# from person to person. Nothing jumps over a step. In the loop, `blame` is multiplied by something at each step. What if
# that something makes it smaller, every time? That is the question of the next three sections.
#
# ## What to do
#
# - Memory runs out with long sequences? Cut them into pieces and hand on the state without its history
#   (`state.detach()`). This is called *truncated* backpropagation. The price: no blame gets past the cut.
# - Or keep fewer pictures and compute the others again on the way back (`torch.utils.checkpoint`). The price: time.
#
# ??? info "For engineers"
#     With $a_t = W x_t + b + U h_{t-1} + c$, $h_t = \tanh(a_t)$ and a loss that reads the last state alone, let
#     $\delta_t = \partial L / \partial a_t$. Then
#
#     $$\delta_T = \mathrm{diag}(1 - h_T^2)\, \frac{\partial L}{\partial h_T}, \qquad
#     \delta_{t-1} = \mathrm{diag}(1 - h_{t-1}^2)\; U^\top \delta_t$$
#
#     $$\frac{\partial L}{\partial U} = \sum_t \delta_t\, h_{t-1}^\top, \qquad
#     \frac{\partial L}{\partial W} = \sum_t \delta_t\, x_t^\top$$
#
#     Where every step has a loss of its own, $\partial L_t / \partial h_t$ is added to the blame at each step on the way.
#
#     The way back is not the only way. *Real-time recurrent learning* carries the derivatives of the state forward
#     with the sequence, needs no film, and gives the same gradient (a test of this project checks it with forward-mode
#     differentiation). It costs $O(n^4)$ a step for $n$ units, where the way back costs $O(n^2)$. So nobody does it
#     for large networks.
#
#     The memory is counted with `torch.autograd.graph.saved_tensors_hooks`: every storage that the graph holds, once,
#     without weights and inputs. How many numbers a step costs depends on the kernel; that it grows with the length
#     does not, unless states are computed again. There, $\sqrt{T}$ states are kept, and all of one piece of $\sqrt{T}$ steps
#     (reentrant `torch.utils.checkpoint`): memory grows with the root of the length, for one more run of the way there.
#
#     - P. J. Werbos (1990). Backpropagation Through Time: What It Does and How to Do It. *Proceedings of the IEEE*
#       78(10). [doi:10.1109/5.58337](https://doi.org/10.1109/5.58337)
#     - R. J. Williams, D. Zipser (1989). A Learning Algorithm for Continually Running Fully Recurrent Neural Networks.
#       *Neural Computation* 1(2). [doi:10.1162/neco.1989.1.2.270](https://doi.org/10.1162/neco.1989.1.2.270)
#     - T. Chen, B. Xu, C. Zhang, C. Guestrin (2016). Training Deep Nets with Sublinear Memory Cost.
#       [arXiv:1604.06174](https://arxiv.org/abs/1604.06174)
#
# ## Reproduce it
#
# ```bash
# rnnvanish claims --section 3
# ```
#
# Before: [2. What a gradient says](gradients.py). Next: [4. What adds and what multiplies](emerges.py)
