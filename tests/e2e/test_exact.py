"""ptfold run --exact: outputs as real functions, rounded once.

SPDX-License-Identifier: Apache-2.0
"""
import ast
import math
import struct
import unittest

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


class Exact(ProgramTest):
    def run_exact(self, program, data, *options):
        said = self.succeed("ptfold", "run", "--exact", "--data", data,
                            "--npy", "out.npy", "--force", *options, program)
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
                          ("tokens", "softmax is not"),
                          ("norms", "instance_norm2d is not")):
            with self.subTest(name):
                self.refuse(UNSUPPORTED, [say, "in fixed point yet"], "ptfold",
                            "run", "--exact", "--data",
                            PROGRAMS / f"{name}.in.npy",
                            PROGRAMS / f"{name}.pt2")

    def unary(self, name):
        header = ("{'descr': '<f4', 'fortran_order': False, "
                  f"'shape': {X}, }}").ljust(117) + "\n"
        self.write("x.npy", b"\x93NUMPY\1\0" + struct.pack("<H", 118) +
                   header.encode() + struct.pack("<6f", *NUMBERS))
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
