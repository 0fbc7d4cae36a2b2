"""Calls of torch.export programs that ptfold does not run: each is a call that
it does run with one thing changed.

SPDX-License-Identifier: Apache-2.0
"""
import unittest

import pt2
from programs import DAMAGED, UNSUPPORTED, ProgramTest
from pt2 import text

HUGE = (1 << 63) - 1
GONE = object()  # instead of an argument: it is not given
RESULT = "y"  # instead of an argument's name: the recorded sizes of the result

X = (2, 3, 4, 4)
# Numbers, and their positions.
TOP = {"y": pt2.meta((2, 3, 2, 4)), "i": pt2.meta((2, 3, 2, 4), pt2.INT64)}
LSTM = {"y": pt2.meta((2, 4, 2)), "h": pt2.meta((1, 4, 2)),
        "c": pt2.meta((1, 4, 2))}
BAGS = {"y": pt2.meta((3, 3)), **{name: pt2.meta((3,), pt2.INT64)
                                  for name in ("o", "s", "i")}}
GRU = {"y": LSTM["y"], "h": LSTM["h"]}
MOST = {"y": pt2.meta(X[:3]), "i": pt2.meta(X[:3], pt2.INT64)}


def at(*names):
    """A list of tensors, of which some are None."""
    return {"as_optional_tensors": [
        {"as_none": True} if name is None else pt2.argument(name)
        for name in names]}


PARAMETERS = {
    "gates": ((8, 4), pt2.FLOAT32), "own": ((8, 2), pt2.FLOAT32),
    "w3": ((6, 4), pt2.FLOAT32), "own3": ((6, 2), pt2.FLOAT32),
    "state": ((1, 4, 2), pt2.FLOAT32), "one_state": ((1, 4, 1), pt2.FLOAT32),
    "w": ((5, 3, 3, 3), pt2.FLOAT32), "w2": ((5, 4), pt2.FLOAT32),
    "five": ((5,), pt2.FLOAT32), "three": ((3,), pt2.FLOAT32),
    "six": ((1,) * 6, pt2.FLOAT32), "m": ((4, 5), pt2.FLOAT32), "double": ((3,), pt2.FLOAT64),
    "complex": ((3,), pt2.COMPLEX64), "integers": ((3,), pt2.INT64),
    "four": ((4,), pt2.FLOAT32), "truth": ((), pt2.BOOL),
    "one_element": ((), pt2.FLOAT32), "bytes": ((3,), pt2.UINT8), "seven": ((3,), pt2.FLOAT32)}

NUMBERS = {"seven": [7] * 3, "four": [1] * 4}  # of others: zeros

NORM = {"input": "x", "weight": "three", "bias": "three",
        "running_mean": "three", "running_var": "three", "momentum": 0.1,
        "eps": 1e-5}

