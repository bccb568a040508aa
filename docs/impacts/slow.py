# ---
# description: Learning takes very long when gradients vanish. The gradient is not tiny, though; its useful part is.
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 7. Slow learning
#
# You look for a friend at a loud party. Somewhere in the noise, your friend calls: *over here!* Close by, you hear it
# and walk straight there. Far away, you hear only the party. You do not stand still. People push you to and fro, as
# much as before. You just do not get any closer.
#
# The first person in our row is in this place. There is no lack of talk: everybody in the row says what should be done
# differently. But the one whisper that comes from the end of the row, and is about the first word, drowns in it.
#
# ![Much talk, and one whisper](../assets/drawings/party.svg)
#
# A network that learns over a long distance is in this place. People say that its steps become tiny. Let us measure
# whether that is so.
#
# ## Predict first
#
# A network must recall the first thing that it read, 5 steps ago or 80 steps ago. How large is the push that its
# weights get in training, the gradient, with 80 steps?
#
# 1. Less than a thousandth of the push with 5 steps.
# 2. About a tenth.
# 3. At least half as large.
#
# ??? question "Show the answer"
#     At least half as large. The weights are pushed nearly as much as before. But the push says hardly anything
#     about the first input any more.
#
# ## The race
#
# The task is always the same. The first input is 1 or -1. Noise follows. At the end, the network must say what came
# first. Your own device trains two networks here, side by side. One reads 5 inputs, the other more. The arrows show how
# hard a batch of examples pushes the weights, and how far off the way to the answer. Press *Start*. Then [make the noise
# longer](#race.lag=80), or [let it take larger steps](#race.rate=0.01).
#
# <rv-push id="race" markdown>

# %% tags=["remove-input"]
from rnnvanish import plots
from rnnvanish.experiments import slow

lessons = {length: slow.lesson(length, seed=0) for length in (5, 8, 12, 16, 20)}
plots.say(
    "Trained when this page was built: "
    + ", ".join(
        f"{length} inputs are learnt after {lesson.steps:.0f} steps"
        if lesson.learnt
        else f"{length} are not within {slow.PATIENCE}"
        for length, lesson in lessons.items()
    )
    + "."
)

# %% [markdown]
# </rv-push>
#
# The strips show the gradient at each input, row by row as training goes on. A strip ends when all is learnt, for then
# there is nothing left to push for.

# %% tags=["remove-input"]
slow.learning_is_slow.show()

# %% [markdown]
# ## Is the push tiny?
#
# Now we look at the push itself, before training begins. We take the gradient of all weights of the network, and measure
# how large it is, in five networks. Each is shown five batches of examples; we take the mean.

# %%
for seed in range(5):
    near, far = slow.push(seed, length=5), slow.push(seed, length=80)
    print(f"{near:.3f} with 5 inputs, {far:.3f} with 80")

# %% tags=["remove-input"]
slow.whole_gradient_is_tiny.show()

# %% [markdown]
# A batch is a small part of all there is. What if all examples could push at once?

# %% tags=["remove-input"]
slow.all_examples_cancel.show()

# %% [markdown]
# ## Is it of any use?
#
# How much of the push is about the first input? To find out, we use **twins**: two sequences that are the same in all
# but the first input. One starts with 1, the other with -1. Whatever makes their answers differ comes from the first
# input and from nothing else. So we ask for the push that makes them differ more. This is the **useful part**: all that a
# perfect ear would pick out of the noise of the party.

# %% tags=["hide-input"] alt="Line chart, logarithmic axis in words: size of the gradient against the length of the sequence, each as a part of its size at 5 inputs. The whole gradient stays nearly level. The useful part falls steeply and straight, by more than ten powers of ten."
import matplotlib.pyplot as plt

at = [5, 10, 20, 30, 40, 60, 80]
whole = [float(slow.update(0, length).norm()) for length in at]
useful = [float(slow.useful(0, length).norm()) for length in at]
fig, ax = plt.subplots()
ax.plot(at, [size / whole[0] for size in whole], label="the whole gradient")
ax.plot(at, [size / useful[0] for size in useful], "--", label="its useful part")
ax.set(yscale="log", xlabel="inputs in the sequence", title="size, as a part of that with 5 inputs")
plots.label_decades(ax)
ax.legend()
plt.show()

# %% tags=["remove-input"]
slow.useful_part_is_tiny.show()

# %% [markdown]
# ## Can many examples help?
#
# Training does not look at one example but at many, batch after batch. Perhaps each batch shows at least roughly the
# right way? If so, the noise would cancel over many batches.
#
# Two directions are compared by a number that is called their *cosine*. It is 1 where both point the same way, and 0
# where they have nothing to do with each other.

