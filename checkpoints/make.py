#!/usr/bin/python3
"""Makes checkpoints with PyTorch, for the demo and the tests.

    make.py [--out DIR] [--data DIR] [--small] [--steps N] [FILE...]

FILE is smallNetSaved (a smallNetTrain that was really trained, so that its
running statistics are those of images) or net1.pt (a Net1 as PyTorch
initialises it, 1.4 GB); without any, both are made.  Each is what
torch.save(model.state_dict()) writes.

--data names a folder with CIFAR-10's binary files (*.bin); without it,
training images are drawn.  --small makes narrow nets with the same keys,
and beside each its architecture: smallNetTrain.txt, Net1.txt and so on.

Works with Debian 12's python3-torch (1.13) and newer ones.

SPDX-License-Identifier: Apache-2.0
"""
import argparse
import os
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

import images
import nets

SEED = 20240429
BATCH = 64
INPUT = "# input: 3x32x32\n"


def linear(x, weight, bias=None):
    """A linear layer as a 1x1 convolution.

    The same function, but computed by oneDNN: where only the reference BLAS
    is installed, Debian's PyTorch multiplies matrices ten times slower.
    """
    y = functional.conv2d(x[:, :, None, None], weight[:, :, None, None], bias)
    return y.flatten(1)


def accuracy(model, data):
    """Share of images whose label is the arg max, in evaluation mode."""
    model.eval()
    with torch.no_grad():
        right = sum((model(x).argmax(1) == y).sum().item()
                    for x, y in zip(data[0].split(100), data[1].split(100)))
    return right / len(data[1])


def train(model, data, steps):
    """Some steps of SGD: enough for statistics that mean something."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    loss_of = nn.CrossEntropyLoss()
    generator = torch.Generator().manual_seed(SEED)
    model.train()
    for _ in range(steps):
        pick = torch.randint(0, len(data[0]), (BATCH,), generator=generator)
        optimizer.zero_grad()
        loss = loss_of(model(data[0][pick]), data[1][pick])
        loss.backward()
        optimizer.step()
    return loss.item()


def save(model, path):
    torch.save(model.state_dict(), path)
    print(f"{path}: {type(model).__name__}, "
          f"{path.stat().st_size:,} bytes", flush=True)


def make_small_net(args):
    torch.manual_seed(SEED)
    if args.data:
        training, test = images.read_folder(args.data)
    else:
        training, test = images.draw(4000, SEED), images.draw(500, SEED + 1)
    functional.linear = linear  # what nn.Linear calls
    model = nets.smallNetTrain(**(nets.SMALL_NET if args.small else {}))
    start = time.time()
    loss = train(model, training, args.steps)
    print(f"smallNetTrain: {args.steps} steps in {time.time() - start:.1f} s, "
          f"loss {loss:.3f}, {accuracy(model, test):.1%} of the test images "
          "right", flush=True)
    save(model, args.out / "smallNetSaved")


def make_net1(args):
    torch.manual_seed(SEED)
    save(nets.Net1(**(nets.SMALL_NET1 if args.small else {})),
         args.out / "net1.pt")


def write_texts(out):
    """print() of the narrow nets; the texts of the real ones are built in."""
    for kind, widths in ((nets.smallNetTrain, nets.SMALL_NET),
                         (nets.smallNetTest, nets.SMALL_NET),
                         (nets.Net1, nets.SMALL_NET1),
                         (nets.Net2, nets.SMALL_NET1)):
        path = out / f"{kind.__name__}.txt"
        path.write_text(f"{INPUT}{nets.sequence(kind(**widths))}\n")


MAKERS = {"smallNetSaved": make_small_net, "net1.pt": make_net1}


def main():
    parser = argparse.ArgumentParser(
        description="Make checkpoints with PyTorch.")
    parser.add_argument("files", nargs="*", metavar="FILE",
                        help="smallNetSaved, net1.pt (default: both)")
    parser.add_argument("--out", type=Path, default=Path("."), metavar="DIR")
    parser.add_argument("--data", metavar="DIR",
                        help="folder with CIFAR-10's *.bin files")
    parser.add_argument("--small", action="store_true",
                        help="narrow nets, with their architecture texts")
    parser.add_argument("--steps", type=int, default=100, metavar="N",
                        help="training steps (default %(default)s)")
    args = parser.parse_args()
    unknown = [name for name in args.files if name not in MAKERS]
    if unknown:
        parser.error(f"expected {' or '.join(MAKERS)}, found {unknown[0]}")
    if args.steps < 1:
        parser.error("expected at least one training step")
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    args.out.mkdir(parents=True, exist_ok=True)
    if args.small:
        write_texts(args.out)
    for name in args.files or MAKERS:
        MAKERS[name](args)


if __name__ == "__main__":
    main()
