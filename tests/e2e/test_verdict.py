"""What a verdict and an exit status mean: one result, in text, JSON and JUnit.

SPDX-License-Identifier: Apache-2.0
"""
import json
import math
import struct
import unittest
from xml.etree import ElementTree

import checkpoint
from programs import (DIFFERENT, FIXTURES, UNSUPPORTED, ProgramTest)

ARCH = FIXTURES / "small_net.txt"
LEVELS = ("bitwise", "certified", "argmax", "tolerance")
# What may be asked of B, and the --require levels that it meets.
CASES = {
    "BITWISE": ("original", LEVELS),
    "CERTIFIED": ("folded", LEVELS[1:]),
    "CERTIFIED WITHIN 3 ULP": ("ulps", LEVELS[2:]),
    "SAME PREDICTIONS": ("near", LEVELS[2:]),
    "WITHIN TOLERANCE": ("tie", LEVELS[3:]),
    "DIFFERENT": ("scaled", ()),
    "UNDECIDED": ("overflow", ()),
}


def npy(shape, numbers):
    head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
    head = head.ljust(117) + "\n"
    return (b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) +
            head.encode() + struct.pack(f"<{len(numbers)}f", *numbers))


def ulps_up(x, n):
    """The f32 that is n units in the last place further from zero."""
    return struct.unpack("<f", struct.pack(
        "<i", struct.unpack("<i", struct.pack("<f", x))[0] + n))[0]


def widest(text):
    return max(map(len, text.splitlines()))


