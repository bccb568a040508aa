"""What a module of torch keeps to itself."""

import pytest
from torch import nn

from rnnvanish.compat.modules import weight_names


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
@pytest.mark.parametrize("options", [{}, {"bias": False, "num_layers": 3}, {"bidirectional": True, "num_layers": 2}])
def test_the_weights_of_a_layer_of_torch_by_name(kind, options):
    layer = kind(3, 4, **options)
    assert weight_names(layer) == layer._flat_weights_names
    layer = nn.LSTM(3, 4, proj_size=2, **options)
    assert weight_names(layer) == layer._flat_weights_names
