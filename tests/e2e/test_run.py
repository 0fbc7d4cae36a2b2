"""ptfold run: tables, arrays, heat maps, and what it refuses.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import json
import math
import os
import random
import signal
import struct
import subprocess
import time
import unittest
import zipfile
import zlib

import checkpoint
from programs import (DAMAGED, EQUIVALENT, PROGRAMS, SOURCE, SYSTEM,
                      UNSUPPORTED, USAGE, ProgramTest, quiet_threads,
                      registration, uncounted)

IMAGES = SOURCE / "tests" / "images"
WINDOW, STRIDE, CLASSES = 8, 2, 5
TEXT = f"""# input: 3x{WINDOW}x{WINDOW}
Sequential(
  (features): Sequential(
    (0): Conv2d(3, 4, kernel_size=(3, 3), stride=(1, 1))
    (1): ReLU()
    (2): MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, \
ceil_mode=False)
  )
  (flatten): Flatten(start_dim=1, end_dim=-1)
  (classifier): Linear(in_features=36, out_features={CLASSES}, bias=True)
)
"""
PADDED = TEXT.replace("stride=(1, 1))", "stride=(1, 1), padding=(1, 1))"
                      ).replace("in_features=36", "in_features=64")


def interlaced_png(width, height, pixels):
    """A PNG in Adam7 order, which Pillow does not write."""
    def chunk(kind, data):
        return (struct.pack(">I", len(data)) + kind + data +
                struct.pack(">I", zlib.crc32(kind + data)))

    rows = b""
    for x0, y0, dx, dy in ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8),
                           (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
                           (0, 1, 1, 2)):
        for y in range(y0, height if x0 < width else 0, dy):
            rows += b"\0" + b"".join(
                pixels[3 * (y * width + x):][:3]
                for x in range(x0, width, dx))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def floats(numbers):
    numbers = list(numbers)
    return struct.pack(f"<{len(numbers)}f", *numbers)


def ppm(width, height, pixels):
    return b"P6\n%d %d\n255\n" % (width, height) + bytes(pixels)


def npy(dtype, shape, data):
    header = repr({"descr": dtype, "fortran_order": False, "shape": shape})
    header = header.ljust(117).encode() + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + data


def read_npy(data):
    """(shape, bytes of the elements) of an f32 array."""
    assert data[:8] == b"\x93NUMPY\x01\x00"
    size = struct.unpack_from("<H", data, 8)[0]
    header = eval(data[10:10 + size])  # our own file
    assert header["descr"] == "<f4" and not header["fortran_order"]
    return header["shape"], data[10 + size:]


class RunTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.random = random.Random(1)
        self.write_net("net", TEXT, 36)

    def write_net(self, name, text, features, classes=CLASSES):
        def some(*shape):
            count = 1
            for n in shape:
                count *= n
            return shape, floats(self.random.uniform(-1, 1)
                                 for _ in range(count))
        checkpoint.write_torch(self.path(f"{name}.pt"), {
            "features.0.weight": some(4, 3, 3, 3),
            "features.0.bias": some(4),
            "classifier.weight": some(classes, features),
            "classifier.bias": some(classes),
        })
        self.write(f"{name}.txt", text.encode())

    def image(self, name, width, height):
        pixels = bytes(self.random.randrange(256)
                       for _ in range(3 * width * height))
        self.write(name, ppm(width, height, pixels))
        return pixels

    def args(self, *rest, net="net"):
        return ["run", "--arch", f"{net}.txt", *rest[:-1], f"{net}.pt",
                rest[-1]]

    def npz(self, images, labels):
        with zipfile.ZipFile(self.path("set.npz"), "w") as archive:
            size = 3 * WINDOW * WINDOW
            archive.writestr("x.npy", npy("|u1", (images, 3, WINDOW, WINDOW),
                                          bytes(images * size)))
            archive.writestr("labels.npy",
                             npy("<i8", (len(labels),),
                                 struct.pack(f"<{len(labels)}q", *labels)))

    def npy(self, name):
        return read_npy(self.path(name).read_bytes())


class Classes(RunTest):
    def test_the_table_is_the_array(self):
        self.image("a.ppm", WINDOW, WINDOW)
        text = self.succeed("ptfold", *self.args("--npy", "out.npy", "a.ppm"))
        shape, data = self.npy("out.npy")
        self.assertEqual(shape, (1, CLASSES))
        scores = struct.unpack(f"<{CLASSES}f", data)
        order = sorted(range(CLASSES), key=lambda k: -scores[k])
        rows = [line.split()[-4:] for line in text.splitlines()[1:]]
        self.assertEqual([int(row[1]) for row in rows], order)
        for row in rows:
            self.assertAlmostEqual(float(row[2]), scores[int(row[1])], 4)
        self.assertAlmostEqual(sum(float(row[3]) for row in rows), 1, 5)

    def test_names_and_nu_in_json(self):
        self.image("a.ppm", WINDOW, WINDOW)
        self.write("names", b"ant\nbee\ncat\r\ndog\neel\n")
        report = self.report("ptfold", *self.args(
            "--labels", "names", "--beta", "1000", "--top", "2", "a.ppm"))
        image = report["images"][0]
        self.assertEqual(len(image["top"]), 2)
        self.assertIn(image["top"][0]["class_name"],
                      ["ant", "bee", "cat", "dog", "eel"])
        self.assertAlmostEqual(image["nu"], image["top"][0]["score"], 2)

    def test_a_file_named_as_the_names_of_cifar10(self):
        self.image("a.ppm", WINDOW, WINDOW)
        self.write("cifar10", b"ant\n" * CLASSES)
        image = self.report("ptfold", *self.args(
            "--labels", "./cifar10", "a.ppm"))["images"][0]
        self.assertEqual(image["top"][0]["class_name"], "ant")
        self.refuse(USAGE, ["expected 5 names", "got 10"], "ptfold",
                    *self.args("--labels", "cifar10", "a.ppm"))

    def test_nu_and_shares_from_beta_0_to_infinity(self):
        self.image("a.ppm", WINDOW, WINDOW)
        for beta in "0", "1e-30", "0.5", "1e30", "inf":
            options = self.args("--beta", beta, "a.ppm")
            image = self.report("ptfold", *options)["images"][0]
            text = self.succeed("ptfold", *options).splitlines()
            scores = [one["score"] for one in image["top"]]
            shares = [one["share"] for one in image["top"]]
            b = float(beta)
            weights = [math.exp(b * (s - scores[0])) if b < 1e30 else
                       float(s == scores[0]) for s in scores]
            for share, weight in zip(shares, weights):
                self.assertAlmostEqual(share, weight / sum(weights), 6)
            if b == 0:
                self.assertIs(image["nu_diverges"], True)
                self.assertEqual(text[1].split()[-1], "diverges")
                continue
            self.assertNotIn("nu_diverges", image)
            nu = scores[0] + math.log(sum(weights)) / b
            self.assertLess(abs(image["nu"] / nu - 1), 1e-12)
            self.assertLess(abs(float(text[1].split()[-1]) / nu - 1), 1e-8)
        for beta in "-1", "1e-31", "1e31", "nan", "-inf", "", "1x":
            self.refuse(USAGE, "--beta: expected 0, inf or a number from "
                        "1e-30 to 1e30", "ptfold",
                        *self.args("--beta", beta, "a.ppm"))

    def report(self, program, command, *args):
        return json.loads(self.succeed(program, command, "--json", *args))

    def test_accuracy_of_folders(self):
        """The labels are what the net says, but for one image."""
        self.write("names", b"a\nb\nc\nd\ne\n")
        said = []
        for i in range(12):
            self.image(f"{i}.ppm", WINDOW, WINDOW)
            report = self.report("ptfold", *self.args(f"{i}.ppm"))
            said.append(report["images"][0]["top"][0]["class"])
        for k in range(CLASSES):
            self.path(f"set/{'abcde'[k]}").mkdir(parents=True)
        for i, k in enumerate(said):
            k = (k + 1) % CLASSES if i == 7 else k
            self.path(f"{i}.ppm").rename(
                self.path(f"set/{'abcde'[k]}/{i}.ppm"))
        report = self.report("ptfold", *self.args("set"))
        self.assertEqual((report["labelled"], report["right"]), (12, 11))
        self.assertEqual(sum(c["images"] for c in report["classes"]), 12)
        self.assertEqual(sum(c["predicted"] for c in report["classes"]), 12)
        text = self.succeed("ptfold", *self.args("set"))
        self.assertIn("11 of 12 images right: 91.67 %", text)
        self.assertEqual(self.report("ptfold", *self.args("set/")), report)

    def labels(self, *args):
        """What the labels of the images in the folder "set" are said to be."""
        done = self.run_program("ptfold", "run", "--json", "--arch", "net.txt",
                                *args, "net.pt", "set")
        report = json.loads(done.stdout)
        self.assertEqual(done.returncode, EQUIVALENT, done.stderr)
        return ([one.get("label_name") for one in report["images"]],
                [one["class_name"] for one in report["images"][0]["top"]],
                done.stderr.decode())

    def folders(self, *names):
        for name in names:
            self.path(f"set/{name}").mkdir(parents=True)
            self.image(f"set/{name}/a.ppm", WINDOW, WINDOW)

    def test_folders_have_the_labels_of_their_names(self):
        """Not those of their places: some classes may have no folder."""
        self.write("names", b"ant\nbee\ncat\ndog\neel\n")
        self.folders("cat", "eel")
        self.assertEqual(self.labels("--labels", "names")[0], ["cat", "eel"])
        self.folders("bea")
        self.refuse(USAGE, ["bea", "no class", "did you mean bee?"],
                    "ptfold", *self.args("--labels", "names", "set"))

    def test_folders_that_are_no_classes_label_nothing(self):
        self.folders("cat", "eel")
        for args in (), ("--labels", "names"):
            self.write("names", b"1\n2\n3\n4\n5\n")
            labels, top, said = self.labels(*args)
            self.assertEqual(labels, [None, None])
            self.assertEqual(sorted(top, key=str), [None] * CLASSES
                             if not args else list("12345"))
            self.assertIn("classes of the images: 2, of the network: 5", said)
        done = self.run_program("ptfold", *self.args("--map", "m.ppm",
                                                     "--force", "set/cat"))
        self.assertNotIn(b"cat ", done.stdout)

    def test_cifar10_keeps_its_labels_under_other_names(self):
        """A folder with a misspelt name is refused, but these are numbers."""
        self.write_net("ten", TEXT.replace(f"out_features={CLASSES}",
                                           "out_features=10"), 36, 10)
        self.write("cifar.bin", b"".join(bytes([k]) + bytes(3072)
                                         for k in (0, 3, 9)))
        names = ["plane", "car", "bird", "cat", "deer", "dog", "frog", "horse",
                 "ship", "lorry"]
        self.write("names", "\n".join(names).encode())
        report = self.report("ptfold", *self.args(
            "--resize", "8x8", "--labels", "names", "cifar.bin", net="ten"))
        self.assertEqual([one["label_name"] for one in report["images"]],
                         ["plane", "cat", "lorry"])
        names = "truck airplane automobile bird cat deer dog frog horse ship"
        self.write("names", names.replace(" ", "\n").encode())
        report = self.report("ptfold", *self.args(
            "--resize", "8x8", "--labels", "names", "cifar.bin", net="ten"))
        self.assertEqual([one["label_name"] for one in report["images"]],
                         ["airplane", "cat", "truck"])

    def test_five_folders_are_five_classes_of_any_names(self):
        self.write("names", b"1\n2\n3\n4\n5\n")
        self.folders("a", "b", "c", "d", "e")
        self.assertEqual(self.labels("--labels", "names")[0], list("12345"))
        self.assertEqual(self.labels()[0], list("abcde"))

    def test_labels_in_an_archive(self):
        self.npz(3, [0, 1, 4])
        report = self.report("ptfold", *self.args("set.npz"))
        self.assertEqual([one["label"] for one in report["images"]], [0, 1, 4])
        self.npz(3, [0, 1])
        self.refuse(USAGE, ["set.npz: labels", "3 labels", "got 2"],
                    "ptfold", *self.args("set.npz"))

    def test_names_of_files_steer_no_terminal(self):
        self.folders("b\x1b[1m", "c\u009b1m")
        for name in ("\x1b[31m.ppm", "ä" * 40 + ".ppm"):
            self.path("set/c\u009b1m/a.ppm").rename(
                self.path("set/c\u009b1m/" + name))
            self.image("set/c\u009b1m/a.ppm", WINDOW, WINDOW)
        for k in "def":
            self.folders(k)
        text = self.succeed("ptfold", *self.args("set"))
        self.assertFalse([c for c in text if c != "\n" and
                          (c < " " or "\x7f" <= c < "\xa0")], text)
        self.assertIn("set/c\\..." + "ä" * 8 + ".ppm ", text)

    def test_an_image_through_stdin_and_resized(self):
        with open(IMAGES / "rgb.jpg", "rb") as file:
            done = self.run_program(
                "ptfold", *self.args("--resize", "8x8", "--npy", "a.npy", "-"),
                stdin=file)
        self.assertEqual(done.returncode, EQUIVALENT, done.stderr)
        self.succeed("ptfold", *self.args("--resize", "8x8", "--npy", "b.npy",
                                          IMAGES / "rgb.jpg"))
        self.assertEqual(self.npy("a.npy"), self.npy("b.npy"))

    def test_grad_reads_images_as_run_does(self):
        """Each number in f32, as double rounds it: once for each operation."""
        def f32(x):
            return struct.unpack("<f", struct.pack("<f", x))[0]

        mean, std = (0.5, 0.25, 0.125), (0.3, 0.2, 0.7)
        wide = self.image("wide.ppm", WINDOW + 2, WINDOW)
        numbers = [f32(f32(f32(wide[3 * (y * (WINDOW + 2) + x + 1) + c] / 255) -
                           mean[c]) / f32(std[c]))
                   for c in range(3) for y in range(WINDOW)
                   for x in range(WINDOW)]
        self.write("x.npy", npy("<f4", (3, WINDOW, WINDOW), floats(numbers)))
        how = ("--crop", f"{WINDOW}x{WINDOW}", "--mean", "0.5,0.25,0.125",
               "--std", "0.3,0.2,0.7")
        for args in ((*how, "wide.ppm"), ("x.npy",)):
            name = f"{len(args)}"
            self.succeed("ptfold", *self.args("--npy", name, *args))
            self.succeed("ptfold", "grad", "--arch", "net.txt", "--wrt",
                         "input,params", "-o", f"{name}.bin", *args[:-1],
                         "net.pt", args[-1])
        self.assertEqual(self.npy("7"), self.npy("1"))
        self.assertEqual(self.path("7.bin").read_bytes(),
                         self.path("1.bin").read_bytes())
        self.refuse(USAGE, ["--std", "above 0"], "ptfold", "grad", "--std",
                    "0", "net.pt", "wide.ppm")

    def test_batches_change_nothing(self):
        self.path("set").mkdir()
        for i in range(7):
            self.image(f"set/{i}.ppm", WINDOW, WINDOW)
        for batch in ("1", "3", "100"):
            self.succeed("ptfold", *self.args(
                "--batch", batch, "--npy", f"{batch}.npy", "set"))
            self.assertEqual(self.npy(f"{batch}.npy"), self.npy("1.npy"))

    def test_no_bar_among_results_on_a_terminal(self):
        """The terminal takes no more than some of them for a second."""
        self.npz(2000, [0] * 2000)
        master, terminal = os.openpty()
        args = self.args("--json", "--top", "1", "set.npz")
        with subprocess.Popen(
                [PROGRAMS / "ptfold", *args], cwd=self.folder,
                env={**quiet_threads(), "TERM": "xterm"},
                stdin=subprocess.DEVNULL, stdout=terminal,
                stderr=terminal) as program:
            os.close(terminal)
            time.sleep(1)
            shown = b""
            with contextlib.suppress(OSError):  # the end of a terminal
                while data := os.read(master, 65536):
                    shown += data
        os.close(master)
        self.assertEqual(program.returncode, EQUIVALENT, shown)
        self.assertEqual(len(json.loads(shown)["images"]), 2000)


class Maps(RunTest):
    def test_each_window_is_the_net_on_its_crop(self):
        width, height = 61, 43
        pixels = self.image("large.ppm", width, height)
        text = self.succeed("ptfold", *self.args(
            "--map", "map.ppm", "--npy", "map.npy", "large.ppm"))
        shape, data = self.npy("map.npy")
        rows, columns = (height - WINDOW) // STRIDE + 1, \
            (width - WINDOW) // STRIDE + 1
        self.assertEqual(shape, (CLASSES, rows, columns))
        self.assertIn(f"{columns} x {rows} windows of 8 x 8 pixels", text)
        scores = [data[i:i + 4] for i in range(0, len(data), 4)]
        for i, j in [(0, 0), (0, columns - 1), (rows - 1, 0), (7, 11),
                     (rows - 1, columns - 1)]:
            crop = b"".join(
                pixels[3 * (y * width + STRIDE * j):][:3 * WINDOW]
                for y in range(STRIDE * i, STRIDE * i + WINDOW))
            self.write("crop.ppm", ppm(WINDOW, WINDOW, crop))
            self.succeed("ptfold", *self.args("--npy", "crop.npy", "--force",
                                              "crop.ppm"))
            window = b"".join(scores[(k * rows + i) * columns + j]
                              for k in range(CLASSES))
            self.assertEqual(self.npy("crop.npy")[1], window)

    def test_the_report_in_json(self):
        self.image("large.ppm", 60, 40)
        report = self.report("ptfold", *self.args(
            "--map", "map.ppm", "--npy", "map.npy", "--class", "3",
            "large.ppm"))
        (_, rows, columns), data = self.npy("map.npy")
        self.assertEqual(report["output"], f"{CLASSES}x{rows}x{columns}")
        self.assertEqual((report["window"], report["stride"]),
                         ([WINDOW, WINDOW], [STRIDE, STRIDE]))
        self.assertTrue(report["windows_equal_crops"])
        self.assertEqual(sum(c["windows_won"] for c in report["classes"]),
                         rows * columns)
        scores = struct.unpack(f"<{CLASSES * rows * columns}f", data)
        for k, found in enumerate(report["classes"]):
            plane = scores[k * rows * columns:][:rows * columns]
            best = max(range(len(plane)), key=plane.__getitem__)
            self.assertEqual(found["window"], list(divmod(best, columns)))
            self.assertAlmostEqual(found["best_score"], plane[best], 5)
        plane = scores[3 * rows * columns:][:rows * columns]
        self.assertAlmostEqual(report["map_low"], min(plane), 5)
        self.assertAlmostEqual(report["map_high"], max(plane), 5)

    def report(self, program, command, *args):
        return json.loads(self.succeed(program, command, "--json", *args))

    def test_interlaced_images(self):
        pixels = self.image("large.ppm", 29, 21)
        whole = interlaced_png(29, 21, pixels)
        self.write("large.png", whole)
        for name in ("large.ppm", "large.png"):
            self.succeed("ptfold", *self.args("--map", "map.ppm", "--npy",
                                              f"{name}.npy", "--force", name))
        self.assertEqual(self.npy("large.ppm.npy"), self.npy("large.png.npy"))
        self.write("cut.png", whole[:len(whole) // 2])
        self.refuse(DAMAGED, ["cut.png: "], "ptfold", *self.args(
            "--map", "cut.ppm", "cut.png"))

    def picture(self, name):
        """(width, height, rows of pixels)"""
        magic, size, most, pixels = self.path(name).read_bytes().split(
            b"\n", 3)
        width, height = map(int, size.split())
        self.assertEqual((magic, most, len(pixels)),
                         (b"P6", b"255", 3 * width * height))
        return width, height, [pixels[3 * width * y:3 * width * (y + 1)]
                               for y in range(height)]

    def test_the_picture_shows_the_values(self):
        self.image("large.ppm", 60, 40)
        self.succeed("ptfold", *self.args(
            "--map", "map.ppm", "--class", "2", "--npy", "map.npy",
            "large.ppm"))
        (_, rows, columns), data = self.npy("map.npy")
        plane = struct.unpack_from(f"<{rows * columns}f", data,
                                   4 * 2 * rows * columns)
        width, height, pixels = self.picture("map.ppm")
        scale = 256 // columns
        self.assertEqual((width, height),
                         (columns * scale, rows * scale + 27))
        brightness = [sum(pixels[i * scale][3 * j * scale:][:3])
                      for i in range(rows) for j in range(columns)]
        low, high = (f(range(len(plane)), key=plane.__getitem__)
                     for f in (min, max))
        self.assertEqual((brightness[low], brightness[high]), (0, 3 * 255))
        self.assertEqual(max(pixels[rows * scale + 2]), 255)  # the legend

    def test_the_overlay_has_the_size_of_the_image(self):
        pixels = self.image("large.ppm", 200, 50)
        self.succeed("ptfold", *self.args(
            "--map", "map.ppm", "--overlay", "0.5", "large.ppm"))
        width, height, rows = self.picture("map.ppm")
        self.assertEqual((width, height), (200, 50 + 27))
        self.assertEqual(rows[0], pixels[:600])  # no window has its middle
        self.assertNotEqual(rows[25], pixels[3 * 200 * 25:][:600])

    def test_an_overlay_is_refused_before_anything_runs(self):
        """Its image is read twice, which a pipe cannot be."""
        os.mkfifo(self.path("pipe"))
        for name in "-", "pipe":
            done = self.run_program(
                "ptfold", *self.args("--map", "map.ppm", "--overlay", "0.5",
                                     name), stdin=subprocess.DEVNULL)
            self.assertEqual(done.returncode, USAGE)
            self.assertIn(b"--overlay: expected an image in a file, got ",
                          done.stderr)

    def test_the_legend_of_a_large_picture_is_large(self):
        self.write("large.pgm", b"P5\n3000 40\n255\n" + bytes(120000))
        self.succeed("ptfold", *self.args("-q", "--map", "map.ppm",
                                          "--overlay", "0.5", "large.pgm"))
        width, height, rows = self.picture("map.ppm")
        self.assertEqual((width, height), (3000, 40 + 4 * 27))
        legend = rows[40:]
        for y in range(0, len(legend), 4):
            self.assertEqual(len(set(legend[y:y + 4])), 1)
        ink = [x for x in range(100) if legend[4 * 17][3 * x] == 0]
        self.assertEqual(len(ink) % 4, 0)
        self.assertTrue(ink)

    def test_padding_needs_a_word(self):
        self.write_net("padded", PADDED, 64)
        self.image("large.ppm", 30, 30)
        self.refuse(UNSUPPORTED, ["features.0", "--allow-border",
                                  "within 2 rows"],
                    "ptfold", *self.args("--map", "map.ppm", "large.ppm",
                                         net="padded"))
        text = self.succeed("ptfold", *self.args(
            "--map", "map.ppm", "--allow-border", "large.ppm", net="padded"))
        self.assertIn("windows are not equal to crops: features.0", text)

    def test_an_interrupted_run_leaves_nothing(self):
        self.write("large.pgm", b"P5\n9000 9000\n255\n" + bytes(81000000))
        before = set(self.contents())
        args = self.args("--map", "map.ppm", "--npy", "map.npy", "large.pgm")
        process = subprocess.Popen([PROGRAMS / "ptfold", *args],
                                   cwd=self.folder, env=uncounted())
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        if process.wait(60) == EQUIVALENT:
            self.skipTest("it was faster than the signal")
        self.assertEqual(process.returncode, -signal.SIGINT)
        self.assertEqual(set(self.contents()), before)
        self.assertFalse(registration(process.pid).exists())


class Refusals(RunTest):
    def test_images_that_do_not_fit(self):
        self.image("a.ppm", WINDOW, WINDOW)
        self.image("wide.ppm", WINDOW + 1, WINDOW)
        self.write("cut.ppm", ppm(WINDOW, WINDOW, bytes(100)))
        self.write("text", b"not an image")
        self.write("last.npy", npy("|u1", (1, WINDOW, WINDOW, 3),
                                   bytes(3 * WINDOW * WINDOW)))
        self.write("few", b"one\ntwo\n")
        self.write("empty", b"")
        self.write("exists", b"old")
        self.write("exists.ppm", b"old")
        self.path("folder").mkdir()
        png = (IMAGES / "rgb.png").read_bytes()
        self.write("broken.png", png[:len(png) // 2])
        self.write("batch", (IMAGES / "batch").read_bytes()[:5000])
        for status, words, *args in (
                (USAGE, ["wide.ppm", "3x8x8", "3x8x9"], "wide.ppm"),
                (DAMAGED, ["cut.ppm: @107", "row of pixels"], "cut.ppm"),
                (DAMAGED, ["broken.png: @", "PNG"], "--resize", "8x8",
                 "broken.png"),
                (DAMAGED, ["batch"], "batch"),
                (UNSUPPORTED, ["text: @0", "something else"], "text"),
                (DAMAGED, ["empty"], "empty"),
                (SYSTEM, ["none.png", "cannot open"], "none.png"),
                (USAGE, ["folder", "none"], "folder"),
                (USAGE, ["expected 5 names", "got 2"], "--labels", "few",
                 "a.ppm"),
                (USAGE, ["expected 5 names", "got 10"], "--labels",
                 "cifar10", "a.ppm"),
                (USAGE, ["expected 5 names", "got 2"], "--labels", "few",
                 "--map", "m.ppm", "a.ppm"),
                (USAGE, ["exists", "--force"], "--npy", "exists", "a.ppm"),
                (USAGE, ["exists.ppm", "--force"], "--map", "exists.ppm",
                 "a.ppm"),
                (USAGE, ["--resize", "\"8\u00d78\""], "--resize",
                 "8\u00d78", "a.ppm"),
                (USAGE, ["--mean"], "--mean", "1,2,", "a.ppm"),
                (USAGE, ["mean", "3 channels", "got 2"], "--mean", "1,2",
                 "a.ppm"),
                (USAGE, ["--layout"], "--layout", "chw", "a.ppm"),
                (USAGE, ["--map"], "--class", "1", "a.ppm"),
                (USAGE, ["m.bmp", ".png or .ppm"], "--map", "m.bmp", "a.ppm"),
                (USAGE, ["--class", "below 5"], "--map", "m.ppm", "--class",
                 "5", "a.ppm"),
                (USAGE, ["at least 3x8x8"], "--map", "m.ppm", "--resize",
                 "7x9", "a.ppm"),
                (USAGE, ["--overlay"], "--overlay", "1.5", "a.ppm"),
                (USAGE, ["--std", "above 0", "1,0,1"], "--std", "1,0,1",
                 "a.ppm"),
                (USAGE, ["--scale", "above 0"], "--scale", "0", "a.ppm"),
                (USAGE, ["last.npy", "3 channels", "got 8", "--layout nhwc"],
                 "last.npy"),
                (USAGE, ["--quiet"], "--quite", "a.ppm")):
            self.refuse(status, words, "ptfold", *self.args(*args))

    def test_a_target_that_appears_meanwhile_is_kept(self):
        image = ppm(400, 400, bytes(3 * 400 * 400))
        for force, status, kept in (([], USAGE, b"another's"),
                                    (["--force"], EQUIVALENT, None)):
            command = [PROGRAMS / "ptfold", *self.args(
                *force, "--resize", "8x8", "--npy", "out.npy", "-")]
            with subprocess.Popen(command, cwd=self.folder,
                                  stdin=subprocess.PIPE,
                                  stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE) as running:
                # More than a pipe holds: by then the program reads.
                running.stdin.write(image[:300000])
                self.write("out.npy", b"another's")
                said = running.communicate(image[300000:])[1]
            self.assertEqual(running.returncode, status, said)
            if kept is not None:
                self.assertIn(b"out.npy: the output exists by now", said)
                self.assertEqual(self.path("out.npy").read_bytes(), kept)
            self.assertEqual(sorted(self.contents()),
                             ["net.pt", "net.txt", "out.npy"])
            self.path("out.npy").unlink()

    def test_labels_beyond_the_outputs(self):
        self.npz(1, [CLASSES])
        done = self.run_program("ptfold", *self.args("--npy", "out.npy",
                                                     "set.npz"))
        self.assertEqual(done.returncode, USAGE)
        self.assertIn(b"expected a label below 5, got 5", done.stderr)
        self.assertFalse(self.path("out.npy").exists())


if __name__ == "__main__":
    unittest.main()
