"""Programs of torch.export at other sizes than their example's, and what they
assert, held against what PyTorch gives.

SPDX-License-Identifier: Apache-2.0
"""
import ast
import math
import struct
import unittest
import zipfile

import pt2
from programs import FIXTURES, UNSUPPORTED, ProgramTest

PROGRAMS = FIXTURES / "programs"
X = (2, 3)


def read_npy(data):
    """Shape and numbers of an array of floats."""
    size = struct.unpack("<H", data[8:10])[0]
    head = ast.literal_eval(data[10:10 + size].decode())
    kind = {"<f4": "<f", "<f8": "<d"}[head["descr"]]
    return head["shape"], [x for x, in struct.iter_unpack(kind,
                                                          data[10 + size:])]


class SizeTest(ProgramTest):
    def case(self, key):
        """An array of a case, which make_sizes.py wrote."""
        with zipfile.ZipFile(PROGRAMS / "cases.npz") as file:
            return file.read(f"{key}.npy")

    def run_case(self, name, number, *options):
        """What ptfold gives for it, by output."""
        self.write("in.npy", self.case(f"{name}.{number}.in"))
        self.succeed("ptfold", "run", PROGRAMS / f"{name}.pt2", "--data",
                     "in.npy", "--npz", "out.npz", "--force", *options)
        with zipfile.ZipFile(self.path("out.npz")) as file:
            return {n.removesuffix(".npy"): read_npy(file.read(n))
                    for n in file.namelist()}

    def agree(self, got, key):
        shape, numbers = read_npy(self.case(key))
        self.assertEqual(got[0], shape)
        for a, b in zip(got[1], numbers, strict=True):
            self.assertAlmostEqual(a, b, delta=2e-6 * max(1, abs(b)))


class Conditions(SizeTest):
    def test_the_branch_that_the_input_asks_for_is_taken(self):
        for number in (0, 1):
            got = self.run_case("condition", number)["output"]
            self.agree(got, f"condition.{number}.out")

    def test_an_assertion_that_fails_leaves_no_answer(self):
        got = self.run_case("draft", 0, "--strict")["output"]
        self.agree(got, "draft.0.out")
        self.write("in.npy", self.case("draft.fails.in"))
        result = self.run_program("ptfold", "run", "--strict", "--data",
                                  "in.npy", PROGRAMS / "draft.pt2")
        self.assertEqual(result.returncode, 1)
        self.assertIn(b"layer _assert_scalar", result.stderr)
        with self.assertRaises(AssertionError):
            self.agree(got, "draft.fails.out")

    def test_what_is_widened_is_given_out_as_it_is(self):
        got = self.run_case("wide", 0)
        self.assertEqual(set(got), {"wide", "narrow"})
        self.agree(got["narrow"], "wide.0.out")
        self.agree(got["wide"], "wide.0.wide")


def number(value):
    return {f"as_sym_{'bool' if value == 'b' else 'int'}": {"as_name": value}}