class Verdicts(ProgramTest):
    def setUp(self):
        super().setUp()
        self.fixture("small_net.pt")
        self.succeed("bnfuse", "--arch", ARCH, "small_net.pt", "folded.bin")
        self.metadata, self.tensors = checkpoint.read_safetensors(
            self.path("folded.bin"))

    def change(self, name, output, edit):
        """folded.bin with another tensor 'name', as 'output'."""
        tensors = dict(self.tensors)
        shape, _ = tensors[name]
        tensors[name] = checkpoint.tensor(
            shape, edit(checkpoint.floats(tensors[name])))
        checkpoint.write_safetensors(self.path(output), tensors, self.metadata)
        return "--arch", ARCH, "small_net.pt", output

    def sides(self, case):
        """The arguments that compare the case's two networks."""
        first = lambda edit: lambda x: [edit(x[0]), *x[1:]]
        if case == "original":
            return "--arch", ARCH, "--arch-b", ARCH, "small_net.pt", "small_net.pt"
        if case == "folded":
            return "--arch", ARCH, "small_net.pt", "folded.bin"
        if case == "ulps":
            return self.change("conv2.0.weight", "b.bin",
                               first(lambda x: ulps_up(x, 3)))
        if case == "near":
            return self.change("conv2.0.weight", "b.bin",
                               first(lambda x: ulps_up(x, 9)))
        if case == "scaled":
            return self.change("fc2.0.weight", "b.bin",
                               lambda x: [3 * n for n in x])
        return getattr(self, case)()

    def line(self, weights, bias):
        """Two outputs of one input of 1, as a whole network."""
        text = ("# input: 1\nSequential(\n"
                "  (0): Linear(in_features=1, out_features=2, bias=True)\n)\n")
        self.write("line.txt", text.encode())
        self.write("one.npy", npy((1, 1), [1.0]))
        for name, w in zip(("a.pt", "b.pt"), weights):
            checkpoint.write_torch(self.path(name), {
                "0.weight": checkpoint.tensor((2, 1), w),
                "0.bias": checkpoint.tensor((2,), bias)})
        return ("--arch", "line.txt", "--arch-b", "line.txt", "--data",
                "one.npy", "a.pt", "b.pt")

    def tie(self):
        """The largest output changes, by less than the tolerance."""
        return self.line(([1.0, 1.000002], [1.000002, 1.0]), [0.0, 0.0])

    def overflow(self):
        return self.line(([3e38, 1.0], [3e38, 1.0]), [3e38, 0.0])

    def test_text_json_junit_and_exit_status_say_the_same(self):
        for level, (case, met) in CASES.items():
            sides = self.sides(case)
            for require in LEVELS:
                args = ("ptfold", "check", "--force", "--junit", "out.xml",
                        "--require", require)
                done = self.run_program(*args, *sides)
                text = done.stdout.decode()
                wanted = 0 if require in met else DIFFERENT
                say = f"{level}, {require}: {text[-200:]}{done.stderr}"
                self.assertEqual(done.returncode, wanted, say)
                self.assertEqual(
                    text.splitlines()[-1],
                    f"verdict: {level}, required: {require}: "
                    f"{'NOT MET' if wanted else 'met'}", say)
                self.assertLessEqual(widest(text), 80, text)
                suite = ElementTree.parse(self.path("out.xml")).getroot()
                failed = sum(c.find("failure") is not None for c in suite)
                self.assertEqual(int(suite.get("failures")), failed)
                self.assertEqual(failed > 0, wanted != 0, say)
                done = self.run_program(*args, "--json", *sides)
                report = json.loads(done.stdout)
                self.assertEqual(
                    (report["verdict"]["level"], report["met"],
                     done.returncode), (level, not wanted, wanted))

    def test_a_layer_is_held_against_the_tolerance_of_the_whole(self):
        done = self.run_program("ptfold", "check", "--json",
                                *self.sides("near"))
        report = json.loads(done.stdout)
        last = report["layers"][-1]
        for key in ("beyond_tolerance", "max_abs", "max_ref"):
            self.assertEqual(last[key], report["verdict"].get(key, 0), key)
        self.assertNotIn("DIFFERENT", [l["level"] for l in report["layers"]])

    def test_max_ulps_accepts_what_it_says(self):
        sides = self.sides("ulps")
        for limit, status in ((4, 0), (3, 0), (2, DIFFERENT), (0, DIFFERENT)):
            done = self.run_program(
                "ptfold", "check", "--force", "--junit", "out.xml",
                "--max-ulps", str(limit), *sides)
            text = done.stdout.decode()
            self.assertEqual(done.returncode, status, text)
            suite = ElementTree.parse(self.path("out.xml")).getroot()
            self.assertEqual(suite.get("failures") == "0", status == 0)
            if status == 0:
                self.assertRegex(text, r"within  3 ULP: .*conv2.0.weight\[0\]")
            else:
                self.assertIn(f"1 of\n{24 * ' '}1,193 are more than {limit} ",
                              text)
                self.assertIn("SAME PREDICTIONS", text)
        report = json.loads(self.run_program(
            "ptfold", "check", "--json", *sides).stdout)
        c = report["certificate"]
        self.assertEqual(
            (c["within"], c["ulps"], c["ulps_parameter"], c["ulps_at"]),
            (True, 3, "conv2.0.weight", 0))
        self.assertEqual(c["ulps_unit"], "parameter")

    def test_units_of_a_folded_bias_are_named(self):
        sides = self.change("conv2.0.bias", "b.bin", lambda x: [
            ulps_up(n, 2000) for n in x])
        text = self.run_program("ptfold", "check", *sides).stdout.decode()
        self.assertRegex(" ".join(text.split()),
                         r"conv2\.0\.bias\[\d+\], [\d,]+ ULP of its largest term")
        self.assertIn("ULPs of the largest term of each", text)
        report = json.loads(self.run_program(
            "ptfold", "check", "--json", *sides).stdout)
        self.assertEqual(report["certificate"]["ulps_unit"], "largest term")
        units = {p["name"]: p["ulps_unit"] for p in report["parameters"]}
        self.assertEqual(units["conv2.0.bias"], "largest term")
        self.assertEqual(units["conv2.0.weight"], "parameter")

    def test_random_weights_are_another_network(self):
        sides = self.change("conv1.0.weight", "b.bin", lambda x: [
            math.sin(n + 1) for n in range(len(x))])
        done = self.run_program("ptfold", "check", *sides)
        text = done.stdout.decode()
        self.assertEqual(done.returncode, DIFFERENT)
        self.assertIn("B's parameters are not those of a rewrite of A", text)
        self.assertIn("verdict: DIFFERENT", text)
        for word in ("rounding of weights", "within  ", "undecided, 8"):
            self.assertNotIn(word, text)
        report = json.loads(self.run_program(
            "ptfold", "check", "--json", *sides).stdout)
        self.assertTrue(report["certificate"]["another_network"])
        self.assertEqual(report["certificate"]["undecided"], 0)

    def test_long_names_fit_the_report(self):
        name = "a_module_whose_name_is_as_long_as_some_are_in_practice"
        text = (f"# input: 1\nSequential(\n  ({name}): Linear(in_features=1, "
                "out_features=1, bias=True)\n)\n")
        self.write("long.txt", text.encode())
        for path, w in (("a.pt", 1.5), ("b.pt", 1.25)):
            checkpoint.write_torch(self.path(path), {
                f"{name}.weight": checkpoint.tensor((1, 1), [w]),
                f"{name}.bias": checkpoint.tensor((1,), [0.0])})
        done = self.run_program("ptfold", "check", "--arch", "long.txt",
                                "--arch-b", "long.txt", "a.pt", "b.pt")
        self.assertEqual(done.returncode, DIFFERENT)
        self.assertLessEqual(widest(done.stdout.decode()), 80)


