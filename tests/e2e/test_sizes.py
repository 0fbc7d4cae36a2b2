"""Programs of torch.export at other sizes than their example's, and what they
assert, held against what PyTorch gives.

SPDX-License-Identifier: Apache-2.0
"""
import ast
import json
import math
import struct
import unittest
import zipfile

import pt2
from programs import FIXTURES, UNSUPPORTED, USAGE, ProgramTest

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


def npy(shape):
    """An array of zeros."""
    head = (f"{{'descr': '<f4', 'fortran_order': False, "
            f"'shape': {tuple(shape)}, }}").ljust(117) + "\n"
    count = 1
    for size in shape:
        count *= size
    return (b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head.encode()
            + bytes(4 * count))


class OpenSizes(SizeTest):
    """Sizes that the exporter left open."""

    def test_outputs_are_those_of_pytorch(self):
        for number in range(4):
            got = self.run_case("free", number)
            self.agree(got["output.0"], f"free.{number}.out")
            self.agree(got["output.1"], f"free.{number}.means")
        for number in range(2):
            got = self.run_case("bounded", number)["output"]
            self.agree(got, f"bounded.{number}.out")

    def test_bounds_and_conditions_are_held(self):
        for name, shape, status, say in (
                ("bounded", (5, 2, 6, 3), USAGE,
                 "input 'x': expected a size from 1 to 4 for axis 0 (s77), "
                 "got 5"),
                ("bounded", (2, 2, 12, 3), USAGE,
                 "input 'x': expected a size from 4 to 10 for axis 2 (2*s44), "
                 "got 12"),
                ("bounded", (2, 2, 7, 3), USAGE, "axis 2 cannot be 7"),
                ("bounded", (2, 2, 6, 7), USAGE,
                 "does not meet the program's condition L['x'].size()[3] <= "
                 "L['x'].size()[2]"),
                ("bounded", (2, 3, 6, 3), UNSUPPORTED, "node 'floordiv'"),
                ("bounded", (2, 2, 6), USAGE, "expected 4 axes with the batch, got 3"),
                ("free", (2, 2, 8, 2), USAGE,
                 "a size from 3 to any for axis 3 (s0), got 2"),
                ("free", (2, 2, 2, 9), USAGE, "condition")):
            with self.subTest(say):
                self.write("in.npy", npy(shape))
                self.refuse(status, [say], "ptfold", "run", "--data", "in.npy",
                            PROGRAMS / f"{name}.pt2")

    def test_conditions_are_evaluated(self):
        """Those that hold for 5 x 7, and those that do not."""
        height, width = "L['x'].size()[0]", "L['x'].size()[1]"
        rows = ((f"{height} == 5", f"{height} == 6"),
                (f"{width} % 2 == 1", f"{width} % 2 == 0"),
                (f"{width} // 2 == 3", f"not {width} // 2 == 3"),
                (f"-{width} // 2 == -4", f"-{width} // 2 == -3"),
                (f"3 < {height} < {width}", f"3 < {height} < 4"),
                (f"({height} + 2)*{width} >= 49", f"{height}*{width} > 35"),
                (f"max(2, {height}) != 2", f"min(2, {height}) != 2"),
                (f"{height} == 1 or {width} == 7",
                 f"{height} == 5 and {width} == 1"),
                ("Eq(s1, 5)", "Ne(s1, 5)"), ("2**s1 == 32", "2**s1 == 31"),
                ("Mod(s2, 4) == 3", "FloorDiv(s2, 4) == 2"),
                ("Not(s1 > s2)", "Or(s1 > s2, s1 < 1)"))
        for holds, fails in rows:
            with self.subTest(holds):
                self.succeed("ptfold", "run", "--data",
                             *self.conditioned(holds))
                self.refuse(USAGE, ["does not meet the program's condition"],
                            "ptfold", "run", "--data",
                            *self.conditioned(fails))
        for odd in ("s9 == 1", "s1 / 2 == 2", "s1 == ", "(s1", "1 // 0 == 0",
                    "2**-1 == 0", "s1 == 1.5", "L['y'].size()[0] == 1", "f(s1)",
                    "L['x'].size()[2] == 1", "L['x'].stride()[0] == 1",
                    "9" * 30, "(" * 9000, "-" * 9000, "s1 s2", "Eq(s1)",
                    "s1 * 9000000000000000000 > 1", "L['x"):
            with self.subTest(odd):
                self.refuse(UNSUPPORTED, ["cannot be judged for other sizes"],
                            "ptfold", "run", "--data", *self.conditioned(odd))

    def conditioned(self, guard):
        """A program with that condition, for 5 x 7 in place of 4 x 6."""
        p = pt2.Program()
        p.input("x", (4, 6))
        p.values["x"] = pt2.meta((4, 6))
        sizes = [{"as_expr": {"expr_str": f"Symbol('s{i}', positive=True, "
                              "integer=True)", "hint": {"as_int": n}}}
                 for i, n in ((1, 4), (2, 6))]
        p.values["x"]["sizes"] = sizes
        p.call("torch.ops.aten.relu.default", {"y": (4, 6)}, {"self": "x"})
        p.values["y"]["sizes"] = sizes
        p.output("y")
        json = p.json()
        json["guards_code"] = [guard]
        self.write("in.npy", npy((5, 7)))
        return "in.npy", p.save(self.folder / "x.pt2", json)


