"""ptfold ops: the same figures in every form, from every kind of network.

SPDX-License-Identifier: Apache-2.0
"""
import csv
import io
import json
import os
import pty
import subprocess
import unittest

from programs import (DAMAGED, FIXTURES, PROGRAMS, SOURCE, SYSTEM, USAGE,
                      ProgramTest)

ALEXNET = {"macs": 714188480, "flops": 1428376960, "torchinfo": 714682664,
           "thop": 714206912, "fvcore": 714197696, "ptflops": 716441128,
           "ptflops-aten": 714682664}
ASCII = {"LC_ALL": "C"}
BLOCKS = {"LC_ALL": "C.UTF-8"}


class Ops(ProgramTest):
    def ops(self, *args, **options):
        return self.succeed("ptfold", "ops", *args, **options)

    def network(self, *args):
        return self.report_ops(*args)["networks"][0]

    def report_ops(self, *args):
        done = self.run_program("ptfold", "ops", "--json", *args)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        return json.loads(done.stdout)


class Figures(Ops):
    def test_alexnet_answers_the_course_s_question(self):
        said = self.ops("AlexNet", "--input", "3x227x227", env=ASCII)
        for words in ("655,566,528  91.79 %", "58,621,952   8.21 %",
                      "58,631,144  95.96 %", "61,100,840"):
            self.assertIn(words, said)

    def test_every_convention_gives_its_tool_s_total(self):
        for convention, total in ALEXNET.items():
            net = self.network("AlexNet", "--convention", convention)
            self.assertEqual(net["total"]["conventional"], total)
            self.assertEqual(net["total"]["macs"], ALEXNET["macs"])

    def test_layers_and_shares_add_up_to_the_total(self):
        net = self.network("smallNetTrain", "--batch", "7")
        for key in ("parameters", "macs", "additions", "weight_bytes",
                    "input_gradient_macs", "parameter_gradient_additions"):
            self.assertEqual(sum(layer[key] for layer in net["layers"]),
                             net["total"][key], key)
        for key in ("parameters", "conventional"):
            self.assertEqual(sum(share[key] for share in net["shares"]),
                             net["total"][key])
        one = self.network("smallNetTrain")
        self.assertEqual(net["total"]["macs"], 7 * one["total"]["macs"])
        self.assertEqual(net["total"]["parameters"], 16793370)

    def test_gradients_leave_out_the_first_layer_s_input(self):
        said = self.ops("AlexNet", "--backward", env=ASCII)
        self.assertRegex(said, r"total +714,188,480 +643,911,680 +714,188,480")
        self.assertIn("1,240,856,256  91.37 %", said)
        self.assertNotIn("gradient", self.ops("AlexNet", env=ASCII))


class Forms(Ops):
    def test_csv_has_the_numbers_of_the_json(self):
        said = self.ops("--csv", "Net1")
        rows = list(csv.DictReader(io.StringIO(said)))
        net = self.network("Net1")
        self.assertEqual([r["layer"] for r in rows],
                         [layer["name"] for layer in net["layers"]] + ["total"])
        for row, layer in zip(rows, net["layers"] + [net["total"]]):
            for key in set(row) & set(layer) - {"operations_per_byte"}:
                self.assertEqual(row[key], str(layer[key]), key)

    def test_markdown_rows_have_as_many_cells_as_the_head(self):
        for extra in ((), ("--backward",), ("--compare", "Net2")):
            said = self.ops("--md", "Net1", *extra)
            for block in said.split("\n\n"):
                rows = [row for row in block.splitlines()
                        if row.startswith("|")]
                self.assertLessEqual(len({row.count("|") for row in rows}), 1)
            self.assertIn("| total |", said)

    def test_text_fits_80_columns_of_ascii(self):
        for args in (("AlexNet", "--backward", "--batch", "64"),
                     ("Net1", "--compare", "Net2", "--backward"),
                     ("smallNetTrain", "--compare", "smallNetTest")):
            said = self.ops(*args, env=ASCII)
            self.assertTrue(said.isascii())
            self.assertLessEqual(max(map(len, said.splitlines())), 80)
            said = self.ops(*args, env=BLOCKS)
            self.assertLessEqual(max(map(len, said.splitlines())), 80)
        self.assertIn("█", self.ops("AlexNet", env=BLOCKS))

    def on_a_terminal(self, **environment):
        try:
            master, slave = pty.openpty()
        except OSError as error:
            self.skipTest(f"no terminal to be had here: {error}")
        subprocess.run([PROGRAMS / "ptfold", "ops", "smallNetTest"],
                       stdout=slave, check=True,
                       env={**os.environ, "LC_ALL": "C", **environment})
        os.close(slave)
        said = b""
        try:
            while part := os.read(master, 65536):
                said += part
        except OSError:  # how a terminal ends on Linux
            pass
        os.close(master)
        return said

    def test_colour_is_for_terminals_without_no_color(self):
        self.assertIn(b"\33[", self.on_a_terminal(NO_COLOR=""))
        self.assertNotIn(b"\33", self.on_a_terminal(NO_COLOR="1"))
        self.assertNotIn("\33", self.ops("smallNetTest", env=ASCII))


