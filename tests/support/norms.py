#!/usr/bin/env python3
"""
Prints norms.inc: what PyTorch makes, in double, of norms and of reductions in
double, and their gradients.

    norms.py | clang-format > norms.inc        (with PyTorch 2.13)

SPDX-License-Identifier: Apache-2.0
"""
import textwrap

import torch
import torch.nn.functional as F

# label, op, attributes, a sample's shape, weights' shape, function
CASES = [
    ("layer_norm", "LAYER_NORM", ".size = {1, {5}}, .eps = 1e-5", (3, 5), (5,),
     lambda x, w, b: F.layer_norm(x, (5,), w, b)),
    ("layer_norm of a map", "LAYER_NORM", ".size = {2, {2, 3}}, .eps = 1e-6",
     (3, 2, 3), (2, 3), lambda x, w, b: F.layer_norm(x, (2, 3), w, b, 1e-6)),
    ("layer_norm of all", "LAYER_NORM", ".size = {2, {3, 4}}, .eps = 0.5",
     (3, 4), None, lambda x, w, b: F.layer_norm(x, (3, 4), eps=0.5)),
    ("layer_norm of one", "LAYER_NORM", ".size = {1, {1}}, .eps = 1e-5",
     (4, 1), (1,), lambda x, w, b: F.layer_norm(x, (1,), w, b)),
    ("group_norm", "GROUP_NORM", ".in_channels = 6, .groups = 2, .eps = 1e-5",
     (6, 2, 2), (6,), lambda x, w, b: F.group_norm(x, 2, w, b)),
    ("group_norm of features", "GROUP_NORM",
     ".in_channels = 6, .groups = 3, .eps = 1e-5", (6,), (6,),
     lambda x, w, b: F.group_norm(x, 3, w, b)),
    ("group_norm of one group", "GROUP_NORM",
     ".in_channels = 3, .groups = 1, .eps = 1e-3", (3, 4), (3,),
     lambda x, w, b: F.group_norm(x, 1, w, b, 1e-3)),
    ("instance_norm1d", "INSTANCE_NORM1D", ".in_channels = 3, .eps = 1e-5",
     (3, 6), None, lambda x, w, b: F.instance_norm(x)),
    ("instance_norm2d", "INSTANCE_NORM2D", ".in_channels = 2, .eps = 1e-5",
     (2, 3, 3), (2,),
     lambda x, w, b: F.instance_norm(x, weight=w, bias=b)),
    ("instance_norm3d", "INSTANCE_NORM3D", ".in_channels = 2, .eps = 1e-4",
     (2, 2, 1, 3), (2,),
     lambda x, w, b: F.instance_norm(x, weight=w, bias=b, eps=1e-4)),
    ("rms_norm", "RMS_NORM", ".size = {1, {5}}, .eps = 1e-6", (3, 5), (5,),
     lambda x, w, b: F.rms_norm(x, (5,), w, 1e-6)),
    ("rms_norm of a map", "RMS_NORM", ".size = {2, {2, 3}}, .eps = 0.25",
     (2, 2, 3), None, lambda x, w, b: F.rms_norm(x, (2, 3), None, 0.25)),
    ("var", "VAR", ".dims = {1, {2}}, .p = {1}", (3, 5), None,
     lambda x, w, b: x.var(2)),
    ("var of maps", "VAR", ".dims = {2, {2, 3}}, .p = {0}, .keepdim = true",
     (2, 3, 2), None,
     lambda x, w, b: x.var((2, 3), correction=0, keepdim=True)),
    ("std", "STD", ".dims = {1, {1}}, .p = {1}", (4, 3), None,
     lambda x, w, b: x.std(1)),
    ("std of all", "STD", ".dims = {2, {1, 2}}, .p = {2}", (4, 3), None,
     lambda x, w, b: x.std((1, 2), correction=2)),
    ("vector_norm", "VECTOR_NORM", ".dims = {1, {-1}}, .keepdim = true",
     (3, 4), None,
     lambda x, w, b: torch.linalg.vector_norm(x, dim=-1, keepdim=True)),
    ("logsumexp", "LOGSUMEXP", ".dims = {1, {1}}", (5, 2), None,
     lambda x, w, b: x.logsumexp(1)),
    ("logsumexp of all", "LOGSUMEXP", ".dims = {2, {1, 2}}", (3, 3), None,
     lambda x, w, b: x.logsumexp((1, 2))),
]


def braces(numbers):
    return "{" + ", ".join(f"{float(n):.12g}" for n in numbers) + "}"


def shape(sizes):
    return f"{{{len(sizes)}, {{{', '.join(map(str, sizes or [0]))}}}}}"


def count(n):
    return torch.arange(n, dtype=torch.float64)


def main():
    print("/*\n * Made by norms.py: rows of 'norms' in test_norm.c.\n *\n"
          " * SPDX-License-Identifier: Apache-2.0\n */")
    for label, op, attrs, size, weights, function in CASES:
        n = torch.Size(size).numel()
        x = ((count(2 * n) * 37 % 101 - 50) / 16).reshape(2, *size)
        w = b = None
        if weights is not None:
            m = torch.Size(weights).numel()
            w = (1 + count(m) % 5 / 4).reshape(weights).requires_grad_()
            b = (count(m) % 3 / 2 - 0.5).reshape(weights).requires_grad_()
        x.requires_grad_()
        y = function(x, w, b)
        d = count(y.numel()) % 7 - 2
        y.backward(d.reshape(y.shape))
        grads = [[0.0] if p is None or p.grad is None else
                 p.grad.flatten().tolist() for p in (w, b)]
        row = (f'{{"{label}", PTF_OP_{op}, {{{attrs}}}, {shape(size)}, '
               f"{shape(weights or ())}, {braces(y.flatten().tolist())}, "
               f"{braces(x.grad.flatten().tolist())}, {braces(grads[0])}, "
               f"{braces(grads[1])}}},")
        print("\n".join(textwrap.wrap(row, 79)))


main()
