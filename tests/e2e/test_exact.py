"""ptfold run --exact: outputs as real functions, rounded once.

SPDX-License-Identifier: Apache-2.0
"""
import ast
import json
import math
import random
import struct
import unittest

import checkpoint
import pt2
from programs import FIXTURES, UNSUPPORTED, USAGE, ProgramTest

PROGRAMS = FIXTURES / "programs"
X = (2, 3)
NUMBERS = (-2.5, -0.75, 0.0, 0.3, 1.5, 40.0)
KNOWN = {"relu": lambda x: max(x, 0.0), "abs": abs, "neg": lambda x: -x,
         "sigmoid": lambda x: 1 / (1 + math.exp(-x)), "tanh": math.tanh,
         "silu": lambda x: x / (1 + math.exp(-x)),
         "relu6": lambda x: min(max(x, 0.0), 6.0),
         "hardtanh": lambda x: min(max(x, -1.0), 1.0)}
OTHERS = ("hardsigmoid", "hardswish", "leaky_relu", "elu", "gelu", "mish",
          "softplus", "log_sigmoid", "exp", "erf", "expm1", "exp2", "sin",
          "cos", "selu", "celu", "floor", "ceil", "trunc", "sign")


def floats(data):
    """The header and the numbers of a .npy of f32."""
    size = struct.unpack_from("<H", data, 8)[0]
    header = ast.literal_eval(data[10:10 + size].decode())
    body = data[10 + size:]
    return header, struct.unpack(f"<{len(body) // 4}f", body)


def array(shape, numbers):
    """A .npy of f32."""
    header = ("{'descr': '<f4', 'fortran_order': False, "
              f"'shape': {shape}, }}").ljust(117) + "\n"
    return (b"\x93NUMPY\1\0" + struct.pack("<H", 118) + header.encode() +
            struct.pack(f"<{len(numbers)}f", *numbers))


