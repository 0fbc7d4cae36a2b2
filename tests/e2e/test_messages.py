"""Messages name the one thing that is wrong and the next step that works.

refuse() sees to what all messages have in common: the exit status, and one
line that is not too long.  Here are the mistakes that are made most often,
and hostile names in places where a message repeats them.

SPDX-License-Identifier: Apache-2.0
"""
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
        for name in ("new.pt2", "old.pt2"):
            self.refuse(UNSUPPORTED, [f"{name}: ", "got a torch.export "
                                      "archive (.pt2)", "state_dict()",
                                      "--arch"],
                        "bnfuse", name, "out.pt")
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


if __name__ == "__main__":
    unittest.main()