NORM = ("BatchNorm2d({}, eps=1e-05, momentum=0.1, affine=True, "
        "track_running_stats={})")
CONV = "Conv2d({}, {}, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))"


class BatchNormsThatStay(ProgramTest):
    """One that cannot be folded is listed; the others are folded."""

    def make(self, layers):
        text = "# input: 2x5x5\nSequential(\n" + "".join(
            f"  ({i}): {layer}\n" for i, layer in enumerate(layers)) + ")\n"
        self.write("net.txt", text.encode())
        tensors = {}
        for i, layer in enumerate(layers):
            sizes = [int(n) for n in layer.split("(")[1].split(",")[:2]
                     if n.strip().isdigit()]
            wave = lambda n: [math.sin(7 * k + i) for k in range(n)]
            if layer.startswith("Conv2d"):
                tensors[f"{i}.weight"] = checkpoint.tensor(
                    (sizes[1], sizes[0], 3, 3), wave(sizes[1] * sizes[0] * 9))
                tensors[f"{i}.bias"] = checkpoint.tensor(
                    (sizes[1],), wave(sizes[1]))
            if layer.startswith("BatchNorm"):
                n = sizes[0]
                roles = {"weight": wave(n), "bias": wave(n),
                         "running_mean": wave(n),
                         "running_var": [1.5 + x for x in wave(n)]}
                for role, numbers in roles.items():
                    if "stats=True" in layer or "running" not in role:
                        tensors[f"{i}.{role}"] = checkpoint.tensor(
                            (n,), numbers)
        checkpoint.write_torch(self.path("net.pt"), tensors)

    def test_it_is_listed_and_the_verdict_covers_the_result(self):
        self.make((NORM.format(2, True), CONV.format(2, 3),
                   NORM.format(3, True), "ReLU()", NORM.format(3, True)))
        for fold, verdict in (("weights", "CERTIFIED"), ("epilogue", "BITWISE")):
            output = f"{fold}.bin"
            text = self.succeed("bnfuse", "--fold", fold, "--arch", "net.txt",
                                "net.pt", output)
            self.assertIn("left as they were\n"
                          "  0 (BatchNorm2d)       expected a convolution", text)
            self.assertIn("\n  4 (BatchNorm2d)       follows 3 (ReLU)",
                          text)
            self.assertIn(f"verdict: {verdict} ", text)
            self.assertLessEqual(widest(text), 80)
            report = self.report("bnfuse", "--fold", fold, "--force", "--arch",
                                 "net.txt", "net.pt", output)
            self.assertEqual([(r["layer"], r["left"])
                              for r in report["remarks"]],
                             [("0", True), ("4", True)])
            self.succeed("ptfold", "check", "--require", verdict.lower(),
                         "--arch", "net.txt", "net.pt", output)
        metadata, tensors = checkpoint.read_safetensors(
            self.path("weights.bin"))
        layers = metadata["architecture"].splitlines()[2:-1]
        self.assertEqual([line.strip().split(": ")[0] + line.split(": ")[1].split("(")[0]
                          for line in layers],
                         ["(0)BatchNorm2d", "(1)Conv2d", "(2)ReLU",
                          "(3)BatchNorm2d"])
        self.assertIn("3.running_mean", tensors)

    def test_none_that_can_be_folded_is_refused_with_the_reasons(self):
        self.make((NORM.format(2, True), CONV.format(2, 3), "ReLU()",
                   NORM.format(3, True), NORM.format(3, True)))
        message = self.refuse(
            UNSUPPORTED, ["layer 0 (BatchNorm2d): expected a convolution",
                          "read by 1 (Conv2d), which has zeros where the "
                          "shift would be; 2 more like this"],
            "bnfuse", "--arch", "net.txt", "net.pt", "out.bin")
        self.assertLessEqual(len(message), 301)

    def test_what_depends_on_the_batch_is_not_verified_away(self):
        self.make((CONV.format(2, 3), NORM.format(3, True), "ReLU()",
                   CONV.format(3, 3), NORM.format(3, False)))
        self.refuse(UNSUPPORTED, ["4 (BatchNorm2d)", "running statistics"],
                    "bnfuse", "--arch", "net.txt", "net.pt", "out.bin")


