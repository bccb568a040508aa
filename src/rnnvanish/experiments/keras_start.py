"""The start of Keras: how other software than PyTorch draws the same recurrent layers before training."""

import math

import torch
from torch import nn


@torch.no_grad()
def keras_start(layer: nn.Module) -> nn.Module:
    """Draw the weights of a `torch.nn` RNN, LSTM or GRU as the documentation of Keras says that it draws its own.

    Input weights by Glorot's rule, uniform; recurrent weights orthogonal; biases zero, that of an LSTM's forget gate one.
    Keras draws the matrices of all gates as one, side by side. So it is the one large matrix that is orthogonal: of an
    LSTM's four gates, each alone shrinks a state by half, where a matrix that is orthogonal by itself would keep its length.

    Sources: keras.io/api/layers/recurrent_layers (simple_rnn, lstm, gru), the defaults of the arguments.
    """
    for name, weight in layer.named_parameters():
        if name.startswith("weight_ih"):
            nn.init.uniform_(weight, -(bound := math.sqrt(6 / sum(weight.shape))), bound)
        elif name.startswith("weight_hh"):
            nn.init.orthogonal_(weight)
        else:
            nn.init.zeros_(weight)
            if isinstance(layer, nn.LSTM) and name.startswith("bias_ih"):  # PyTorch adds two biases, Keras has one
                weight.chunk(4)[1].fill_(1)  # of the gates i, f, g, o
    return layer
