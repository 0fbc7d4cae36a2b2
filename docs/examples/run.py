"""Runs a network from Python without PyTorch: ctypes and NumPy.

usage: run.py LIBRARY CHECKPOINT ARCHITECTURE   (the text of print(model))

SPDX-License-Identifier: Apache-2.0
"""
import ctypes
import sys
from pathlib import Path

import numpy as np


class Error(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("message", ctypes.c_char * 280)]


class Shape(ctypes.Structure):
    _fields_ = [("rank", ctypes.c_int), ("dim", ctypes.c_int64 * 7)]

    def dims(self):
        return tuple(self.dim[:self.rank])


class Port(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("alias", ctypes.c_char_p),
                ("dtype", ctypes.c_int), ("has_shape", ctypes.c_bool),
                ("fixed", ctypes.c_bool), ("shape", Shape)]


class Net:
    """A checkpoint, its net, and a plan for batches of one size."""

    def __init__(self, library, checkpoint, text, batch=1):
        self.lib = ctypes.CDLL(library)
        self.lib.ptf_plan_output.restype = Shape
        self.error = Error()
        self.checkpoint, self.net, self.plan = (
            ctypes.c_void_p() for _ in range(3))
        self.call("ptf_checkpoint_open", checkpoint.encode(), None,
                  ctypes.byref(self.checkpoint))
        self.call("ptf_net_make", text.encode(), b"text", self.checkpoint,
                  None, ctypes.byref(self.net))
        port = Port()
        self.lib.ptf_net_input(self.net, ctypes.c_size_t(0),
                               ctypes.byref(port))
        self.input = port.shape
        self.call("ptf_plan_make", self.net, ctypes.byref(self.input),
                  ctypes.c_int64(batch), None, ctypes.byref(self.plan))
        self.output = self.lib.ptf_plan_output(self.plan, ctypes.c_size_t(0))

    def call(self, name, *args):
        """Every function that can fail takes the error last."""
        if getattr(self.lib, name)(*args, ctypes.byref(self.error)) != 0:
            raise RuntimeError(self.error.message.decode())

    def __call__(self, x):
        x = np.ascontiguousarray(x, np.float32)
        out = np.empty((len(x), *self.output.dims()), np.float32)
        assert x.shape[1:] == self.input.dims(), x.shape
        self.call("ptf_plan_run", self.plan,
                  x.ctypes.data_as(ctypes.c_void_p), ctypes.c_int64(len(x)),
                  out.ctypes.data_as(ctypes.c_void_p))
        return out

    def close(self):
        self.lib.ptf_plan_free(self.plan)
        self.lib.ptf_net_free(self.net)
        self.lib.ptf_checkpoint_close(self.checkpoint)


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    library, checkpoint, text = sys.argv[1:]
    net = Net(library, checkpoint, Path(text).read_text())
    x = np.linspace(0, 1, int(np.prod(net.input.dims())), dtype=np.float32)
    print(net(x.reshape(1, *net.input.dims())))
    net.close()


if __name__ == "__main__":
    main()
