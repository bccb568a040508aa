# ---
# description: A policy with a memory, episodes that begin anew inside a rollout, and six mistakes with their signs, measured.
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Guide: reinforcement learning with resets
#
# A guest house. At the door each guest is told where to go, left or right. Then comes a dark corridor, and at its end two
# doors. Whoever takes the wrong one has lost. Then the next guest comes, who must know nothing of the one before.
#
# Somebody who learns to play this, a **policy** with a memory, plays many houses side by side, and looks at a stretch of so many
# steps of each. Guests come and go in the middle of a stretch. So the memory has to **begin anew** there, in each house at
# another step. Nothing tells you when that goes wrong. All shapes fit, the loss falls a little, and the policy stays poor.
#
# Here are the houses. A step shows two numbers: the advice, at a guest's first step alone, and whether the doors are there.

# %%
import torch
from torch import nn

HOUSES, STEPS, HIDDEN = 16, 32, 24


class Houses:
    def __init__(self):
        self.generator = torch.Generator().manual_seed(0)
        self.at, self.begins = torch.zeros(HOUSES, dtype=torch.long), torch.ones(HOUSES)
        self.length, self.side = self.draw(6, 10), self.draw(0, 2)

    def draw(self, low, high):
        return torch.randint(low, high, (HOUSES,), generator=self.generator)

    def look(self):
        advice = (self.at == 0) * (2.0 * self.side - 1)
        return torch.stack([advice, (self.at == self.length).float()], dim=1)

    def step(self, action):
        ends = self.at == self.length
        reward = ends * (2.0 * (action == self.side) - 1)
        self.at, self.begins = torch.where(ends, 0, self.at + 1), ends.float()
        self.length = torch.where(ends, self.draw(6, 10), self.length)
        self.side = torch.where(ends, self.draw(0, 2), self.side)
        return reward


# %% [markdown]
# And the policy. Its memory is an `nn.GRU`, called step by step. Where an episode begins, its state is multiplied by 0.


# %%
def reset(state, begins, t):
    return state * (1 - begins[t])[:, None]


class Policy(nn.Module):
    def __init__(self, carry=reset):
        super().__init__()
        self.memory = nn.GRU(2, HIDDEN)
        self.actor, self.critic = nn.Linear(HIDDEN, 2), nn.Linear(HIDDEN, 1)
        self.carry = carry

    def forward(self, seen, begins, state):
        outputs = []
        for t in range(len(seen)):
            output, state = self.memory(seen[t : t + 1], self.carry(state, begins, t))
            outputs.append(output)
        output = torch.cat(outputs)
        return self.actor(output).log_softmax(-1), self.critic(output)[..., 0], state


# %% [markdown]
# A stretch is played without gradients and kept: what was seen, where episodes begin, what was done, and the state before its
# first step. It is called a **rollout**. The update then runs the policy over it again, from that state, with gradients.


# %%
def play(policy, houses, state):
    seen, begins, actions, chances, rewards = [], [], [], [], []
    start = state
    with torch.no_grad():
        for t in range(STEPS):
            seen.append(houses.look())
            begins.append(houses.begins)
            output, state = policy.memory(seen[t][None], policy.carry(state, begins, t))
            scores = policy.actor(output[0]).log_softmax(-1)
            actions.append(torch.multinomial(scores.exp(), 1)[:, 0])
            chances.append(scores.gather(1, actions[t][:, None])[:, 0])
            rewards.append(houses.step(actions[t]))
    return *map(torch.stack, (seen, begins, actions, chances, rewards)), start, state


# %% [markdown]
# ## Ask
#
# Give `diagnose` what the update gives: the rollout, where its episodes begin, the state before it.

# %%
from rnnvanish import diagnose

torch.manual_seed(0)
policy, houses = Policy(), Houses()
*_, state = play(policy, houses, torch.zeros(1, HOUSES, HIDDEN))
seen, begins, actions, chances, _, start, stored = play(policy, houses, state)
diagnosis = diagnose(policy, (seen, begins, start), quick=True)
print(diagnosis)

# %% tags=["remove-input"]
from rnnvanish import plots

