"""Messages name the one thing that is wrong and the next step that works.

refuse() sees to what all messages have in common: the exit status, and one
line that is not too long.  Here are the mistakes that are made most often,
and hostile names in places where a message repeats them.

SPDX-License-Identifier: Apache-2.0
"""
import math
import unittest
import zipfile

import checkpoint
from programs import (DAMAGED, FIXTURES, SYSTEM, UNSUPPORTED, USAGE,
                      ProgramTest)

TEXT = (FIXTURES / "small_net.txt").read_text()
LINEAR = "Linear(in_features={}, out_features={}, bias=True)"


class Mistakes(ProgramTest):
    def setUp(self):
        super().setUp()
        for name in ("small_net.pt", "small_net.txt", "net1.pt"):
            self.fixture(name)

    def zip(self, name, *entries):
        with zipfile.ZipFile(self.path(name), "w") as file:
            for entry in entries:
                file.writestr(entry, b"3")

    def test_the_text_and_the_checkpoint_in_each_other_s_place(self):
        self.refuse(UNSUPPORTED, ["small_net.txt: expected a PyTorch "
                                  "checkpoint, got a text", "--arch"],
                    "bnfuse", "--arch", "small_net.pt", "small_net.txt",
                    "out.pt")
        self.refuse(DAMAGED, ["net1.pt: expected the text of print(model), "
                              "got a binary file"],
                    "bnfuse", "--arch", "net1.pt", "small_net.pt", "out.pt")

    def test_exported_programs(self):
        self.zip("new.pt2", "new/archive_format", "new/models/model.json")
        self.zip("old.pt2", "version", "serialized_exported_program.json")
        self.refuse(UNSUPPORTED, ["new.pt2: archive_format: expected 'pt2'"],
                    "bnfuse", "new.pt2", "out.pt")
        self.refuse(DAMAGED, ["old.pt2: serialized_exported_program.json@1: "
                              "expected JSON"],
                    "bnfuse", "old.pt2", "out.pt")
        self.zip("a.npz", "a.npy", "b.npy")
        self.refuse(UNSUPPORTED, ["a.npz: ", "a zip with 'a.npy'"],
                    "ptfold", "info", "a.npz")

    def test_a_network_that_is_neither_built_in_nor_a_file(self):
        for words in (("bnfuse", "--arch", "nosuch", "net1.pt", "out.pt"),
                      ("ptfold", "ops", "nosuch")):
            self.refuse(SYSTEM, ["nosuch: cannot open: ",
                                 "the built-in networks are smallNetTrain, ",
                                 "AlexNet"], *words)

    def test_no_architecture(self):
        self.refuse(UNSUPPORTED, ["small_net.pt: the tensors are not those of "
                                  "a built-in network", "--arch"],
                    "bnfuse", "small_net.pt", "out.pt")
        message = self.refuse(
            UNSUPPORTED, ["small_net.pt: ", "with --arch-b"], "ptfold",
            "check", "--arch", "small_net.txt", "small_net.pt",
            "small_net.pt")
        self.assertNotIn("Net1", message)

    def test_a_wrong_number_of_features(self):
        tensors = {}
        for layer, (size_in, size_out) in {"a": (12, 4), "b": (5, 3)}.items():
            tensors[f"{layer}.weight"] = checkpoint.tensor(
                (size_out, size_in), [0] * size_in * size_out)
            tensors[f"{layer}.bias"] = checkpoint.tensor(
                (size_out,), [0] * size_out)
        checkpoint.write_torch(self.path("net.pt"), tensors)
        self.path("net.txt").write_text(
            f"# input: 12\nSequential(\n  (a): {LINEAR.format(12, 4)}\n"
            f"  (b): {LINEAR.format(5, 3)}\n)\n")
        self.refuse(UNSUPPORTED, ["net.txt: line 4: ", "expected 5 input "
                                  "features, got 4", "forward()"],
                    "bnfuse", "--arch", "net.txt", "net.pt", "out.pt")

    def test_all_that_does_not_fit_is_listed_on_demand(self):
        tensors = checkpoint.read_torch(self.path("small_net.pt"))
        names = list(tensors)
        for name in names[:3]:
            tensors[f"old.{name}"] = tensors.pop(name)
        checkpoint.write_torch(self.path("in.pt"), tensors)
        words = ("bnfuse", "--arch", "small_net.txt", "in.pt", "out.pt")
        self.refuse(USAGE, [f"missing {names[0]}", "; unexpected ",
                            "; 4 more with --verbose"], *words)
        done = self.run_program(*words, "--verbose")
        self.assertEqual(done.returncode, USAGE)
        lines = done.stderr.decode().split("\n")
        self.assertEqual(len(lines), 6 + 2, lines)
        for name in names[:3]:
            self.assertEqual(sum(line.startswith(f"missing {name} ")
                                 for line in lines), 1, lines)
            self.assertEqual(sum(line.startswith(f"unexpected old.{name} ")
                                 for line in lines), 1, lines)
        done = self.run_program("bnfuse", "-v", "small_net.pt", "out.pt")
        self.assertIn(b"\nconv1.0.bias: expected shape [16], got [3]\n",
                      done.stderr)

    def test_names_are_repeated_in_one_line_of_bounded_length(self):
        bad = "a\nb\x1b[31m\x85"
        for name in (bad, "x" * 200, 20 * f"{bad}/", 60 * "\u00e4" + "/y"):
            for words in (("bnfuse", name, "out.pt"),
                          ("bnfuse", "--arch", name, "net1.pt", "out.pt"),
                          ("lnin-convert", name),
                          ("ptfold", "info", name), ("ptfold", "ops", name),
                          ("ptfold", "run", "--labels", name, "net1.pt", "x"),
                          ("ptfold", "run", "net1.pt", "--input", name, "x"),
                          ("ptfold", "check", "--data", name, "net1.pt",
                           "net1.pt"),
                          ("ptfold", "grad", "net1.pt", "--index", name, "x"),
                          ("ptfold", "bench", "--format", name, "net1.pt"),
                          ("ptfold", "info", "--stage", name, "net1.pt"),
                          ("ptfold", "run", "--class", name, "net1.pt", "x"),
                          ("ptfold", name), ("bnfuse", f"--{name}"),
                          ("bnfuse", "--fold", name, "net1.pt", "out.pt")):
                done = self.run_program(*words)
                self.assertIn(done.returncode, range(2, 6), words)
                self.refuse(done.returncode, [], *words)