class Exact(ProgramTest):
    def run_exact(self, program, data, *options, env=()):
        said = self.succeed("ptfold", "run", "--exact", "--data", data,
                            "--npy", "out.npy", "--force", *options, program,
                            env=dict(env))
        return said, floats(self.path("out.npy").read_bytes())[1]

    def test_fixtures_are_as_recorded_up_to_rounding(self):
        for name in ("residual", "moves", "powers", "recurrent", "windows"):
            with self.subTest(name):
                said, got = self.run_exact(PROGRAMS / f"{name}.pt2",
                                           PROGRAMS / f"{name}.in.npy")
                want = floats((PROGRAMS / f"{name}.out.npy").read_bytes())[1]
                self.assertIn("exact ones", said)
                self.assertEqual(len(got), len(want))
                most = max(abs(w) for w in want)
                for g, w in zip(got, want):
                    self.assertLessEqual(abs(g - w), 1e-5 * most)

    def test_what_is_not_known_is_said(self):
        said, _ = self.run_exact(PROGRAMS / "residual.pt2",
                                 PROGRAMS / "residual.in.npy", "--bits", "51")
        self.assertRegex(said, "51 bits, outputs within ")
        said, _ = self.run_exact(PROGRAMS / "lookup.pt2",
                                 PROGRAMS / "lookup.in.npy")
        self.assertIn("not decided", said)

    def test_layers_that_are_not_evaluated_are_refused(self):
        for name, say in (("order", "argsort is not"),
                          ("tokens", "log_softmax is not"),
                          ("moments", "var is not")):
            with self.subTest(name):
                self.refuse(UNSUPPORTED, [say, "in fixed point yet"], "ptfold",
                            "run", "--exact", "--data",
                            PROGRAMS / f"{name}.in.npy",
                            PROGRAMS / f"{name}.pt2")

    def exact_fold(self):
        """A network whose fold f32 holds: scales are 1 / 2, 1 and 2."""
        draw = random.Random(3)

        def numbers(count):
            return [draw.randrange(-999, 999) / 512 for _ in range(count)]

        self.write("net.txt", (
            "# input: 2x5x5\nSequential(\n"
            "  (0): Conv2d(2, 3, kernel_size=(3, 3), stride=(1, 1))\n"
            "  (1): BatchNorm2d(3, eps=0.25, momentum=0.1, affine=True, "
            "track_running_stats=True)\n"
            "  (2): GELU(approximate='none')\n"
            "  (3): Flatten(start_dim=1, end_dim=-1)\n"
            "  (4): Linear(in_features=27, out_features=4, bias=True)\n"
            "  (5): Softmax(dim=1)\n)\n").encode())
        tensor = checkpoint.tensor
        checkpoint.write_torch(self.path("net.pt"), {
            "0.weight": tensor((3, 2, 3, 3), numbers(54)),
            "0.bias": tensor((3,), numbers(3)),
            "1.weight": tensor((3,), [1, 2, 1]),
            "1.bias": tensor((3,), numbers(3)),
            "1.running_mean": tensor((3,), numbers(3)),
            "1.running_var": tensor((3,), [0.75, 0.75, 3.75]),
            "4.weight": tensor((4, 27), numbers(108)),
            "4.bias": tensor((4,), numbers(4))})
        self.succeed("bnfuse", "--arch", "net.txt", "net.pt", "folded.bin")
        images = numbers(150)
        self.write("in.npy", array((3, 2, 5, 5), images))
        self.write("one.npy", array((1, 2, 5, 5), images[50:100]))

    def test_a_fold_gives_the_same_bits_everywhere(self):
        self.exact_fold()
        seen = set()
        for net in (["--arch", "net.txt", "net.pt"], ["folded.bin"]):
            for isa in ("ref", "avx2", "avx512"):
                for threads in ("1", "3"):
                    said, got = self.run_exact(
                        net[-1], "in.npy", "--threads", threads, *net[:-1],
                        env={"PTF_ISA": isa})
                    self.assertIn("exact ones", said)
                    seen.add(got)
        self.assertEqual(len(seen), 1)
        # one of them by itself, in more digits
        one = self.run_exact("folded.bin", "one.npy", "--bits", "306")[1]
        self.assertEqual(one, seen.pop()[4:8])

    def test_recorded_outputs_are_held_against_the_exact_ones(self):
        self.exact_fold()
        exact = list(self.run_exact("folded.bin", "in.npy")[1])
        bits = struct.unpack("<I", struct.pack("<f", exact[5]))[0] + 2
        exact[5] = struct.unpack("<f", struct.pack("<I", bits))[0]
        self.write("y.npy", array((3, 4), exact))
        asked = ("--data", "in.npy", "--expect", "y.npy", "--exact",
                 "folded.bin")
        report = json.loads(self.succeed("ptfold", "check", "--json",
                                         *asked))["exact"]
        self.assertEqual(report["not_decided"], 0)
        self.assertEqual({k: v for k, v in report["recorded"]["ulps"].items()
                          if v}, {"0": 11, "2": 1})
        self.assertEqual(sum(report["run"]["ulps"].values()), 12)
        said = self.succeed("ptfold", "check", *asked)
        self.assertRegex(said, r"recorded +11 +0 +1 +0 +0\n")
        self.assertRegex(said, r"a run here( +\d+){5}\n")
        self.assertRegex(said, r"verdict: AGREES[^\n]+\n\Z")
        self.refuse(USAGE, ["expected --expect"], "ptfold", "check", "--exact",
                    "net.pt", "folded.bin")
        self.refuse(USAGE, ["are for two"], "ptfold", "check", "--bits", "99",
                    *[a for a in asked if a != "--exact"])

    def test_exact_distances_are_of_one_output(self):
        self.refuse(UNSUPPORTED, ["one output, got 6"], "ptfold", "check",
                    "--data", PROGRAMS / "ports.in.npz", "--expect",
                    PROGRAMS / "ports.out.npz", "--exact",
                    PROGRAMS / "ports.pt2")

    def unary(self, name):
        self.write("x.npy", array(X, NUMBERS))
        p = pt2.Program()
        p.input("x", X)
        p.call(f"torch.ops.aten.{name}.default", {"y": X}, {"self": "x"})
        p.output("y")
        return p.save(self.path("x.pt2")), self.path("x.npy")

    def test_functions_of_one_number_are_rounded_once(self):
        for name, function in KNOWN.items():
            with self.subTest(name):
                _, got = self.run_exact(*self.unary(name))
                for x, y in zip(NUMBERS, got):
                    x, = struct.unpack("<f", struct.pack("<f", x))
                    self.assertLessEqual(abs(y - function(x)),
                                         2**-24 * abs(y) + 2**-149)

    def test_other_functions_say_what_is_known(self):
        for name in OTHERS:
            with self.subTest(name):
                said, got = self.run_exact(*self.unary(name))
                self.assertIn("fixed point", said)
                plain = self.succeed("ptfold", "run", "--data", "x.npy",
                                     "--npy", "f32.npy", "--force", "x.pt2")
                self.assertIn("output", plain)
                want = floats(self.path("f32.npy").read_bytes())[1]
                for g, w in zip(got, want):
                    self.assertLessEqual(abs(g - w), 1e-6 * max(1.0, abs(w)))

    def test_options_belong_together(self):
        for options, say in ((["--exact"], "--data or --sample"),
                             (["--bits", "102", "--sample"], "--exact")):
            self.refuse(USAGE, [say], "ptfold", "run", *options,
                        PROGRAMS / "residual.pt2")


if __name__ == "__main__":
    unittest.main()
