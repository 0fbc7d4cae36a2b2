"""Arguments and results of calls: every kind that PyTorch writes, as ptfold info --graph
shows it, and what is said of one that the operator does not take.

SPDX-License-Identifier: Apache-2.0
"""
import unittest

import pt2
from programs import DAMAGED, UNSUPPORTED, ProgramTest
from pt2 import text

N, F, B = ({f"as_sym_{kind}": {"as_name": name}}
           for kind, name in (("int", "n"), ("float", "f"), ("bool", "b")))

COMPLEX = {"as_complex": {"real": 1.5, "imag": -2.0}}
SIZES = {"as_sym_ints": [{"as_int": 3}, {"as_name": "n"}]}
SOME = {"as_optional_tensors": [{"as_none": True},
                                {"as_tensor": {"name": "x"}}]}

# An argument, whatever the operator, and as what it is shown.
KINDS = (
    (None, "None"), ({"as_none": []}, "None"), ("x", "x"), (-3, "-3"),
    (0.1, "0.1"), ({"as_float": "-Infinity"}, "-inf"), (True, "True"),
    (text("a b"), "'a b'"), (N, "n"), (F, "f"), (B, "b"),
    ({"as_sym_int": {"as_int": 4}}, "4"),
    ({"as_sym_float": {"as_float": 2.5}}, "2.5"),
    ({"as_sym_bool": {"as_bool": False}}, "False"),
    ({"as_scalar_type": pt2.FLOAT16}, "float16"),
    ({"as_memory_format": 2}, "channels_last"), ({"as_layout": 7}, "strided"),
    ({"as_layout": 1}, "sparse"), ({"as_device": {"type": "cpu"}}, "cpu"),
    (COMPLEX, "1.5 + 1j*-2.0"),
    ({"as_optional_tensor": {"as_none": True}}, "None"),
    ({"as_optional_tensor": {"as_tensor": {"name": "x"}}}, "x"),
    ({"as_custom_obj": {"name": "o", "class_fqn": "my.Class"}}, "my.Class"),
    ({"as_operator": "aten.relu"}, "'aten.relu'"),
    ([], "[]"), ([1, -2], "[1, -2]"), ([0.5, 2.0], "[0.5, 2.0]"),
    (["x", "x"], "[x, x]"), ({"as_bools": [True, False]}, "[True, False]"),
    ({"as_strings": ["a", "b"]}, "['a', 'b']"),
    (SIZES, "[3, n]"), (SOME, "[None, x]"),
) + tuple(({key: []}, key) for key in (
    "as_sym_bools", "as_sym_floats", "as_nested_tensors", "as_int_lists",
    "as_float_lists", "as_string_to_argument"))

# What is no such argument, the status, and what is said of it.
FAULTS = (
    ("y", DAMAGED, "name: expected a value that is defined before, got 'y'"),
    ("n", DAMAGED, "expected a tensor, got 'n', which is an integer"),
    ({"as_sym_int": {"as_name": "x"}}, DAMAGED,
     "expected an integer, got 'x', which is a tensor"),
    ({"as_sym_int": {"as_name": "b"}}, DAMAGED, "which is a truth value"),
    ({"as_sym_float": {"as_name": "n"}}, DAMAGED, "expected a number, got"),
    ({"as_sym_int": {"as_float": 1.0}}, DAMAGED,
     "as_sym_int.as_float: expected as_name or as_int"),
    ({"as_sym_int": {"as_int": 1.0}}, DAMAGED, "expected an integer, got"),
    ({"as_sym_ints": [{"as_name": "n"}, {"as_none": True}]}, DAMAGED,
     "as_sym_ints[1].as_none: expected as_name or as_int"),
    ({"as_sym_ints": 3}, DAMAGED, "expected an array"),
    ({"as_optional_tensor": {"as_int": 1}}, DAMAGED,
     "expected as_tensor or as_none"),
    ({"as_optional_tensors": [{"as_tensor": {}}]}, DAMAGED,
     "as_optional_tensors[0].as_tensor.name: expected a string"),
    ({"as_complex": {"real": 1.0}}, DAMAGED, "as_complex.imag: expected a"),
    ({"as_complex": 1.0}, DAMAGED, "as_complex: expected an object"),
    ({"as_scalar_type": 14}, UNSUPPORTED, "the number of a dtype, got 14"),
    ({"as_memory_format": 0}, UNSUPPORTED, "a number from 1 to 4, got 0"),
    ({"as_layout": 8}, UNSUPPORTED, "expected a number from 1 to 7, got 8"),
    ({"as_device": {"index": 0}}, DAMAGED, "as_device.type: expected a"),
    ({"as_custom_obj": {"name": "o"}}, DAMAGED, "class_fqn: expected a string"),
    ({"as_bools": [1]}, DAMAGED, "as_bools[0]: expected a truth value, got"),
    ({"as_strings": [1]}, DAMAGED, "as_strings[0]: expected a string"),
    ({"as_floats": ["nan"]}, DAMAGED, "as_floats[0]: expected a number"),
    ({"as_graph": {"graph": {}}}, DAMAGED, "as_graph.name: expected a string"),
    ({"as_graph": {"name": "g"}}, DAMAGED, "as_graph.graph: expected an obj"),
    ({"as_more": 1}, UNSUPPORTED, "an argument of a known kind, got 'as_more'"),
)

