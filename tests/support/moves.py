#!/usr/bin/env python3
"""
Prints moves.inc: what PyTorch makes of views and reductions, and their
gradients.  Numbers are small integers, so that nothing is rounded.

    moves.py | clang-format > moves.inc        (with PyTorch 2.13)

SPDX-License-Identifier: Apache-2.0
"""
import textwrap

import torch

# label, op, attributes, a sample's shape, the same of a batch in PyTorch
CASES = [
    ("reshape", "RESHAPE", ".size = {2, {4, 6}}", (2, 3, 4),
     lambda x: x.reshape(2, 4, 6)),
    ("view with -1", "RESHAPE", ".size = {3, {2, -1, 3}}", (4, 6),
     lambda x: x.view(2, 2, -1, 3)),
    ("reshape to nothing", "RESHAPE", ".size = {0}", (1, 1),
     lambda x: x.reshape(2)),
    ("unsqueeze", "RESHAPE", ".size = {3, {3, 1, 4}}", (3, 4),
     lambda x: x.unsqueeze(2)),
    ("to channels last", "PERMUTE", ".dims = {3, {2, 3, 1}}", (2, 3, 4),
     lambda x: x.permute(0, 2, 3, 1)),
    ("to channels first", "PERMUTE", ".dims = {3, {-1, 1, 2}}", (3, 4, 2),
     lambda x: x.permute(0, -1, 1, 2)),
    ("rows stay", "PERMUTE", ".dims = {3, {3, 2, 1}}", (2, 3, 4),
     lambda x: x.transpose(1, 3)),
    ("transpose", "PERMUTE", ".dims = {2, {2, 1}}", (5, 7),
     lambda x: x.transpose(-1, -2)),
    ("of pixel_shuffle", "PERMUTE", ".dims = {5, {1, 4, 2, 5, 3}}",
     (2, 2, 2, 3, 2), lambda x: x.permute(0, 1, 4, 2, 5, 3)),
    ("identity", "PERMUTE", ".dims = {2, {1, 2}}", (3, 2),
     lambda x: x.permute(0, 1, 2)),
    ("slice of channels", "SLICE", ".dim = 1, .start = 1, .step = 1, "
     ".length = 2", (4, 2, 3), lambda x: x[:, 1:3]),
    ("every second row", "SLICE", ".dim = 2, .start = 1, .step = 2",
     (2, 5, 3), lambda x: x[:, :, 1::2]),
    ("every third column", "SLICE", ".dim = -1, .start = 0, .step = 3",
     (2, 2, 8), lambda x: x[..., ::3]),
    ("the last", "SLICE", ".dim = 2, .start = -1, .step = 1", (3, 4),
     lambda x: x.narrow(2, 3, 1)),
    ("flip", "SLICE", ".dim = 3, .start = -1, .step = -1", (2, 2, 5),
     lambda x: x.flip(3)),
    ("back by two", "SLICE", ".dim = 1, .start = 3, .step = -2, .length = 2",
     (5, 2), lambda x: x[:, 1:4].flip(1)[:, ::2]),
    ("expand a gate", "EXPAND", ".size = {3, {-1, 2, 3}}", (4, 1, 1),
     lambda x: x.expand(-1, -1, 2, 3)),
    ("expand channels", "EXPAND", ".size = {3, {3, 2, 2}}", (1, 2, 2),
     lambda x: x.expand(-1, 3, 2, 2)),
    ("expand the middle", "EXPAND", ".size = {3, {-1, 4, -1}}", (2, 1, 3),
     lambda x: x.expand(-1, -1, 4, -1)),
    ("expand to more axes", "EXPAND", ".size = {3, {2, 3, 2}}", (3, 1),
     lambda x: x.unsqueeze(1).expand(-1, 2, 3, 2)),
    ("expand nothing", "EXPAND", ".size = {2, {-1, 3}}", (2, 3),
     lambda x: x.expand(-1, -1, 3)),
    ("sum", "SUM", ".dims = {1, {1}}", (5, 3), lambda x: x.sum(1)),
    ("sum of the ends", "SUM", ".dims = {2, {-1, 1}}, .keepdim = true",
     (3, 2, 4), lambda x: x.sum((-1, 1), keepdim=True)),
    ("sum of all", "SUM", ".dims = {2, {1, 2}}", (3, 5),
     lambda x: x.sum((1, 2))),
    ("global pool", "MEAN", ".dims = {2, {2, 3}}, .keepdim = true",
     (3, 2, 4), lambda x: x.mean((2, 3), keepdim=True)),
    ("mean of channels", "MEAN", ".dims = {1, {1}}, .keepdim = true",
     (4, 2, 3), lambda x: x.mean(1, keepdim=True)),
    ("mean of the last", "MEAN", ".dims = {1, {-1}}", (3, 4),
     lambda x: x.mean(-1)),
    ("amax", "AMAX", ".dims = {1, {1}}, .keepdim = true", (6, 2, 3),
     lambda x: x.amax(1, keepdim=True)),
    ("amax of a map", "AMAX", ".dims = {2, {3, 2}}", (2, 4, 4),
     lambda x: x.amax((3, 2))),
    ("amin", "AMIN", ".dims = {1, {2}}", (3, 6), lambda x: x.amin(2)),
]


def braces(numbers):
    return "{" + ", ".join(f"{float(n):g}" for n in numbers) + "}"


def shape(sizes):
    return f"{{{len(sizes)}, {{{', '.join(map(str, sizes or [0]))}}}}}"


def main():
    print("/*\n * Made by moves.py: rows of 'moves' in test_moves.c.\n *\n"
          " * SPDX-License-Identifier: Apache-2.0\n */")
    for label, op, attrs, size, function in CASES:
        n = torch.Size(size).numel()
        x = (torch.arange(2 * n) * 5 % 11 - 3.0 if op in ("AMAX", "AMIN")
             else torch.arange(2 * n) + 1.0)
        x = x.reshape(2, *size).requires_grad_()
        y = function(x)
        d = torch.arange(y.numel()) % 7 * 12.0 - 24
        y.backward(d.reshape(y.shape))
        row = (f'{{"{label}", PTF_OP_{op}, {{{attrs}}}, {shape(size)}, '
               f"{shape(y.shape[1:])}, {braces(y.flatten().tolist())}, "
               f"{braces(x.grad.flatten().tolist())}}},")
        print("\n".join(textwrap.wrap(row, 79)))


main()
