"""Programs of several inputs and outputs, of integers and bools, and the
example inputs in their files, in every command that runs a network.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import struct
import unittest
import zipfile

import checkpoint
from programs import (DAMAGED, DIFFERENT, FIXTURES, SANITIZED, SYSTEM,
                      UNSUPPORTED, USAGE, ProgramTest)

PROGRAMS = FIXTURES / "programs"
PORTS, MIXED, TOKENS = (PROGRAMS / f"{n}.pt2" for n in ("ports", "mixed",
                                                        "tokens"))
CHAIN = ("--arch", FIXTURES / "small_net.txt", FIXTURES / "small_net.pt")


def npy(shape, numbers, kind="<f4", code="f"):
    """An array as numpy.save() writes it."""
    head = repr({"descr": kind, "fortran_order": False, "shape": shape})
    head += " " * (-(len(head) + 11) % 64) + "\n"
    return (b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head.encode() +
            struct.pack(f"<{len(numbers)}{code}", *numbers))


class Command(ProgramTest):
    def json_of(self, command, *args):
        return json.loads(self.succeed("ptfold", command, "--json", *args))


class Check(Command):
    def npz(self, name, **arrays):
        with zipfile.ZipFile(self.path(name), "w") as file:
            for key, data in arrays.items():
                file.writestr(f"{key}.npy", data)
        return self.path(name)

    def mixed(self, name="in.npz", **changes):
        """The inputs of mixed.pt2, of which some are others."""
        with zipfile.ZipFile(PROGRAMS / "mixed.in.npz") as file:
            arrays = {n.removesuffix(".npy"): file.read(n)
                      for n in file.namelist()}
        return self.npz(name, **{**arrays, **changes})

    def test_recorded_outputs_have_a_row_each(self):
        for name, outputs in (("ports", 6), ("mixed", 3), ("tuple", 2)):
            options = (PROGRAMS / f"{name}.pt2", "--expect",
                       PROGRAMS / f"{name}.out.npz")
            data = PROGRAMS / f"{name}.in.npz"
            for how in (("--data", data), ()):  # the sample is the same
                report = self.json_of("check", *options, *how)
                arrays = report["recorded"]["arrays"]
                self.assertEqual(report["recorded"]["verdict"], "AGREES")
                self.assertEqual(report["inputs"],
                                 str(data) if how else "sample")
                self.assertGreaterEqual(len(arrays), outputs)
        text = self.succeed("ptfold", "check", *options)
        self.assertIn("worst of them", text)

    def test_one_wrong_output_of_several_is_named(self):
        with zipfile.ZipFile(PROGRAMS / "mixed.out.npz") as file:
            arrays = {n.removesuffix(".npy"): file.read(n)
                      for n in file.namelist()}
        arrays["next"] = npy((3, 4), [1] * 12, "<i8", "q")
        wrong = self.npz("wrong.npz", **arrays)
        done = self.run_program("ptfold", "check", MIXED, "--expect", wrong)
        self.assertEqual(done.returncode, DIFFERENT)
        self.assertIn(b"worst of them         next\n", done.stdout)
        del arrays["next"]
        self.refuse(USAGE, ['there is no "next"'], "ptfold", "check", MIXED,
                    "--expect", self.npz("less.npz", **arrays))

    def test_two_networks_are_compared_output_by_output(self):
        report = self.json_of("check", PORTS, PORTS)
        self.assertEqual(
            {o["name"]: o["verdict"]["level"] for o in report["outputs"]},
            dict.fromkeys(("maps", "both", "again", "given", "parts.0",
                           "parts.1"), "BITWISE"))
        self.assertEqual(report["evidence"]["inputs"], "sample")
        self.assertEqual(report["evidence"]["input"], "2x5x7, 5")
        self.assertEqual(report["evidence"]["samples"], 3)
        drawn = self.json_of("check", PORTS, PORTS, "--random", "2")
        self.assertEqual(drawn["evidence"]["inputs"], "random")
        self.assertNotEqual(drawn["evidence"]["inputs_sha256"],
                            report["evidence"]["inputs_sha256"])
        text = self.succeed("ptfold", "check", PORTS, PORTS)
        self.assertRegex(text, r"\n  parts\.1 +BITWISE +9 ")
        self.assertIn("5, the sample inputs in A\n", text)

    def balls(self, *net):
        self.succeed("ptfold", "check", "--random", "1", "--enclosures",
                     "balls.txt", *net)
        lines = self.path("balls.txt").read_text().splitlines()[1:]
        return [float.fromhex(value) for side, _, _, value, _ in
                map(str.split, lines) if side == "A"]

    def test_several_inputs_are_drawn_apart(self):
        checkpoint.write_safetensors(self.path("none.safetensors"), {}, {})
        self.write("net.txt", b"ptfold graph 1\nnet Two\ninput x f32 [N,4]\n"
                   b"input y f32 [N,4]\nd = sub(x, y)\noutput d\n")
        apart = self.balls("--arch", "net.txt", "--arch-b", "net.txt",
                           "none.safetensors", "none.safetensors")
        self.assertEqual(len(apart), 4)
        self.assertNotIn(0.0, apart)

    def test_enclosures_are_those_of_all_outputs(self):
        numbers = self.balls(PORTS, PORTS)
        self.assertEqual(len(numbers), 3 * 105 + 5 + 3 + 3)
        given = numbers[315:320]  # an input, which is exact
        self.assertTrue(all(0 <= x < 1 for x in given))

    def test_integers_are_not_drawn(self):
        for program, args in (("ptfold check", (MIXED, MIXED, "--random", "2")),
                              ("bnfuse", (MIXED, "o.bin", "--check", "2"))):
            words = program.split()
            self.refuse(USAGE, ["the input 'tokens' is int64, of which no "
                                "random numbers are drawn; give --data FILE, "
                                "or take the sample inputs"], words[0],
                        *words[1:], *args)

    def test_integers_and_bools_must_be_such(self):
        self.succeed("ptfold", "run", MIXED, "--data", self.mixed())
        counted = [9] * 15
        for changes, say in (
                ({"keep": npy((3, 4), [1, 3] * 6, "<i8", "q")},
                 "input 'keep': expected bool, got 3 as number 1"),
                ({"keep": npy((3, 4), [1.0] * 12)},
                 "input 'keep': expected bool, got float32"),
                ({"tokens": npy((3, 5), counted)},
                 "input 'tokens': expected int64, got float32"),
                ({"tokens": npy((3, 5), [(1 << 40) + 1, *counted[1:]], "<i8", "q")},
                 "float32 has, got 1099511627777 as number 0"),
                ({"tokens": npy((2, 5), counted[:10], "<i8", "q")},
                 "input 'keep': expected 2 samples, got 3"),
                ({"tokens": npy((3, 5, 1), counted, "<i8", "q")},
                 "input 'tokens': expected 2 axes with the batch, got 3")):
            with self.subTest(say):
                for command in (("run", MIXED), ("check", MIXED, MIXED)):
                    self.refuse(USAGE, [say], "ptfold", command[0], "--data",
                                self.mixed("bad.npz", **changes), *command[1:])

    def test_bits_are_the_same_in_all_ways_to_run(self):
        for program in (PORTS, MIXED):
            report = self.json_of("check", program, "--invariance")
            self.assertEqual(report["level"], "BITWISE")
            self.assertGreater(len(report["runs"]), 8)

    def test_the_oracle_takes_one_input(self):
        self.refuse(UNSUPPORTED, ["one input and one output for --oracle, got "
                                  "2 and 6"], "ptfold", "check", PORTS,
                    "--oracle", "libtorch")


class Others(Command):
    def test_a_network_of_integers_is_folded_and_certified(self):
        text = self.succeed("bnfuse", MIXED, "out.safetensors", "--expect",
                            PROGRAMS / "mixed.out.npz")
        self.assertIn("on 3 sample inputs of the file\n", text)
        self.assertIn("verdict: CERTIFIED", text)
        text = self.succeed("ptfold", "check", MIXED, "out.safetensors")
        self.assertIn("verdict: CERTIFIED", text)
        text = self.succeed("ptfold", "check", "out.safetensors", "--data",
                            PROGRAMS / "mixed.in.npz", "--expect",
                            PROGRAMS / "mixed.out.npz")
        self.assertIn("AGREES", text)
        self.refuse(USAGE, ["give --data FILE\n"], "ptfold", "check",
                    "out.safetensors", MIXED)

    def test_gradients_by_every_input_that_has_some(self):
        def names(*args):
            report = self.json_of("grad", *args)
            return report["of"], report["output"], [
                g["name"] for g in report["gradients"]]
        self.assertEqual(names(PORTS, PROGRAMS / "ports.in.npz"),
                         ("maps", 0, ["input.image", "input.extra"]))
        self.assertEqual(names(PORTS, "--output", "parts.1:2")[:2],
                         ("parts.1", 2))
        self.assertEqual(names(MIXED)[2], ["input.x"])
        for output, say in (("7", 'after a name, such as "logits", got "7"'),
                            ("none:1", 'such as "logits", got "none:1"'),
                            ("next", "'next' is int64, which has no deriv"),
                            ("logits:3", "one of the outputs 0 to 2, got 3")):
            self.refuse(USAGE, [say], "ptfold", "grad", "--output", output,
                        MIXED)
        self.refuse(USAGE, ["expected --index below 3, got 3"], "ptfold",
                    "grad", "--index", "3", MIXED)
        self.refuse(USAGE, ["the input is no image"], "ptfold", "grad",
                    "--saliency", "s.png", PORTS)
        self.refuse(USAGE, ["expected sample inputs in the file, got none"],
                    "ptfold", "grad", *CHAIN)

    def test_gradients_of_several_inputs_are_written(self):
        self.succeed("ptfold", "grad", PORTS, "--output", "both", "-o",
                     "g.safetensors")
        report = self.json_of("info", "g.safetensors")
        self.assertEqual({t["name"]: t["shape"] for t in report["tensors"]},
                         {"input.image": [1, 2, 5, 7], "input.extra": [1, 5]})
        self.succeed("ptfold", "grad", MIXED, "-o", "h.safetensors")
        report = self.json_of("info", "h.safetensors")
        self.assertEqual([t["name"] for t in report["tensors"]], ["input.x"])

    @unittest.skipIf(SANITIZED, "measures")
    def test_bench_takes_them_too(self):
        for options in ((PORTS,), (MIXED,),
                        (MIXED, "--data", PROGRAMS / "mixed.in.npz")):
            done = self.run_program("ptfold", "bench", "--repeat", "1",
                                    "--batch", "1,4", "--format", "json",
                                    *options)
            self.assertEqual([line["batch"] for line in
                              json.loads(done.stdout)], [1, 4], done.stderr)
        done = self.run_program("ptfold", "bench", "--slide", PORTS)
        self.assertEqual(done.returncode, UNSUPPORTED)

    def test_images_are_for_one_input(self):
        self.refuse(UNSUPPORTED, ["for images, got 2 and 6; ptfold run --data "
                                  "takes them"], "ptfold", "run", PORTS,
                    PROGRAMS / "residual.in.npy")

    def test_one_of_several_models_is_chosen_everywhere(self):
        two = PROGRAMS / "two.pt2"
        for command in (["ptfold", "run", "--sample"], ["ptfold", "bench"],
                        ["ptfold", "grad"], ["ptfold", "ops"],
                        ["ptfold", "info", "--dot"],
                        ["ptfold", "check", "--invariance"],
                        ["lnin-convert"]):
            with self.subTest(" ".join(command)):
                for options, say in (
                        ((), "2: 'a', 'b'; choose one with --model"),
                        (("--model", "c"), "has 'a', 'b', got 'c'")):
                    self.refuse(USAGE, [say], *command, *options, two)
                if command[-1] not in ("bench", "lnin-convert"):
                    self.succeed(*command, "--model", "b", two)
        self.refuse(USAGE, ["expected a torch.export archive (.pt2) for "
                            "--model"], "ptfold", "ops", "--model", "a",
                    FIXTURES / "net1.pt")
        text = self.run_program("ptfold", "check", "--model", "a", "--model-b",
                                "b", two, two)
        self.assertNotEqual(text.returncode, 0)


class Samples(ProgramTest):
    """The inputs that a program was exported with."""

    def test_they_are_those_that_were_recorded(self):
        for name, ending in (("ports", "npz"), ("mixed", "npz"),
                             ("tokens", "npy"), ("lookup", "npy")):
            net = PROGRAMS / f"{name}.pt2"
            self.succeed("ptfold", "run", net, "--sample", "--npz", "a.npz",
                         "--force")
            self.succeed("ptfold", "run", net, "--data",
                         PROGRAMS / f"{name}.in.{ending}", "--npz", "b.npz",
                         "--force")
            self.assertEqual(self.path("a.npz").read_bytes(),
                             self.path("b.npz").read_bytes())

    def test_only_an_earlier_result_is_replaced(self):
        command = ("ptfold", "run", MIXED, "--sample", "--npz", "a.npz")
        self.succeed(*command)
        written = self.path("a.npz").read_bytes()
        self.succeed("ptfold", "run", PORTS, "--sample", "--npz", "a.npz")
        self.assertNotEqual(self.path("a.npz").read_bytes(), written)
        self.succeed(*command)
        self.assertEqual(self.path("a.npz").read_bytes(), written)
        recorded = (PROGRAMS / "mixed.out.npz").read_bytes()
        for other in (recorded, written[:33], b"PK\3\4" + bytes(30), b""):
            self.write("a.npz", other)
            self.refuse(USAGE, ["a.npz: the output exists; give --force"],
                        *command)
            self.assertEqual(self.path("a.npz").read_bytes(), other)
        self.path("a.npz").unlink()
        os.mkfifo(self.path("a.npz"))
        self.refuse(SYSTEM, ["a.npz: the output exists and is not a regular "
                             "file"], *command)

    def with_sample(self, change):
        """mixed.pt2 with what change() makes of its sample inputs."""
        copy = self.path("changed.pt2")
        with zipfile.ZipFile(MIXED) as file, zipfile.ZipFile(copy, "w") as out:
            for entry in file.namelist():
                data = file.read(entry)
                if entry.endswith("data/sample_inputs/model.pt"):
                    data = change(data)
                out.writestr(entry, data)
        return copy

    def test_damaged_ones_are_refused(self):
        copy = self.with_sample(lambda data: data[:-40])
        for command in (["run", "--sample"], ["check", "--invariance"]):
            self.refuse(DAMAGED, ["data/sample_inputs/model.pt"], "ptfold",
                        *command, copy)

    def test_those_of_a_checkpoint_are_not_there(self):
        self.refuse(USAGE, ["expected sample inputs in the file, got none; "
                            "give the inputs with --data"], "ptfold", "run",
                    "--sample", *CHAIN)
        self.refuse(USAGE, ["expected images, --data FILE or --sample, got "
                            "more"], "ptfold", "run", "--sample", MIXED,
                    "--data", PROGRAMS / "mixed.in.npz")

    def test_another_example_than_the_program_takes_is_refused(self):
        with zipfile.ZipFile(PORTS) as file:
            sample = file.read("ports/data/sample_inputs/model.pt")
        copy = self.with_sample(lambda data: sample)
        self.refuse(USAGE, ["got none"], "ptfold", "run", "--sample", copy)


if __name__ == "__main__":
    unittest.main()