# %% tags=["remove-input"]
slow.batches_show_the_way.show()

# %% [markdown]
# Then how can the network of the race above learn it after all, with just these batches? The noise pushes its weights about.
# That also changes how far the gradient reaches, and one day the useful part is back.

# %% tags=["remove-input"]
from rnnvanish.experiments.learning import teach
from rnnvanish.tasks import Recall

rows = []
for steps in (0, 40, 60, 80):
    trained = teach(lambda: slow.reader(20), Recall(20), seed=0, limit=steps, stop=False).model.double()
    rows.append(f"| {steps} | {slow.aim(0, 20, network=trained):.2f} |")
plots.say(
    f"This network has learnt to recall the first of 20 inputs after {slow.lesson(20, seed=0).steps:.0f} steps.\n\n"
    "| steps of training | how well batches point the useful way |\n|---|---|\n" + "\n".join(rows)
)

# %% tags=["remove-input"]
slow.larger_batch_shows_the_way.show()

# %% [markdown]
# ## What about Adam?
#
# Nearly everyone trains with *Adam*. It works like a hearing aid: it makes each weight's gradient louder, until it has the
# usual volume. A whisper becomes speech. So can a small gradient be a trouble at all?

# %% tags=["remove-input"]
from rnnvanish.experiments import adam

adam.small_gradient_small_step.show()

# %% [markdown]
# But a hearing aid makes *everything* louder. If one person shouts and another whispers, you still hear the one who shouts. The
# gradient of a weight is the sum of what all steps say. The last steps shout.

# %% tags=["remove-input"]
adam.adam_makes_up_for_it.show()

# %% [markdown]
# ## A question at every step
#
# A teacher can ask at the end of the story only, or after each sentence. Language models are asked after each word. Then every
# step has a question close by. Is that the end of the trouble?

# %% tags=["remove-input"]
from rnnvanish.experiments import dense_loss

dense_loss.loss_everywhere_helps.show()

# %% [markdown]
# After each sentence you can answer most questions from that sentence. You get good marks, and need not know the story.
#

# %% [markdown]
# ## What this means
#
# Slow learning is real. But the reason is not that the steps are tiny. **The steps are of an ordinary size, and almost
# none of it leads to the goal.** The network is busy all the time: it follows the noise of each batch.
#
# That is why a larger learning rate is no simple cure. It makes the noise larger too.
#
# ## What to do
#
# - Do not judge by the size of the gradient. It looks healthy. Measure how far the gradient of the *states* reaches:
#   [Diagnose your model](../diagnose.py).
# - Try shorter sequences first, then longer ones. What is learnt fast at 5 steps is a start for 10.
# - Change the start, or the cell, so that the useful part survives.
#
# ??? info "For engineers"
#     The task is latching: $x_1 = \pm 1$, then $x_t \sim \mathcal{N}(0, 0.5^2)$, cross-entropy at the end. The network is a
#     `torch.nn.RNN` with 32 units as PyTorch draws it, trained with Adam at a rate of 0.003, batches of 64, gradients clipped
#     to a norm of 1. It has learnt when the running mean of its scores passes 0.95. Other optimisers and rates move the
#     numbers of steps; the default network learns longer lags with some of them.
#
#     The whole gradient is $\partial L/\partial\theta$ of one batch, for the weights of the recurrent layer at the start.
#     Let $m$ be the logit of class 1 less that of class 0. The useful part is
#
#     $$\frac{\partial}{\partial \theta}\, \tfrac{1}{2}\, \mathbb{E}\left[ m(x_1 = 1, \xi) - m(x_1 = -1, \xi) \right]$$
#
#     over the same noise $\xi$ for both. It is the part of the expected gradient that depends on the label: with answers
#     near chance, $-\partial L/\partial m$ is $\pm\tfrac12$, and what is common to both labels cancels in the mean.
#     A single batch does not cancel it, and that rest is the noise that the page speaks of. The cosine is taken between
#     $-\partial L/\partial\theta$ of each of 20 batches and the useful part.
#
#     - Y. Bengio, P. Simard, P. Frasconi (1994). Learning Long-Term Dependencies with Gradient Descent is Difficult.
#       *IEEE Transactions on Neural Networks* 5(2). [doi:10.1109/72.279181](https://doi.org/10.1109/72.279181)
#     - R. Pascanu, T. Mikolov, Y. Bengio (2013). On the difficulty of training recurrent neural networks. *ICML*.
#       [arXiv:1211.5063](https://arxiv.org/abs/1211.5063)
#
# ## Reproduce it
#
# ```bash
# rnnvanish claims --section 7
# ```
#
# Before: [6. The vanishing gradient](../problem/vanishing.py). Next: [8. Keeping and learning to keep](longterm.py)
