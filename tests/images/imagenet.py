#!/usr/bin/env python3
"""Makes the images of --preset imagenet, and what torchvision makes of them.

    pip install torch==2.13.0 torchvision==0.28.0 && python imagenet.py

imagenet.tsv has a line for each image: its file, what else is asked for, and
the SHA-256 of the 3 x 224 x 224 numbers in float32 that ImageClassification,
torchvision's transform for evaluation, gives for it.  The committed ones are
from Pillow 13.0.0.

SPDX-License-Identifier: Apache-2.0
"""
import hashlib
from pathlib import Path

import numpy as np
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms._presets import ImageClassification

HERE = Path(__file__).resolve().parent


def picture(height, width, seed):
    """Waves and edges, which compress well."""
    random = np.random.default_rng(seed)
    y, x, c = np.mgrid[0:height, 0:width, 0:3]
    wave = 90 * np.sin(x / 17 + c) + 60 * np.cos(y / 11 - c) + 128
    boxes = 60 * ((x // 23 + y // 31) % 2)
    noise = random.integers(-9, 10, (height // 8 + 1, width // 8 + 1, 3))
    noise = noise.repeat(8, 0).repeat(8, 1)[:height, :width]
    return Image.fromarray(np.clip(wave - boxes + noise, 0, 255).astype("u1"))


def main():
    small = picture(37, 46, 1)
    small.save(HERE / "preset_small.png")
    picture(501, 333, 2).save(HERE / "preset_tall.jpg", quality=40)
    picture(256, 300, 3).convert("L").save(HERE / "preset_grey.jpg", quality=40)
    lines = []
    for name in ("preset_small.png", "preset_tall.jpg", "preset_grey.jpg"):
        for options, how in (
                ("", {}),
                ("--filter bicubic",
                 {"interpolation": InterpolationMode.BICUBIC}),
                ("--resize 232", {"resize_size": 232})):
            image = Image.open(HERE / name).convert("RGB")
            numbers = ImageClassification(crop_size=224, **how)(image).numpy()
            assert numbers.shape == (3, 224, 224) and numbers.dtype == "f4"
            digest = hashlib.sha256(np.ascontiguousarray(numbers)).hexdigest()
            lines.append(f"{name}\t{options}\t{digest}\n")
    (HERE / "imagenet.tsv").write_text("".join(lines))


if __name__ == "__main__":
    main()