# An operator, its arguments, sizes of the result; then what is changed, and
# what is said of it: by the reader where it is no such call at all (DAMAGED),
# else by the importer.
CALLS = (
    ("conv2d.default", {"input": "x", "weight": "w", "bias": "five",
                        "stride": [1, 1], "padding": [1, 1],
                        "dilation": [1, 1], "groups": 1}, (2, 5, 4, 4), (
        ("weight", GONE, "expected the argument 'weight'", DAMAGED),
        ("weight", None, "expected Tensor for 'weight', got None", DAMAGED),
        ("weight", 1.0, "expected a tensor as weight"),
        ("weight", "three", "weight of rank"), ("weight", "six", "weight of"),
        ("weight", "integers", "its weight is int64"),
        ("weight", "complex", "its weight is complex64"),
        ("bias", "three", "expected a bias of 5, got 3"),
        ("bias", "w2", "expected a bias of 5, got 5x4"),
        ("input", "w", "got a recorded shape of [2, 5, 4, 4]"),
        ("input", "five", "axes, got 1"),
        ("input", "complex", "axes, got 1"),
        ("input", 1, "expected a tensor as input"),
        ("weight", "cube", "maps and a weight of 4 axes"),
        ("weight", "x", "another number of elements"),
        ("weight", "two", "expected groups of 2 channels"),
        ("bias", "narrow", "expected a bias of one axis"),
        ("stride", [0, 1], "positive strides"),
        ("stride", [1, 1, 1], "2 integers as stride"),
        ("stride", [HUGE, 1], "strides"), ("padding", [-1, 1], "padding"),
        ("padding", [HUGE, HUGE], "padding"),
        ("dilation", [0, 0], "dilations"),
        ("dilation", [9, 1], "its kernel is larger than its input"),
        ("groups", 0, "at least one group"), ("groups", -1, "one group"),
        ("groups", 2, "groups that do not divide the channels"),
        ("groups", HUGE, "group"),
        (RESULT, (2, 5, 4, 5), "5x4x4 from its inputs, got a recorded shape"),
        (RESULT, (1, 5, 4, 4), "5x4x4 from its inputs, got a recorded shape"),
        (RESULT, (5, 4, 4), "5x4x4 from its inputs, got a recorded shape"),
        (RESULT, (), "5x4x4 from its inputs, got a recorded shape of []"))),
    ("convolution.default", {
        "input": "x", "weight": "w", "bias": None, "stride": [1, 1],
        "padding": [0, 0], "dilation": [1, 1], "transposed": False,
        "output_padding": [0, 0], "groups": 1}, (2, 5, 2, 2), (
        ("stride", [], "2 integers as stride"),
        ("transposed", None, "expected bool for 'transposed'", DAMAGED))),
    ("add.Tensor", {"self": "x", "other": "x"}, X, (
        (RESULT, pt2.meta(X, pt2.BOOL), "gives real numbers for its arguments, "
         "got a recorded dtype of bool"),
        (RESULT, {**pt2.meta(X), "layout": 5}, "expected a strided result"))),
    ("mul_.Tensor", {"self": "x", "other": 2.0}, X, (
        (RESULT, pt2.meta(X, pt2.BOOL), "expected float32, as its 'self' is"),)),
    ("gt.Scalar", {"self": "x", "other": 0.5}, pt2.meta(X, pt2.BOOL), (
        (RESULT, pt2.meta(X), "gives bools for its arguments"),)),
    ("gelu.default", {"self": "x"}, X, (
        (RESULT, pt2.meta(X, pt2.BOOL), "computes with 'x', which is float32"),
        )),
    ("batch_norm.default", {**NORM, "training": False,
                            "cudnn_enabled": False}, X, (
        ("training", True, "call model.eval() before torch.export.export()"),
        ("running_mean", None, "no running statistics"),
        ("running_var", None, "no running statistics"),
        ("running_mean", "x", "its running_mean is computed from the input"),
        ("running_var", "five", "expected a running_var of 3, got 5"),
        ("weight", "five", "expected a weight of 3, got 5"),
        ("input", "three", "node 'y'"))),
    ("_native_batch_norm_legit_no_training.default", NORM, X, (
        ("running_mean", "five", "expected 5 input channels, got 3"),)),
    ("max_pool2d.default", {"self": "x", "kernel_size": [2, 2],
                            "stride": [2, 2], "padding": [0, 0],
                            "dilation": [1, 1]}, (2, 3, 2, 2), (
        ("kernel_size", [0, 2], "a window of at least 1"),
        ("kernel_size", [9, 9], "its window is larger than its input"),
        ("kernel_size", [HUGE, 1], "a window"), ("stride", [0, 0], "a window"),
        ("padding", [2, 2], "more padding than half the window"),
        ("padding", [-1, 0], "a window"), ("dilation", [0, 1], "a window"),
        ("dilation", [HUGE, HUGE], "a window"),
        ("self", "three", "axes, got 1"))),
    ("avg_pool2d.default", {"self": "x", "kernel_size": [2, 2]},
     (2, 3, 2, 2), (
        ("padding", [2, 2], "more padding than half the window"),
        ("stride", [-1, 1], "a window"))),
    ("adaptive_avg_pool2d.default", {"self": "x", "output_size": [1, 1]},
     (2, 3, 1, 1), (
        ("output_size", [0, 1], "an output of at least 1"),
        ("output_size", [-1, -1], "an output of at least 1"),
        ("output_size", [HUGE, HUGE], "node 'y'"))),
    ("relu.default", {"self": "x"}, X, (
        ("self", 1, "expected a tensor as self"),
        ("self", "complex", "a constant is complex64; expected real numbers"),
        (RESULT, pt2.meta(X, pt2.FLOAT16), "computes in float16"),
        (RESULT, pt2.meta(X, pt2.FLOAT64), "computes in float64"),
        (RESULT, pt2.meta(X, pt2.BFLOAT16), "computes in bfloat16"),
        (RESULT, pt2.meta(X, pt2.COMPLEX64), "computes in complex64"))),
    ("softplus.default", {"self": "x", "beta": 2}, X, (
        ("beta", 0, "beta is no normal float32"),
        ("beta", 1e-40, "beta is no normal float32"),
        ("beta", 1e300, "beta is no normal float32"),
        ("beta", {"as_float": "NaN"}, "beta is no normal float32"),
        ("beta", {"as_complex": {"real": 1.0, "imag": 0.0}},
         "expected a number as beta"))),
    ("gelu.default", {"self": "x", "approximate": text("none")}, X, (
        ("approximate", text("fast"), "expected approximate 'none' or"),)),
    ("softmax.int", {"self": "x", "dim": 1}, X, (
        ("dim", 4, "expected a dimension of 4, got number 4"),
        ("dim", -5, "dimension"), ("dim", HUGE, "dimension"),
        ("dtype", {"as_scalar_type": pt2.FLOAT64}, "dtype"))),
    ("flatten.using_ints", {"self": "x", "start_dim": 1}, (2, 48), (
        ("start_dim", 4, "expected a dimension of 4, got number 4"),
        ("start_dim", -HUGE, "dimension"),
        ("end_dim", 0, "expected start_dim before end_dim"),
        ("start_dim", 0, "got a recorded shape"))),
    ("view.default", {"self": "x", "size": [2, 48]}, (2, 48), (
        ("size", [2, 47], "another number of elements"),
        ("size", [-1, -1], "at most one -1"), ("size", [0, 48], "another number"),
        ("size", [HUGE, HUGE], "positive sizes"),
        ("size", [-2, 48], "positive sizes"),
        ("size", [1] * 12, "integers as size, got 12"),
        ("size", [], "another number of elements"))),
    ("permute.default", {"self": "x", "dims": [0, 1, 3, 2]}, X, (
        ("dims", [0, 1, 2], "each of 4 dimensions once"),
        ("dims", [], "each of 4 dimensions once"),
        ("dims", [0, 1, 1, 2], "each of 4 dimensions once"),
        ("dims", [0, 1, 2, 4], "each of 4 dimensions once"),
        ("dims", [0, 1, 2, -HUGE], "each of 4 dimensions once"),
        ("dims", [1, 0, 2, 3], "got a recorded shape"))),
    ("expand.default", {"self": "narrow", "size": [2, 3, 4, 4]}, X, (
        ("size", [2, 3, 4], "at least 4 sizes, got 3"),
        ("size", [2, 6, 4, 4], "only dimensions of size 1 can grow"),
        ("size", [2, 3, 4, 1 << 62], "node 'y'"),
        ("size", [HUGE] * 5 + [2, 3, 4, 4], "at most 8 can be"),
        ("size", [2, 3, 4, -2], "node 'y'"))),
    ("repeat_interleave.self_int", {"self": "x", "repeats": 2, "dim": 1},
     (2, 6, 4, 4), (
        ("repeats", 0, "at least one repetition"),
        ("repeats", HUGE, "too large"), ("dim", 4, "dimension"),
        ("dim", None, "got a recorded shape"))),
    ("unfold.default", {"self": "x", "dimension": 2, "size": 3, "step": 1},
     (2, 3, 2, 4, 3), (
        ("size", 5, "windows of at least 1 that fit into 4 positions"),
        ("size", 0, "windows of at least 1"), ("size", HUGE, "fit into 4"),
        ("step", 0, "steps of at least 1"), ("dimension", 4, "dimension of 4"),
        ("step", 2, "got a recorded shape"),
        ("dimension", 0, "windows of at least 1 that fit into 2"))),
    ("im2col.default", {"self": "x", "kernel_size": [2, 3], "dilation": [1, 1],
                        "padding": [0, 1], "stride": [2, 1]}, (2, 18, 8), (
        ("kernel_size", [5, 3], "windows of at least 1 that fit into 4"),
        ("kernel_size", [HUGE, 3], "windows"), ("dilation", [HUGE, 1], "windows"),
        ("padding", [-1, 0], "paddings of at least 0"),
        ("padding", [HUGE, 0], "paddings"), ("stride", [0, 1], "steps of"),
        ("self", "five", "expected 3 or 4 axes, got 1"))),
    ("einsum.default", {"equation": text("bcij,bcjk->bcik"),
                        "tensors": ["x", "x"]}, X, (
        ("equation", text("ij,jk,kl->il"), "expected 3 tensors, got 2"),
        ("equation", text("bc..,b->c"), "is no sum of operands"),
        ("equation", text("......,b->b"), "is no sum of operands"),
        ("equation", text("abcdefghij,b->b"), "at most 8 axes"),
        ("equation", text("bcij,bcjk->x"), "a letter in its result that no"),
        ("equation", text("bcij,bcjk->bb"), "that no operand has, or twice"),
        ("equation", text("bcij,bcd...jk->b"), "expected operands and a result"),
        ("equation", text("bci,bcjk->b"), "an operand has"),
        ("equation", text("bccj,bcjk->b"), "stands for axes of 3 and 4"),
        ("equation", text("bcij,cbjk->b"), "stands for axes of"),
        ("equation", 1, "for 'equation'", DAMAGED),
        ("tensors", "x", "for 'tensors'", DAMAGED))),
    ("linear.default", {"input": "x", "weight": "two_rows", "bias": None},
     (2, 3, 4, 2), (
        ("weight", "cube", "expected a weight of rank 2"),
        ("weight", "three", "expected a weight of rank 2"),
        ("weight", "w", "expected a weight of rank 2"),
        ("bias", "narrow", "expected a bias of one axis"))),
    ("col2im.default", {"self": "cube", "output_size": [3, 3],
                        "kernel_size": [2, 2], "dilation": [1, 1],
                        "padding": [0, 0], "stride": [1, 1]}, (2, 1, 3, 3), (
        ("output_size", [3, 4], "expected columns of 2 by 3 windows"),
        ("output_size", [0, 3], "windows of at least 1 that fit into 0"),
        ("output_size", [HUGE, 3], "windows of at least 1"),
        ("kernel_size", [3, 1], "expected columns of 1 by 3 windows"),
        ("padding", [-1, 0], "paddings of at least 0"),
        ("self", "x", "expected 2 or 3 axes, got 4"))),
    ("kl_div.default", {"self": "x", "target": "x", "reduction": 0}, X, (
        ("reduction", 3, "expected a reduction from 0 to 2"),
        ("reduction", 2, "got a recorded shape"),
        ("target", "five", "the sizes of its inputs do not fit"))),
    ("linalg_vector_norm.default", {"self": "x", "ord": 3, "dim": [1]},
     (2, 4, 4), (
        ("ord", {"as_float": "NaN"}, "its order is NaN"),
        ("dim", [4], "dimension of 4"), ("dim", [0], "got a recorded shape"),
        ("dtype", {"as_scalar_type": pt2.FLOAT64}, "sums in float64"))),
    ("pow.Scalar", {"self": 2.0, "exponent": "x"}, X, (
        ("exponent", "complex", "a constant is complex64"),
        (RESULT, pt2.meta(X, pt2.INT64), "computes with 'x', which is float32, "
         "got a recorded dtype of int64"))),
    ("linspace.default", {"start": 0, "end": 1, "steps": 4}, (4,), (
        ("steps", -1, "expected 0 to 2^24 numbers"), ("steps", HUGE, "numbers"),
        (RESULT, pt2.meta((4,), pt2.INT64), "a number that int64 or float32"))),
    ("linspace.Tensor_Scalar", {"start": "one_element", "end": 1, "steps": 4},
     (4,), (
        ("start", "five", "no number that the sizes"),
        ("start", "x", "no number that the sizes of the inputs decide"))),
    ("one_hot.default", {"self": "integers", "num_classes": 4}, (3, 4), (
        ("num_classes", -1, "expected 1 to 4096 classes, got -1"),
        ("num_classes", HUGE, "expected 1 to 4096 classes"))),
    ("index.Tensor", {"self": "x", "indices": at(None, "integers", "integers")},
     (2, 3, 4), (
        ("indices", at(None, None), "expected tensors of indices, got none"),
        ("indices", at(*[None] * 3, "integers", "integers"),
         "expected at most 4 indices"),
        ("indices", at(None, "integers", "five"), "do not fit each other"),
        ("indices", at(None, "integers", "bytes"), "expected a mask of 4 "
         "positions in axis 2, got 3"),
        ("indices", at("bytes", "bytes", "bytes", "bytes", "bytes"),
         "expected a mask of 2 positions in axis 0, got 3"),
        ("indices", at("truth"), "its mask has no axis"),
        ("indices", at("some"), "the input decides how many positions 'some' "
         "has; use torch.where(mask, x, y)"),
        ("indices", at(None, "integers", "narrow"), "got a recorded shape"),
        ("indices", at(None, "integers", "seven"), "an index is 7; expected "
         "one of 4 positions"),
        ("indices", at(None, "integers", None, "integers"),
         "got a recorded shape"))),
    ("index_put.default", {"self": "x", "indices": at(None, "integers"),
                           "values": "one_element"}, X, (
        ("indices", at(None, None), "expected tensors of indices, got none"),
        ("indices", at(None, "seven"), "expected one of 3 positions"),
        ("indices", at(None, "line"), "writes to positions that are computed "
         "from the input; use torch.where() with a mask"),
        ("values", "five", "expected values of the sizes of what is written"),
        ("values", "one", "writes several numbers to one position"))),
    ("index_put_.default", {"self": "one", "indices": at("some"),
                            "values": "one_element"}, (2, 1, 4, 4), (
        ("values", "m", "the input decides how many positions 'some' has"),
        ("indices", at(None, "some"), "the input decides how many"))),
    ("grid_sampler.default", {
        "input": "x", "grid": "pairs", "interpolation_mode": 0,
        "padding_mode": 0, "align_corners": False}, (2, 3, 4, 1), (
        ("interpolation_mode", 3, "samples maps of 2 axes in the mode 3"),
        ("padding_mode", -1, "with padding -1"),
        ("input", "cube", "samples maps of 1 axes"),
        ("grid", "x", "expected a grid of 2 coordinates for each sample"),
        ("grid", "narrow", "expected a grid of 2 coordinates"))),
    ("affine_grid_generator.default", {
        "theta": "rows", "size": [2, 3, 5, 7], "align_corners": True},
     (2, 5, 7, 2), (
        ("theta", "x", "expected a matrix for each sample"),
        ("size", [2, 3, 5], "expected a matrix for each sample"),
        ("size", [2, 3, 1 << 40, 1 << 40], "its output is too large"))),
    ("eq.Scalar", {"self": "ranks", "other": 16777216},
     {"y": pt2.meta((2, 3), pt2.BOOL)}, (
        ("other", 16777217, "takes 16777217, which float32 does not hold"),)),
    ("nonzero.default", {"self": "four"}, {"y": pt2.meta((4, 1), pt2.INT64)},
     (("self", "some", "the input decides how many positions"),
      ("self", "three", "got a recorded shape"))),
    ("embedding_renorm_.default", {"self": "cube_rows", "indices": "integers",
                                   "max_norm": 1.0, "norm_type": 2.0}, (2, 16),
     (("indices", "line", "normalises rows that the input names"),
      ("indices", "seven", "an index is 7; expected one of 2 rows"),
      ("norm_type", {"as_float": "NaN"}, "its order is NaN"),
      ("self", "cube", "expected a table of two axes"))),
    ("resize_.default", {"self": "cube", "size": [2, 8]}, (2, 8), (
        ("size", [33], "expected at most 32 numbers"),
        ("size", [-1], "expected at most 32 numbers"))),
    ("copy.default", {"self": "x", "src": "x"}, X, (
        (RESULT, pt2.meta(X, pt2.FLOAT64), "converts to float64"),)),
    ("full.default", {"size": [4], "fill_value": 0.5}, (4,), (
        (RESULT, pt2.meta((4,), pt2.INT64), "a number that int64 or float32"),
        (RESULT, pt2.meta((4,), pt2.BOOL), "a number that bool or float32"),
        (RESULT, pt2.meta((4,), pt2.FLOAT16), "computes in float16"),
        ("size", [5], "got a recorded shape"))),
    ("unflatten.int", {"self": "x", "dim": 1, "sizes": [3, 1]},
     (2, 3, 1, 4, 4), (
        ("sizes", [2, 2], "another number of elements"),
        ("sizes", [0, 3], "another number of elements"),
        ("sizes", [1] * 7, "a value has 10 axes"),
        ("dim", 4, "dimension of 4"), ("dim", 0, "number of elements"))),
    ("unsqueeze.default", {"self": "x", "dim": -1}, (2, 3, 4, 4, 1), (
        ("dim", 5, "dimension of 5"), ("dim", 0, "got a recorded shape"))),
    ("squeeze.dim", {"self": "narrow", "dim": 3}, (2, 3, 4), (
        ("dim", 2, "got a recorded shape"), ("dim", None, "for 'dim'", DAMAGED))),
    ("topk.default", {"self": "x", "k": 2, "dim": 2}, TOP, (
        ("k", 0, "expected a k of at least 1, got 0"), ("k", -1, "got -1"),
        ("k", 5, "it gives more positions than its input has"),
        ("k", HUGE, "more positions"), ("k", 1, "got a recorded shape"),
        ("dim", 4, "dimension of 4"), ("dim", 0, "got a recorded shape"),
        ("dim", None, "for 'dim'", DAMAGED))),
    ("max.dim", {"self": "x", "dim": 3, "keepdim": False}, MOST, (
        ("keepdim", True, "got a recorded shape"), ("dim", -5, "dimension of"),
        ("dim", 0, "got a recorded shape"),
        ("self", "three", "dimension of 1"))),
    ("argmax.default", {"self": "x", "dim": 3}, pt2.meta(X[:3], pt2.INT64), (
        ("dim", 4, "dimension of 4"), ("dim", None, "got a recorded shape"),
        (RESULT, pt2.meta(X[:3], pt2.FLOAT64), "computes in float64"))),
    ("argsort.default", {"self": "x", "dim": 1}, pt2.meta(X, pt2.INT64), (
        ("dim", 9, "dimension of 4"), ("dim", -HUGE, "dimension"))),
    ("cumsum.default", {"self": "x", "dim": 1}, X, (
        ("dim", 4, "dimension of 4"), ("self", "three", "dimension of 1"),
        (RESULT, pt2.meta(X, pt2.FLOAT64), "computes in float64"),
        (RESULT, pt2.meta(X, pt2.INT64), "computes with 'x', which is float32, "
         "got a recorded dtype of int64"))),
    ("all.dim", {"self": "x", "dim": 1}, pt2.meta((2, 4, 4), pt2.BOOL), (
        ("dim", 4, "dimension of 4"), ("dim", 0, "got a recorded shape"))),
    ("lstm.input", {"input": "cube", "hx": ["state", "state"],
                    "params": ["gates", "own"], "has_biases": False,
                    "num_layers": 1, "dropout": 0.5, "train": False,
                    "bidirectional": False, "batch_first": False}, LSTM, (
        ("input", "x", "expected an input of 3 axes"),
        ("hx", ["state"], "expected 2 states as hx"),
        ("hx", ["state", "w2"], "states of 1 layers for a batch of 4"),
        ("hx", ["state", "one_state"], "states of 1 layers"),
        ("hx", ["one_state", "state"], "node 'y'"),
        ("params", ["gates"], "expected at least 2 params for each layer"),
        ("params", ["three", "own"], "a matrix of the rows of 4 gates"),
        ("params", ["gates", "three"], "a matrix of 8 rows as number 1"),
        ("params", ["gates", "w2"], "a matrix of 8 rows as number 1"),
        ("params", ["own", "own"], "node 'y'"),
        ("params", ["gates", "own", "own"], "node 'y'"),
        ("num_layers", 0, "2 params for each layer"),
        ("num_layers", HUGE, "2 params for each layer"),
        ("train", True, "is in training mode; call model.eval()"),
        ("has_biases", True, "at least 4 params for each layer"),
        ("bidirectional", True, "at least 2 params"),
        ("batch_first", True, "for a batch of 2"))),
    ("gru.input", {"input": "cube", "hx": "state", "params": ["w3", "own3"],
                   "has_biases": False, "num_layers": 1, "dropout": 0.0,
                   "train": False, "bidirectional": False,
                   "batch_first": False}, GRU, (
        ("hx", "w2", "states of 1 layers for a batch of 4"),
        ("params", ["gates", "own"], "a matrix of the rows of 3 gates"),
        ("params", ["w3", "own3", "own3"], "expected 2 params for each"))),
    ("slice_scatter.default", {"self": "x", "src": "one", "dim": 1,
                               "start": 1, "end": 2, "step": 1}, X, (
        ("src", "x", "expected a src of the sizes of the part"),
        ("src", "cube", "a src of the sizes"), ("dim", 2, "a src of the sizes"),
        ("end", 1, "to a slice of nothing"), ("step", 0, "a step of at least"),
        ("dim", 4, "dimension of 4"), ("dim", 0, "a src of the sizes"))),
    ("select_scatter.default", {"self": "x", "src": "cube", "dim": 1,
                                "index": -1}, X, (
        ("src", "one", "a src of the sizes"),
        ("index", 3, "expected a position of 3, got 3"),
        ("index", -4, "position of 3"), ("dim", -5, "dimension of 4"))),
    ("embedding_bag.padding_idx", {
        "weight": "flat", "indices": "integers", "offsets": "integers",
        "scale_grad_by_freq": False, "mode": 1, "sparse": False,
        "per_sample_weights": None, "include_last_offset": False,
        "padding_idx": None}, BAGS, (
        ("mode", 3, "expected a mode from 0 to 2, got 3"),
        ("weight", "five", "expected a weight of two axes"),
        ("indices", "flat", "expected indices of one axis"),
        ("offsets", "flat", "expected offsets of one axis"),
        ("offsets", "line", "its offsets are computed from the input"),
        ("offsets", "seven", "expected offsets from 0 to 3 in ascending order"),
        ("per_sample_weights", "five", "expected a weight for each index"),
        ("include_last_offset", True, "expected 3 as the last offset"))),
    ("transpose.int", {"self": "x", "dim0": 1, "dim1": -1}, (2, 4, 4, 3), (
        ("dim0", 4, "dimension of 4"), ("dim1", -HUGE, "dimension of 4"),
        ("dim0", 0, "got a recorded shape"))),
    ("movedim.intlist", {"self": "x", "source": [1, 2], "destination": [3, 1]},
     (2, 4, 4, 3), (
        ("source", [1], "as many goals"), ("source", [1, 1], "each once"),
        ("destination", [3, 3], "each once"), ("source", [1, 9], "each once"),
        ("destination", [0, 1], "got a recorded shape"))),
    ("repeat.default", {"self": "x", "repeats": [1, 2, 1, 1]}, (2, 6, 4, 4), (
        ("repeats", [1, -1, 1, 1], "expected 0 to 4096 repetitions, got -1"),
        ("repeats", [1, 0, 1, 1], "expected 2x0x4x4 from its inputs"),
        ("repeats", [1, HUGE, 1, 1], "repetitions"),
        ("repeats", [2, 1, 1, 1], "got a recorded shape"),
        ("repeats", [1, 1, 1, 1, 1], "got a recorded shape"))),
    ("slice.Tensor", {"self": "x", "dim": 2, "start": 1, "end": HUGE},
     (2, 3, 3, 4), (
        ("start", HUGE, "2x3x0x4 from its inputs"), ("end", 1, "2x3x0x4 from"),
        ("step", 0, "a step of at least 1"), ("step", -1, "a step of"),
        ("dim", 0, "got a recorded shape"), ("dim", 7, "dimension of 4"))),
    ("narrow.default", {"self": "x", "dim": 2, "start": -3, "length": 3},
     (2, 3, 3, 4), (
        ("start", 2, "expected positions of 4"),
        ("length", -1, "positions of 4"), ("length", HUGE, "positions of 4"),
        ("start", -5, "positions of 4"))),
    ("select.int", {"self": "x", "dim": 1, "index": -1}, (2, 4, 4), (
        ("index", 3, "expected a position of 3"), ("index", -4, "position of"),
        ("dim", 0, "got a recorded shape"))),
    ("flip.default", {"self": "x", "dims": [1, -1]}, X, (
        ("dims", [4], "dimension of 4"),)),
    ("roll.default", {"self": "x", "shifts": [1, -9], "dims": [2, 3]}, X, (
        ("shifts", [1], "a shift for each dimension"),
        ("dims", [], "a shift for each dimension"))),
    ("pixel_unshuffle.default", {"self": "x", "downscale_factor": 2},
     (2, 12, 2, 2), (
        ("downscale_factor", 3, "sizes that its factor divides"),
        ("downscale_factor", 0, "factor"), ("downscale_factor", HUGE, "factor"),
        ("self", "five", "factor"))),
    ("channel_shuffle.default", {"self": "x", "groups": 3}, X, (
        ("groups", 2, "channels that its groups divide"),
        ("groups", 0, "groups divide"), ("self", "w2", "groups divide"))),
    ("copy.default", {"self": "x", "src": "narrow"}, X, (
        ("src", "five", "grow"), ("src", "six", "more dimensions than it states"),
        ("src", "complex", "a constant is complex64"))),
    ("new_full.default", {"self": "x", "size": [4], "fill_value": 2.5}, (4,), (
        ("size", [0], "expected 0 from its inputs"), ("size", [1] * 9, "8 sizes"),
        ("size", [HUGE, 2], "too many numbers"), ("size", [-1], "negative"),
        ("size", [1 << 39], "take more than 1024 MiB"))),
    ("arange.start_step", {"start": 0, "end": 4, "step": 1}, (4,), (
        ("end", 0, "expected 0 from its inputs"), ("step", 0, "numbers"),
        ("end", HUGE, "numbers"), ("end", -1, "numbers"))),
    ("stack.default", {"tensors": ["x", "x"], "dim": 1}, (2, 2, 3, 4, 4), (
        ("dim", 5, "dimension"),
        ("tensors", ["x", "narrow"], "node 'y'"))),
    ("stack.default", {"tensors": ["x", "x"], "dim": 4}, (2, 3, 4, 4, 2), (
        ("tensors", ["x", "five"], "expected tensors of as many axes"),)),
    ("scaled_dot_product_attention.default", {
        "query": "x", "key": "one", "value": "one", "is_causal": True,
        "enable_gqa": True}, X, (
        ("dropout_p", 0.5, "was exported in training mode"),
        ("attn_mask", "x", "shares heads and has a mask"),
        ("query", "five", "of one rank, at least 2"),
        ("key", "two", "heads of the query cannot share 2"),
        ("enable_gqa", None, "for 'enable_gqa'", DAMAGED))),
    ("matmul.default", {"self": "x", "other": "m"}, (2, 3, 4, 5), (
        ("other", "w2", "node 'y'"), ("other", "narrow", "recorded shape"),
        ("self", "five", "node 'y'"), ("other", "five", "node 'y'"))),
    ("baddbmm.default", {"self": "cube", "batch1": "cube", "batch2": "cube",
                         "beta": 0, "alpha": 0.5}, (2, 4, 4), (
        ("beta", "x", "for 'beta'", DAMAGED), ("batch2", "x", "do not fit each other"),
        ("batch1", "m", "node 'y'"))),
    ("pad.default", {"self": "x", "pad": [1, 0, 0, 2], "value": -1.5},
     (2, 3, 6, 5), (
        ("mode", text("wrap"), "pads in the mode 'wrap'"),
        ("pad", [1] * 10, "two pads for each of at most 4 axes"),
        ("pad", [0] * 6 + [1, 1], "got a recorded shape"),
        ("pad", [1, 0, 0], "node 'y'"))),
    ("reflection_pad2d.default", {"self": "x", "padding": [1, 1, 1, 1]},
     (2, 3, 6, 6), (
        ("padding", [9, 1, 1, 1], "node 'y'"),
        ("padding", "x", "for 'padding'", DAMAGED))),
    ("replication_pad2d.default", {"self": "x", "padding": [1, 1, 1, 1]},
     (2, 3, 6, 6), (("padding", [HUGE, 1, 1, 1], "node 'y'"),)),
    ("add.Tensor", {"self": "x", "other": "x"}, X, (
        ("other", "three", "the sizes of its inputs do not fit"),
        ("other", "double", "the sizes of its inputs do not fit"),
        ("other", "complex", "a constant is complex64"),
        ("other", "six", "got a recorded shape"),
        ("alpha", "x", "expected Scalar for 'alpha', got a tensor", DAMAGED))),
    ("cat.default", {"tensors": ["x", "x"], "dim": 1}, (2, 6, 4, 4), (
        ("tensors", [], "node 'y'"),
        ("tensors", ["x", "w"], "expected a constant for a batch of 2"),
        ("dim", 4, "dimension"), ("dim", -HUGE, "dimension"),
        ("dim", 0, "got a recorded shape"),
        ("tensors", "x", "expected Tensor[] for 'tensors'", DAMAGED))),
)


