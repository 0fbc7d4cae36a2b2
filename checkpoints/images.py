"""Images to train on: CIFAR-10's binary files, or drawn ones.

Both give (images, labels): float images in [0, 1], N x 3 x 32 x 32.

SPDX-License-Identifier: Apache-2.0
"""
import math
from pathlib import Path

import torch

SIDE = 32
RECORD = 1 + 3 * SIDE * SIDE  # a label byte, then red, green and blue planes


def read_cifar(paths):
    """All records of CIFAR-10 binary files."""
    parts = []
    for path in paths:
        data = bytearray(Path(path).read_bytes())
        if not data or len(data) % RECORD:
            raise SystemExit(f"{path}: expected records of {RECORD} bytes, "
                             f"found {len(data)} bytes")
        parts.append(torch.frombuffer(data, dtype=torch.uint8)
                     .reshape(-1, RECORD))
    records = torch.cat(parts)
    images = records[:, 1:].reshape(-1, 3, SIDE, SIDE).float() / 255
    return images, records[:, 0].long()


def read_folder(folder):
    """(training set, test set); the test set is what is named test*."""
    paths = sorted(Path(folder).glob("*.bin"))
    test = [p for p in paths if p.name.startswith("test")]
    train = [p for p in paths if p not in test]
    if not train:
        raise SystemExit(f"{folder}: expected CIFAR-10 files (*.bin), "
                         "found none to train on")
    return read_cifar(train), read_cifar(test or train)


def masks(labels, generator):
    """Where the foreground of each image is: one shape per class."""
    n = len(labels)

    def uniform(low, high):
        u = torch.rand(n, 1, 1, generator=generator)
        return low + (high - low) * u

    grid = torch.arange(SIDE, dtype=torch.float32)
    y = grid.reshape(1, SIDE, 1) - uniform(12, 20)
    x = grid.reshape(1, 1, SIDE) - uniform(12, 20)
    size, period = uniform(6, 11), uniform(4, 9)
    distance = torch.sqrt(x * x + y * y)
    square = torch.maximum(abs(x), abs(y))
    wave = 2 * math.pi / period

    shapes = [
        distance < size,                                # disc
        square < size,                                  # square
        (abs(distance - size) < 2),                     # ring
        (y > -size) & (y < size) & (abs(x) < (y + size) / 2),  # triangle
        (torch.minimum(abs(x), abs(y)) < 2.5) & (square < size),  # cross
        (torch.sin(wave * y) > 0).expand(n, SIDE, SIDE),  # rows
        (torch.sin(wave * x) > 0).expand(n, SIDE, SIDE),  # columns
        torch.sin(wave * (x + y)) > 0,                  # diagonals
        torch.sin(wave * x) * torch.sin(wave * y) > 0,  # chequers
        torch.sin(wave * distance) > 0,                 # circles
    ]
    return torch.stack(shapes)[labels, torch.arange(n)]


def draw(count, seed):
    """Ten classes of shapes and textures in random colours, with noise."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 10, (count,), generator=generator)
    mask = masks(labels, generator).unsqueeze(1).float()
    colour = torch.rand(2, count, 3, 1, 1, generator=generator)
    noise = torch.randn(count, 3, SIDE, SIDE, generator=generator)
    images = mask * colour[0] + (1 - mask) * colour[1] + 0.1 * noise
    return images.clamp(0, 1), labels