class Widths(ProgramTest):
    """Reports fit a terminal, whatever the files and the layers are called."""

    FOLDER = "a_folder_of_some_experiment/run_of_2024-12-31_with_batch_size_64"
    BLOCK = "the_features_of_the_left_camera"
    NET = f"""# input: 3x8x8
Sequential(
  ({BLOCK}): Sequential(
    (0): Conv2d(3, 4, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
    (1): BatchNorm2d(4, eps=1e-05, momentum=0.1, affine=True, \
track_running_stats=True)
    (2): ReLU()
  )
  (flatten): Flatten(start_dim=1, end_dim=-1)
  (classifier): Linear(in_features=256, out_features=3, bias=True)
)
"""
    SIZES = {f"{BLOCK}.0.weight": (4, 3, 3, 3), f"{BLOCK}.0.bias": (4,),
             f"{BLOCK}.1.weight": (4,), f"{BLOCK}.1.bias": (4,),
             f"{BLOCK}.1.running_mean": (4,), f"{BLOCK}.1.running_var": (4,),
             "classifier.weight": (3, 256), "classifier.bias": (3,)}

    def setUp(self):
        super().setUp()
        self.path(self.FOLDER).mkdir(parents=True)
        self.net = f"{self.FOLDER}/the_network_after_the_last_epoch.pt"
        self.image = f"{self.FOLDER}/the_left_camera_at_noon.ppm"
        self.large = f"{self.FOLDER}/the_left_camera_at_night.ppm"
        tensors = {}
        for name, shape in self.SIZES.items():
            count = math.prod(shape)
            tensors[name] = checkpoint.tensor(
                shape, [1 + i % 7 / 10 for i in range(count)])
        checkpoint.write_torch(self.path(self.net), tensors)
        self.path("net.txt").write_text(self.NET)
        self.path("names.txt").write_text(
            "".join(f"a vehicle of kind {i} with\ttrailer\n" for i in range(3)))
        self.arch = ("--arch", "net.txt")
        for name, width, height in ((self.image, 8, 8), (self.large, 20, 30)):
            self.write(name, b"P6\n%d %d\n255\n" % (width, height)
                       + bytes(i * 37 % 251 for i in range(3 * width * height)))

    def fits(self, *words, status=0):
        done = self.run_program(*words)
        self.assertEqual(done.returncode, status, (words, done.stderr))
        lines = done.stdout.decode().split("\n")
        self.assertGreater(len(lines), 1, words)
        self.assertEqual([line for line in lines if len(line) > 80], [], words)
        return lines

    def test_info(self):
        for name in (*map(str, sorted(FIXTURES.glob("*.pt"))), self.net):
            self.fits("ptfold", "info", name)
            self.fits("ptfold", "info", "--sha256", name)
        lines = self.fits("ptfold", "info", "--tensors", self.net)
        self.assertIn(f"{self.BLOCK}.1.running_mean", lines)  # whole

    def test_bench(self):
        lines = self.fits("ptfold", "bench", *self.arch, "--per-layer",
                          "--batch", "1,1000", "--repeat", "1", "--runs", "1",
                          "--threads", "1,2", self.net)
        self.assertEqual(len(lines), 1 + 4 * 3 + 1, lines)
        self.assertTrue(lines[1].startswith("the_f...ft_camera.0 "), lines)

    def test_run(self):
        run = ("ptfold", "run", *self.arch, "--labels", "names.txt")
        for more in ((), ("--beta", "1e-9"), ("--top", "3")):
            self.fits(*run, *more, self.net, self.image)
        self.path("labelled/an unusually long class").mkdir(parents=True)
        self.write("labelled/an unusually long class/x.ppm",
                   self.path(self.image).read_bytes())
        self.path("one.txt").write_text(
            "an unusually long class\nanother\nothers\n")
        self.fits("ptfold", "run", *self.arch, "--labels", "one.txt",
                  "--beta", "2", self.net, "labelled")

    def test_windows_of_a_larger_image(self):
        self.refuse(UNSUPPORTED, ["--allow-border"], "ptfold", "run",
                    *self.arch, "--slide", self.net, self.large)
        slide = ("ptfold", "run", *self.arch, "--labels", "names.txt",
                 "--allow-border", self.net, self.large)
        lines = self.fits(*slide, "--slide", "--npy", f"{self.FOLDER}/y.npy")
        self.assertIn("13 x 23 windows of 8 x 8 pixels (width x height)", lines)
        again = self.fits(*slide, "--map", f"{self.FOLDER}/map.png")
        table = [line for line in again if "vehicle" in line]
        self.assertEqual([line for line in lines if "vehicle" in line], table)
        self.assertNotIn(b"\t", "".join(table).encode())

    def test_the_others(self):
        self.fits("ptfold", "ops", "net.txt")
        self.fits("ptfold", "ops", *self.arch, self.net)
        self.fits("ptfold", "grad", *self.arch, self.net, self.image)
        self.fits("ptfold", "convert", self.net, f"{self.FOLDER}/net.bin")
        self.fits("bnfuse", *self.arch, self.net, f"{self.FOLDER}/folded.bin")
        self.fits("lnin-convert", *self.arch, self.net, "-o",
                  f"{self.FOLDER}/convolutions.bin")


if __name__ == "__main__":
    unittest.main()
