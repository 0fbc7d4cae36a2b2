"""Programs without inputs, values without elements, and what is made in float64.

SPDX-License-Identifier: Apache-2.0
"""
import struct
import unittest
import zipfile

import pt2
from programs import DAMAGED, UNSUPPORTED, USAGE, ProgramTest, read_npz


def npy(shape, numbers=()):
    head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}"
    head = head.ljust(117) + "\n"
    return (b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head))
            + head.encode() + struct.pack(f"<{len(numbers)}f", *numbers))


class Nothing(ProgramTest):
    def data(self, **arrays):
        with zipfile.ZipFile(self.path("x.npz"), "w") as out:
            for name, array in arrays.items():
                out.writestr(f"{name}.npy", array)

    def run_program_on(self, program, **arrays):
        self.data(**arrays)
        program.save(self.path("x.pt2"))
        done = self.run_program("ptfold", "run", "x.pt2", "--data", "x.npz",
                                "--npz", "y.npz", "--force")
        self.assertEqual(done.returncode, 0, done.stderr)
        return read_npz(self.path("y.npz"))

    def table(self):
        p = pt2.Program()
        p.parameter("w", (2, 2), [1, -2, 3, -4])
        p.call("torch.ops.aten.relu.default", {"y": (2, 2)}, {"self": "w"})
        p.output("y")
        p.output("w")
        return p

    def test_a_program_may_have_no_input(self):
        got = self.run_program_on(self.table())
        self.assertEqual(got["output.0"], ((2, 2), [1, 0, 3, 0]))
        self.assertEqual(got["output.1"], ((2, 2), [1, -2, 3, -4]))
        self.assertIn("2x2", self.succeed("ptfold", "ops", "x.pt2"))
        self.assertIn("digraph", self.succeed("ptfold", "info", "--dot",
                                              "x.pt2"))
        text = self.succeed("ptfold", "check", "x.pt2", "x.pt2")
        self.assertIn("verdict: BITWISE", text)
        self.assertIn("output.1", self.succeed("ptfold", "run", "--sample",
                                               "x.pt2"))
        self.refuse(USAGE, ["expected images, --data FILE or"], "ptfold",
                    "run", "x.pt2")

    def test_a_text_may_have_no_input_but_then_constants_alone(self):
        text = "ptfold graph 1\nconst c f32 [2,0]\noutput y c\n"
        self.write("net.txt", text.encode())
        self.assertIn(text[:30], self.succeed("ptfold", "info", "--graph",
                                              "net.txt"))
        self.write("net.txt", b"ptfold graph 1\nconst c f32 [2]\n"
                   b"y = relu(c)\noutput y\n")
        self.refuse(DAMAGED, ["expected an input before all other values"],
                    "ptfold", "info", "--graph", "net.txt")

    def test_inputs_may_have_no_elements(self):
        for sizes in ((0, 3), (2, 0), (2, 3, 0, 4), (2, 0, 5)):
            with self.subTest(sizes):
                p = pt2.Program()
                p.input("x", sizes)
                p.call("torch.ops.aten.exp.default", {"y": sizes},
                       {"self": "x"})
                p.call("torch.ops.aten.sum.default", {"z": ()}, {"self": "y"})
                for name in "xyz":
                    p.output(name)
                got = self.run_program_on(p, x=npy(sizes))
                for k in range(2):
                    self.assertEqual(got[f"output.{k}"], (sizes, []))
                self.assertEqual(got["output.2"], ((), [0]))
                self.assertIn("one number", self.succeed("ptfold", "ops",
                                                         "x.pt2"))

    def test_ops_of_a_net_read_some_elements(self):
        for shape in ("[N,0,3]", "[0,3] fixed"):
            self.write("net.txt", f"ptfold graph 1\ninput x f32 {shape}\n"
                       "y = relu(x)\noutput y\n".encode())
            self.refuse(USAGE, ["layer y (ReLU): cannot take 0x3: there are "
                                "no elements in it"], "ptfold", "ops",
                        "net.txt")

    def test_what_is_made_of_nothing(self):
        nan = float("nan")
        for target, more, result, want in (
                ("mean.dim", {"dim": [1]}, (2,), [nan, nan]),
                ("linalg_vector_norm.default", {"dim": [1]}, (2,), [0, 0]),
                ("logsumexp.default", {"dim": [1]}, (2,), [-float("inf")] * 2),
                ("pad.default", {"pad": [1, 0], "value": 2.5}, (2, 1), [2.5] * 2),
                ("repeat.default", {"repeats": [1, 3]}, (2, 0), [])):
            with self.subTest(target):
                p = pt2.Program()
                p.input("x", (2, 0))
                p.call(f"torch.ops.aten.{target}", {"y": result},
                       {"self": "x", **more})
                p.output("y")
                shape, got = self.run_program_on(p, x=npy((2, 0)))["output"]
                self.assertEqual(shape, result)
                self.assertEqual(str(got), str([float(n) for n in want]))
        p = pt2.Program()
        p.input("x", (2, 0))
        p.call("torch.ops.aten.amax.default", {"y": (2,)},
               {"self": "x", "dim": [1]})
        p.output("y")
        self.refuse(UNSUPPORTED, ["(aten.amax.default): takes a tensor that "
                                  "has no elements"], "ptfold", "ops",
                    p.save(self.path("x.pt2")))

    def test_a_sample_without_elements_makes_the_program_one_of_arrays(self):
        p = pt2.Program()
        p.input("x", (2, 3))
        p.call("torch.ops.aten.slice.Tensor", {"e": (2, 0)},
               {"self": "x", "dim": 1, "start": 3, "end": 9})
        p.call("torch.ops.aten.cat.default", {"y": (2, 3)},
               {"tensors": ["x", "e"], "dim": 1})
        p.output("y")
        numbers = [1, 2, 3, 4, 5, 6]
        got = self.run_program_on(p, x=npy((2, 3), numbers))
        self.assertEqual(got["output"], ((2, 3), numbers))

    def made(self, target, arguments, sizes, numbers=None):
        """A call that gives float64, or a constant of it, as an output."""
        p = pt2.Program()
        if numbers is not None:
            p.parameter("d", sizes, dtype=pt2.FLOAT64)
            own, _ = p.parameters["d"]
            p.parameters["d"] = own, struct.pack(f"<{len(numbers)}d", *numbers)
        p.input("x", (1, 3))
        if target is not None:
            p.call(f"torch.ops.aten.{target}",
                   {"d": pt2.meta(sizes, pt2.FLOAT64)}, arguments)
        p.output("d")
        return p

    def test_float64_is_given_out_where_float32_has_it(self):
        for target, arguments, want in (
                ("new_full.default", {"self": "x", "size": [2],
                                      "fill_value": 0.5}, [0.5, 0.5]),
                ("arange.start_step", {"start": 1, "end": 2, "step": 0.5},
                 [1, 1.5]), (None, {}, [2.0**-30, -8])):
            p = self.made(target, arguments, (2,), None if target else want)
            got = self.run_program_on(p, x=npy((1, 3), [1, 2, 3]))["output"]
            self.assertEqual(got, ((2,), want))
            with zipfile.ZipFile(self.path("y.npz")) as file:
                self.assertIn(b"<f8", file.read("output.npy")[:40])
        for target, arguments, numbers, say in (
                ("new_full.default", {"self": "x", "size": [2],
                                      "fill_value": 0.1}, None,
                 "makes a number that float32 does not hold"),
                ("arange.start_step", {"start": 1, "end": 1.2, "step": 0.1},
                 None, "makes a number that float32"),
                ("linspace.default", {"start": 0, "end": 0.1, "steps": 2},
                 None, "makes a number that float32"),
                (None, {}, [0.5, 0.1],
                 "x.pt2: a constant of float64 has numbers that float32")):
            p = self.made(target, arguments, (2,), numbers)
            self.refuse(UNSUPPORTED, [say], "ptfold", "ops",
                        p.save(self.path("x.pt2")))

    def test_a_comparison_with_float64_is_exact(self):
        for numbers, status in (([0.5, 2], 0), ([0.5, 0.1], UNSUPPORTED)):
            p = self.made(None, {}, (2,), numbers)
            p.outputs.clear()
            p.input("y", (1, 2))
            p.call("torch.ops.aten.gt.Tensor",
                   {"z": pt2.meta((1, 2), pt2.BOOL)},
                   {"self": "y", "other": "d"})
            p.output("z")
            done = self.run_program("ptfold", "ops",
                                    p.save(self.path("x.pt2")))
            self.assertEqual(done.returncode, status, done.stderr)

    def test_integers_that_there_are_not_are_the_least_as_on_x86(self):
        for dtype, least in ((pt2.INT64, -2.0**63), (pt2.INT32, -2.0**31)):
            p = pt2.Program()
            p.input("x", (6,))
            p.call("torch.ops.aten.to.dtype", {"i": pt2.meta((6,), dtype)},
                   {"self": "x", "dtype": {"as_scalar_type": dtype}})
            p.call("torch.ops.aten.to.dtype", {"y": (6,)},
                   {"self": "i", "dtype": {"as_scalar_type": pt2.FLOAT32}})
            p.output("y")
            numbers = [float("inf"), float("nan"), -1e20, -0.5, 2.5, -7.9]
            shape, got = self.run_program_on(p, x=npy((6,), numbers))["output"]
            self.assertEqual(str(got), str([least] * 3 + [0.0, 2.0, -7.0]))


if __name__ == "__main__":
    unittest.main()
