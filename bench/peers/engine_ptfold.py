"""ptfold through its public interface.

"gradient" in the engine's name: forward, and the derivatives of the sum of the
outputs by the inputs.

SPDX-License-Identifier: Apache-2.0
"""
import ctypes
import os

import numpy

import nets


class Shape(ctypes.Structure):
    _fields_ = [("rank", ctypes.c_int), ("dim", ctypes.c_int64 * 3)]


class Options(ctypes.Structure):
    _fields_ = [("threads", ctypes.c_int), ("isa", ctypes.c_char_p),
                ("memory_limit", ctypes.c_size_t), ("keep", ctypes.c_bool),
                ("runs", ctypes.c_int), ("room", ctypes.c_char * 256)]


class GradientOptions(ctypes.Structure):
    _fields_ = [("by", ctypes.c_uint), ("threads", ctypes.c_int),
                ("isa", ctypes.c_char_p), ("runs", ctypes.c_int)]


class Error(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("message", ctypes.c_char * 280)]


lib = ctypes.CDLL(os.environ["PTFOLD_LIBRARY"])
lib.ptf_arch_text.restype = ctypes.c_char_p
lib.ptf_plan_output.restype = Shape
lib.ptf_plan_output.argtypes = [ctypes.c_void_p]
lib.ptf_gradient_output.restype = Shape
lib.ptf_gradient_output.argtypes = [ctypes.c_void_p]
lib.ptf_gradient_input.restype = ctypes.POINTER(ctypes.c_float)
lib.ptf_gradient_input.argtypes = [ctypes.c_void_p]
for f in ("flops", "bandwidth"):
    getattr(lib, "ptf_measure_" + f).restype = ctypes.c_double


def call(function, *arguments):
    err = Error()
    if function(*arguments, ctypes.byref(err)) != 0:
        raise RuntimeError(err.message.decode())


def make_net(name, path):
    """The net from its file; the features have their own text."""
    ckpt, net = ctypes.c_void_p(), ctypes.c_void_p()
    call(lib.ptf_checkpoint_open, path.encode(), None, ctypes.byref(ckpt))
    text = nets.FEATURES_TEXT.encode()
    if name != "features":
        arch = ctypes.c_char_p()
        call(lib.ptf_arch_recognise, ckpt, ctypes.byref(arch))
        text = lib.ptf_arch_text(arch)
    call(lib.ptf_net_make, text, name.encode(), ckpt, None,
         ctypes.byref(net))
    return net


def floats(array):
    return array.ctypes.data_as(ctypes.c_void_p)


def make(function, name, path, shape, batch, options):
    """What ptf_plan_make or ptf_gradient_make give."""
    made = ctypes.c_void_p()
    c_shape = Shape(len(shape), (ctypes.c_int64 * 3)(*shape))
    call(function, make_net(name, path), ctypes.byref(c_shape),
         ctypes.c_int64(batch), ctypes.byref(options), ctypes.byref(made))
    return made


def prepare_gradient(name, path, shape, batch, threads):
    g = make(lib.ptf_gradient_make, name, path, shape, batch,
             GradientOptions(by=1, threads=threads, runs=1000))
    out = lib.ptf_gradient_output(g)
    y = numpy.empty([batch] + list(out.dim[:out.rank]), numpy.float32)
    ones = numpy.ones_like(y)

    def run(x):
        call(lib.ptf_gradient_run, g, floats(x), ctypes.c_int64(batch),
             floats(y))
        call(lib.ptf_gradient_back, g, floats(ones))
        return numpy.ctypeslib.as_array(lib.ptf_gradient_input(g), x.shape)

    return run


def prepare(engine, name, path, shape, batch, threads):
    if "gradient" in engine:
        return prepare_gradient(name, path, shape, batch, threads)
    # The others copy weights when a session is made; so may a plan.
    plan = make(lib.ptf_plan_make, name, path, shape, batch,
                Options(threads=threads, runs=1000))
    out = lib.ptf_plan_output(plan)
    y = numpy.empty([batch] + list(out.dim[:out.rank]), numpy.float32)

    def run(x):
        call(lib.ptf_plan_run, plan, floats(x), ctypes.c_int64(batch),
             floats(y))
        return y

    return run


def limits(threads):
    return [lib.ptf_measure_flops(threads), lib.ptf_measure_bandwidth(threads)]