# An operator, its arguments, and those that it declares: numbers stand for
# tensors, one for a list of a length, integers for floats.
FITTING = (
    ("clamp.default", {"self": "x", "min": N}, "self=x, min=n"),
    ("clamp.default", {"self": "x", "max": F}, "self=x, max=f"),
    ("full.default", {"fill_value": B, "size": []}, "size=[], fill_value=b"),
    ("full.default", {"size": [1], "fill_value": COMPLEX},
     "size=[1], fill_value=1.5 + 1j*-2.0"),
    ("mul.Tensor", {"self": "x", "other": 3}, "self=x, other=3"),
    ("mul.Tensor", {"self": "x", "other": N}, "self=x, other=n"),
    ("dropout.default", {"input": "x", "p": N, "train": B},
     "input=x, p=n, train=b"),
    ("dropout.default", {"input": "x", "p": F, "train": False},
     "input=x, p=f, train=False"),
    ("dropout.default", {"input": "x", "p": 1, "train": False},
     "input=x, p=1.0, train=False"),
    ("softmax.int", {"self": "x", "dim": N}, "self=x, dim=n"),
    ("avg_pool2d.default", {"self": "x", "kernel_size": 2},
     "self=x, kernel_size=[2, 2]"),
    ("avg_pool2d.default", {"self": "x", "kernel_size": N},
     "self=x, kernel_size=[n, n]"),
    *(("upsample_nearest2d.vec", {"input": "x", "output_size": None,
                                  "scale_factors": given},
       f"input=x, output_size=None, scale_factors={shown}")
      for given, shown in (([2, 3], "[2.0, 3.0]"), ([2.5, 3.0], "[2.5, 3.0]"),
                           ([], "[]"), ({"as_strings": []}, "[]"))),
    ("cat.default", {"tensors": []}, "tensors=[]"),
    ("index.Tensor", {"self": "x", "indices": SOME},
     "self=x, indices=[None, x]"),
    ("zeros.default", {"size": [1], "device": {"as_device": {"type": "cpu"}},
                       "layout": {"as_layout": 7}, "pin_memory": False,
                       "dtype": {"as_scalar_type": 7}},
     "size=[1], dtype=float32, layout=strided, device=cpu, pin_memory=False"),
    ("clone.default", {"self": "x", "memory_format": {"as_memory_format": 1}},
     "self=x, memory_format=contiguous"),
    ("gelu.default", {"self": "x", "approximate": text("tanh")},
     "self=x, approximate='tanh'"),
)

# An operator, an argument that it does not take, and what is said.
UNFIT = (
    ("relu.default", {"self": text("x")}, "Tensor for 'self', got a text"),
    ("relu.default", {"self": ["x"]}, "Tensor for 'self', got a list of ten"),
    ("clamp.default", {"self": "x", "min": "x"},
     "Scalar or None for 'min', got a tensor"),
    ("clamp.default", {"self": "x", "min": text("1")},
     "Scalar or None for 'min', got a text"),
    ("dropout.default", {"input": "x", "p": "x"},
     "float for 'p', got a tensor"),
    ("dropout.default", {"input": "x", "p": B},
     "float for 'p', got a truth value"),
    ("dropout.default", {"input": "x", "p": True},
     "float for 'p', got a truth value"),
    ("dropout.default", {"input": "x", "p": (1 << 53) + 1},
     "float for 'p', got an integer"),
    ("dropout.default", {"input": "x", "train": N},
     "bool for 'train', got an integer"),
    ("dropout.default", {"input": "x", "train": 1},
     "bool for 'train', got an integer"),
    ("softmax.int", {"self": "x", "dim": F}, "int for 'dim', got a number"),
    ("softmax.int", {"self": "x", "dim": 1.0}, "int for 'dim', got a number"),
    ("softmax.int", {"self": "x", "dtype": 7},
     "ScalarType or None for 'dtype', got an integer"),
    ("softmax.int", {"self": "x", "dtype": N},
     "ScalarType or None for 'dtype', got an integer"),
    ("avg_pool2d.default", {"self": "x", "kernel_size": "x"},
     "int[] for 'kernel_size', got a tensor"),
    ("avg_pool2d.default", {"self": "x", "kernel_size": F},
     "int[] for 'kernel_size', got a number"),
    ("avg_pool2d.default", {"self": "x", "kernel_size": [1.0]},
     "int[] for 'kernel_size', got a list of numbers"),
    ("upsample_nearest2d.vec", {"scale_factors": SIZES},
     "float[] or None for 'scale_factors', got a list of integers"),
    ("upsample_nearest2d.vec", {"scale_factors": [(1 << 53) + 1]},
     "float[] or None for 'scale_factors', got a list of integers"),
    ("upsample_nearest2d.vec", {"scale_factors": 2.0},
     "float[] or None for 'scale_factors', got a number"),
    ("cat.default", {"tensors": SOME},
     "Tensor[] for 'tensors', got a list of tensors"),
    ("cat.default", {"tensors": [1]},
     "Tensor[] for 'tensors', got a list of integers"),
    ("gelu.default", {"self": "x", "approximate": 1},
     "str for 'approximate', got an integer"),
    ("zeros.default", {"device": text("cpu")},
     "Device or None for 'device', got a text"),
    ("zeros.default", {"layout": 7}, "Layout or None for 'layout', got an int"),
    ("clone.default", {"self": "x", "memory_format": 1},
     "MemoryFormat or None for 'memory_format', got an integer"),
    ("bernoulli.default", {"self": "x", "generator": 1},
     "Generator or None for 'generator', got an integer"),
)

