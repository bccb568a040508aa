"""Training by Lightning: a learner, its data, its runs, and a monitor of gradient retention beside any training."""

from rnnvanish.deprecated import forward
from rnnvanish.names import require

require("pytorch_lightning", "train", "Training by Lightning")
forward(__name__)
