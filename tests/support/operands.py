#!/usr/bin/env python3
"""
Prints operands.inc: what PyTorch makes of operators with several operands, and
their gradients.

    operands.py > operands.inc        (with PyTorch 2.13)

SPDX-License-Identifier: Apache-2.0
"""
import textwrap

import torch

NAN, INF = float("nan"), float("inf")
# Pairs at which functions of two numbers are looked at.
A = [1, 2, 2, -0.0, 0, NAN, 1, NAN, INF, INF, -INF, 5, -5, 5, -5, 6, -6, 7.5,
     -7.5, 0.3, 2.0 ** -126, 1e30, -1, 1, 16777216, 3, -3, 0.75, -0.75, 1e6]
B = [2, 1, 2, 0, -0.0, 1, NAN, NAN, INF, -INF, 2, 3, 3, -3, -3, 3, 3, 2.5, 2.5,
     -0.1, 1, 3, INF, -INF, 3, 0, -0.0, 0.1, 0.1, -0.001]


def truth(function):
    return lambda a, b: function(a, b).float()


PAIRS = [
    ("eq", "EQ", truth(torch.eq)),
    ("ne", "NE", truth(torch.ne)),
    ("lt", "LT", truth(torch.lt)),
    ("le", "LE", truth(torch.le)),
    ("gt", "GT", truth(torch.gt)),
    ("ge", "GE", truth(torch.ge)),
    ("and", "LOGICAL_AND", truth(torch.logical_and)),
    ("or", "LOGICAL_OR", truth(torch.logical_or)),
    ("xor", "LOGICAL_XOR", truth(torch.logical_xor)),
    ("remainder", "REMAINDER", torch.remainder),
    ("fmod", "FMOD", torch.fmod),
    ("floor_divide", "FLOOR_DIVIDE",
     lambda a, b: torch.div(a, b, rounding_mode="floor")),
]
# Bases and exponents.
BASES = [2, -2, -2, 0, -0.0, 0, 0, -0.0, 1, -1, -1, NAN, NAN, 1, -1, INF, -INF,
         -INF, 4, 4, 0.25, 10000, 2, 2, 0.5, 0.5, 1e30, 1e30, -3, 3]
EXPONENTS = [3, 3, 2, 3, 3, 0, -1, -1, NAN, INF, -INF, 0, 2, -INF, NAN, -1, 3,
             0.5, 0.5, -0.5, 1.5, 0.125, INF, -INF, INF, -INF, 2, -2, 1.5, -2]


def where(c, a, b):
    return torch.where(c != 0, a, b)


# label, op, attributes, shapes of a sample's operands, function
CASES = [
    ("where", "WHERE", "", [(2, 3), (2, 3), (2, 3)], where),
    ("where, a mask of rows", "WHERE", "", [(4, 1), (4, 5), (4, 5)], where),
    ("where of one number", "WHERE", "", [(3, 5), (1,), (3, 5)],
     lambda c, a, b: where(c, a[:, None], b)),
    ("where of another number", "WHERE", "", [(3, 5), (3, 5), (1, 1)], where),
    ("where of two numbers", "WHERE", "", [(2, 3, 4), (1, 1, 1), (1, 1, 1)],
     where),
    ("where of crossing rows", "WHERE", "", [(3, 1, 2), (1, 4, 1), (3, 4, 1)],
     where),
    ("where of one mask", "WHERE", "", [(1, 1), (2, 7), (2, 1)], where),
]


# label, op, attributes, shape, indices of two samples, function of one sample
GATHERS = [
    ("rows", "INDEX_SELECT", ".dim = 1", (5, 3), [[4, 0, 0], [1, 4, 2]],
     lambda x, i: x.index_select(0, i)),
    ("columns", "INDEX_SELECT", ".dim = -1", (2, 4), [[3, 3], [0, 1]],
     lambda x, i: x.index_select(-1, i)),
    ("embedding", "INDEX_SELECT", ".dim = 1", (4, 2),
     [[[3, 0, 1], [1, 1, 2]], [[0, 0, 0], [2, 3, 1]]],
     lambda x, i: torch.nn.functional.embedding(i, x)),
    ("index", "INDEX", ".dim = 2", (2, 3, 2), [[-1, 0, -3], [2, 1, 1]],
     lambda x, i: x[:, i]),
    ("gather", "GATHER", ".dim = 2", (3, 4),
     [[[0, 3], [1, 1], [2, 0]], [[3, 3], [0, 2], [1, 0]]],
     lambda x, i: x.gather(1, i)),
    ("gather of some", "GATHER", ".dim = 1", (3, 4),
     [[[2, 0, 1]], [[0, 0, 2]]], lambda x, i: x.gather(0, i)),
]


def each(function):
    return lambda x, i: torch.stack([function(a, b.long())
                                     for a, b in zip(x, i)])


def number(x):
    words = {"nan": "NAN", "inf": "INFINITY", "-inf": "-INFINITY",
             "-0.0": "-0.0"}
    short = f"{x:g}" if abs(x) < 1e5 else "none"
    exact = short != "none" and abs(float(short) - x) == 0 and x * 4 % 1 == 0
    return words.get(str(x), short if exact else x.hex())


def braces(numbers):
    return "{" + ", ".join(number(float(n)) for n in numbers) + "}"


def shape(sizes):
    return f"{{{len(sizes)}, {{{', '.join(map(str, sizes or [0]))}}}}}"


def draw(i, size):
    """Numbers of a sample's operand i: the first one chooses."""
    n = torch.Size((2, *size)).numel()
    x = torch.arange(n) * (7 + 4 * i) % 23 - 8.0
    if i == 0:
        x = (torch.arange(n) * 5 % 7 % 3 - 1.0)
        x[n // 2] = NAN
    return x.reshape(2, *size)


def show(label, op, attrs, xs, function):
    """A row; xs are operands of two samples."""
    xs = [x.clone().requires_grad_() for x in xs]
    y = function(*xs)
    d = torch.arange(y.numel()) % 7 - 2.0
    if y.requires_grad:
        y.backward(d.reshape(y.shape))
    grads = [torch.zeros_like(x) if x.grad is None else x.grad for x in xs]
    shapes = ", ".join(shape(x.shape[1:]) for x in xs)
    row = (f'{{"{label}", PTF_OP_{op}, {{{attrs or ".dim = 0"}}}, {len(xs)}, '
           f"{{{shapes}}}, {shape(y.shape[1:])}, "
           + ", ".join(braces(torch.cat([v.detach().flatten(1) for v in vs],
                                        1).flatten().tolist())
                       for vs in (xs, [y], grads)) + "},")
    print("\n".join(textwrap.wrap(row, 79)))


def main():
    print("/*\n * Made by operands.py: rows of test_operands.c.\n *\n"
          " * SPDX-License-Identifier: Apache-2.0\n */\n/* clang-format off */")
    for label, op, function in PAIRS:
        show(label, op, "", [torch.tensor(A).reshape(2, -1),
                             torch.tensor(B).reshape(2, -1)], function)
    show("power", "POWER", "", [torch.tensor(BASES).reshape(2, -1),
                                torch.tensor(EXPONENTS).reshape(2, -1)],
         torch.pow)
    for label, op, attrs, size, indices, function in GATHERS:
        x = torch.arange(2 * torch.Size(size).numel()) + 1.0
        show(label, op, attrs, [x.reshape(2, *size),
                                torch.tensor(indices, dtype=torch.float32)],
             each(function))
    for label, op, attrs, sizes, function in CASES:
        show(label, op, attrs, [draw(i, s) for i, s in enumerate(sizes)],
             function)


main()
