#!/usr/bin/env python3
"""
Prints windows.inc: what PyTorch makes of convolutions and pools of one to
three axes, and their gradients.  Numbers are integers, and divisors powers of
two, so that nothing is rounded.

    windows.py | clang-format > windows.inc        (with PyTorch 2.13)

SPDX-License-Identifier: Apache-2.0
"""
import textwrap

import torch
import torch.nn.functional as F

# label, op, attributes, a sample's shape, the weight's, the function of both
CASES = [
    ("signal", "CONV1D", ".in_channels = 3, .out_channels = 2, .kernel = "
     "{1, 1, 3}, .stride = {1, 1, 2}, .padding = {0, 0, 1}", (3, 6), (2, 3, 3),
     lambda x, w: F.conv1d(x, w, stride=2, padding=1)),
    ("volume", "CONV3D", ".in_channels = 2, .out_channels = 2, .kernel = "
     "{2, 3, 2}, .stride = {1, 2, 1}, .padding = {1, 1, 0}, .dilation = "
     "{2, 1, 1}", (2, 3, 3, 3), (2, 2, 2, 3, 2),
     lambda x, w: F.conv3d(x, w, stride=(1, 2, 1), padding=(1, 1, 0),
                           dilation=(2, 1, 1))),
    ("volume, depthwise", "CONV3D", ".in_channels = 2, .out_channels = 2, "
     ".groups = 2, .kernel = {2, 2, 1}", (2, 3, 2, 3), (2, 1, 2, 2, 1),
     lambda x, w: F.conv3d(x, w, groups=2)),
    ("volume, linear", "CONV3D", ".in_channels = 2, .out_channels = 5, "
     ".kernel = {2, 2, 3}", (2, 2, 2, 3), (5, 2, 2, 2, 3), F.conv3d),
    ("same of an even kernel", "CONV2D", ".in_channels = 2, .out_channels = 1,"
     " .kernel = {1, 2, 4}, .dilation = {1, 1, 1}, .padding_text = \"same\"",
     (2, 3, 4), (1, 2, 2, 4), lambda x, w: F.conv2d(x, w, padding="same")),
    ("same in depth", "CONV3D", ".in_channels = 1, .out_channels = 2, "
     ".kernel = {2, 3, 2}, .dilation = {1, 1, 3}, .padding_text = \"same\"",
     (1, 2, 3, 4), (2, 1, 2, 3, 2),
     lambda x, w: F.conv3d(x, w, padding="same", dilation=(1, 1, 3))),
    ("up by two", "CONV_TRANSPOSE2D", ".in_channels = 3, .out_channels = 2, "
     ".kernel = {1, 2, 2}, .stride = {1, 2, 2}", (3, 2, 3), (3, 2, 2, 2),
     lambda x, w: F.conv_transpose2d(x, w, stride=2)),
    ("up in groups", "CONV_TRANSPOSE2D", ".in_channels = 4, .out_channels = 6,"
     " .groups = 2, .kernel = {1, 3, 4}, .stride = {1, 2, 3}, .padding = "
     "{0, 1, 0}, .dilation = {1, 1, 1}, .output_padding = {0, 1, 0}",
     (4, 2, 2), (4, 3, 3, 4),
     lambda x, w: F.conv_transpose2d(x, w, stride=(2, 3), padding=(1, 0),
                                     output_padding=(1, 0), groups=2)),
    ("stride beyond the kernel", "CONV_TRANSPOSE1D", ".in_channels = 2, "
     ".out_channels = 3, .kernel = {1, 1, 2}, .stride = {1, 1, 3}", (2, 5),
     (2, 3, 2), lambda x, w: F.conv_transpose1d(x, w, stride=3)),
    ("stride 1, dilated", "CONV_TRANSPOSE1D", ".in_channels = 2, "
     ".out_channels = 3, .kernel = {1, 1, 3}, .padding = {0, 0, 3}, "
     ".dilation = {1, 1, 2}", (2, 7), (2, 3, 3),
     lambda x, w: F.conv_transpose1d(x, w, padding=3, dilation=2)),
    ("output_padding beyond the stride", "CONV_TRANSPOSE1D", ".in_channels = "
     "2, .out_channels = 2, .kernel = {1, 1, 2}, .stride = {1, 1, 2}, "
     ".dilation = {1, 1, 3}, .output_padding = {0, 0, 2}", (2, 5), (2, 2, 2),
     lambda x, w: F.conv_transpose1d(x, w, stride=2, dilation=3,
                                     output_padding=2)),
    ("up in depth", "CONV_TRANSPOSE3D", ".in_channels = 2, .out_channels = 2, "
     ".kernel = {2, 3, 2}, .stride = {2, 1, 2}, .padding = {0, 1, 1}",
     (2, 2, 2, 3), (2, 2, 2, 3, 2),
     lambda x, w: F.conv_transpose3d(x, w, stride=(2, 1, 2),
                                     padding=(0, 1, 1))),
    ("from one pixel", "CONV_TRANSPOSE2D", ".in_channels = 5, .out_channels = "
     "2, .kernel = {1, 3, 3}", (5, 1, 1), (5, 2, 3, 3), F.conv_transpose2d),
    ("max of a signal", "MAXPOOL1D", ".kernel = {1, 1, 3}, .stride = "
     "{1, 1, 2}, .padding = {0, 0, 1}, .dilation = {1, 1, 2}, .ceil_mode = "
     "true", (2, 8), None,
     lambda x, w: F.max_pool1d(x, 3, 2, 1, dilation=2, ceil_mode=True)),
    ("max of a volume", "MAXPOOL3D", ".kernel = {2, 3, 2}, .stride = "
     "{1, 2, 2}, .padding = {1, 1, 0}", (2, 3, 4, 4), None,
     lambda x, w: F.max_pool3d(x, (2, 3, 2), (1, 2, 2), (1, 1, 0))),
    ("mean of a signal", "AVGPOOL1D", ".kernel = {1, 1, 4}, .stride = "
     "{1, 1, 3}, .padding = {0, 0, 2}, .count_include_pad = true", (2, 9), None,
     lambda x, w: F.avg_pool1d(x, 4, 3, 2)),
    ("mean of a volume", "AVGPOOL3D", ".kernel = {2, 2, 2}, .stride = "
     "{1, 2, 1}, .padding = {1, 0, 1}, .count_include_pad = true",
     (1, 3, 4, 3), None,
     lambda x, w: F.avg_pool3d(x, 2, (1, 2, 1), (1, 0, 1))),
    ("divisor", "AVGPOOL2D", ".kernel = {1, 3, 2}, .stride = {1, 2, 2}, "
     ".padding = {0, 1, 1}, .divisor = 4, .count_include_pad = false, "
     ".ceil_mode = true", (2, 4, 4), None,
     lambda x, w: F.avg_pool2d(x, (3, 2), 2, 1, True, False, 4)),
    ("adaptive mean of a signal", "ADAPTIVE_AVGPOOL1D", ".output_size = "
     "{0, 0, 3}", (2, 6), None, lambda x, w: F.adaptive_avg_pool1d(x, 3)),
    ("adaptive mean of a volume", "ADAPTIVE_AVGPOOL3D", ".output_size = "
     "{2, 0, 3}", (1, 4, 3, 6), None,
     lambda x, w: F.adaptive_avg_pool3d(x, (2, None, 3))),
    ("adaptive max of a signal", "ADAPTIVE_MAXPOOL1D", ".output_size = "
     "{0, 0, 3}", (2, 7), None, lambda x, w: F.adaptive_max_pool1d(x, 3)),
    ("adaptive max of a map", "ADAPTIVE_MAXPOOL2D", ".output_size = "
     "{0, 3, 2}", (2, 4, 5), None,
     lambda x, w: F.adaptive_max_pool2d(x, (3, 2))),
    ("adaptive max of a volume", "ADAPTIVE_MAXPOOL3D", ".output_size = "
     "{2, 2, 3}", (1, 3, 4, 5), None,
     lambda x, w: F.adaptive_max_pool3d(x, (2, 2, 3))),
]


