# ---
# description: Gradients also vanish from layer to layer. It is worst with sigmoid, mild with tanh, and not the same as in time.
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 12. Depth
#
# A complaint comes in on the top floor of an office tower. It is passed down, floor by floor, to where the mistake
# was made. Each floor softens it a little. On the ground floor, all that is left is: *everything is fine*.
#
# ![A complaint on its way down a tower](../assets/drawings/tower.svg)
#
# It is our row of people once more, stood on end. A deep network is such a tower. Its floors are called **layers**. People say that vanishing gradients make deep
# networks hard to train, because each layer takes its part.
#
# ## Predict first
#
# A tower has 20 floors. We build one with *sigmoid* units and one with *tanh* units, both with the same start, which is
# named after Glorot. How much of the complaint does each floor pass on?
#
# 1. About a quarter in both.
# 2. About a quarter with sigmoid, nine tenths with tanh.
# 3. Nine tenths in both.
#
# ??? question "Show the answer"
#     The second. It is not depth alone that takes the gradient away. It is what the floors are made of, and how they start.
#
# ## Down the stairs
#
# Build a tower, and choose what its floors are made of. A bar is as long as what its floor hears of the complaint.

# %% [markdown]
# <rv-tower id="tower" markdown>

# %% tags=["remove-input"]
from rnnvanish import plots
from rnnvanish.experiments import depth

kinds = {
    "sigmoid, as PyTorch starts it": ("sigmoid", "default"),
    "sigmoid, Glorot start": ("sigmoid", "glorot"),
    "sigmoid, start of its own": ("sigmoid", "centred"),
    "tanh, as PyTorch starts it": ("tanh", "default"),
    "tanh, Glorot start": ("tanh", "glorot"),
}
left = [depth.left(0, *kind) for kind in kinds.values()]
plots.slider(
    id="kind",
    label="Layers",
    values=list(kinds),
    x=range(depth.DEPTH),
    xlabel="floors down from the top",
    ylabel="gradient that is left",
    series={
        "these layers": [curve.flip(0).tolist() for curve in left],
        "nothing lost": [[1.0] * depth.DEPTH for _ in left],
    },
    says=[
        f"Each floor leaves {100 * depth.factor(0, *kind):.0f} % of the gradient. The lowest one gets "
        f"{plots.one_in(float(curve[0]))}."
        for kind, curve in zip(kinds.values(), left, strict=True)
    ],
)

# %% [markdown]
# Where your browser runs scripts, another draw of such layers stands here.
#
# </rv-tower>
#
# Swap [tanh](#tower.kind=tanh&tower.size=1) for [sigmoid](#tower.kind=sigmoid&tower.size=1), and three floors down there is
# next to nothing. Then give sigmoid [four times the weights, and centre it](#tower.kind=centred&tower.size=4): it passes on
# as much as tanh.
#
# The *Glorot start* is a way to draw the first weights, named after Xavier Glorot, who proposed it with Yoshua Bengio in
# 2010. It draws them so large that a layer of tanh units neither shrinks nor stretches what passes through it.

# %% tags=["remove-input"]
depth.sigmoid_layers_lose.show()

# %% [markdown]
# So it is the pair that counts: what the floors are made of, *and* a start that was made for it. Glorot's was made for tanh.
# The slope of sigmoid is a quarter at most, so its weights must be four times as large. And they must be centred, so that
# sigmoid is used in its steep middle. Then sigmoid passes on as much as tanh.
#
# Nine tenths at each floor: is that not how copies went pale in [section 5](../problem/multiplication.py)? It is. Through 20
# floors about a quarter arrives. Through a hundred next to nothing would.

# %% tags=["remove-input"]
depth.every_stack_loses.show()

# %% [markdown]
# ## Is depth the same as time?
#
# A recurrent network that reads 20 inputs looks like a tower with 20 floors. Many texts treat the two as the same thing.
# But there is a difference. All floors of the recurrent network are **one and the same**: they share their weights. In the
# deep network, each floor has weights of its own. In the row of people all follow one rule. In the tower each floor has
# its own.
#
# So we build two towers of 20 sigmoid floors: one with shared weights, and one where each floor has its own. What are the
# weights told?

# %% tags=["hide-input"] alt="Line chart, logarithmic axis in words: gradient of the weights of each floor, as a part of that of the top floor, from the top down. Where each floor has weights of its own it falls steeply and straight, to less than 1 in a trillion on the lowest floor. Where all floors share their weights there is one gradient for all, and its line lies level at about all."
import matplotlib.pyplot as plt
import torch

told = {}
for name, shared in (("each floor its own weights", False), ("one rule for all floors", True)):
    stack, x = depth.drawn(0, "sigmoid", "glorot", shared)
    error = stack.answer(stack.states(x)[-1]).sum()
    gradients = torch.autograd.grad(error, [layer.weight for layer in stack.layers])
    told[name] = [float(gradient.norm()) for gradient in gradients[::-1]]
