#!/usr/bin/env python3
"""
Prints pads.inc and sizes.inc: what PyTorch makes of pads and of maps of another
size, in double, and their gradients; and which pixels are the nearest.

    taps.py pads | clang-format > pads.inc        (with PyTorch 2.13)
    taps.py sizes | clang-format > sizes.inc

SPDX-License-Identifier: Apache-2.0
"""
import re
import sys
import textwrap

import numpy as np
import torch
import torch.nn.functional as F

PADS = [  # a sample's shape, pads, mode, value
    ((2, 3, 4), (1, 2, 0, 1), "constant", 0.0),
    ((2, 3, 4), (0, 0, 0, 0, 1, 2), "constant", 2.5),
    ((2, 3, 4), (-1, 2, 1, -2), "constant", float("-inf")),
    ((1, 2, 2, 3), (1, 0, 0, 1, 1, 1), "constant", -0.125),
    ((5,), (2, -3), "constant", 1.0),
    ((2, 3), (-3, 4), "constant", float("inf")),
    ((2, 3, 4), (), "constant", 0.0),
    ((2, 5), (4, 2), "reflect", 0.0),
    ((2, 3, 4), (3, 1, 2, 0), "reflect", 0.0),
    ((1, 2, 2, 3), (1, 2, 1, 0, 0, 1), "reflect", 0.0),
    ((1, 3, 5), (-1, 2, 1, -2), "reflect", 0.0),
    ((2, 5), (3, 7), "replicate", 0.0),
    ((2, 3, 4), (1, 2, 4, 0), "replicate", 0.0),
    ((1, 2, 2, 3), (0, 1, 1, 0, 2, 1), "replicate", 0.0),
    ((1, 3, 5), (-2, 2, 1, -1), "replicate", 0.0),
    ((2, 5), (5, 3), "circular", 0.0),
    ((2, 3, 4), (1, 4, 2, 0), "circular", 0.0),
    ((1, 2, 2, 3), (1, 1, 0, 2, 1, 0), "circular", 0.0),
    ((2, 4, 5), (2, -1, -1, 0), "circular", 0.0),
]

# a sample's shape, size or None, scale_factor or None, mode, align_corners,
# recompute_scale_factor, antialias
SIZES = [
    ((2, 5), (7,), None, "nearest", None, None, False),
    ((2, 3, 4), (6, 3), None, "nearest", None, None, False),
    ((2, 3, 4), None, (2.0, 3.0), "nearest", None, None, False),
    ((1, 5, 7), None, (0.7, 0.5), "nearest", None, None, False),
    ((1, 5, 7), None, (0.7, 1.4), "nearest", None, True, False),
    ((1, 2, 2, 3), (3, 4, 2), None, "nearest", None, None, False),
    ((2, 5), None, (1.5,), "nearest-exact", None, None, False),
    ((1, 4, 6), (9, 4), None, "nearest-exact", None, None, False),
    ((2, 5), (8,), None, "linear", False, None, False),
    ((2, 5), (8,), None, "linear", True, None, False),
    ((2, 7), None, (0.6,), "linear", False, None, False),
    ((2, 7), (1,), None, "linear", True, None, False),
    ((2, 3, 4), None, (2.0, 2.0), "bilinear", False, None, False),
    ((2, 3, 4), (5, 7), None, "bilinear", True, None, False),
    ((1, 6, 8), None, (0.5, 0.25), "bilinear", False, None, False),
    ((1, 4, 5), None, (1.3, 1.7), "bilinear", False, None, False),
    ((1, 4, 5), None, (1.3, 1.7), "bilinear", False, True, False),
    ((1, 4, 5), None, (1.1, 2.0), "bilinear", False, None, False),
    ((1, 1, 3), (4, 3), None, "bilinear", False, None, False),
    ((1, 2, 3, 2), (3, 2, 5), None, "trilinear", False, None, False),
    ((1, 2, 3, 2), None, (2.0, 1.5, 2.0), "trilinear", True, None, False),
    ((1, 4, 5), (7, 6), None, "bicubic", False, None, False),
    ((1, 4, 5), None, (2.0, 0.4), "bicubic", True, None, False),
    ((1, 4, 5), None, (1.6, 1.3), "bicubic", False, None, False),
    ((1, 6, 9), (4, 4), None, "bilinear", False, None, True),
    ((1, 6, 9), None, (1.5, 0.3), "bilinear", False, None, True),
    ((1, 3, 9), (3, 4), None, "bilinear", False, None, True),
    ((1, 5, 9), (2, 12), None, "bicubic", False, None, True),
    ((1, 7, 5), None, (0.4, 0.8), "bicubic", True, None, True),
]