def braces(numbers):
    return "{" + ", ".join(f"{float(n):g}" for n in numbers) + "}"


def shape(sizes):
    return f"{{{len(sizes)}, {{{', '.join(map(str, sizes))}}}}}"


def main():
    print("/*\n * Made by windows.py: rows of 'windows' in test_slides.c.\n *\n"
          " * SPDX-License-Identifier: Apache-2.0\n */")
    for label, op, attrs, size, weight, function in CASES:
        n = torch.Size(size).numel()
        x = torch.arange(2 * n) * 5 % 11 - 3.0
        x = x.reshape(2, *size).requires_grad_()
        w = None
        if weight:
            w = torch.arange(torch.Size(weight).numel()) * 7 % 9 - 4.0
            w = w.reshape(weight).requires_grad_()
        y = function(x, w)
        d = torch.arange(y.numel()) % 7 * 8.0 - 24
        y.backward(d.reshape(y.shape))
        dw = w.grad.flatten().tolist() if weight else [0]
        row = (f'{{"{label}", PTF_OP_{op}, {{{attrs}}}, {shape(size)}, '
               f"{shape(y.shape[1:])}, {shape(weight or [0])}, "
               f"{braces(y.flatten().tolist())}, "
               f"{braces(x.grad.flatten().tolist())}, {braces(dw)}}},")
        print("\n".join(textwrap.wrap(row, 79)))


main()
