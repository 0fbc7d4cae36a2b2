"""PyTorch, whichever the interpreter has; "torch-double" computes in double.

SPDX-License-Identifier: Apache-2.0
"""
import torch
from torch.nn import functional

import nets


def prepare(engine, name, path, shape, batch, threads):
    torch.set_num_threads(threads)
    weights = nets.Weights(path)
    dtype = torch.double if engine == "torch-double" else torch.float
    layers = [(kind, padding, relu, *(torch.from_numpy(t.copy()).to(dtype)
                                      for t in weights.of_layer(kind, layer)))
              for kind, layer, padding, relu in nets.NETS[name]]

    def run(x):
        with torch.inference_mode():
            y = torch.from_numpy(x).to(dtype)
            for kind, padding, relu, weight, bias in layers:
                if kind == "conv":
                    y = functional.conv2d(y, weight, bias, padding=padding)
                else:
                    y = functional.linear(y.flatten(1), weight, bias)
                y = functional.relu(y) if relu else y
            return y.numpy()

    return run
