"""A layer without the ways back through its output: what its gate, or a shortcut, passes on alone."""

from torch import nn

from rnnvanish.experiments.workbench import Build


def direct(build: Build) -> Build:
    """Say how to draw the same layer with recurrent weights of zero.

    Of its ways back those through the output are cut, and the direct one is left: through a gate, or along a shortcut.
    """

    def draw() -> nn.Module:
        layer = build()
        for name, weight in layer.named_parameters():
            if "weight_hh" in name or name.endswith("from_h.weight"):  # in torch, in `cells.Elman`
                nn.init.zeros_(weight)
        return layer

    return draw