NONE = {"as_none": True}
TENSOR = {"as_tensor": {"name": "y"}}
LIST = {"as_tensors": [{"name": "y"}]}
MORE = {"sym_size.int": {"dim": 0}, "chunk.default": {"chunks": 1},
        "max_pool2d_with_indices.default": {"kernel_size": 1}}
AS_DECLARED = "expected results as aten."

# An operator, JSON of its results, the status, and what is said of them.
RESULTS = (
    ("relu.default", [], DAMAGED, AS_DECLARED),
    ("relu.default", [NONE], DAMAGED, AS_DECLARED),
    ("relu_.default", [NONE], DAMAGED, AS_DECLARED),
    ("relu.default", [LIST], DAMAGED, AS_DECLARED),
    ("relu.default", [{"as_sym_int": {"as_name": "y"}}], DAMAGED, AS_DECLARED),
    ("relu.default", [{"as_int": 1}], UNSUPPORTED,
     "as_int: expected a tensor or number as a result, got 'as_int'"),
    ("relu.default", [{"as_tensor": {"name": ""}}], DAMAGED, "expected a name"),
    ("sym_size.int", [TENSOR], DAMAGED, AS_DECLARED),
    ("max_pool2d_with_indices.default", [NONE, TENSOR], DAMAGED, AS_DECLARED),
    ("max_pool2d_with_indices.default", [TENSOR], DAMAGED, AS_DECLARED),
    ("chunk.default", [TENSOR], DAMAGED, AS_DECLARED),
    ("max_pool2d_with_indices.default", [LIST, {"as_tensors": []}], UNSUPPORTED,
     "outputs[0].as_tensors: expected results or one list of them, got a list"),
)


class Calls(ProgramTest):
    def program(self, target, arguments, results=None):
        p = pt2.Program()
        p.input("x", (2, 3))
        p.number("int", "n", "torch.ops.aten.sym_size.int",
                 {"self": "x", "dim": 0})
        p.number("float", "f", "_operator.truediv", {"a": N, "b": 2})
        p.number("bool", "b", "_operator.gt", {"a": N, "b": 1})
        p.call(f"torch.ops.{target}", {"y": (2, 3)}, arguments)
        if results is not None:
            p.calls[-1]["outputs"] = results
        p.output("y")
        return p.save(self.folder / "x.pt2")

    def show(self, target, arguments):
        graph = self.succeed("ptfold", "info", "--graph",
                             self.program(target, arguments))
        return next(line for line in graph.splitlines()
                    if line.startswith("y = "))

    def test_every_kind_of_argument_is_read(self):
        for value, shown in KINDS:
            with self.subTest(value):
                self.assertEqual(self.show("my.op.default", {"a": value}),
                                 f"y = my.op.default(a={shown})")

    def test_what_is_none_is_refused_with_its_place(self):
        place = "graph_module.graph.nodes[3].inputs[0].arg"
        for value, status, say in FAULTS:
            with self.subTest(value):
                self.refuse(status, [say, place], "ptfold", "info",
                            self.program("my.op.default", {"a": value}))

    def test_arguments_become_what_the_operator_declares(self):
        for target, arguments, shown in FITTING:
            with self.subTest((target, arguments)):
                self.assertEqual(self.show(f"aten.{target}", arguments),
                                 f"y = aten.{target}({shown})")

    def test_arguments_of_another_type_are_refused(self):
        for target, arguments, say in UNFIT:
            with self.subTest((target, arguments)):
                place = f"nodes[3].inputs[{len(arguments) - 1}].arg"
                self.refuse(DAMAGED, [f"{place}: expected {say}"], "ptfold",
                            "info", self.program(f"aten.{target}", arguments))

    def test_results_are_those_that_the_operator_declares(self):
        for target, results, status, say in RESULTS:
            with self.subTest((target, results)):
                given = {"self": "x", **MORE.get(target, {})}
                self.refuse(status, ["nodes[3].outputs", say], "ptfold", "info",
                            self.program(f"aten.{target}", given, results))


if __name__ == "__main__":
    unittest.main()