top = told["each floor its own weights"][0]

fig, ax = plt.subplots(figsize=(4.6, 2.8))
for (name, sizes), below in zip(told.items(), (8, -18), strict=True):
    parts = [size / top for size in sizes] * (depth.DEPTH // len(sizes))
    (line,) = ax.plot(range(depth.DEPTH), parts)
    ax.annotate(name, (6, parts[6]), (8, below), textcoords="offset points", color=line.get_color())
ax.set(
    yscale="log", xlabel="floors down from the top", title="gradient of the weights", xticks=range(0, depth.DEPTH, 5)
)
plots.label_decades(ax)
plt.show()

# %% tags=["remove-input"]
depth.depth_is_time.show()

# %% [markdown]
# In time, the weights are told enough, but only by the last steps. They learn, and what they learn is short-sighted.
# In depth, the lowest floors are told next to nothing, and stay nearly as they were drawn.
#
# ## Handwritten digits
#
# Does it matter in practice? Both towers are taught to read real handwritten digits, all pixels at once, for the same short
# time, each at the learning rate that suits it best. One right answer in ten is what guessing gives.

# %%
for kind in ("sigmoid", "tanh"):
    print(f"{kind}: {depth.reads_digits(seed=0, kind=kind, lr=depth.best_rate(kind)):.0%} right")

# %% tags=["remove-input"]
depth.real_digits_too.show()

# %% [markdown]
# ## Floors within a step
#
# One can also put the floors between one moment and the next. Each note is then rewritten eight times before it is handed
# on. That makes a step cleverer. What does it do to the memory?

# %% tags=["remove-input"]
from rnnvanish.experiments import transition

transition.deeper_step_remembers.show()

# %% [markdown]
# ## What this means
#
# Gradients vanish in depth too, and it is a problem that has been solved better than the one in time. **With layers of the right
# kind and a good start, twenty of them are no great trouble.**
#
# Do not mix up the two. In depth, each layer can be set right by itself. In time, there is only one set of weights, and it
# must be right for every step.
#
# ## What to do
#
# - Avoid sigmoid between layers, or start it as it needs.
# - Set the start: `nn.init.xavier_uniform_(layer.weight)` for tanh. What PyTorch draws by itself is smaller.
# - For very deep networks, add connections that skip layers. They help depth, [but not time](../techniques/skips.py).
#
# ??? info "For engineers"
#     A stack of 20 linear layers of 64 units, each followed by the nonlinearity, inputs from $\mathcal{N}(0, 1)$, a linear
#     readout summed over 64 examples, before training, double precision. The number is
#     $(\lVert \partial L/\partial a_1 \rVert / \lVert \partial L/\partial a_{20} \rVert)^{1/19}$ for the activations $a_l$.
#     Gradients of *weights* would mislead: they also hold the size of the activations, which shrinks in step.
#
#     Glorot's uniform start for equal widths draws from $\pm\sqrt{6/(2n)}$, a variance of $1/n$. It keeps the variance
#     where the slope is one, as for tanh near zero. The slope of sigmoid is at most $1/4$, so a factor near one needs
#     weights four times as large, and biases of minus half the sum of each row, since its outputs lie about $1/2$. `nn.Linear` draws with a variance of $1/(3n)$: a factor of about
#     $\sqrt{1/3} \approx 0.58$ with tanh, the same number as for `nn.RNN`.
#
#     Shared or not: with shared weights $\partial L/\partial W = \sum_l c_l$ has the top layer's contribution $c_{20}$ in it.
#     With weights of their own each layer gets its $c_l$ alone, and $c_1$ is the smallest. The claim compares the two,
#     each as a part of $\lVert c_{20} \rVert$. There is a second difference: a product of independent matrices and a power
#     of one matrix have different spectra. With shared weights, eigenvalues decide in the long run.
#
#     Digits: 60 steps of Adam at a rate of 0.003 from a Glorot start. Longer training, or another rate, can get a
#     sigmoid stack off the plateau.
#
#     - X. Glorot, Y. Bengio (2010). Understanding the difficulty of training deep feedforward neural networks.
#       *AISTATS*. [PMLR 9](https://proceedings.mlr.press/v9/glorot10a.html)
#     - K. He, X. Zhang, S. Ren, J. Sun (2015). Delving Deep into Rectifiers. *ICCV*.
#       [arXiv:1502.01852](https://arxiv.org/abs/1502.01852)
#     - A. M. Saxe, J. L. McClelland, S. Ganguli (2014). Exact solutions to the nonlinear dynamics of learning in deep
#       linear neural networks. *ICLR*. [arXiv:1312.6120](https://arxiv.org/abs/1312.6120)
#
# ## Reproduce it
#
# ```bash
# rnnvanish claims --section 12
# ```
#
# Before: [11. Two witnesses](recent.py). Next: [13. The first weights](../techniques/initialisation.py)
