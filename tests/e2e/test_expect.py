"""--expect: recorded outputs, of the network that ran and of others.

What is recorded comes from an interpreter of a small network in Python's own
numbers, which shares no code with ptfold; the last class has PyTorch's.

SPDX-License-Identifier: Apache-2.0
"""
import io
import json
import math
import random
import struct
import unittest
import zipfile
from xml.etree import ElementTree

import checkpoint
from checkpoint import npy
from programs import (DAMAGED, DIFFERENT, EQUIVALENT, FIXTURES, SYSTEM,
                      UNSUPPORTED, USAGE, ProgramTest)

SIDE, SAMPLES, HIDDEN, CLASSES = 6, 5, 12, 7
NET = (  # as print(model) has the layers
    "Conv2d(2, 3, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))",
    "BatchNorm2d(3, eps=1e-05, momentum=0.1, affine=True, "
    "track_running_stats=True)",
    "ReLU()", "Flatten(start_dim=1, end_dim=-1)",
    f"Linear(in_features={3 * SIDE * SIDE}, out_features={HIDDEN}, "
    "bias=True)",
    "Sigmoid()",
    f"Linear(in_features={HIDDEN}, out_features={CLASSES}, bias=True)")


# --------------------------------------------------------------------- arrays

def npz(arrays, how=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as archive:
        for name, array in arrays.items():
            archive.writestr(f"{name}.npy", array)
    return file.getvalue()


def f32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


# ---------------------------------------------------------------- the network

def text_of(layers):
    return "".join([f"# input: 2x{SIDE}x{SIDE}\nSequential(\n",
                    *(f"  ({i}): {layer}\n" for i, layer in enumerate(layers)),
                    ")\n"])


def draw(seed=1):
    dice = random.Random(seed)

    def numbers(count, low=-1.0, high=1.0):
        return [f32(dice.uniform(low, high)) for _ in range(count)]
    return {"0.weight": ((3, 2, 3, 3), numbers(54)), "0.bias": ((3,), numbers(3)),
            "1.weight": ((3,), numbers(3, 0.5)), "1.bias": ((3,), numbers(3)),
            "1.running_mean": ((3,), numbers(3)),
            "1.running_var": ((3,), numbers(3, 0.5, 2)),
            "4.weight": ((HIDDEN, 3 * SIDE * SIDE), numbers(HIDDEN * 108, -.1, .1)),
            "4.bias": ((HIDDEN,), numbers(HIDDEN)),
            "6.weight": ((CLASSES, HIDDEN), numbers(CLASSES * HIDDEN)),
            "6.bias": ((CLASSES,), numbers(CLASSES))}


def conv(x, weight, bias, _):
    size = SIDE * SIDE
    out = []
    for o in range(3):
        for y in range(SIDE):
            for column in range(SIDE):
                total = bias[o]
                for c in range(2):
                    for i in range(9):
                        r, k = y + i // 3 - 1, column + i % 3 - 1
                        if 0 <= r < SIDE and 0 <= k < SIDE:
                            total += (weight[(o * 2 + c) * 9 + i] *
                                      x[c * size + r * SIDE + k])
                out.append(total)
    return out


def norm(x, weight, bias, rest):
    mean, var = rest
    size = len(x) // 3
    return [(v - mean[i // size]) * weight[i // size] /
            math.sqrt(var[i // size] + 1e-5) + bias[i // size]
            for i, v in enumerate(x)]


def linear(x, weight, bias, _):
    return [b + sum(w * v for w, v in zip(weight[i * len(x):], x))
            for i, b in enumerate(bias)]


def run(params, x, skip=()):
    """What each layer gives for one input, in double; some may be skipped."""
    steps = {"0": conv, "1": norm, "2": lambda x, *_: [max(v, 0.0) for v in x],
             "3": lambda x, *_: x, "4": linear,
             "5": lambda x, *_: [1 / (1 + math.exp(-v)) for v in x],
             "6": linear}
    values = {}
    for name, step in steps.items():
        own = [params.get(f"{name}.{role}", (None, None))[1]
               for role in ("weight", "bias", "running_mean", "running_var")]
        if name not in skip:
            x = step(x, own[0], own[1], own[2:])
        values[name] = x
    return values


class ExpectTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.params = draw()
        dice = random.Random(7)
        self.x = [[f32(dice.uniform(-1, 1)) for _ in range(2 * SIDE * SIDE)]
                  for _ in range(SAMPLES)]
        self.write_net("net.safetensors", self.params)
        self.write("x.npy", npy((SAMPLES, 2, SIDE, SIDE), sum(self.x, [])))

    def write_net(self, name, params, layers=NET):
        checkpoint.write_safetensors(
            self.path(name),
            {key: checkpoint.tensor(*value) for key, value in params.items()},
            {"architecture": text_of(layers), "format": "pt"})

    def record(self, params=None, skip=()):
        """Layer -> its outputs for all inputs, one after the other."""
        rows = [run(params or self.params, x, skip) for x in self.x]
        return {name: sum((row[name] for row in rows), []) for name in rows[0]}

    def outputs(self, **how):
        return self.record(**how)["6"]

    def expect(self, status, array, *args, net="net.safetensors", data="x.npy"):
        """The report of check; exit status and verdict must fit."""
        self.write("y.npz" if array[:2] == b"PK" else "y.npy", array)
        name = "y.npz" if array[:2] == b"PK" else "y.npy"
        done = self.run_program("ptfold", "check", "--json", net, "--data",
                                data, "--expect", name, *args)
        self.assertEqual((done.returncode, done.stderr), (status, b""))
        report = json.loads(done.stdout)
        self.assertEqual(report["met"], status == EQUIVALENT)
        return report["recorded"]

    def shape(self, *more):
        return (SAMPLES, *more)


class Agreement(ExpectTest):
    def test_the_network_that_ran_agrees_in_every_dtype(self):
        for kind in ("<f4", ">f4", "<f8", ">f8", "<f2"):
            report = self.expect(EQUIVALENT, npy(
                self.shape(CLASSES), self.outputs(), kind))
            array, = report["arrays"]
            self.assertEqual(report["verdict"], "AGREES")
            self.assertEqual((array["numbers"], array["inside"]),
                             (SAMPLES * CLASSES,) * 2)
            self.assertLess(array["distance"], array["limit"] / 4)
            self.assertLess(array["limit"], 1e-4 * array["largest_output"])
            self.assertGreaterEqual(array["limit"], 16 * array["f32_error"])
            if kind[1:] != "f2":  # outputs in double are nearly the exact ones
                self.assertLess(array["proved"], array["limit"])

    def test_sizes_of_one_do_not_count(self):
        for shape in (self.shape(CLASSES, 1, 1), (1, *self.shape(CLASSES))):
            self.expect(EQUIVALENT, npy(shape, self.outputs()))
        self.x = self.x[:1]
        self.write("x.npy", npy((1, 2, SIDE, SIDE), self.x[0]))
        self.expect(EQUIVALENT, npy((CLASSES,), self.outputs()))

    def test_names_of_arrays(self):
        y = npy(self.shape(CLASSES), self.outputs())
        x = self.path("x.npy").read_bytes()
        for arrays in ({"y": y}, {"output": y}, {"outputs": y}, {"6": y},
                       {"anything": y}, {"x": x, "y": y}, {"inputs": x, "6": y}):
            for how in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                report = self.expect(EQUIVALENT, npz(arrays, how))
                self.assertEqual(len(report["arrays"]), 1)
        self.write("xy.npz", npz({"x": x, "y": y}))
        self.expect(EQUIVALENT, npz({"x": x, "y": y}), data="xy.npz")

    def layers(self, **how):
        shapes = {"0": (3, SIDE, SIDE), "1": (3, SIDE, SIDE),
                  "2": (3, SIDE, SIDE), "3": (108,), "4": (HIDDEN,),
                  "5": (HIDDEN,), "6": (CLASSES,)}
        return {name: npy(self.shape(*shapes[name]), numbers)
                for name, numbers in self.record(**how).items()}

    def test_layers_agree_in_their_order(self):
        arrays = self.layers()
        report = self.expect(EQUIVALENT, npz(dict(reversed(arrays.items()))))
        self.assertEqual([a["layer"] for a in report["arrays"]], list("0123456"))
        self.assertIsNone(report["first_to_part"])

    def test_the_first_layer_that_parts_is_named(self):
        for name, at in (("0.weight", "0"), ("1.bias", "1"), ("4.weight", "4"),
                         ("6.bias", "6")):
            wrong = {**self.params, name: (
                self.params[name][0],
                [f32(1.01 * v) for v in self.params[name][1]])}
            report = self.expect(DIFFERENT, npz(self.layers(params=wrong)))
            self.assertEqual(report["first_to_part"], at)
        report = self.expect(DIFFERENT, npz(self.layers(skip="2")))
        self.assertEqual(report["first_to_part"], "2")

    def test_one_weight_off_by_a_thousandth_is_seen_at_its_layer(self):
        weight, x = list(self.params["4.weight"][1]), self.record()["3"]
        at = max(range(108), key=lambda i: abs(weight[i] * x[i]))
        weight[at] = f32(weight[at] * 1.001)
        wrong = {**self.params, "4.weight": (self.params["4.weight"][0], weight)}
        report = self.expect(DIFFERENT, npz(self.layers(params=wrong)))
        self.assertEqual(report["first_to_part"], "4")

    def test_a_wrong_network_misses_the_limit_by_far(self):
        for skip in "1", "2", "5":
            report = self.expect(DIFFERENT, npy(
                self.shape(CLASSES), self.outputs(skip=skip)))
            array, = report["arrays"]
            self.assertEqual(array["verdict"], "DIFFERS")
            self.assertGreater(array["distance"], 100 * array["limit"])

    def test_the_worst_number_is_given_exactly(self):
        y = [f32(v) for v in self.outputs()]
        y[2 * CLASSES + 3] = 5.0
        array, = self.expect(DIFFERENT, npy(
            self.shape(CLASSES), y))["arrays"]
        self.assertEqual((array["worst_sample"], array["worst_number"]), (2, 3))
        self.assertEqual(float.fromhex(array["worst_expected"]), 5.0)
        got = float.fromhex(array["worst_got"])
        self.assertEqual(array["distance"], 5.0 - got)
        self.assertEqual(array["inside"], SAMPLES * CLASSES - 1)
        self.assertAlmostEqual(got, self.outputs()[2 * CLASSES + 3], 5)

    def test_samples_in_another_order_differ(self):
        y = self.outputs()
        self.expect(DIFFERENT, npy(
            self.shape(CLASSES), y[CLASSES:] + y[:CLASSES]))


class NotFinite(ExpectTest):
    def test_a_recorded_nan_is_outside(self):
        for bad in math.nan, math.inf, -math.inf:
            y = self.outputs()
            y[3] = bad
            array, = self.expect(DIFFERENT, npy(
                self.shape(CLASSES), y))["arrays"]
            self.assertEqual((array["inside"], array["not_finite"]),
                             (SAMPLES * CLASSES - 1, 1))

    def test_the_same_ones_are_inside(self):
        y = self.outputs()
        params = {**self.params, "6.bias": (
            (CLASSES,), [math.inf, -math.inf, math.nan,
                         *self.params["6.bias"][1][3:]])}
        for i in range(SAMPLES):
            y[CLASSES * i:CLASSES * i + 3] = math.inf, -math.inf, math.nan
        self.write_net("odd.safetensors", params)
        self.write("y.npy", npy(self.shape(CLASSES), y))
        call = ("ptfold", "run", "--json", "odd.safetensors", "x.npy",
                "--expect", "y.npy")
        array, = json.loads(self.run_program(*call).stdout)["recorded"]["arrays"]
        self.assertEqual((array["verdict"], array["not_finite"]),
                         ("AGREES", 3 * SAMPLES))
        y[0], y[1] = y[1], y[0]
        self.write("y.npy", npy(self.shape(CLASSES), y))
        array, = json.loads(self.run_program(*call).stdout)["recorded"]["arrays"]
        self.assertEqual((array["verdict"], array["inside"]),
                         ("DIFFERS", SAMPLES * CLASSES - 2))


class Undecided(ExpectTest):
    def undecided(self, params, why):
        self.write_net("net.safetensors", params)
        report = self.expect(DIFFERENT, npy(
            self.shape(CLASSES), self.outputs(params=params)))
        self.assertEqual(report["verdict"], "UNDECIDED")
        self.assertIn(why, report["arrays"][0]["reason"])

    def test_outputs_that_are_all_zero(self):
        self.undecided({**self.params, "6.weight": ((CLASSES, HIDDEN),
                                                    [0.0] * CLASSES * HIDDEN),
                        "6.bias": ((CLASSES,), [0.0] * CLASSES)},
                       "other than 0")

    def test_outputs_that_no_input_changes(self):
        self.undecided({**self.params, "6.weight": ((CLASSES, HIDDEN),
                                                    [0.0] * CLASSES * HIDDEN)},
                       "do not change")
        self.x = self.x[:1]
        self.write("x.npy", npy((1, 2, SIDE, SIDE), self.x[0]))
        report = self.expect(DIFFERENT, npy((1, CLASSES),
                                            self.params["6.bias"][1]))
        self.assertEqual(report["verdict"], "UNDECIDED")

    def test_outputs_that_are_rounding_alone(self):
        """Two large numbers cancel, and leave what f32 lost."""
        last = list(self.params["6.weight"][1])
        params = {**self.params, "6.weight": (
            (CLASSES, HIDDEN), [1e6 if i % 2 else -1e6 for i in range(len(last))]),
            "4.weight": (self.params["4.weight"][0],
                         self.params["4.weight"][1][:108] * HIDDEN),
            "4.bias": ((HIDDEN,), self.params["4.bias"][1][:1] * HIDDEN),
            "6.bias": ((CLASSES,), [1e-3] * CLASSES)}
        self.write_net("net.safetensors", params)
        self.write("y.npy", npy(self.shape(CLASSES), [1e-3] * 5 * CLASSES))
        done = self.run_program("ptfold", "check", "net.safetensors", "--data",
                                "x.npy", "--expect", "y.npy")
        self.assertEqual(done.returncode, DIFFERENT)
        self.assertNotIn(b"AGREES", done.stdout)


class Refusals(ExpectTest):
    def refuse_expect(self, status, words, array, *args, name="y.npy"):
        self.write(name, array)
        self.refuse(status, words, "ptfold", "check", "net.safetensors",
                    "--data", "x.npy", "--expect", name, *args)

    def test_wrong_shapes_name_both(self):
        y = self.outputs()
        for shape in ((4, CLASSES), (CLASSES, SAMPLES), (SAMPLES, CLASSES - 1),
                      (SAMPLES * CLASSES,), (SAMPLES,), ()):
            count = math.prod(shape)
            found = f"[{', '.join(map(str, shape))}]"
            self.refuse_expect(USAGE, [f"[{SAMPLES}, {CLASSES}]", found],
                               npy(shape, y[:count]))
        self.refuse_expect(
            USAGE, ["y.npz: 0: ", f"[{SAMPLES}, 3, {SIDE}, {SIDE}]", "[5, 7]"],
            npz({"0": npy(self.shape(CLASSES), y),
                 "y": npy(self.shape(CLASSES), y)}), name="y.npz")

    def test_names_and_dtypes(self):
        y = npy(self.shape(CLASSES), self.outputs())
        hidden = npy(self.shape(HIDDEN), self.record()["4"])
        self.refuse_expect(USAGE, ["y.npz: fc1: ", "name of a layer"],
                           npz({"y": y, "fc1": y}), name="y.npz")
        self.refuse_expect(USAGE, ["y.npz", "outputs among the arrays"],
                           npz({"4": hidden, "5": hidden}), name="y.npz")
        self.refuse_expect(UNSUPPORTED, ["y.npy", "int64"], npy(
            self.shape(CLASSES), [1] * SAMPLES * CLASSES, "<i8"))

    def test_files(self):
        self.refuse_expect(UNSUPPORTED, ["y.npy", "NumPy"], b"0.5 0.25\n")
        self.refuse_expect(DAMAGED, ["y.npy"], npy(
            self.shape(CLASSES), self.outputs())[:-1])
        self.refuse_expect(UNSUPPORTED, ["y.npy"],
                           (FIXTURES / "small_net.pt").read_bytes())
        self.refuse(SYSTEM, ["none.npy"], "ptfold", "check", "net.safetensors",
                    "--data", "x.npy", "--expect", "none.npy")

    def test_options(self):
        self.write("y.npy", npy(self.shape(CLASSES), self.outputs()))
        for program, *args in (
                ("ptfold", "check", "net.safetensors", "--expect", "y.npy"),
                ("ptfold", "check", "net.safetensors", "net.safetensors",
                 "--data", "x.npy", "--expect", "y.npy"),
                ("ptfold", "check", "net.safetensors", "--invariance",
                 "--data", "x.npy", "--expect", "y.npy"),
                ("ptfold", "check", "net.safetensors", "--data", "x.npy",
                 "--expect", "y.npy", "--enclosures", "b.txt"),
                ("ptfold", "check", "net.safetensors", "--data", "x.npy",
                 "--expect", "y.npy", "--junit", "y.npy", "--force"),
                ("ptfold", "run", "net.safetensors", "x.npy", "--expect",
                 "y.npy", "--map", "m.png"),
                ("bnfuse", "net.safetensors", "o.bin", "--expect", "y.npy"),
                ("lnin-convert", "net.safetensors", "-o", "o.bin", "--expect",
                 "y.npy")):
            before = self.contents()
            done = self.run_program(program, *args)
            self.assertEqual((done.returncode, done.stdout), (USAGE, b""), args)
            self.assertEqual(self.contents(), before)


class Reports(ExpectTest):
    """One result, whatever form it has."""

    def forms(self, status, array):
        recorded = self.expect(status, array)
        name = "y.npz" if array[:2] == b"PK" else "y.npy"
        call = ("net.safetensors", "--data", "x.npy", "--expect", name)
        done = self.run_program("ptfold", "check", *call, "--junit", "j.xml",
                                "--force")
        text = done.stdout.decode()
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertIn(f"verdict: {recorded['verdict']} ", text.splitlines()[-1])
        self.assertLessEqual(max(map(len, text.splitlines())), 80)
        suite = ElementTree.parse(self.path("j.xml")).getroot()
        failed = suite.findall("testcase/failure")
        self.assertEqual(len(failed), int(suite.get("failures")))
        self.assertEqual(len(suite), int(suite.get("tests")))
        self.assertEqual(bool(failed), status != EQUIVALENT)
        return recorded, text

    def test_agreement_and_difference(self):
        y = self.outputs()
        self.forms(EQUIVALENT, npy(self.shape(CLASSES), y))
        self.forms(DIFFERENT, npy(self.shape(CLASSES), self.outputs(skip="2")))
        y[9] = math.nan
        self.forms(DIFFERENT, npy(self.shape(CLASSES), y, "<f2"))
        hidden = npy(self.shape(HIDDEN), self.record(skip="2")["4"])
        recorded, text = self.forms(DIFFERENT, npz({
            "y": npy(self.shape(CLASSES), self.outputs()), "4": hidden}))
        self.assertEqual(recorded["first_to_part"], "4")
        self.assertRegex(text, r"first to part +4\n")

    def test_run_says_the_same(self):
        for skip, status in (("", EQUIVALENT), ("2", DIFFERENT)):
            recorded = self.expect(status, npy(self.shape(CLASSES),
                                               self.outputs(skip=skip)))
            call = ("ptfold", "run", "net.safetensors", "x.npy", "--expect",
                    "y.npy")
            done = self.run_program(*call, "--json")
            self.assertEqual(done.returncode, status)
            self.assertEqual(json.loads(done.stdout)["recorded"], recorded)
            done = self.run_program(*call)
            self.assertEqual(done.returncode, status)
            self.assertIn(f"verdict: {recorded['verdict']} ",
                          done.stdout.decode().splitlines()[-1])


class Rewrites(ExpectTest):
    """No file unless the original gives what was recorded."""

    CALLS = (("bnfuse", "net.safetensors", "out.bin"),
             ("bnfuse", "--fold", "epilogue", "net.safetensors", "out.bin"),
             ("bnfuse", "--no-check", "net.safetensors", "out.bin"),
             ("lnin-convert", "net.safetensors", "-o", "out.bin"))

    def test_a_network_that_agrees_is_written_with_that(self):
        self.write("y.npy", npy(self.shape(CLASSES), self.outputs()))
        for program, *args in self.CALLS:
            report = self.report(program, *args, "--data", "x.npy", "--expect",
                                 "y.npy", "--force")
            self.assertEqual(report["recorded"]["verdict"], "AGREES")
            self.assertEqual(report["output"], "out.bin")
            header = self.path("out.bin").read_bytes()
            size, = struct.unpack("<Q", header[:8])
            texts = json.loads(header[8:8 + size])["__metadata__"]
            self.assertEqual(texts["original_agreed_with"],
                             "35 recorded outputs of 5 inputs")
            for what in "inputs", "outputs":
                self.assertEqual(texts[f"recorded_{what}_sha256"],
                                 report["recorded"][f"{what}_sha256"])
            self.expect(EQUIVALENT, self.path("y.npy").read_bytes(),
                        net="out.bin")

    def test_another_is_not_written(self):
        self.write("y.npy", npy(self.shape(CLASSES), self.outputs(skip="2")))
        for program, *args in self.CALLS:
            before = self.contents()
            done = self.run_program(program, *args, "--data", "x.npy",
                                    "--expect", "y.npy")
            self.assertEqual((done.returncode, done.stderr), (DIFFERENT, b""))
            text = done.stdout.decode()
            self.assertIn("\nverdict: DIFFERS from the recorded outputs\n", text)
            self.assertIn("\nout.bin: not written\n", text)
            self.assertEqual(self.contents(), before)
            done = self.run_program(program, *args, "--json", "--data", "x.npy",
                                    "--expect", "y.npy")
            report = json.loads(done.stdout)
            self.assertEqual(done.returncode, DIFFERENT)
            self.assertIsNone(report["output"])
            self.assertFalse(report["checked"] or report["equivalent"])
            self.assertEqual(self.contents(), before)

    def test_without_expect_no_file_speaks_of_it(self):
        self.succeed("bnfuse", "net.safetensors", "out.bin")
        self.assertNotIn(b"recorded", self.path("out.bin").read_bytes())


class InOrder(ExpectTest):
    """A class whose forward() nobody sees, and what it gave."""

    def setUp(self):
        super().setUp()
        text = text_of(layer for layer in NET if layer != "ReLU()")
        for old, new in (("(5)", "(6)"), ("(4)", "(5)"), ("(3)", "(4)"),
                         ("(2)", "(3)"), ("Sequential", "FNet")):
            text = text.replace(old, new)
        self.write("fnet.txt", text.encode())
        checkpoint.write_safetensors(
            self.path("fnet.safetensors"),
            {key: checkpoint.tensor(*v) for key, v in self.params.items()}, {})

    def call(self, program, *args, skip=()):
        self.write("y.npy", npy(self.shape(CLASSES), self.outputs(skip=skip)))
        done = self.run_program(
            program, *args, "--arch", "fnet.txt", "--in-order", "--data",
            "x.npy", "--expect", "y.npy")
        return done.returncode, done.stdout.decode()

    def test_a_relu_in_forward_is_caught(self):
        before = self.contents()
        code, text = self.call("bnfuse", "fnet.safetensors", "out.bin")
        self.assertEqual(code, DIFFERENT)
        self.assertRegex(text, r"not confirmed: FNet\.forward\(\)")
        self.assertNotIn("out.bin", self.contents().keys() - before.keys())
        code, text = self.call("ptfold", "check", "--json", "fnet.safetensors")
        recorded = json.loads(text)["recorded"]
        array, = recorded["arrays"]
        self.assertEqual((code, recorded["confirms"]), (DIFFERENT, None))
        self.assertGreater(array["distance"], 1000 * array["limit"])

    def test_an_order_that_is_right_is_confirmed(self):
        code, text = self.call("bnfuse", "fnet.safetensors", "out.bin", skip="2")
        self.assertEqual(code, EQUIVALENT)
        self.assertRegex(text, r"confirmed on these inputs: FNet\.forward\(\)")
        code, text = self.call("ptfold", "check", "--json", "--junit", "j.xml",
                               "fnet.safetensors", skip="2")
        report = json.loads(text)
        self.assertEqual(code, EQUIVALENT)
        self.assertEqual(report["recorded"]["confirms"], report["assumes"])
        self.assertIn("FNet.forward()", report["assumes"])
        self.assertIn(b'name="assumes"', self.path("j.xml").read_bytes())


class PyTorch(ProgramTest):
    """The committed networks and the outputs that PyTorch 2.13 gave."""

    def test_the_fixtures(self):
        for line in (FIXTURES / "OUTPUTS.tsv").read_text().splitlines()[1:]:
            name, arch, shape, outputs = line.split("\t")
            self.fixture(name)
            self.fixture(arch)
            sizes = tuple(map(int, shape.split("x")))
            y = [float(v) for v in outputs.split()]
            self.write("x.npy", npy((1, *sizes), [
                i * 7919 % 1009 / 1009 for i in range(math.prod(sizes))]))
            call = ("ptfold", "check", "--arch", arch, name, "--data", "x.npy",
                    "--expect", "y.npy", "--json")
            self.write("y.npy", npy((1, len(y)), y))
            done = self.run_program(*call)
            array, = json.loads(done.stdout)["recorded"]["arrays"]
            self.assertLess(array["distance"], array["limit"] / 4)
            # The outputs of this net1 are its last biases, whatever it gets.
            self.assertEqual(array["verdict"], "UNDECIDED"
                             if name == "net1.pt" else "AGREES")
            self.assertEqual(done.returncode, array["verdict"] != "AGREES")
            y[4] *= 1.0001
            self.write("y.npy", npy((1, len(y)), y))
            self.assertEqual(self.run_program(*call).returncode, DIFFERENT)


if __name__ == "__main__":
    unittest.main()
