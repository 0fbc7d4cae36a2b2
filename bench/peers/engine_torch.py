"""PyTorch, whichever the interpreter has.

"double" in the engine's name: computes in double; "gradient": forward, and the
derivatives of the sum of the outputs by the inputs.

SPDX-License-Identifier: Apache-2.0
"""
import torch
from torch.nn import functional

import nets


def prepare(engine, name, path, shape, batch, threads):
    torch.set_num_threads(threads)
    weights = nets.Weights(path)
    dtype = torch.double if "double" in engine else torch.float
    layers = [(kind, padding, relu, *(torch.from_numpy(t.copy()).to(dtype)
                                      for t in weights.of_layer(kind, layer)))
              for kind, layer, padding, relu in nets.NETS[name]]

    def forward(y):
        for kind, padding, relu, weight, bias in layers:
            if kind == "conv":
                y = functional.conv2d(y, weight, bias, padding=padding)
            else:
                y = functional.linear(y.flatten(1), weight, bias)
            y = functional.relu(y) if relu else y
        return y

    def run(x):
        with torch.inference_mode():
            return forward(torch.from_numpy(x).to(dtype)).numpy()

    def gradient(x):
        x = torch.from_numpy(x).to(dtype).requires_grad_()
        return torch.autograd.grad(forward(x).sum(), x)[0].numpy()

    return gradient if "gradient" in engine else run