class FixedSizes(SizeTest):
    """Programs for one size that are run at others."""

    def test_outputs_are_those_of_pytorch(self):
        for number in range(4):
            got = self.run_case("shuffled", number)["output"]
            self.agree(got, f"shuffled.{number}.out")

    def test_one_sample_is_run_by_itself_where_several_would_be_mixed(self):
        got = self.run_case("mixing", 0)
        self.agree(got["output.0"], "mixing.0.out")
        self.agree(got["output.1"], "mixing.0.most")
        self.write("in.npy", npy((3, 2, 3)))
        self.refuse(UNSUPPORTED, ["node 'sum_1' (aten.sum.default): mixes the "
                                  "samples of a batch: it runs for a batch of "
                                  "2 alone, got 3"],
                    "ptfold", "run", "--data", "in.npy",
                    self.of_two("sum.default", {"self": "x"}, ()))

    def of_two(self, target, arguments, result):
        p = pt2.Program()
        p.input("x", (2, 2, 3))
        p.call(f"torch.ops.aten.{target}", {"sum_1": result}, arguments)
        p.output("sum_1")
        return p.save(self.folder / "x.pt2")

    def test_the_input_may_be_said_by_an_option(self):
        residual = PROGRAMS / "residual.pt2"
        for program, *options in (("ops",), ("bench", "--format", "csv"),
                                  ("check", "--random", "2", residual)):
            self.succeed("ptfold", program, "--input", "3x15x16", *options,
                         residual)
        self.refuse(UNSUPPORTED, ["node 'conv2d'"], "ptfold", "ops", "--input",
                    "2x12x12", residual)

    def test_what_is_known_of_batch_and_size_is_told(self):
        for name, batch, size in (
                ("residual", "any", "others too, such as those of the example "
                 "plus 1"),
                ("mixing", "any, each sample by itself; they may be mixed by "
                 "'mean'", "others too, such as those of the example plus 1"),
                ("condition", "2, fixed by 'sum_1'", "the example's"),
                ("free", "any within the bounds of its symbol, all at once",
                 "others too, such as those of the example plus 1"),
                ("bounded", "any within the bounds of its symbol",
                 "others too, such as those of the example plus 2"),
                ("windows", "any, each sample by itself; they may be mixed by "
                 "'reshape_1'", "the example's, fixed by 'new_zeros'")):
            text = self.succeed("ptfold", "info", PROGRAMS / f"{name}.pt2")
            self.assertEqual(text.splitlines()[-2:],
                             [f"batch       {batch}", f"size        {size}"])
        text = self.succeed("ptfold", "info", PROGRAMS / "stale.pt2")
        self.assertRegex(text, r"\nrefused     ")

    # An operator on x, 1 x 3 x 8 x 8, its arguments, what it gives, and what is
    # said of another size; or nothing, where it is run.
    TRAPS = (
        ("mul.Tensor", {"self": "x", "other": 8}, (1, 3, 8, 8), "its other, 8"),
        ("div.Tensor", {"self": "x", "other": 64}, (1, 3, 8, 8), "other, 64"),
        ("div.Tensor", {"self": "x", "other": 7}, (1, 3, 8, 8), "other, 7"),
        ("mul.Tensor", {"self": "x", "other": 0.125}, (1, 3, 8, 8), "0.125"),
        ("mul.Tensor", {"self": "x", "other": 0.3}, (1, 3, 8, 8), None),
        ("clamp.default", {"self": "x", "min": 0, "max": 8}, (1, 3, 8, 8),
         "its max, 8"),
        ("avg_pool2d.default", {"self": "x", "kernel_size": [8, 8]},
         (1, 3, 1, 1), "its kernel_size, 8"),
        ("avg_pool2d.default", {"self": "x", "kernel_size": [4, 4]},
         (1, 3, 2, 2), "its kernel_size, 4"),
        ("avg_pool2d.default", {"self": "x", "kernel_size": [2, 2]},
         (1, 3, 4, 4), None),
        ("adaptive_avg_pool2d.default", {"self": "x", "output_size": [4, 4]},
         (1, 3, 4, 4), "its output_size, 4"),
        ("adaptive_avg_pool2d.default", {"self": "x", "output_size": [1, 1]},
         (1, 3, 1, 1), None),
        ("view.default", {"self": "x", "size": [1, 192]}, (1, 192), None),
        ("view.default", {"self": "x", "size": [1, 3, 64]}, (1, 3, 64), None),
        ("view.default", {"self": "x", "size": [1, -1, 64]}, (1, 3, 64),
         "[1, -1, 64] can be meant in several ways"),
        ("view.default", {"self": "x", "size": [1, 24, 8]}, (1, 24, 8),
         "[1, 24, 8] can be meant in several ways"),
        ("view.default", {"self": "x", "size": [1, 3, 4, 16]}, (1, 3, 4, 16),
         "[1, 3, 4, 16] fixes the size of its input"),
        ("unflatten.int", {"self": "x", "dim": 2, "sizes": [2, 4]},
         (1, 3, 2, 4, 8), "[2, 4] fixes the size"),
        ("slice.Tensor", {"self": "x", "dim": 2, "start": 0, "end": 4},
         (1, 3, 4, 8), "its end, 4, may be computed"),
        ("slice.Tensor", {"self": "x", "dim": 2, "start": 1, "end": -1},
         (1, 3, 6, 8), None),
        ("slice.Tensor", {"self": "x", "dim": 1, "start": 0, "end": 2},
         (1, 2, 8, 8), None),
        ("select.int", {"self": "x", "dim": 2, "index": 4}, (1, 3, 8),
         "its index, 4"),
        ("select.int", {"self": "x", "dim": 2, "index": 0}, (1, 3, 8), None),
        ("roll.default", {"self": "x", "shifts": [4], "dims": [2]},
         (1, 3, 8, 8), "its lengths may be computed"),
        ("roll.default", {"self": "x", "shifts": [1], "dims": [1]},
         (1, 3, 8, 8), None),
        ("narrow.default", {"self": "x", "dim": 2, "start": 0, "length": 4},
         (1, 3, 4, 8), "its lengths may be computed"),
        ("pad.default", {"self": "x", "pad": [0, 0]}, (1, 3, 8, 8),
         "its pads may be computed"),
        ("pad.default", {"self": "x", "pad": [0, 0, 0, 1]}, (1, 3, 9, 8),
         "its pads may be computed"),
        ("pad.default", {"self": "x", "pad": [0, 0, 0, 0, 1, 1]},
         (1, 5, 8, 8), None),
        ("upsample_nearest2d.vec", {"input": "x", "output_size": [16, 16],
                                    "scale_factors": None}, (1, 3, 16, 16),
         "its output_size may be"),
        ("upsample_nearest2d.vec", {"input": "x", "output_size": None,
                                    "scale_factors": [2.0, 2.0]},
         (1, 3, 16, 16), None),
        ("repeat.default", {"self": "x", "repeats": [1, 1, 1, 8]},
         (1, 3, 8, 64), "its repeats, 8"),
        ("new_zeros.default", {"self": "x", "size": [1, 3]}, (1, 3),
         "its size may be"),
        ("sum.dim_IntList", {"self": "x", "dim": [2, 3]}, (1, 3), None),
        ("flatten.using_ints", {"self": "x", "start_dim": 2}, (1, 3, 64), None))

    def test_numbers_that_may_be_sizes_are_refused(self):
        self.write("in.npy", npy((1, 3, 16, 8)))
        for target, arguments, result, say in self.TRAPS:
            with self.subTest(target=target, arguments=arguments):
                p = pt2.Program()
                p.input("x", (1, 3, 8, 8))
                p.call(f"torch.ops.aten.{target}", {"y": result}, arguments)
                p.output("y")
                path = p.save(self.folder / "x.pt2")
                self.succeed("ptfold", "ops", path)
                run = ("ptfold", "run", "--data", "in.npy", path)
                if say is None:
                    self.succeed(*run)
                else:
                    self.refuse(UNSUPPORTED, ["node 'y' (aten.", say], *run)

    def test_settings_of_modules_are_numbers(self):
        self.write("in.npy", npy((1, 3, 16, 8)))
        for module, status in (("AvgPool2d", 0), ("Mine", UNSUPPORTED)):
            p = pt2.Program()
            p.input("x", (1, 3, 8, 8))
            p.call("torch.ops.aten.avg_pool2d.default", {"y": (1, 3, 1, 1)},
                   {"self": "x", "kernel_size": [8, 8]})
            of = "torch.nn.modules.pooling" if module == "AvgPool2d" else "my"
            p.calls[0]["metadata"]["nn_module_stack"] = (
                f"L__self__,,my.Net;L__self__pool,pool,{of}.{module}")
            p.output("y")
            done = self.run_program("ptfold", "run", "--data", "in.npy",
                                    p.save(self.folder / "x.pt2"))
            self.assertEqual(done.returncode, status, done.stderr)

    def test_constants_may_be_sizes_too(self):
        self.write("in.npy", npy((1, 3, 16, 8)))
        for sizes, numbers, say in (((), [8], "has 8"), ((), [0.3], None),
                                    ((8,), [0.3] * 8, "has 8")):
            p = pt2.Program()
            p.input("x", (1, 3, 8, 8))
            p.constant("k", sizes, numbers)
            p.call("torch.ops.aten.mul.Tensor", {"y": (1, 3, 8, 8)},
                   {"self": "x", "other": "k"})
            p.output("y")
            run = ("ptfold", "run", "--data", "in.npy",
                   p.save(self.folder / "x.pt2"))
            if say is None:
                self.succeed(*run)
            else:
                self.refuse(UNSUPPORTED, ["the constant 'k'", say], *run)