def number(x):
    return {"inf": "HUGE_VAL", "-inf": "-HUGE_VAL"}.get(str(x), f"{x:.12g}")


def braces(numbers):
    return "{" + ", ".join(map(number, numbers)) + "}"


def rounded(numbers):
    return "{" + ", ".join(f"{x:.7g}" for x in numbers) + "}"


def shape(sizes):
    return f"{{{len(sizes)}, {{{', '.join(map(str, sizes))}}}}}"


def row(op, attributes, size, function):
    n = torch.Size(size).numel()
    x = (torch.arange(2 * n) * 5 % 13 - 4.0).double()
    x = x.reshape(2, *size).requires_grad_()
    y = function(x)
    d = torch.arange(y.numel()) % 7 * 12.0 - 24
    y.backward(d.reshape(y.shape))
    numbers = (f"{shape(size)}, {shape(y.shape[1:])}, "
               f"{braces(y.flatten().tolist())}, "
               f"{rounded(x.grad.flatten().tolist())}}},")
    print(f"{{PTF_OP_{op}, ")
    print("".join(f'"{part}"\n' for part in textwrap.wrap(
        attributes, 60, drop_whitespace=False)) + ",")
    print("\n".join(textwrap.wrap(numbers, 79, break_on_hyphens=False)))


def resize_text(size, factor, mode, corners, recompute, antialias):
    parts = [f"size={size}" if size else
             f"scale_factor={factor}", f"mode='{mode}'",
             f"align_corners={corners}", f"recompute_scale_factor={recompute}"]
    return ", ".join(parts + ["antialias=True"] * antialias)


def nearest_exact(size, out, fused):
    """As PyTorch has it, with one rounding or two."""
    scale, half = np.float32(size) / np.float32(out), np.float32(0.5)
    at = np.arange(out, dtype=np.float32) + half
    if fused:
        c = (scale.astype(float) * at.astype(float) - 0.5).astype(np.float32)
    else:
        c = scale * at - half
    c = np.maximum(c, np.float32(0)) + half
    return np.minimum(np.floor(c).astype(int), size - 1)


def pixels(mode):
    """A digest of the pixels for all sizes up to 64 whose are certain."""
    digest, unsure = 0xcbf29ce484222325, 0
    for size in range(1, 65):
        x = torch.arange(size, dtype=torch.float32)[None, None]
        for out in range(1, 65):
            y = F.interpolate(x, size=out, mode=mode)[0, 0].int().numpy()
            if mode != "nearest" and any(
                    (nearest_exact(size, out, fused) != y).any()
                    for fused in (True, False)):
                unsure += 1
                continue
            for pixel in y.tolist():
                digest = (digest ^ pixel) * 0x100000001b3 % 2**64
    return f"PIXELS({digest:#x}u, {unsure}, {re.sub('-', '_', mode).upper()})"


def head(text):
    print(f"/*\n * Made by taps.py: {text}\n *\n"
          " * SPDX-License-Identifier: Apache-2.0\n */")


def pads():
    head("rows of 'cases' in test_taps.c.")
    for size, pad, mode, value in PADS:
        given = value if mode == "constant" else None
        row("PAD", f"{pad}, mode='{mode}', value={value}", size,
            lambda x: F.pad(x, pad, mode, given))


def sizes():
    head("rows of 'cases' in test_taps.c, and digests of pixels.")
    print("#ifdef PIXELS")
    for mode in ("nearest", "nearest-exact"):
        print(pixels(mode))
    print("#else")
    for size, to, factor, mode, corners, recompute, antialias in SIZES:
        row("UPSAMPLE", resize_text(to, factor, mode, corners, recompute,
                                    antialias), size,
            lambda x: F.interpolate(
                x, to, factor, mode, corners,
                recompute_scale_factor=recompute, antialias=antialias))
    print("#endif")


{"pads": pads, "sizes": sizes}[sys.argv[1]]()