there = int(begins[1:].sum()) + HOUSES
lags = len(diagnosis.curves["memory/layer0/forward"].gain)
plots.say(
    f"Look at the **note**: it counts the episodes that it saw begin. By our own mask there are {there}. If the two numbers "
    "differ, or there is no note, resets do not arrive where they should. Each episode is measured from its own end. So the "
    f"curve has {lags} steps, those of the longest one, and not {STEPS}."
)

# %% [markdown]
# ## Four wrong lines
#
# Each of these takes the place of `reset`.


# %%
def never(state, begins, t):
    return state


def late(state, begins, t):  # by the mask of the step before
    return state if t == 0 else state * (1 - begins[t - 1])[:, None]


def upside_down(state, begins, t):
    return state * begins[t][:, None]


def detached(state, begins, t):  # as where the state of each step was kept
    return reset(state, begins, t).detach()


# %% [markdown]
# A fifth mistake is no line of the policy. An update that shuffles the **steps** of a rollout is right for a policy without a
# memory. With one, only whole houses may be shuffled.
#
# ## The first sign: what does an answer feel?
#
# Take one house, and ask of each answer which of the things seen before it feels. That is one gradient for each answer.


# %%
def felt(carry, house=0):
    """The size of the gradient of each answer by each thing seen."""
    torch.manual_seed(0)
    shown, rows = seen.clone().requires_grad_(), []
    scores, _, _ = Policy(carry)(shown, begins, start)
    for answer in scores[:, house, 0]:
        (gradient,) = torch.autograd.grad(answer, shown, retain_graph=True)
        rows.append(gradient[:, house].norm(dim=-1))
    return torch.stack(rows)


CARRIES = {
    "right": reset,
    "never": never,
    "late": late,
    "upside down": upside_down,
    "detached": detached,
}
maps = {name: felt(carry) for name, carry in CARRIES.items()}

# %% tags=["hide-input"] alt="Four squares. Across: what was seen, by step. Down: the answers, by step. Right: triangles along the diagonal, one for each episode, and nothing outside of them. Never: one large triangle that fades towards its corner. Late: triangles that begin and end one step too late, so each answer at an episode's first step feels the episode before, and no later one feels that step. Detached: the diagonal alone."
import matplotlib.pyplot as plt

fig, axes = plt.subplots(2, 2, figsize=(6.4, 6.4), sharex=True, sharey=True, layout="constrained")
for ax, name in zip(axes.flat, ("right", "never", "late", "detached"), strict=True):
    strength = 0.3 + 0.7 * (1 + maps[name].log10().clamp(-6, 0) / 6)
    ax.imshow(torch.where(maps[name] > 0, strength, torch.nan), cmap="Blues", vmin=0, vmax=1)
    for border in begins[:, 0].nonzero()[:, 0].tolist():
        ax.axhline(border - 0.5, color="C1", lw=1)
        ax.axvline(border - 0.5, color="C1", lw=1)
    ax.set_title(name)
    ax.grid(False)
fig.supxlabel("what was seen, by step")
fig.supylabel("the answer, by step")
plt.show()

# %% [markdown]
# The lines are where one guest leaves and the next one comes. What is empty is exactly nothing. With the right mask a guest's
# answers feel all that this guest has shown, and nothing else. A reset that comes a step late wipes out the guest's first step,
# the one with the advice.
#
# That makes two numbers for your own tests. Both should be 0.


# %%
def crossing_and_lost(found, house=0):
    """The largest gradient across a reset; steps that no later answer of theirs feels."""
    episode, step = begins[:, house].cumsum(0), torch.arange(len(found))
    same = episode[:, None] == episode
    later = same & (step[:, None] > step)
    lost = later.any(0) & ~(later & (found > 0)).any(0)
    return found[~same].max().item(), int(lost.sum())


assert crossing_and_lost(maps["right"]) == (0, 0)

# %% [markdown]
# ## The second sign: play it again
#
# Before the first update, the policy that is trained is still the one that played. So it must give each action the same
# chance as it had then. PPO divides one by the other anyway. At the first update of each rollout, that ratio is 1, everywhere.