def changed(arguments, sizes, key, value):
    if key == RESULT:
        return arguments, value
    rest = {k: v for k, v in arguments.items() if k != key}
    return rest if value is GONE else {**arguments, key: value}, sizes


class Refused(ProgramTest):
    def program(self, target, arguments, sizes):
        p = pt2.Program()
        for name, (shape, dtype) in PARAMETERS.items():
            p.parameter(name, shape, NUMBERS.get(name), dtype=dtype)
        p.input("x", X)
        p.call("torch.ops.aten.mean.dim", {"narrow": (2, 3, 4, 1)},
               {"self": "x", "dim": [3], "keepdim": True})
        p.call("torch.ops.aten.mean.dim", {"one": (2, 1, 4, 4)},
               {"self": "x", "dim": [1], "keepdim": True})
        p.call("torch.ops.aten.mean.dim", {"cube": (2, 4, 4)},
               {"self": "x", "dim": [1]})
        p.call("torch.ops.aten.slice.Tensor", {"two": (2, 2, 4, 4)},
               {"self": "x", "dim": 1, "start": 0, "end": 2})
        p.call("torch.ops.aten.mean.dim", {"two_rows": (2, 4)},
               {"self": "x", "dim": [1, 2]})
        p.call("torch.ops.aten.mean.dim", {"flat": (2, 3)},
               {"self": "x", "dim": [2, 3]})
        p.call("torch.ops.aten.mean.dim", {"line": (3,)},
               {"self": "x", "dim": [0, 2, 3]})
        p.call("torch.ops.aten.gt.Scalar",
               {"some": pt2.meta((2, 1, 4, 4), pt2.BOOL)},
               {"self": "one", "other": 0.5})
        p.call("torch.ops.aten.flatten.using_ints", {"cube_rows": (2, 16)},
               {"self": "cube", "start_dim": 1})
        p.call("torch.ops.aten.permute.default", {"turned": (2, 4, 1, 3)},
               {"self": "narrow", "dims": [0, 2, 3, 1]})
        p.call("torch.ops.aten.squeeze.dim", {"trio": (2, 4, 3)},
               {"self": "turned", "dim": 2})
        p.call("torch.ops.aten.argmax.default",
               {"ranks": pt2.meta((2, 3), pt2.INT64)},
               {"self": "trio", "dim": 1})
        p.call("torch.ops.aten.slice.Tensor", {"pairs": (2, 4, 1, 2)},
               {"self": "turned", "dim": 3, "start": 0, "end": 2})
        p.call("torch.ops.aten.slice.Tensor", {"rows": (2, 2, 3)},
               {"self": "trio", "dim": 1, "start": 0, "end": 2})
        results = sizes if "y" in sizes else {"y": sizes}
        if target.startswith("_native"):
            results.update(mean=(0,), rstd=(0,))
        p.call(f"torch.ops.aten.{target}", results, arguments)
        p.calls[-1]["name"] = "y"
        if sizes == (4,) or target == "nonzero.default":  # a constant, which is no output by itself
            p.call("torch.ops.aten.add.Tensor", {"z": X},
                   {"self": "x", "other": "y"})
        p.output("z" if "z" in p.values else "y")
        return p.save(self.folder / "x.pt2")

    def test_calls_are_run_as_they_are(self):
        for target, arguments, sizes, _ in CALLS:
            with self.subTest(target):
                self.succeed("ptfold", "ops",
                             self.program(target, arguments, sizes))

    def test_what_is_changed_is_named(self):
        for target, arguments, sizes, changes in CALLS:
            for key, value, say, *other in changes:
                with self.subTest((target, key, value)):
                    path = self.program(target, *changed(arguments, sizes, key,
                                                         value))
                    place = (f"node 'y' (aten.{target}): " if not other
                             else "graph_module.graph.nodes[14].inputs")
                    self.refuse(other[0] if other else UNSUPPORTED,
                                [place, say], "ptfold", "ops", path)

    def small(self, change):
        """x -> relu -> abs, after 'change' has seen it."""
        p = pt2.Program()
        p.parameter("w", (3,))
        p.input("x", X)
        p.call("torch.ops.aten.relu.default", {"y": X}, {"self": "x"})
        p.call("torch.ops.aten.abs.default", {"z": X}, {"self": "y"})
        p.output("z")
        change(p)
        return p.save(self.folder / "x.pt2")

    def test_graphs_that_are_none_are_refused(self):
        def returns(name):
            def change(p):
                p.outputs.clear()
                p.output(name)
            return change

        def kind(key, **more):
            def change(p):
                p.outputs.insert(0, {key: {"arg": {"name": "z"}, **more}})
            return change

        def empty(p):
            p.inputs.pop()
            p.users.clear()
            p.calls[0]["inputs"][0]["arg"] = pt2.argument("w")

        for status, say, change in (
                (DAMAGED, "nodes[0].inputs[0].arg.as_tensor.name: expected a "
                 "value that is defined before, got 'y'",
                 lambda p: p.calls.reverse()),
                (DAMAGED, "expected a value that is defined before, got 'z'",
                 lambda p: p.calls[0]["inputs"][0].update(
                     arg=pt2.argument("z"))),
                (DAMAGED, "expected every name once, got 'y' twice",
                 lambda p: p.calls.append(p.calls[0])),
                (DAMAGED, "expected a value that is defined before, got 'q'",
                 returns("q")),
                (DAMAGED, "expected 'z' among tensor_values, got none",
                 lambda p: p.values.pop("z")),
                (UNSUPPORTED, "node 'z' (my.op.default): is an operator that "
                 "ptfold does not support",
                 lambda p: p.calls[1].update(target="torch.ops.my.op.default")),
                (UNSUPPORTED, "has no output", lambda p: p.outputs.clear()),
                (UNSUPPORTED, "expected 3 from its inputs, got a recorded", empty),
                (UNSUPPORTED, "changes 'w' as it runs; call model.eval()",
                 kind("buffer_mutation", buffer_name="w")),
                (UNSUPPORTED, "changes 'x' as it runs; call model.eval()",
                 kind("user_input_mutation", user_input_name="x")),
                (UNSUPPORTED, "input 'x': expected a tensor of float32",
                 lambda p: p.values.update(x=pt2.meta(X, pt2.FLOAT64))),
                (UNSUPPORTED, "expected 2x0x4x4 from its inputs, got a recorded",
                 lambda p: p.values.update(x=pt2.meta((2, 0, 4, 4)))),
                (UNSUPPORTED, "input 'x': has too many numbers",
                 lambda p: p.values.update(x=pt2.meta((0, 1 << 40, 2))))):
            with self.subTest(say):
                self.refuse(status, [say], "ptfold", "ops", self.small(change))

    def test_dropout_that_drops_is_refused(self):
        arguments = {"input": "x", "p": 0.5, "train": True}
        self.refuse(UNSUPPORTED, ["training mode; call model.eval()"], "ptfold",
                    "ops", self.program("dropout.default", arguments, X))
        arguments["train"] = False
        self.succeed("ptfold", "ops",
                     self.program("dropout.default", arguments, X))

    def test_memory_is_filled_before_it_is_read(self):
        def make(fills):
            p = pt2.Program()
            p.input("x", X)
            p.call("torch.ops.aten.empty.memory_format", {"e": (4,)},
                   {"size": [4]})
            if fills:
                p.call("torch.ops.aten.fill_.Scalar", {"f": (4,)},
                       {"self": "e", "value": 2.0})
            p.call("torch.ops.aten.add.Tensor", {"y": X},
                   {"self": "x", "other": "e"})
            p.output("y")
            return p.save(self.folder / "x.pt2")
        self.succeed("ptfold", "ops", make(True))
        self.refuse(UNSUPPORTED, ["memory that is read before it is filled"],
                    "ptfold", "ops", make(False))

    def test_pieces_lie_between_positions(self):
        def make(target, arguments, sizes):
            p = pt2.Program()
            p.input("x", X)
            p.values.update(a=pt2.meta(sizes[0]), b=pt2.meta(sizes[1]))
            p.call(f"torch.ops.aten.tensor_split.{target}",
                   [{"as_tensors": [{"name": "a"}, {"name": "b"}]}],
                   {"self": "x", "dim": 1, **arguments})
            p.output("a")
            p.output("b")
            return p.save(self.folder / "x.pt2")
        parts = ((2, 2, 4, 4), (2, 1, 4, 4))
        for target, key, good, changes in (
                ("indices", "indices", [-1], (
                    ([1, 2], "expected a position between results"),
                    ([1], "got a recorded shape"))),
                ("sections", "sections", 2, (
                    (3, "expected 2 pieces, got 3"),
                    (HUGE, "expected 2 pieces"), (0, "expected 2 pieces")))):
            self.succeed("ptfold", "ops", make(target, {key: good}, parts))
            for value, say in changes:
                self.refuse(UNSUPPORTED, [say], "ptfold", "ops",
                            make(target, {key: value}, parts))

    def test_an_item_is_one_element(self):
        def make(size, user="mul.Tensor", name="other", **more):
            p = pt2.Program()
            p.input("x", (1, 3))
            p.call("torch.ops.aten.slice.Tensor", {"s": size},
                   {"self": "x", "dim": 1, "start": 0, "end": size[1]})
            p.number("float", "n", "torch.ops.aten.item.default", {"self": "s"})
            p.call(f"torch.ops.aten.{user}", {"y": (1, 3)},
                   {"self": "x", name: {"as_sym_float": {"as_name": "n"}},
                    **more})
            p.output("y")
            return p.save(self.folder / "x.pt2")
        self.succeed("ptfold", "ops", make((1, 1)))
        self.refuse(UNSUPPORTED, ["(aten.item.default): expected a tensor of "
                                  "one element"], "ptfold", "ops", make((1, 2)))
        self.refuse(UNSUPPORTED, ["node 'y' (aten.clamp.default): reads 'n', "
                                  "which is no number that the sizes"],
                    "ptfold", "ops", make((1, 1), "clamp.default", "min"))

    def test_meshgrid_has_one_of_two_orders_of_vectors(self):
        def make(indexing, tensor="three"):
            p = pt2.Program()
            p.input("x", X)
            p.parameter("three", (3,))
            p.parameter("table", (3, 1))
            p.values["g"] = pt2.meta((3,))
            p.call("torch.ops.aten.meshgrid.indexing",
                   [{"as_tensors": [{"name": "g"}]}],
                   {"tensors": [tensor], "indexing": text(indexing)})
            p.call("torch.ops.aten.mul.Tensor", {"y": (2, 4, 4, 3)},
                   {"self": "z", "other": "g"})
            p.output("y")
            p.call("torch.ops.aten.permute.default", {"z": (2, 4, 4, 3)},
                   {"self": "x", "dims": [0, 2, 3, 1]})
            p.calls.insert(0, p.calls.pop())
            return p.save(self.folder / "x.pt2")
        self.succeed("ptfold", "ops", make("xy"))
        self.refuse(UNSUPPORTED, ["expected indexing 'ij' or 'xy'"], "ptfold",
                    "ops", make("yx"))
        self.refuse(UNSUPPORTED, ["expected tensors of one axis"], "ptfold",
                    "ops", make("ij", "table"))

    def test_views_that_no_schema_names_are_refused_when_they_are_stale(self):
        """A dropout in evaluation gives what it gets."""
        def make(self_, source):
            p = pt2.Program()
            p.input("x", X)
            p.call(*source)
            p.call("torch.ops.aten.dropout.default", {"d": X},
                   {"input": "v", "p": 0.5, "train": False})
            p.call("torch.ops.aten.add_.Tensor", {"r": X},
                   {"self": "d", "other": self_})
            p.call("torch.ops.aten.add.Tensor", {"y": X},
                   {"self": "v", "other": "x"})
            p.output("y")
            return p.save(self.folder / "x.pt2")
        self.refuse(UNSUPPORTED, ["writes to 'd' in place, whose storage"],
                    "ptfold", "ops",
                    make("x", ("torch.ops.aten.relu.default", {"v": X},
                               {"self": "x"})))
        self.refuse(UNSUPPORTED, ["writes to 'd', which is no tensor that"],
                    "ptfold", "ops",
                    make("v", ("torch.ops.aten.full.default", {"v": X},
                               {"size": list(X), "fill_value": 1.0})))

    def test_views_follow_where_they_surely_are_views(self):
        def make(view, sizes, arguments, write="zero_.default", **more):
            p = pt2.Program()
            p.input("x", X)
            p.call("torch.ops.aten.relu.default", {"v": X}, {"self": "x"})
            p.call(f"torch.ops.aten.{view}", {"d": sizes},
                   {"self": "v", **arguments})
            p.call(f"torch.ops.aten.{write}", {"r": sizes},
                   {"self": "d", **more})
            p.call("torch.ops.aten.add.Tensor", {"y": X},
                   {"self": "v", "other": "x"})
            p.output("y")
            return p.save(self.folder / "x.pt2")
        self.succeed("ptfold", "ops", make(
            "slice.Tensor", (2, 1, 4, 4), {"dim": 1, "start": -1}))
        self.succeed("ptfold", "ops", make(
            "select.int", (2, 4, 4), {"dim": 1, "index": -1}))
        self.succeed("ptfold", "ops", make(
            "slice.Tensor", (2, 2, 4, 4), {"dim": 1, "step": 2}))
        self.succeed("ptfold", "ops", make(
            "permute.default", (2, 4, 4, 3), {"dims": [0, 2, 3, 1]}))
        self.succeed("ptfold", "ops", make("alias.default", X, {}))
        for arguments, say in (
                (("slice.Tensor", (2, 1, 4, 4), {"dim": 1, "start": 2,
                                                 "step": 0}), "a step of at"),
                (("reshape.default", (2, 48), {"shape": [2, 48]}),
                 "writes to 'd' in place, whose storage y reads later as")):
            self.refuse(UNSUPPORTED, [say], "ptfold", "ops", make(*arguments))

    def test_what_may_be_a_view_or_a_copy_is_not_written_to(self):
        """PyTorch copies here, since the rows are not contiguous."""
        p = pt2.Program()
        p.input("x", (2, 3))
        p.call("torch.ops.aten.full.default", {"v": (3, 2)},
               {"size": [3, 2], "fill_value": 1.0})
        p.call("torch.ops.aten.permute.default", {"t": (2, 3)},
               {"self": "v", "dims": [1, 0]})
        p.call("torch.ops.aten.contiguous.default", {"c": (2, 3)},
               {"self": "t"})
        p.call("torch.ops.aten.zero_.default", {"z": (2, 3)}, {"self": "c"})
        p.call("torch.ops.aten.add.Tensor", {"y": (2, 3)},
               {"self": "x", "other": "t"})
        p.output("y")
        self.refuse(UNSUPPORTED, ["writes to 'c', which is no tensor that"],
                    "ptfold", "ops", p.save(self.folder / "x.pt2"))


if __name__ == "__main__":
    unittest.main()
