#!/usr/bin/env python3
"""Makes image files and, with Pillow, what must be read from them.

usage: make.py FOLDER [SEED]

cases.tsv has one line per case: file, rank, channels, resize, crop, layout,
the .npy file with the expected numbers, and the filter.  The committed cases were made
with seed 0 by Pillow 9.4.0; tests/pillow.sh makes fresh ones with the Pillow
that is there.

SPDX-License-Identifier: Apache-2.0
"""
import pickle
import sys
from pathlib import Path

import numpy as np
import PIL
from PIL import Image, ImageOps, PngImagePlugin

# What ImageOps.exif_transpose() does for each orientation.  That of older
# Pillows does not know all the places that it can be noted in.
TURNS = dict(zip(range(2, 9), (
    Image.FLIP_LEFT_RIGHT, Image.ROTATE_180, Image.FLIP_TOP_BOTTOM,
    Image.TRANSPOSE, Image.ROTATE_270, Image.TRANSVERSE, Image.ROTATE_90)))


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
               crop=(0, 0), layout="nchw", filter="bilinear"):
        number = f"{len(self.lines):02d}.npy"
        np.save(self.folder / number, np.ascontiguousarray(array, "<f4"))
        self.lines.append(f"{name}\t{rank}\t{channels}\t"
                          f"{resize[0]}x{resize[1]}\t{crop[0]}x{crop[1]}\t"
                          f"{layout}\t{number}\t{filter}")

    def expect_image(self, name, mode, turn=1, **options):
        """The file as Pillow reads, turns, converts and resizes it."""
        image = Image.open(self.folder / name)
        turned = image.transpose(TURNS[turn]) if turn > 1 else image
        if int(PIL.__version__.split(".")[0]) >= 13:
            assert ImageOps.exif_transpose(image).tobytes() == turned.tobytes()
        image = turned.convert(mode)
        resize = options.get("resize", (0, 0))
        if resize[0] and resize[1]:
            image = image.resize(
                (resize[1], resize[0]),
                getattr(Image, options.get("filter", "bilinear").upper()))
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

    @staticmethod
    def exif(orientation, order="little", kind=3, count=1):
        """A TIFF file without a picture: one tag, that of the orientation."""
        def number(value, size):
            return value.to_bytes(size, order)

        value = number(orientation, 2 if kind == 3 else 4).ljust(4, b"\0")
        tag = (number(0x112, 2) + number(kind, 2) + number(count, 4) +
               value)
        return (b"Exif\0\0" + (b"II*\0" if order == "little" else b"MM\0*") +
                number(8, 4) + number(1, 2) + tag + number(0, 4))

    def insert(self, source, target, *segments):
        """Puts APP1 segments right after the start of a JPEG."""
        data = (self.folder / source).read_bytes()
        for segment in reversed(segments):
            data = (data[:2] + b"\xff\xe1" +
                    (len(segment) + 2).to_bytes(2, "big") + segment + data[2:])
        (self.folder / target).write_bytes(data)

    def orientations(self):
        h, w = 5 * self.big, 9 * self.big
        rgb = Image.fromarray(self.pixels(h, w, 3))
        grey = Image.fromarray(self.pixels(h, w, 1)[:, :, 0])
        turns = {}
        for k in range(1, 9):
            turns[f"exif{k}.jpg"] = k
            rgb.save(self.folder / f"exif{k}.jpg", quality=90,
                     exif=self.exif(k))
        turns["exif6.png"] = 6
        rgb.save(self.folder / "exif6.png", exif=self.exif(6, "big"))
        data = (self.folder / "exif6.png").read_bytes()
        at = data.index(b"eXIf") - 4  # after the pixels, where it may be, too
        end = at + 12 + int.from_bytes(data[at:at + 4], "big")
        turns["late6.png"] = 6
        (self.folder / "late6.png").write_bytes(
            data[:at] + data[end:-12] + data[at:end] + data[-12:])
        turns["exif8_progressive.jpg"] = 8
        grey.save(self.folder / "exif8_progressive.jpg", progressive=True,
                  exif=self.exif(8, kind=4))
        raw, text = self.exif(3), '<rdf:Description tiff:Orientation="7"/>'
        profile, xmp = PngImagePlugin.PngInfo(), PngImagePlugin.PngInfo()
        profile.add_text("Raw profile type exif",
                         f"\nexif\n{len(raw):8}\n{raw.hex()}\n", zip=True)
        xmp.add_itxt("XML:com.adobe.xmp", text)
        for name, turn, info in (("profile3.png", 3, profile),
                                 ("xmp7.png", 7, xmp)):
            turns[name] = turn
            rgb.save(self.folder / name, pnginfo=info)
        rgb.save(self.folder / "none.jpg", quality=90)
        xmp = b"http://ns.adobe.com/xap/1.0/\0" + text.encode()
        for name, turn, segments in (
                ("xmp7.jpg", 7, [xmp]),
                ("both.jpg", 1, [xmp, self.exif(1)]),
                ("split.jpg", 5, [self.exif(5)[:20],
                                  b"Exif\0\0" + self.exif(5)[20:]]),
                ("nine.jpg", 1, [self.exif(9)]),
                ("text.jpg", 1, [self.exif(6, kind=2)])):
            turns[name] = turn
            self.insert("none.jpg", name, *segments)
        for name, turn in turns.items():
            self.expect_image(name, "RGB", turn)
        self.expect_image("exif6.jpg", "L", 6, crop=(4, 5))

    def cubics(self):
        """As sizes(), made last, so that the pictures stay what they were."""
        for size in ((36, 38), (4, 3), (11 * self.big, 9), (3, 29)):
            self.expect_image("rgb.png", "RGB", resize=size, filter="bicubic")
        self.expect_image("grey.png", "L", resize=(5, 20), filter="bicubic")
        self.expect_image("rgb.jpg", "RGB", resize=(20, 21), crop=(7, 8),
                          filter="bicubic")
        plane = np.load(self.folder / "one.npy")
        first = np.stack([np.asarray(Image.fromarray(p).resize(
            (3, 9), Image.BICUBIC)) for p in plane])
        self.expect("one.npy", first, resize=(9, 3), filter="bicubic")

    def make(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        self.pictures()
        self.sizes()
        self.arrays()
        self.cifar()
        self.orientations()
        self.cubics()
        text = "\n".join(self.lines) + "\n"
        (self.folder / "cases.tsv").write_text(text)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    Cases(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0).make()