# %%
def off_by(policy, seen, begins, actions, chances, start):
    with torch.no_grad():
        scores, _, _ = policy(seen, begins, start)
    again = scores.gather(2, actions[..., None])[..., 0]
    return ((again - chances).exp() - 1).abs().max().item()


assert off_by(policy, seen, begins, actions, chances, start) < 1e-5

# %% [markdown]
# It finds whatever differs between playing and updating: a reset in one of them alone, steps in another order, a state
# that belongs to another house. It cannot find what is wrong in both.
#
# ## Does it matter?
#
# Train with each mistake, and count the guests that find their door. Guessing gives 50 %.


# %% tags=["hide-input"]
from rnnvanish import watch


def train(carry=reset, in_update=None, shuffled=False, updates=70, beside=lambda policy: None):
    torch.manual_seed(0)
    policy, houses, state = Policy(carry), Houses(), torch.zeros(1, HOUSES, HIDDEN)
    optimizer = torch.optim.Adam(policy.parameters(), lr=2e-2)
    rewarded, ratio = [], None
    beside(policy)
    for _ in range(updates):
        policy.carry = carry
        *rollout, rewards, start, state = play(policy, houses, state)
        rewarded.append(rewards)
        begins, after, gains = rollout[1], torch.zeros(HOUSES), []
        for reward, ended in zip(rewards.flip(0), [houses.begins, *begins.flip(0)], strict=False):
            after = reward + 0.9 * after * (1 - ended)
            gains.insert(0, after)
        order = torch.randperm(STEPS) if shuffled else torch.arange(STEPS)
        seen, begins, actions, chances, gains = (each[order] for each in (*rollout, torch.stack(gains)))
        policy.carry = in_update or carry
        ratio = off_by(policy, seen, begins, actions, chances, start) if ratio is None else ratio
        scores, values, _ = policy(seen, begins, start)
        better = (gains - values).detach() * scores.gather(2, actions[..., None])[..., 0]
        certain = (scores.exp() * scores).sum(-1)
        loss = (0.5 * (gains - values).square() - better).mean() + 0.01 * certain.mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(policy.parameters(), 0.5)
        optimizer.step()
    last = torch.stack(rewarded[-10:])
    return policy, ratio, (last > 0).sum().item() / (last != 0).sum().item()


watches = []
RUNS = {
    "none": ("right", {"beside": lambda policy: watches.append(watch(policy, every=69, on_alert=str))}),
    "never reset": ("never", {"carry": never}),
    "reset when played, never in the update": ("never", {"in_update": never}),
    "reset a step late": ("late", {"carry": late}),
    "mask upside down": ("upside down", {"carry": upside_down}),
    "detached at each step": ("detached", {"in_update": detached}),
    "steps shuffled in the update": (None, {"shuffled": True}),
}
trained = {name: train(**options) for name, (_, options) in RUNS.items()}

# %% tags=["remove-input"]
signs = {None: ("–", "–", "–")}
for name, carry in CARRIES.items():
    crossing, lost = crossing_and_lost(maps[name])
    report = diagnosis if carry is reset else diagnose(Policy(carry), (seen, begins, start), quick=True)
    noted = any("begin anew" in note for curve in report.curves.values() for note in curve.notes)
    found = ", ".join(f"**{finding.fault}**" for finding in report.findings)
    says = found or ("a note of the resets" if noted else "no note of resets")
    signs[name] = "**yes**" if crossing else "no", f"**{lost}**" if lost else "0", says
rows = []
for name, (sign, _) in RUNS.items():
    _, ratio, share = trained[name]
    crosses, lost, says = signs[sign]
    off = f"{ratio:.0%}".replace("%", " %")
    rows.append(
        f"| {name} | {100 * share:.0f} % | {crosses} | {lost} | {f'**{off}**' if ratio > 5e-3 else off} | {says} |"
    )
plots.say(
    "| mistake | right doors | does a gradient cross a reset? | steps lost | ratio is off by | `diagnose` says |\n"
    "|---|---|---|---|---|---|\n" + "\n".join(rows)
)
shares = {name: share for name, (_, _, share) in trained.items()}
assert min(shares["none"], shares["never reset"]) > 0.9
assert max(share for name, share in shares.items() if name not in ("none", "never reset")) < shares["none"] - 0.2

