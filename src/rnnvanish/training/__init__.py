"""Training by Lightning: a learner, its data, its runs, and a monitor of gradient retention beside any training."""

from rnnvanish.deprecated import forward

forward(__name__)
