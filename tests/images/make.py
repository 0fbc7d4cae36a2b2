#!/usr/bin/env python3
"""Makes image files and, with Pillow, what must be read from them.

usage: make.py FOLDER [SEED]

cases.tsv has one line per case: file, rank, channels, resize, crop, layout
and the .npy file with the expected numbers.  The committed cases were made
with seed 0 by Pillow 9.4.0; tests/pillow.sh makes fresh ones with the Pillow
that is there.

SPDX-License-Identifier: Apache-2.0
"""
import pickle
import sys
from pathlib import Path

import numpy as np
from PIL import Image


class Cases:
    def __init__(self, folder, seed):
        self.folder = Path(folder)
        self.random = np.random.default_rng(seed)
        self.big = 1 if seed == 0 else 7  # fresh cases may be larger
        self.lines = []

    def pixels(self, height, width, channels):
        """A smooth picture with noise, so that every coding has work."""
        y, x, c = np.mgrid[0:height, 0:width, 0:channels]
        wave = 100 * np.sin(x / 3 + c) + 60 * np.cos(y / 5 - c) + 128
        noise = self.random.integers(-30, 31, wave.shape)
        return np.clip(wave + noise, 0, 255).astype(np.uint8)

    def expect(self, name, array, rank=3, channels=0, resize=(0, 0),
               crop=(0, 0), layout="nchw"):
        number = f"{len(self.lines):02d}.npy"
        np.save(self.folder / number, np.ascontiguousarray(array, "<f4"))
        self.lines.append(f"{name}\t{rank}\t{channels}\t"
                          f"{resize[0]}x{resize[1]}\t{crop[0]}x{crop[1]}\t"
                          f"{layout}\t{number}")

    def expect_image(self, name, mode, **options):
        """The file as Pillow reads, converts and resizes it."""
        image = Image.open(self.folder / name).convert(mode)
        resize = options.get("resize", (0, 0))
        if resize[0] and resize[1]:
            image = image.resize((resize[1], resize[0]), Image.BILINEAR)
        array = np.asarray(image)
        if options.get("crop"):
            height, width = options["crop"]
            top = round((array.shape[0] - height) / 2)
            left = round((array.shape[1] - width) / 2)
            array = array[top:top + height, left:left + width]
        planes = array.reshape(array.shape[0], array.shape[1], -1)
        planes = planes.transpose(2, 0, 1).astype(np.float32) / np.float32(255)
        channels = {"RGB": 3, "L": 1}[mode]
        self.expect(name, planes, channels=channels, **options)

    def pictures(self):
        h, w = 11 * self.big, 14 * self.big + 1
        rgb = Image.fromarray(self.pixels(h, w, 3))
        grey = Image.fromarray(self.pixels(h, w, 1)[:, :, 0])
        rgba = Image.fromarray(self.pixels(h, w, 4), "RGBA")
        la = Image.merge("LA", (grey, grey.transpose(Image.ROTATE_180)))
        palette = rgb.quantize(13)
        palette.info["transparency"] = 3
        bits = grey.convert("1")
        for name, image in {"rgb.png": rgb, "grey.png": grey, "la.png": la,
                            "rgba.png": rgba, "palette.png": palette,
                            "bits.png": bits, "rgb.ppm": rgb,
                            "grey.pgm": grey}.items():
            image.save(self.folder / name)
        rgb.save(self.folder / "rgb.jpg", quality=90)
        rgb.save(self.folder / "444.jpg", quality=60, subsampling=0)
        rgb.save(self.folder / "progressive.jpg", quality=75, progressive=True)
        grey.save(self.folder / "grey.jpg", quality=80)
        for name in ["rgb.png", "grey.png", "la.png", "rgba.png",
                     "palette.png", "bits.png", "rgb.ppm", "grey.pgm",
                     "rgb.jpg", "444.jpg", "progressive.jpg", "grey.jpg"]:
            self.expect_image(name, "RGB")
        self.expect_image("rgb.png", "L")
        self.expect_image("rgb.jpg", "L")

    def sizes(self):
        self.expect_image("rgb.png", "RGB", resize=(36, 38))
        self.expect_image("rgb.png", "RGB", resize=(4, 3))
        self.expect_image("grey.png", "L", resize=(11 * self.big, 9))
        self.expect_image("rgb.jpg", "RGB", resize=(29, 14 * self.big + 1))
        self.expect_image("rgb.png", "RGB", crop=(4, 6))
        self.expect_image("rgb.png", "RGB", resize=(20, 21), crop=(7, 8))

    def arrays(self):
        f8 = self.random.standard_normal((2, 3, 4, 5))
        u1 = self.random.integers(0, 256, (2, 4, 5, 3), np.uint8)
        i2 = self.random.integers(-9999, 9999, (3, 4, 5)).astype(">i2")
        f4 = f8.astype(np.float32)
        np.save(self.folder / "f8.npy", f8)
        np.save(self.folder / "fortran.npy", np.asfortranarray(f4))
        np.save(self.folder / "u1.npy", u1)
        np.save(self.folder / "i2.npy", i2)
        np.save(self.folder / "rows.npy", f4.reshape(6, 20))
        self.expect("f8.npy", f4)
        self.expect("fortran.npy", f4)
        self.expect("u1.npy", u1.transpose(0, 3, 1, 2) / np.float32(255),
                    layout="nhwc")
        self.expect("i2.npy", i2)
        self.expect("rows.npy", f4.reshape(6, 20), rank=1)
        np.savez(self.folder / "stored.npz", x=f4, y=np.array([7, 1]))
        np.savez_compressed(self.folder / "deflated.npz", images=f4)
        self.expect("stored.npz", f4)
        self.expect("deflated.npz", f4)
        first = np.stack([np.asarray(Image.fromarray(plane).resize(
            (7, 9), Image.BILINEAR)) for plane in f4[0]])
        np.save(self.folder / "one.npy", f4[0])
        self.expect("one.npy", first, resize=(9, 7))

    def cifar(self):
        rows = self.random.integers(0, 256, (2, 3072), np.uint8)
        labels = [7, 9]
        records = b"".join(bytes([n]) + row.tobytes()
                           for n, row in zip(labels, rows))
        (self.folder / "cifar.bin").write_bytes(records)
        batch = {"data": rows, "labels": labels}
        (self.folder / "batch").write_bytes(pickle.dumps(batch, 2))
        values = rows.reshape(2, 3, 32, 32) / np.float32(255)
        self.expect("cifar.bin", values)
        self.expect("batch", values)

    def make(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        self.pictures()
        self.sizes()
        self.arrays()
        self.cifar()
        text = "\n".join(self.lines) + "\n"
        (self.folder / "cases.tsv").write_text(text)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    Cases(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0).make()
