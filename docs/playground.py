# ---
# description: Two small networks learn in your own browser, one as it comes and one with the cures that you choose.
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Playground
#
# Here two small networks learn in your own browser, while you watch. One is as PyTorch makes it. In the other you change
# what you like.
#
# Each reads a row of numbers, one after the other, like people in a row who pass on a note. At the end it has to say
# what the first number was. All the others are noise. Begin with one of these, and press *Start*:
#
# - [a network that forgets](#playground.gate=drawn): 40 steps are too far for it.
# - [one changed number](#playground.gate=open3): beside it the same network, which keeps more of its memory at each step.
# - [ten steps back anyone learns](#playground.lag=10): so near, it needs no cure.
#
# <rv-playground id="playground" markdown>

# %% tags=["remove-input"] alt="The loss of two networks while they learn to recall a number of 40 steps ago."
import matplotlib.pyplot as plt
import torch

from rnnvanish import plots
from rnnvanish.training.data import TaskData
from rnnvanish.training.learner import Learner

STEPS = 200


def train(mitigations):
    """Loss at each step, and the share of a test that is right in the end."""
    torch.manual_seed(0)
    learner = Learner("LSTM", "recall", 16, lr=0.003, task_options={"length": 41}, mitigations=mitigations)
    data, optimizer, losses = TaskData(learner.task, 32, 50), learner.build_optimizer(), []
    for step in range(STEPS):
        loss, _ = learner.losses(data.train_batch(*divmod(step, 50)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    test = data.test_batch()
    return losses, learner.task.score(learner(test.inputs), test)


found = {name: train(cure) for name, cure in {"as it comes": "", "gate open to 95 %": "OpenGate(bias=3)"}.items()}
fig, ax = plt.subplots(figsize=(7, 3))
for name, (losses, _) in found.items():
    ax.plot(losses, label=name)
ax.set(xlabel="training steps", ylabel="loss", ylim=(0, 1))
ax.legend()
plt.show()

# %% tags=["remove-input"]
comes, cured = (right for _, right in found.values())
plots.say(
    f"Both have learnt for {STEPS} steps, to recall a number of 40 steps ago. As it comes, the network is right in {comes:.0%} "
    f"of the cases; a coin would be, in half of them. With one number changed in each unit, which opens the gate, it is right in "
    f"{cured:.0%}. With JavaScript you can train them yourself here, and change what you like."
)

# %% [markdown]
# </rv-playground>
#
# ## What you see
#
# - **The strips.** A column is a step in time: the first input is on the left, the last on the right. A row is a moment of
#   the training, which runs from the top down. Where it is dark, the mistake at the end reaches that step, and the step can
#   be learnt from. This is the *gradient*. Where it is pale, hardly anything arrives.
# - **The curve.** The *loss* says how wrong the answers are. At the dashed line the network has learnt only how often each
#   answer comes, and remembers nothing.
# - **Half of the gradient is lost every so many steps.** This is its *half-life*, on the way back from the end.
# - **The longest way learnt so far** stays there when you make the way longer. How far can you get?
#
# ## What to try
#
# - **Twice as far.** Does [the open gate](#playground.lag=80) still learn it? Press *Again* for other first weights: it
#   depends on them.
# - **A [shortcut through time](#playground.gate=drawn&playground.skip=10)** helps an LSTM as well.
# - **A [leash](#playground.gate=drawn&playground.clip=norm)** and **a
#   [shortcut from layer to layer](#playground.gate=drawn&playground.layers=2&playground.residual=yes)** do nothing for
#   memory.
# - **[The plain cell](#playground.cell=Elman&playground.gate=drawn&playground.start=orthogonal)** needs no gate. Another draw
#   of its first weights is enough.
#
# The address of this page holds all that you have chosen: copy it, and others see the same. What stands under *The same in
# Python* trains these very networks on your own machine, from the same first weights, on the same sequences. The losses are
# the same, too, until a training tips over: then a difference in the seventh digit grows, as any does.
