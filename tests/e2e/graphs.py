"""Graphs in few words, as files that ptfold runs.

    x 2x6x6
    n = batch_norm2d(x, 2)
    c = conv2d(n, 2, 3, 1x1) padding=[1,1]
    output c

A layer with parameters names how many channels it reads and gives, and its
kernel; "nobias" leaves the bias out.  Numbers follow from the names alone, so
that layers of one name have the same ones in every net; "zero" after a name
makes its shift none, "big" its scale too large, "negative" a variance so.

SPDX-License-Identifier: Apache-2.0
"""
import math
import re

import checkpoint

LAYER = re.compile(r"(\w+) = (conv\w+|linear|batch_norm\dd)"
                   r"\((\w+), ([^)]*)\)(.*)")


def count(shape):
    return math.prod(shape)


def wave(name, shape, low, high):
    """As many numbers between low and high, which its name decides."""
    seed = sum((i + 1) * ord(c) for i, c in enumerate(name))
    return [low + (high - low) * (0.5 + 0.5 * math.sin(seed + 1.7 * k * k + k))
            for k in range(count(shape))]


class Drawn:
    """A graph's text and tensors."""

    def __init__(self, text):
        self.lines, self.tensors = ["ptfold graph 1", "net Drawn"], {}
        for line in text.strip().splitlines():
            self.add(line.strip())

    def constant(self, name, shape, numbers):
        if name not in self.tensors:
            self.tensors[name] = checkpoint.tensor(shape, numbers)
            self.lines.append(
                f"const {name} f32 [{','.join(map(str, shape))}]")
        return name

    def norm(self, name, channels, words):
        parts = (("weight", 0.5, 1.5), ("bias", -1, 1),
                 ("running_mean", -1, 1), ("running_var", 0.5, 2))
        names = []
        for role, low, high in parts:
            numbers = wave(f"{name}.{role}", (channels,), low, high)
            if "zero" in words and role in ("bias", "running_mean"):
                numbers = [0.0] * channels
            if "big" in words and role == "weight":
                numbers = [3e38] * channels
            if "negative" in words and role == "running_var":
                numbers[0] = -1.0
            names.append(self.constant(f"{name}.{role}", (channels,), numbers))
        return names

    def product(self, name, op, sizes, words):
        kernel = [int(n) for n in sizes[2].split("x")] if sizes[2:] else []
        groups = int(words.get("groups", 1))
        read, given = int(sizes[0]), int(sizes[1])
        first, second = (read, given) if "transpose" in op else (given, read)
        shape = (first, second // groups, *kernel)
        own = words.get("like", name)
        names = [self.constant(f"{own}.weight", shape,
                               wave(own, shape, -1, 1))]
        if "nobias" not in words:
            names.append(self.constant(f"{own}.bias", (given,),
                                       wave(own + "b", (given,), -1, 1)))
        return names

    def add(self, line):
        layer = LAYER.fullmatch(line)
        if line.startswith("x "):
            sizes = line[2:].replace("x", ",")
            self.lines.append(f"input x f32 [N,{sizes}]")
        elif line.startswith("const "):
            name, *shape = re.findall(r"\w+", line[6:])
            shape = tuple(map(int, shape))
            self.constant(name, shape, wave(name, shape, 0.5, 1.5))
        elif layer:
            name, op, read, sizes, rest = layer.groups()
            words = dict(w.partition("=")[::2] for w in rest.split())
            sizes = sizes.split(", ")
            operands = (self.norm(name, int(sizes[0]), words)
                        if op.startswith("batch")
                        else self.product(name, op, sizes, words))
            own = ("nobias", "zero", "big", "negative", "like")
            stated = [w for w in rest.split() if w.partition("=")[0] not in own]
            if "nostats" in stated:
                stated[stated.index("nostats")] = "track_running_stats=False"
                operands = operands[:2]
            self.lines.append(" ".join(
                [f"{name} = {op}({', '.join([read, *operands])})", *stated]))
        else:
            self.lines.append(line)

    def save(self, path):
        checkpoint.write_safetensors(path, self.tensors, {
            "graph": "\n".join(self.lines) + "\n", "assumes": ""})
        return path
