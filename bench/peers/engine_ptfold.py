"""ptfold through its public interface.

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
                ("room", ctypes.c_char * 256)]


class Error(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("message", ctypes.c_char * 16384)]


lib = ctypes.CDLL(os.environ["PTFOLD_LIBRARY"])
lib.ptf_arch_text.restype = ctypes.c_char_p
lib.ptf_plan_output.restype = Shape
lib.ptf_plan_output.argtypes = [ctypes.c_void_p]
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
    call(lib.ptf_net_make, text, name.encode(), ckpt, ctypes.byref(net))
    return net


def prepare(engine, name, path, shape, batch, threads):
    plan = ctypes.c_void_p()
    options = Options(threads=threads)
    c_shape = Shape(len(shape), (ctypes.c_int64 * 3)(*shape))
    call(lib.ptf_plan_make, make_net(name, path), ctypes.byref(c_shape),
         ctypes.c_int64(batch), ctypes.byref(options), ctypes.byref(plan))
    out = lib.ptf_plan_output(plan)
    y = numpy.empty([batch] + list(out.dim[:out.rank]), numpy.float32)

    def run(x):
        call(lib.ptf_plan_run, plan, x.ctypes.data_as(ctypes.c_void_p),
             ctypes.c_int64(len(x)), y.ctypes.data_as(ctypes.c_void_p))
        return y

    return run


def limits(threads):
    return [lib.ptf_measure_flops(threads), lib.ptf_measure_bandwidth(threads)]
