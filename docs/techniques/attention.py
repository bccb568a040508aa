# ---
# description: Attention makes the way back one step long. The network still has to learn where to look, and looking costs.
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 19. Attention
#
# You can keep a long story in your head. Or you keep a book of it and look things up. The book forgets nothing. But you
# have to know on which page to look, and the longer the story, the longer you leaf.
#
# **Attention** is such a book. In our row of people it is a wall: nobody throws a note away, and all of them are pinned up.
# Whoever needs one looks straight at it. Nothing has to go from hand to hand.
#
# ![One person looks back at all notes](../assets/drawings/attention.svg)
#
# So at each step the network may look at all of its past states, and takes most from those that fit. People say that it does
# not need long memories any more.
#
# ## Predict first
#
# With attention, how much gradient does a state 100 steps back get, against one 10 steps back?
#
# 1. A millionth.
# 2. About as much.
#
# ??? question "Show the answer"
#     About as much. Each past state is one step away. But each gets only its share.
#
# ## One step back, whatever the distance
#
# A plain network, and the same network with attention. How much gradient does each past state get?

# %% tags=["hide-input"] alt="Line chart, logarithmic axis in words: gradient that is left against steps back. Without attention it falls steeply. With attention it falls for a few steps, and then stays level."
import matplotlib.pyplot as plt

from rnnvanish import plots
from rnnvanish.experiments import attention

plots.retention({"plain": attention.curve(False, 0), "with attention": attention.curve(True, 0)})
plt.show()

# %% [markdown]
# Aim the lamp yourself. The more gradient gets to a page, the bluer it is. Take [the first page](#beam.page=1), or [a
# longer book](#beam.length=80).
#
# <rv-beam id="beam" markdown>

# %% tags=["remove-input"]
plain, attending = attention.curve(False, 0), attention.curve(True, 0)
rows = [
    f"| {lag} | {plots.one_in(float(plain.gain[lag]))} | {plots.one_in(float(attending.gain[lag]))} |"
    for lag in (1, 10, 40, 100)
]
plots.say("| steps back | plain | with attention |\n|---|---|---|\n" + "\n".join(rows))

# %% [markdown]
# </rv-beam>

# %% tags=["remove-input"]
attention.path_is_one_step.show()

# %% tags=["remove-input"]
attention.far_is_as_easy_as_near.show()

# %% [markdown]
# ## Does it learn?
#
# The network sees one sign, hears noise, and is asked for the sign. With attention the way back is short. Does that make the
# difference? Two networks race here, on your own device. Try [larger steps of training](#race.rate=0.01), too, and other
# weights: it is not always the same one that wins.
#
# <rv-race id="race" kind="attention" lag="20" markdown>

# %% tags=["remove-input"]
plots.say(
    f"Before training, 20 steps back, {plots.one_in(float(plain.gain[20]))} of the gradient is left in the plain network, and "
    f"{plots.one_in(float(attending.gain[20]))} with attention."
)

# %% [markdown]
# </rv-race>
#
# Now many draws, each at the learning rate that suits it best: one sign and 40 steps of noise, or two marked numbers of forty
# that have to be added.

# %% tags=["remove-input"]
attention.attention_learns.show()

# %% [markdown]
# And where does the gradient go once the network knows where to look? Before training every page of the book gets the same.

# %% tags=["remove-input"]
attention.attention_finds_it.show()

# %% [markdown]
# ## What it costs
#
# The wall gets longer with each note, and everybody looks at all of it. So it is twice as long for twice as many people: four
# times the work.

# %% tags=["remove-input"]
lengths = (50, 100, 200, 400, 800)
rows = [f"| {steps} | {attention.work(False, steps):,} | {attention.work(True, steps):,} |" for steps in lengths]
plots.say("| steps | multiplications, plain | with attention |\n|---|---|---|\n" + "\n".join(rows))

# %% tags=["remove-input"]
attention.attention_is_free.show()

# %% [markdown]
# For the way back of training, a network has to keep numbers in memory as well. How many it is depends on how attention is
# written. As in the formula, the network keeps how much each person looked at each note. PyTorch's own attention keeps none
# of that, and computes it again on the way back.

# %% tags=["remove-input"]
rows = [
    f"| {steps} | {attention.kept(False, steps):,} | {attention.kept(True, steps):,} | {attention.kept(True, steps, fused=True):,} |"
    for steps in lengths
]
plots.say(
    "| steps | numbers kept, plain | attention as in the formula | PyTorch's own |\n|---|---|---|---|\n"
    + "\n".join(rows)
)

# %% tags=["remove-input"]
attention.memory_grows_with_the_square.show()

# %% [markdown]
# ## What this means
#
# **The task still asks for what lies far back. Attention changes the way there: it is one step long.** In return, the
# work grows much faster than the sequence does. The memory need not.
#
# If the wall does it all, why have a row at all? That was asked in 2017. The answer is called *transformer*: all words go up
# on the wall at once, and no note is handed on. The chat programs of today are built like that:
# [Where the field stands](../beyond/field.py).
#
# ## What to do
#
# - Put it on top of the network that you have: `mitigations.AttentionOverPast()(model)`.
# - For very long sequences, look at the cost first.
#
# ??? info "For engineers"
#     Scaled dot product over the layer's own outputs, causal, one head: $y_t = h_t + \sum_{s \le t} w_{ts} h_s$. With
#     weights near uniform, $\partial L / \partial h_s$ has a direct part of about $1/T$: flat in the distance, and small. Measured is the gradient of
#     each state of the plain `nn.RNN` underneath. Memory is what autograd saves for the backward pass: every storage once, without weights and inputs, batch 1, 16 units. Work is counted by `torch.utils.flop_counter` over the
#     formula; `scaled_dot_product_attention` does the same multiplications forward, and more of them on the way back.
#     Learning is measured in the study `claims` (`rnnvanish sweep claims`): 16, 64 and 256 units, Adam and plain gradient
#     descent, batches of 32, the gradient clipped at a norm of 1, at most 400 steps. Each network has its own best of four
#     rates (0.001 to 0.03; 0.03 to 1 for plain descent), chosen with two seeds; three fresh seeds count. A bit is learnt
#     where 95 % of the answers are right, twice in a row; adding where the loss is a tenth of that of remembering nothing.
#
#     - D. Bahdanau, K. Cho, Y. Bengio (2015). Neural Machine Translation by Jointly Learning to Align and Translate.
#       *ICLR*. [arXiv:1409.0473](https://arxiv.org/abs/1409.0473)
#     - A. Vaswani et al. (2017). Attention Is All You Need. *NeurIPS*. [arXiv:1706.03762](https://arxiv.org/abs/1706.03762)
#     - G. Kerg et al. (2020). Untangling tradeoffs between recurrence and self-attention in neural networks. *NeurIPS*.
#       [arXiv:2006.09471](https://arxiv.org/abs/2006.09471)
#
# ## Reproduce it
#
# ```bash
# rnnvanish claims --section 19
# ```
#
# Before: [18. GRU](gru.py). Next: [Exploding gradients](../beyond/exploding.py)