class NotFinite(ProgramTest):
    """NaN and infinity are warned of, and --strict makes them a failure."""

    LAYERS = (CONV.format(2, 3), NORM.format(3, True), "ReLU()",
              "AdaptiveAvgPool2d(output_size=1)")
    # A tensor, the number that its first one becomes, what is warned of.
    CASES = (("0.weight", math.nan, ("0.weight", "layer 0 gives")),
             ("0.bias", math.inf, ("0.bias", "layer 0 gives")),
             # A variance that makes zeros, and a ReLU that hides -infinity.
             ("1.running_var", math.inf, ("1.running_var",)),
             ("1.bias", -math.inf, ("1.bias", "layer 1 gives")),
             ("0.weight", 3e38, ("layer 0 gives",)))

    make = BatchNormsThatStay.make

    def plant(self, name, number):
        self.make(self.LAYERS)
        tensors = checkpoint.read_torch(self.path("net.pt"))
        shape, _ = tensors[name]
        numbers = checkpoint.floats(tensors[name])
        tensors[name] = checkpoint.tensor(shape, [number, *numbers[1:]])
        checkpoint.write_torch(self.path("net.pt"), tensors)
        self.write("x.npy", npy((1, 2, 5, 5), [9.0] * 50))
        return "--arch", "net.txt", "net.pt", "x.npy"

    def warned(self, done, status, words):
        self.assertEqual(done.returncode, status, done.stderr)
        lines = done.stderr.decode().splitlines()
        self.assertEqual(len(lines), len(words), lines)
        for line, word in zip(lines, words):
            self.assertRegex(line, r"\Aptfold: warning: ")
            self.assertIn(word, line)

    def test_run_warns_and_strict_fails(self):
        for name, number, words in self.CASES:
            net = self.plant(name, number)
            args = ("ptfold", "run", "-q", "--npy", "y.npy", "--force")
            self.warned(self.run_program(*args, *net), 0, words)
            self.assertTrue(self.path("y.npy").exists())
            self.path("y.npy").unlink()
            done = self.run_program(*args, "--strict", "--json", *net)
            self.warned(done, DIFFERENT, words)
            self.assertFalse(self.path("y.npy").exists())
            report = json.loads(done.stdout)
            layer = [w.split()[1] for w in words if "gives" in w]
            self.assertEqual(report["not_finite_layer"],
                             layer[0] if layer else None)
            self.assertEqual(report["parameter_not_finite"] is not None,
                             name in words)
            self.assertIsNone(report["npy"])

    def test_a_weight_that_meets_padding_alone(self):
        for number in (math.nan, math.inf, -math.inf):
            net = self.plant("0.weight", number)
            text = self.path("net.txt").read_text()
            self.write("net.txt", text.replace("5x5", "1x1").encode())
            self.write("x.npy", npy((1, 2, 1, 1), [0.0] * 2))
            done = self.run_program("ptfold", "run", "-q", *net)
            self.warned(done, 0, ("0.weight", "layer 0 gives"))

    def test_an_input_is_named_as_such(self):
        net = self.plant("0.bias", 0.5)
        self.write("x.npy", npy((1, 2, 5, 5), [math.nan] * 50))
        done = self.run_program("ptfold", "run", "--strict", *net)
        self.warned(done, DIFFERENT, ("an input has NaN",))

    def test_sound_networks_are_silent(self):
        net = self.plant("0.bias", 0.5)
        for command in ("run", "grad"):
            self.succeed("ptfold", command, "--strict", *net)

    def test_grad_and_bench_warn(self):
        for name, number, words in self.CASES:
            net = self.plant(name, number)
            done = self.run_program("ptfold", "grad", "-o", "g.pt", "--strict",
                                    *net)
            self.assertEqual(done.returncode, DIFFERENT)
            for word in words:
                self.assertIn(word, done.stderr.decode())
            self.assertFalse(self.path("g.pt").exists())
            self.assertIn("not written", done.stdout.decode())
            if name in words:
                done = self.run_program("ptfold", "bench", "--batch", "1",
                                        "--repeat", "1", "--runs", "1",
                                        *net[:3])
                self.assertEqual(done.returncode, 0)
                self.assertIn(f"warning: net.pt: {name}",
                              done.stderr.decode())

    def test_a_map_warns(self):
        self.make((CONV.format(2, 3).replace("(1, 1))", "(0, 0))").replace(
            "stride=(0, 0)", "stride=(1, 1)"), "ReLU()"))
        tensors = checkpoint.read_torch(self.path("net.pt"))
        tensors["0.bias"] = checkpoint.tensor((3,), [math.nan, 0.0, 0.0])
        checkpoint.write_torch(self.path("net.pt"), tensors)
        self.write("x.npy", npy((1, 2, 9, 9), [9.0] * 162))
        args = ("ptfold", "run", "--input", "2x3x3", "--map", "m.ppm",
                "--arch", "net.txt", "net.pt", "x.npy")
        words = ("0.bias", "layer 0 gives")
        self.warned(self.run_program(*args, "--strict"), DIFFERENT, words)
        self.assertFalse(self.path("m.ppm").exists())
        self.warned(self.run_program(*args), 0, words)
        self.assertTrue(self.path("m.ppm").exists())


if __name__ == "__main__":
    unittest.main()