class Assertions(ProgramTest):
    """Calls that assert something, and numbers that sizes decide."""

    def program(self, fill):
        p = pt2.Program()
        p.input("x", X)
        fill(p)
        p.call("torch.ops.aten.relu.default", {"y": X}, {"self": "x"})
        p.output("y")
        return p.save(self.folder / "x.pt2")

    def asserts(self, target, a, b=None):
        """A condition on the first size of x, 2, is asserted."""
        def fill(p):
            p.number("int", "n", "torch.ops.aten.sym_size.int",
                     {"self": "x", "dim": 0})
            arguments = {"a": number("n") if a == "n" else a}
            if b is not None:
                arguments["b"] = b
            p.number("bool", "b", target, arguments)
            p.call("torch.ops.aten._assert_scalar.default", [],
                   {"self": number("b"), "assert_msg": pt2.text("as said")})
        return self.program(fill)

    def test_what_sizes_decide_is_compared(self):
        rows = (("_operator.eq", 2, 3), ("_operator.ne", 3, 2),
                ("_operator.lt", 3, 2), ("_operator.le", 2, 1),
                ("_operator.gt", 1, 2), ("_operator.ge", 2, 3),
                ("_operator.and_", 2, 1), ("torch.sym_max", 1, None),
                ("_operator.mod", 4, 1), ("_operator.floordiv", 2, 3),
                ("_operator.sub", 1, 2), ("_operator.add", 1, -2),
                ("torch.sym_min", 1, 0), ("_operator.or_", 1, None),
                ("_operator.pow", 2, None), ("_operator.mul", 1, 0))
        for target, holds, fails in rows:
            with self.subTest(target):
                self.succeed("ptfold", "ops", self.asserts(target, "n", holds))
                if fails is None:
                    continue
                self.refuse(UNSUPPORTED, ["node '", "_assert_scalar", "its "
                                          "assertion fails: as said"],
                            "ptfold", "ops", self.asserts(target, "n", fails))

    def test_numbers_that_are_none_are_refused(self):
        for target, a, b, say in (
                ("_operator.floordiv", "n", 0, "has no result"),
                ("_operator.mod", "n", 0, "has no result"),
                ("_operator.truediv", "n", 0, "has no result"),
                ("_operator.pow", "n", -1, "has no result"),
                ("_operator.pow", "n", 99, "has no result"),
                ("_operator.mul", 1 << 62, number("n"), "has no result"),
                ("_operator.add", (1 << 63) - 1, number("n"), "no result"),
                ("_operator.sub", -(1 << 63), number("n"), "no result"),
                ("_operator.eq", (1 << 63) - 1, number("n"), "no result"),
                ("_operator.lshift", "n", 1, "does not support"),
                ("_operator.neg", -(1 << 63), None, "has no result"),
                ("_operator.add", "n", None, "expected 2 numbers"),
                ("_operator.add", "x", 1, "no number that the sizes"),
                ("_operator.add", pt2.text("x"), 1, "expected a number"),
                ("torch.sym_not", "n", None, "its assertion fails")):
            with self.subTest(target):
                self.refuse(UNSUPPORTED, [say], "ptfold", "ops",
                            self.asserts(target, a, b))

    def test_metadata_is_compared(self):
        for more, say in (
                ({}, None), ({"dtype": {"as_scalar_type": pt2.FLOAT32}}, None),
                ({"dtype": {"as_scalar_type": pt2.FLOAT64}},
                 "expected float64, got float32"),
                ({"size": [2, 3]}, None), ({"size": [3, 2]}, "fails"),
                ({"size": [2]}, "fails")):
            path = self.program(lambda p, more=more: p.call(
                "torch.ops.aten._assert_tensor_metadata.default", [],
                {"a": "x", **more}))
            if say is None:
                self.succeed("ptfold", "ops", path)
            else:
                self.refuse(UNSUPPORTED, ["_assert_tensor_metadata", say],
                            "ptfold", "ops", path)

    def test_tensors_of_one_element_are_asserted(self):
        for target, tensor, numbers, say in (
                ("_assert_async.default", (), [1], None),
                ("_assert_async.default", (1, 1), [-2], None),
                ("_assert_async.msg", (), [0], "its assertion fails: as said"),
                ("_assert_async.msg", (2,), [1, 1], "a tensor of one")):
            def fill(p):
                p.parameter("t", tensor, numbers)
                more = ({"assert_msg": pt2.text("as said")}
                        if target.endswith("msg") else {})
                p.call(f"torch.ops.aten.{target}", [], {"self": "t", **more})
            path = self.program(fill)
            if say is None:
                self.succeed("ptfold", "ops", path)
            else:
                self.refuse(UNSUPPORTED, [say], "ptfold", "ops", path)

    def test_ranges_are_kept(self):
        for least, most, say in ((None, None, None), (2, 2, None),
                                 (3, None, "a number of at least 3, got 2"),
                                 (None, 1, "a number of at most 1, got 2")):
            def fill(p):
                p.number("int", "n", "torch.ops.aten.sym_size.int",
                         {"self": "x", "dim": 0})
                p.call("torch.ops.aten.sym_constrain_range_for_size.default",
                       [], {"size": number("n"), "min": least, "max": most})
            path = self.program(fill)
            if say is None:
                self.succeed("ptfold", "ops", path)
            else:
                self.refuse(UNSUPPORTED, [say], "ptfold", "ops", path)

    def test_float64_is_not_computed_with(self):
        def make(target, arguments):
            p = pt2.Program()
            p.input("x", X)
            p.call("torch.ops.aten.to.dtype", {"w": pt2.meta(X, pt2.FLOAT64)},
                   {"self": "x", "dtype": {"as_scalar_type": pt2.FLOAT64}})
            p.call(target, {"y": pt2.meta(X, pt2.BOOL)}, arguments)
            p.output("y")
            return p.save(self.folder / "x.pt2")
        self.refuse(UNSUPPORTED, ["reads 'w' in float64; ptfold computes in"],
                    "ptfold", "ops", make("torch.ops.aten.gt.Scalar",
                                          {"self": "w", "other": 0.1}))


if __name__ == "__main__":
    unittest.main()