# %% [markdown]
# No sign finds every mistake. A state that is **never** reset does little harm here, as long as playing and updating agree:
# the policy learns to write over what the last guest has left. A reset that is a step **late** ruins everything, and shows
# in the first sign alone. A **detached** state crosses nothing, and keeps nothing either: of each guest's steps no later answer
# feels any. So check all three: what an answer feels, the ratio, and the note.
#
# ## A state from an old policy
#
# The state before a rollout was written by the policy of that time. The longer a rollout is kept, the less today's policy would
# have written the same. Let the trained policy read the very first rollout, and compare.

# %%
newest, _, _ = trained["none"]
with torch.no_grad():
    before, _, now = newest(seen, begins, start)
    without, _, _ = newest(seen, begins, torch.zeros_like(start))
apart = ((now - stored).norm() / stored.norm()).item()
hangs_on_it = (before != without).any(-1).float().sum(0)

# %% tags=["remove-input"]
plots.say(
    f"The state that it ends with differs from the stored one by {100 * apart:.0f} % of its size. But not everything hangs on that. "
    f"Of the {STEPS} steps in a house only the first {hangs_on_it.mean():.1f}, on average, change at all if the rollout starts "
    "from zeros instead. From the first reset on, it does not matter who wrote the state before."
)
first = torch.where(begins.bool().any(0), begins.argmax(0), STEPS)
assert torch.equal(hangs_on_it.long(), first), "what comes after a reset hangs on the state before it"

# %% [markdown]
# So let what is kept for long start where an episode begins. Where that cannot be, let today's policy read some steps first,
# without learning from them. That is called *burn-in*.
#
# ## While it trains
#
# One line beside the loop, `watch(policy)`, measures the gradient of your own loss, each episode from its own end. It stood
# beside the first of these trainings.

# %% tags=["remove-input"]
first, *_, last = watches[0].history.of("memory/layer0/forward")
watches[0].close()
assert last.gain[-1] > 3 * first.gain[-1]
plots.say(
    f"At the first update half of the gradient was lost every {first.half_life:.2g} steps, and "
    f"{plots.one_in(float(first.gain[-1]))} was left after the {len(first.gain) - 1} steps of the longest episode. At the last "
    f"update {plots.one_in(float(last.gain[-1]))} was left. The policy has learned to hold on to the advice."
)

# %% [markdown]
# Of a policy that is detached at each step it says this, after a single update:

# %%
import warnings

policy = Policy(detached)
with warnings.catch_warnings(action="ignore"), watch(policy) as watching:
    policy(seen, begins, start)[0].sum().backward()
print(watching.problems[-1])

# %% [markdown]
# ## What to do
#
# - Reset at the step where an episode **begins**, before the memory reads it. Check which step your environment's `done` belongs
#   to: the last one of the old episode, or the first one of the new.
# - Use one function for playing and updating, and let it alone touch the state.
# - Keep the state before the rollout, not one for each step. Shuffle houses, never steps.
# - Have the ratio and the two numbers in your tests.
#
# ??? info "For engineers"
#     Tried on the `Agent` of CleanRL's `ppo_atari_lstm.py` (an `nn.LSTM` called step by step, its state times `1 - done`), and on
#     the model of *recurrent-ppo-truncated-bptt* (rollouts cut where episodes end, padded, the padding masked in the loss). The
#     former has no `forward`. `agent.forward = agent.get_action_and_value` gives it one for `diagnose`; `watch` needs none. For the
#     latter, hand the loss with its mask: then padding is no part of what is measured.
#
#     - S. Huang, R. F. J. Dossa, A. Raffin, A. Kanervisto, W. Wang (2022). The 37 Implementation Details of Proximal Policy
#       Optimization. *ICLR Blog Track*. <https://iclr-blog-track.github.io/2022/03/25/ppo-implementation-details/>
#     - S. Kapturowski, G. Ostrovski, J. Quan, R. Munos, W. Dabney (2019). Recurrent Experience Replay in Distributed
#       Reinforcement Learning. *ICLR*. <https://openreview.net/forum?id=r1lyTjAqYX>: stored states, and burn-in.
