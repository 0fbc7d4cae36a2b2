"""What ptfold run reads as images, names, leaves out and refuses.

SPDX-License-Identifier: Apache-2.0
"""
import io
import json
import os
import pickle
import resource
import shutil
import struct
import unittest
import zipfile
import zlib

import test_run
from programs import (DAMAGED, EQUIVALENT, PROGRAMS, SANITIZED, SOURCE,
                      SYSTEM, UNSUPPORTED, quiet_threads)

IMAGES = SOURCE / "tests" / "images"
SIDE = test_run.WINDOW
MIB = 1 << 20


def chunk(kind, data):
    return (struct.pack(">I", len(data)) + kind + data +
            struct.pack(">I", zlib.crc32(kind + data)))


def large_png(width, height, interlaced):
    """Black, in few bytes; interlaced, the first pass alone."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, interlaced)
    row = bytes(1 + 3 * width)
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(row) for _ in range(height))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) +
            chunk(b"IDAT", data + packer.flush()) + chunk(b"IEND", b""))


def progressive_jpeg(width, height):
    """The head of one: three components without subsampling, one scan."""
    def segment(kind, data):
        return b"\xff" + bytes([kind]) + struct.pack(">H", len(data) + 2) + data

    table = segment(0xdb, bytes([0]) + bytes([1] * 64))
    frame = segment(0xc2, struct.pack(">BHHB", 8, height, width, 3) +
                    b"".join(bytes([i, 0x11, 0]) for i in (1, 2, 3)))
    codes = segment(0xc4, bytes([0, 1] + [0] * 15 + [0]))
    scan = segment(0xda, bytes([3, 1, 0, 2, 0, 3, 0, 0, 0, 0]))
    return (b"\xff\xd8" + table + frame + codes + scan +
            bytes(width * height // 8000) + b"\xff\xd9")


class ImagesTest(test_run.RunTest):
    def resized(self, *rest):
        return self.args("-q", "--resize", f"{SIDE}x{SIDE}", *rest)

    def refuse_run(self, status, words, *rest, **options):
        return self.refuse(status, words, "ptfold", *self.resized(*rest),
                           **options)


class Folders(ImagesTest):
    def fill(self):
        os.mkdir(self.path("set"))
        for label in "cat", "dog":
            os.mkdir(self.path(f"set/{label}"))
            for i in range(3):
                self.image(f"set/{label}/{i}.ppm", SIDE, SIDE)
        shutil.copy(IMAGES / "rgb.jpg", self.path("set/cat/whole.jpg"))

    def broken(self):
        """Name -> why it is left out."""
        jpeg = (IMAGES / "rgb.jpg").read_bytes()
        png = (IMAGES / "rgb.png").read_bytes()
        net = self.path("net.pt").read_bytes()
        kinds = {
            "cat/a_cut.jpg": (jpeg[:len(jpeg) * 2 // 3], "sound JPEG"),
            "cat/b_cut.png": (png[:len(png) // 2], "sound PNG"),
            "dog/0_cut.ppm": (self.path("set/dog/1.ppm").read_bytes()[:-1],
                              "0_cut.ppm"),
            "dog/cut.pt": (net[:len(net) // 2], "cut.pt"),
            "dog/empty.jpg": (b"", "empty"),
            "dog/x.webp": (b"RIFF\x20\0\0\0WEBPVP8 ", "a WebP image"),
        }
        for name, (data, _) in kinds.items():
            self.write(f"set/{name}", data)
        self.write("set/dog/notes.txt", b"no image at all")
        return {name: words for name, (_, words) in kinds.items()}

    def test_what_is_broken_is_left_out_named_and_counted(self):
        self.fill()
        broken = self.broken()
        done = self.run_program("ptfold", *self.resized("--json", "set"))
        self.assertEqual(done.returncode, EQUIVALENT, done.stderr)
        report = json.loads(done.stdout)
        self.assertEqual(len(report["images"]), 7)
        self.assertEqual(len(report["left_out"]), len(broken))
        for name, words in broken.items():
            found = [m for m in report["left_out"] if f"set/{name}:" in m]
            self.assertEqual(len(found), 1, report["left_out"])
            self.assertIn(words, found[0])
        self.assertEqual([i["image"].split("/")[1] for i in report["images"]],
                         ["cat"] * 4 + ["dog"] * 3)

        args = self.args("--resize", f"{SIDE}x{SIDE}", "set")
        done = self.run_program("ptfold", *args)
        text = done.stderr.decode()
        self.assertEqual(done.returncode, EQUIVALENT)
        self.assertIn("6 files cannot be read as images and are left out\n", text)
        self.assertIn("1 other file is left out\n", text)
        self.assertEqual(text.count("ptfold: note: left out: set/"), 6)

    def test_the_others_are_as_without_them(self):
        self.fill()
        args = self.resized("--json", "set")
        before = json.loads(self.succeed("ptfold", *args))
        self.broken()
        after = json.loads(self.run_program("ptfold", *args).stdout)
        self.assertEqual(before["images"], after["images"])

    def test_one_that_is_named_is_refused(self):
        self.fill()
        self.broken()
        self.refuse_run(DAMAGED, ["cut.jpg"], "set/cat/a_cut.jpg")
        self.refuse_run(UNSUPPORTED, ["a WebP image"], "set/dog/x.webp")

    def test_nothing_but_broken_ones(self):
        os.mkdir(self.path("set"))
        self.write("set/a.jpg", (IMAGES / "rgb.jpg").read_bytes()[:300])
        self.refuse_run(DAMAGED, ["got 1 that cannot be read", "set/a.jpg"],
                        "set")


class Kinds(ImagesTest):
    def test_other_kinds_are_named_with_a_way_out(self):
        for name, data in (
                ("webp", b"RIFF\x10\0\0\0WEBPVP8L"),
                ("gif", b"GIF89a\1\0\1\0"),
                ("bmp", b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0"),
                ("tif", b"II*\0\x08\0\0\0"), ("tif", b"MM\0*\0\0\0\x08"),
                ("heic", b"\0\0\0\x18ftypheic\0\0\0\0"),
                ("heic", b"\0\0\0\x18ftypmif1\0\0\0\0"),
                ("avif", b"\0\0\0\x1cftypavif\0\0\0\0"),
                ("jxl", b"\xff\x0a\0\0"), ("pbm", b"P4\n8 1\n\0"),
                ("ppm", b"P3\n1 1\n255\n0 0 0\n")):
            self.write("x", data)
            self.refuse_run(UNSUPPORTED, [f"convert x.{name} x.png"], "x")

    def test_a_single_number_is_no_input(self):
        self.write("x.npy", test_run.npy("<f4", (), bytes(4)))
        self.refuse_run(DAMAGED, ["got a single number"], "x.npy")

    def test_labels_below_0_are_refused(self):
        pixels = bytes(2 * 3 * SIDE * SIDE)
        for dtype, form, labels in (("<i8", "<qq", (3, -1)),
                                    ("|i1", "<bb", (-128, 0)),
                                    ("<u8", "<QQ", (0, 1 << 63))):
            with zipfile.ZipFile(self.path("x.npz"), "w") as z:
                z.writestr("x.npy", test_run.npy("|u1", (2, 3, SIDE, SIDE),
                                                 pixels))
                z.writestr("y.npy", test_run.npy(dtype, (2,),
                                                 struct.pack(form, *labels)))
            wrong = labels[1] if labels[1] else labels[0]
            self.refuse_run(DAMAGED, ["expected labels from 0 to 2147483647, "
                                      f"got {wrong} for input "], "x.npz")

    def test_what_must_be_held_is_bounded(self):
        """The rows of a plain one pass by, in little memory."""
        def limit():
            if not SANITIZED:
                resource.setrlimit(resource.RLIMIT_AS, (700 * MIB, 700 * MIB))
        side = 9000
        self.write("x.png", large_png(side, side, 1))
        self.refuse_run(UNSUPPORTED, ["at most 192 MiB", "interlaced"],
                        "x.png", preexec_fn=limit)
        self.write("x.jpg", progressive_jpeg(side, side))
        self.refuse_run(UNSUPPORTED, ["at most 192 MiB", "progressive"],
                        "x.jpg", preexec_fn=limit)
        tiff = (b"Exif\0\0MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\6\0\0"
                b"\0\0\0\0")
        png = large_png(side, side, 0)
        self.write("x.png", png[:-12] + chunk(b"eXIf", tiff[6:]) + png[-12:])
        self.refuse_run(UNSUPPORTED, ["at most 192 MiB", "EXIF"], "x.png",
                        preexec_fn=limit)
        self.write("x.png", png)
        self.succeed("ptfold", *self.args("-q", "--crop", f"{SIDE}x{SIDE}",
                                          "x.png"), preexec_fn=limit)


class Inputs(ImagesTest):
    """No input that is no file is waited for."""

    def setUp(self):
        super().setUp()
        self.image("x.ppm", SIDE, SIDE)
        os.mkfifo(self.path("fifo"))

    def refuse_both(self, program, *args):
        """A FIFO, and a device, in the place of '@'."""
        for path, words in ("fifo", "a pipe"), ("/dev/zero", "a device"):
            self.refuse(SYSTEM, [path + ": ", words], program,
                        *(path if a == "@" else a for a in args))

    def test_wherever_a_file_is_read(self):
        net = "--arch", "net.txt", "net.pt"
        self.refuse_both("ptfold", "info", "@")
        self.refuse_both("ptfold", "run", "--arch", "net.txt", "@", "x.ppm")
        self.refuse_both("ptfold", "run", "--arch", "@", "net.pt", "x.ppm")
        self.refuse_both("ptfold", "run", *net, "@")
        self.refuse_both("ptfold", "run", "--labels", "@", *net, "x.ppm")
        self.refuse_both("ptfold", "convert", "@", "out.pt")
        self.refuse_both("ptfold", "ops", "@")
        self.refuse_both("ptfold", "check", "--arch", "net.txt", "--arch-b",
                         "net.txt", "--data", "@", "net.pt", "net.pt")
        self.refuse_both("bnfuse", "--arch", "@", "net.pt", "out.pt")
        self.refuse_both("lnin-convert", "--arch", "net.txt", "-o", "out.pt",
                         "@")

    def test_a_shell_may_pipe_images_and_texts(self):
        args = "run -q --arch <(cat net.txt) net.pt <(cat x.ppm)"
        piped = self.run_shell(args)
        plain = self.run_shell("run -q --arch net.txt net.pt x.ppm")
        self.assertEqual(piped.split()[-8:], plain.split()[-8:])

    def run_shell(self, args):
        done = test_run.subprocess.run(
            ["bash", "-c", f"{PROGRAMS}/ptfold {args}"], cwd=self.folder,
            env=quiet_threads(), capture_output=True, timeout=60)
        self.assertEqual((done.returncode, done.stderr), (EQUIVALENT, b""))
        return done.stdout


class Texts(ImagesTest):
    """What is not seen is escaped: it could make one name look as another."""

    HIDDEN = "a\u202eb\u2066c\u200bd\ufeffe\u2028f\u00adg\U000e0041h"

    def assert_escaped(self, data):
        text = data.decode()
        for c in self.HIDDEN[1::2]:
            self.assertNotIn(c, text)

    def test_classes(self):
        os.mkdir(self.path("set"))
        for name in self.HIDDEN, "plain":
            os.mkdir(self.path(f"set/{name}"))
            self.image(f"set/{name}/0.ppm", SIDE, SIDE)
        done = self.run_program("ptfold", *self.args("-q", "set"))
        self.assertEqual(done.returncode, EQUIVALENT, done.stderr)
        self.assert_escaped(done.stdout)
        done = self.run_program("ptfold", *self.args("-q", "--json", "set"))
        self.assert_escaped(done.stdout)
        names = [i["image"] for i in json.loads(done.stdout)["images"]]
        self.assertEqual(names[0], f"set/{self.HIDDEN}/0.ppm")

    def test_messages(self):
        for args in (["info", self.HIDDEN], ["info", "--stage", self.HIDDEN,
                                             "net.pt"],
                     ["run", f"--{self.HIDDEN}", "net.pt", "x"]):
            done = self.run_program("ptfold", *args)
            self.assertNotEqual(done.returncode, EQUIVALENT)
            self.assertIn(b"\\xe2\\x80\\xae", done.stderr)
            self.assert_escaped(done.stderr)

    def test_tensors(self):
        header = json.dumps({self.HIDDEN: {
            "dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
        self.write("x.safetensors", struct.pack("<Q", len(header)) + header +
                   bytes(4))
        self.assert_escaped(self.succeed("ptfold", "info", "--tensors",
                                         "x.safetensors").encode())
        text = self.succeed("ptfold", "info", "--json", "--tensors",
                            "x.safetensors")
        self.assert_escaped(text.encode())
        self.assertEqual(json.loads(text)["tensors"][0]["name"], self.HIDDEN)

    def test_a_text_of_a_network_has_none(self):
        self.write("x.txt", test_run.TEXT.replace(
            "features", "feat\u202eures").encode())
        self.refuse(DAMAGED, ["invisible"], "ptfold", "ops", "x.txt")


if __name__ == "__main__":
    unittest.main()
