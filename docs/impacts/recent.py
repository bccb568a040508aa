# ---
# description: Where first and last input contradict each other, the network believes the last first. Not so for even evidence.
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 11. Two witnesses
#
# A judge hears two witnesses. The first one saw everything and is never wrong. Then follow hours of talk about other
# things. At the very end comes the second witness, who is wrong once in five times.
#
# When the two disagree, a good judge believes the first. A judge with a short memory believes the second, and does not
# even notice that something is amiss: four times out of five, it works.
#
# ![Two witnesses and a judge](../assets/drawings/witnesses.svg)
#
# The judge is at the end of our row of people, and the first witness at its other end.
#
# People say that vanishing gradients make a network listen to recent inputs too much. We put a network in the place of
# the judge.
#
# ## Predict first
#
# A small network is trained for a short time on thousands of such cases. It could be right in all of them. Whom does it
# come to believe?
#
# 1. The first witness, who is always right.
# 2. A mixture of both.
# 3. The last one alone.
#
# ??? question "Show the answer"
#     The last one alone, at first. Turn round what the first witness says, and not one answer changes. How long that lasts
#     is another question: with larger steps of training, it may come to believe the first one after all.
#
# ## The trial
#
# A case has 30 inputs. The first is the good witness, the last is the poor one, and between them is noise. After
# training, we turn round what one witness says, and count how many answers change. Train a judge of your own, here in your
# browser, and let the witnesses say what you like.

# %% [markdown]
# <rv-witnesses id="witnesses" markdown>

# %% tags=["remove-input"]
from rnnvanish.experiments import recent

task = recent.Witnesses()
cases = recent.tested(task)
for start in ("default", "orthogonal"):
    judge = recent.taught(task, seed=0, start=start)
    print(f"{start} start: {task.score(judge(cases.inputs), cases):.0%} right")
    print(f"  change with the first: {recent.swayed(judge, cases, 0):.0%}")
    print(f"  change with the last:  {recent.swayed(judge, cases, -1):.0%}")

# %% [markdown]
# </rv-witnesses>
#
# At first this judge believes the last witness. Now let him learn in [larger steps](#witnesses.rate=0.01): after some eighty
# of them he changes his mind. From [an orthogonal start](#witnesses.start=orthogonal) he soon believes the first witness, also
# in small steps. It depends on the draw, too: *Again, with other weights* trains another one.

# %% tags=["remove-input"]
recent.the_last_is_believed_first.show()

# %% [markdown]
# Is that its last word? We trained networks of three sizes for longer, by two rules, at four learning rates each. How many of
# those that believe one of the two believe the last?

# %% tags=["remove-input"]
from rnnvanish import plots

RULES = {"Adam": "Adam", "SGD": "plain gradient descent"}
plots.say(
    "| units | trained by | at first believe the last | in the end believe the last |\n|---|---|---|---|\n"
    + "\n".join(
        f"| {width} | {RULES[rule]} | {first:.0%} | {last:.0%} |".replace("nan%", "nobody")
        for (width, rule), (first, last) in recent.believers().items()
    )
)

# %% tags=["remove-input"]
recent.the_last_word_wins.show()

# %% [markdown]
# An *orthogonal* start differs from PyTorch's in one thing only. The recurrent weights at first only turn the state.

# %% tags=["remove-input"]
recent.every_start_believes_the_last.show()

# %% [markdown]
# ## When all count alike
#
# Is it a law that late inputs count most? Now there are no witnesses but 30 voters. Each input has one vote, and the sum
# decides. So the late votes teach the same rule as the early ones: *count me*. Drag to see the network before
# training and after.

# %% tags=["remove-input"]
votes = recent.Votes()
ballots = recent.tested(votes)
limits = [0, 30, 60, 120]
shares = [
    recent.influence(recent.taught(votes, 0, limit=limit) if limit else recent.untaught(votes, 0), ballots)
    for limit in limits
]
plots.slider(
    id="training",
    label="Steps of training",
    values=limits,
    x=range(1, recent.LENGTH + 1),
    xlabel="vote",
    ylabel="part in the answer",
    log=False,
    series={
        "this network": [share.tolist() for share in shares],
        "an equal say": [[1 / recent.LENGTH] * recent.LENGTH for _ in limits],
    },
    says=[
        f"The last {recent.LATE} of {recent.LENGTH} votes make up {100 * float(share[-recent.LATE :].sum()):.0f} % of "
        f"the answer. An equal say would be {100 * recent.LATE / recent.LENGTH:.0f} %."
        for share in shares
    ],
)