def number(value, kind=None):
    kind = kind or ("bool" if value == "b" else "int")
    return {f"as_sym_{kind}": {"as_name": value}}


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

    def test_real_numbers_that_sizes_decide(self):
        """0.5 is a fourth of the first size of x."""
        rows = (("_operator.sub", "float", {"a": "f", "b": 0.25}, 0.25),
                ("_operator.mul", "float", {"a": "f", "b": 3.0}, 1.5),
                ("torch.sym_max", "float", {"a": "f", "b": 1.5}, 1.5),
                ("torch.sym_min", "float", {"a": "f", "b": 0.25}, 0.25),
                ("_operator.neg", "float", {"a": "f"}, -0.5),
                ("_operator.add", "float", {"a": "f", "b": 1}, 1.5),
                ("torch.sym_float", "float", {"a": "n"}, 2.0),
                ("torch.sym_int", "int", {"a": "f"}, 0),
                ("math.floor", "int", {"a": "f"}, 0),
                ("math.ceil", "int", {"a": "f"}, 1),
                ("aten.sym_numel.default", "int", {"self": {
                    "as_tensor": {"name": "x"}}}, math.prod(X)),
                ("torch.sym_ite", "int", {"b": "two", "t": 7, "f": 8}, 7),
                ("torch.sym_ite", "int", {"b": "three", "t": 7, "f": 8}, 8))
        kinds = {"n": "int", "f": "float", "two": "bool", "three": "bool"}

        def asserts(target, kind, arguments, value):
            def fill(p):
                p.number("int", "n", "torch.ops.aten.sym_size.int",
                         {"self": "x", "dim": 0})
                p.number("float", "f", "_operator.truediv",
                         {"a": number("n"), "b": 4})
                for name, size in (("two", 2), ("three", 3)):
                    p.number("bool", name, "_operator.eq",
                             {"a": number("n"), "b": size})
                where = "torch.ops." if target.startswith("aten") else ""
                p.number(kind, "g", where + target, {
                    name: number(a, kinds[a]) if isinstance(a, str) else a
                    for name, a in arguments.items()})
                p.number("bool", "b", "_operator.eq",
                         {"a": number("g", kind), "b": value})
                p.call("torch.ops.aten._assert_scalar.default", [],
                       {"self": number("b", "bool"),
                        "assert_msg": pt2.text("as said")})
            return self.program(fill)
        for target, kind, arguments, value in rows:
            with self.subTest(target):
                self.succeed("ptfold", "ops",
                             asserts(target, kind, arguments, value))
                self.refuse(UNSUPPORTED, ["as said"], "ptfold", "ops",
                            asserts(target, kind, arguments, value + 1))

    def test_branches_fit_their_call(self):
        with zipfile.ZipFile(PROGRAMS / "condition.pt2") as archive:
            model = json.loads(archive.read("condition/models/model.json"))
        call, = (node for node in model["graph_module"]["graph"]["nodes"]
                 if "cond" in node["target"])
        branch = call["inputs"][1]["arg"]

        def chosen(operands, results=("z",), taken=True):
            def fill(p):
                p.call(call["target"], {name: X for name in results}, {})
                p.calls[-1]["inputs"] = [
                    {"name": "", "arg": arg} for arg in (
                        {"as_sym_bool": {"as_bool": taken}}, branch,
                        call["inputs"][2]["arg"], pt2.argument(operands))]
            return self.program(fill)
        for operands, results, say in (
                ([1], ("z",), "expected a condition, two branches"),
                (["x", "x"], ("z",), "expected a branch of 2 inputs, got 1"),
                (["x"], ("z", "w"), "expected a branch of 2 outputs, got 1")):
            with self.subTest(say):
                self.refuse(UNSUPPORTED, [say], "ptfold", "ops",
                            chosen(operands, results))
        for taken in (True, False):
            self.succeed("ptfold", "ops", chosen(["x"], taken=taken))

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
