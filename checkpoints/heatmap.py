"""A small network that slides, and a picture for it to look at.

usage: heatmap.py FOLDER

Trains for two minutes on drawn shapes (images.py), and on shapes cut in half
and plain colours as "nothing".  Writes shapes.pt (a state dict), shapes.txt
(print(model)), shapes.names and scene.ppm, on which shapes lie about.  Then:

    ptfold run --arch shapes.txt --labels shapes.names --beta 1 \\
        --map map.png --class ring --overlay 0.65 shapes.pt scene.ppm

SPDX-License-Identifier: Apache-2.0
"""
import sys
from collections import OrderedDict
from pathlib import Path

import torch
from torch import nn

import images

NAMES = ["disc", "square", "ring", "triangle", "cross", "rows", "columns",
         "diagonals", "chequers", "circles", "nothing"]
NOTHING = len(NAMES) - 1
HEIGHT, WIDTH = 240, 360


def network():
    """No padding before the classifier: windows are equal to crops."""
    return nn.Sequential(OrderedDict(
        features=nn.Sequential(
            nn.Conv2d(3, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 5), nn.ReLU(), nn.MaxPool2d(2)),
        flatten=nn.Flatten(),
        classifier=nn.Sequential(
            nn.Linear(32 * 5 * 5, 64), nn.ReLU(),
            nn.Linear(64, len(NAMES)))))


def plain(count, generator):
    """One colour and the noise that images.draw() has."""
    colour = torch.rand(count, 3, 1, 1, generator=generator)
    noise = torch.randn(count, 3, images.SIDE, images.SIDE,
                        generator=generator)
    return (colour + 0.1 * noise).clamp(0, 1)


def train(steps=400, batch=128):
    torch.manual_seed(1)
    generator = torch.Generator().manual_seed(1)
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    for step in range(steps):
        x, labels = images.draw(batch, seed=step)
        rest = plain(batch // 8, generator)
        aside = torch.roll(images.draw(batch // 4, seed=step + steps)[0],
                           images.SIDE // 2, dims=2 + step % 2)
        x = torch.cat([x, rest, aside])
        labels = torch.cat([labels, torch.full(
            (len(rest) + len(aside),), NOTHING)])
        loss = nn.functional.cross_entropy(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


def scene():
    """Ten shapes on a noisy ground."""
    generator = torch.Generator().manual_seed(5)
    picture = torch.tensor([0.2, 0.3, 0.35]).reshape(3, 1, 1).repeat(
        1, HEIGHT, WIDTH)
    picture += 0.1 * torch.randn(picture.shape, generator=generator)
    labels = torch.tensor([2, 0, 4, 3, 2, 1, 0, 2, 3, 4])
    shapes = images.masks(labels, generator)
    colours = torch.rand(len(labels), 3, 1, 1, generator=generator)
    colours = 0.5 + 0.5 * colours  # brighter than the ground
    for i, (shape, colour) in enumerate(zip(shapes, colours)):
        y = 24 + 80 * (i // 4) + int(torch.randint(0, 24, (1,),
                                                   generator=generator))
        x = 20 + 88 * (i % 4) + int(torch.randint(0, 30, (1,),
                                                  generator=generator))
        place = picture[:, y:y + images.SIDE, x:x + images.SIDE]
        noise = 0.1 * torch.randn(place.shape, generator=generator)
        place[:, shape] = (colour + noise)[:, shape]
    return picture.clamp(0, 1)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    model = train()
    torch.save(model.state_dict(), folder / "shapes.pt")
    text = f"# input: 3x{images.SIDE}x{images.SIDE}\n{model}\n"
    (folder / "shapes.txt").write_text(text)
    (folder / "shapes.names").write_text("\n".join(NAMES) + "\n")
    pixels = (scene() * 255).round().byte().permute(1, 2, 0).contiguous()
    header = b"P6\n%d %d\n255\n" % (WIDTH, HEIGHT)
    (folder / "scene.ppm").write_bytes(header + pixels.numpy().tobytes())


if __name__ == "__main__":
    main()