# %% tags=["remove-input"]
recent.recent_always_counts_most.show()

# %% [markdown]
# What it learnt from the late votes serves the early ones as well, because all steps share their weights. Before, the last
# witness taught the network something that was no use for the first.
#
# ## Handwritten digits
#
# Does this happen with real data? A network reads images of handwritten digits, one pixel at a time, row by row from
# the top. Then it must say which digit it was. After training, we take the upper half of each image from
# another image, and count how many right answers are lost. Then we do the same with the lower half. A bar below zero means
# that the network did a little better with the wrong half: it had no use for it.

# %% tags=["hide-input"] alt="Bar chart: right answers lost without the upper half and without the lower half of the image, in per cent. With the default start the bar of the upper half is very short, that of the lower half long. With the orthogonal start both bars are long."
import matplotlib.pyplot as plt

starts = ("default", "orthogonal")
lost = [recent.halves(0, start) for start in starts]
fig, ax = plt.subplots(figsize=(4.6, 3.0))
for side, (name, hatch) in enumerate(
    (("without the upper half, read first", ""), ("without the lower half, read last", "//"))
):
    ax.bar([k + 0.35 * side for k in range(2)], [100 * pair[side] for pair in lost], 0.33, label=name, hatch=hatch)
ax.set_xticks([0.175, 1.175], [f"{start} start" for start in starts])
ax.set(title="right answers lost, in per cent")
fig.legend(loc="outside lower center")
plt.show()

# %% tags=["remove-input"]
recent.real_digits_too.show()

# %% [markdown]
# ## What this means
#
# It is true, and one must say when. **In a network whose gradient vanishes, late inputs win over early ones, even if they
# are worse.** It finds a good-enough rule close by, and hardly any message that there is a better one far back. That holds
# until training happens to move the weights to where the message gets through. How soon this is hangs on the learning rate.
#
# Where early inputs follow the same rule as late ones, they profit from what the late ones teach.
#
# ## What to do
#
# - Test your own model as the judge was tested: replace early inputs by others, and see if the answers change.
# - A high score does not show that the whole sequence is used. Here it was four in five without the better witness.
# - Try a start that lets the gradient through: `nn.init.orthogonal_(network.weight_hh_l0)`.
#
# ??? info "For engineers"
#     A `torch.nn.RNN` with 32 units, Adam at a rate of 0.003, batches of 64, gradients clipped to a norm of 1, 120
#     steps, whether or not the task is learnt by then. Witnesses: $x_1 = \pm 1$ is the label, $x_{30}$ equals it with probability 0.8,
#     $\mathcal{N}(0, 0.5^2)$ between. "Swayed by" is the part of 500 test answers that change when the sign of that input
#     is turned. Votes: $x_t \sim \mathcal{N}(0, 1)$, the label is the sign of their sum; the part of a step is the mean of
#     $|\partial m / \partial x_t|$ over the test sequences, normalised over the steps, with $m$ the difference of the logits.
#
#     The table: 16, 64 and 256 units, Adam at rates from 0.001 to 0.03 and plain gradient descent from 0.03 to 1, 300 steps,
#     five seeds. Believed is who turns more than half of the answers, the first where both do; one looks every 20 steps.
#
#     Digits: the 8 × 8 images of scikit-learn, 64 steps. The score lost when half of the pixels are permuted over
#     the images is a permutation importance. A nearest-centroid classifier, which knows no order, misses both halves to a
#     like degree: a test of this project checks it. So it is the order of reading, not the digits. The network
#     is trained for a short time and reads digits poorly; the claim is about what it uses of them.
#
#     Language models have been found to use distant context coarsely: Khandelwal et al. permute and replace it, as is
#     done here.
#
#     - U. Khandelwal, H. He, P. Qi, D. Jurafsky (2018). Sharp Nearby, Fuzzy Far Away: How Neural Language Models Use
#       Context. *ACL*. [arXiv:1805.04623](https://arxiv.org/abs/1805.04623)
#     - N. R. Ke et al. (2018). Sparse Attentive Backtracking: Temporal Credit Assignment Through Reminding. *NeurIPS*.
#       [arXiv:1809.03702](https://arxiv.org/abs/1809.03702)
#     - E. Alpaydin, C. Kaynak (1998). Optical Recognition of Handwritten Digits. *UCI*.
#       [doi:10.24432/C50P49](https://doi.org/10.24432/C50P49)
#
# ## Reproduce it
#
# ```bash
# rnnvanish claims --section 11
# ```
#
# Before: [10. Twins](instability.py). Next: [12. Depth](depth.py)