class Networks(Ops):
    def test_a_checkpoint_counts_as_its_text(self):
        path = self.fixture("small_net.pt")
        text = FIXTURES / "small_net.txt"
        both = [self.network(path, "--arch", text), self.network(text)]
        for net in both:
            del net["source"]
        self.assertEqual(*both)

    def test_a_file_that_carries_its_text_needs_no_other(self):
        self.fixture("small_net.pt")
        self.succeed("bnfuse", "--arch", FIXTURES / "small_net.txt",
                     "small_net.pt", "out.safetensors")
        said = self.report_ops(FIXTURES / "small_net.txt", "--compare",
                               "out.safetensors")
        before, after = said["networks"]
        self.assertEqual(before["total"]["macs"], after["total"]["macs"])
        self.assertGreater(before["total"]["parameters"],
                           after["total"]["parameters"])
        self.assertEqual(len(before["layers"]) - 3, len(after["layers"]))

    def test_a_comparison_pairs_what_a_rewrite_leaves(self):
        said = self.ops("smallNetTrain", "--compare", "smallNetTest",
                        env=ASCII)
        self.assertRegex(said, r"fc1\.1 +\| BatchNorm1d +- \| +-\n")
        self.assertRegex(said, r"fc1\.2 +\| ReLU +- \| ReLU +-\n")
        said = self.ops("Net1", "--compare", "Net2", env=ASCII)
        self.assertRegex(
            said, r"classifier\.0 +\| Linear +339,738,624 \| Conv2d +339,738")

    def test_a_network_of_one_layer_is_shown(self):
        self.write("one.txt", b"Linear(in_features=3, out_features=2, "
                              b"bias=True)\n")
        net = self.network("one.txt", "--input", "3")
        self.assertEqual(len(net["layers"]), 1)
        self.assertRegex(self.ops("one.txt", "--input", "3", env=ASCII),
                         r"\nLinear +2 +8 +6 +6\n")

    def test_names_are_quoted_in_csv(self):
        self.write("a,b.txt", b"ReLU()\n")
        said = self.ops("--csv", "a,b.txt", "--input", "3")
        rows = list(csv.reader(io.StringIO(said)))
        self.assertEqual({len(row) for row in rows}, {len(rows[0])})
        self.assertEqual(rows[1][0], "a,b.txt")


class Refusals(Ops):
    def refuse_ops(self, status, words, *args):
        done = self.run_program("ptfold", "ops", *args)
        message = done.stderr.decode()
        self.assertEqual((done.returncode, done.stdout), (status, b""),
                         message)
        for word in words:
            self.assertIn(word, message)

    def test_what_cannot_be_counted_is_refused_in_words(self):
        self.write("wide.txt", b"ReLU()\n")
        self.write("none.txt", b"# nothing\n")
        self.write("zero.bin", bytes(64))
        for status, words, args in (
                (USAGE, ["layer features.0", "counted"],
                 ("AlexNet", "--batch", "9223372036854775807")),
                (USAGE, ["--batch"], ("AlexNet", "--batch", "0")),
                (USAGE, ["--input"], ("AlexNet", "--input", "3x0x3")),
                (USAGE, ["--input"], ("wide.txt",)),
                (USAGE, ["features.0", "3x4x4"],
                 ("AlexNet", "--input", "3x4x4")),
                (USAGE, ["no \"mac\"; did you mean macs?"],
                 ("AlexNet", "--convention", "mac")),
                (SYSTEM, ["Alexnett: cannot open", "did you mean AlexNet?"],
                 ("Alexnett",)),
                (USAGE, ["one of them"], ("AlexNet", "--md", "--csv")),
                (SYSTEM, ["missing.txt"], ("missing.txt",)),
                (SYSTEM, ["missing.txt"], ("AlexNet", "--compare",
                                           "missing.txt")),
                (DAMAGED, ["none.txt"], ("none.txt",)),
                (DAMAGED, ["zero.bin"], ("zero.bin",)),
                (DAMAGED, ["README.md"], (SOURCE / "README.md",))):
            with self.subTest(args=args):
                self.refuse_ops(status, words, *args)


if __name__ == "__main__":
    unittest.main()
