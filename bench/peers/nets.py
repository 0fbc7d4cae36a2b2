"""The networks of the comparison, once for all engines, and their weights.

A net is a list of layers in order: (kind, name, padding, relu), where kind is
"conv" or "linear" and name is the prefix of the layer's weight and bias in a
safetensors file that ptfold wrote.

SPDX-License-Identifier: Apache-2.0
"""
import json
import struct

import numpy

FEATURES = [("conv", f"features.{i}", 0, i < 8) for i in (0, 2, 4, 6, 8)]
CLASSIFIER = [("classifier.0", True), ("classifier.2", True),
              ("classifier.4", False)]

NETS = {
    "features": FEATURES,
    "net1": FEATURES + [("linear", n, 0, r) for n, r in CLASSIFIER],
    "net2": FEATURES + [("conv", n, 0, r) for n, r in CLASSIFIER],
    "small": [("conv", "conv1.0", 1, True), ("conv", "conv2.0", 1, True),
              ("linear", "fc1.0", 0, True), ("linear", "fc2.0", 0, True)],
}


class Weights:
    """The tensors of a safetensors file, mapped."""

    def __init__(self, path):
        with open(path, "rb") as f:
            size, = struct.unpack("<Q", f.read(8))
            self.table = json.loads(f.read(size))
        self.start = 8 + size
        self.data = numpy.memmap(path, numpy.uint8, "r")

    def __call__(self, name):
        entry = self.table[name]
        begin, end = (self.start + i for i in entry["data_offsets"])
        flat = self.data[begin:end].view(numpy.float32)
        return flat.reshape(entry["shape"])

    def of_layer(self, kind, name):
        """Weight and bias; a convolution's weight has four dimensions."""
        weight = self(name + ".weight")
        if kind == "linear":
            weight = weight.reshape(len(weight), -1)
        return weight, self(name + ".bias")


def write_features(source, path):
    """The convolutions of a Net1 or Net2 alone, as a file of their own."""
    weights = Weights(source)
    names = [n + end for _, n, _, _ in FEATURES for end in (".weight", ".bias")]
    header, offset = {}, 0
    for name in names:
        size = weights(name).nbytes
        header[name] = {"dtype": "F32", "shape": list(weights(name).shape),
                        "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 64)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for name in names:
            f.write(weights(name).tobytes())


FEATURES_TEXT = """# input: 3x32x32
Net1(
  (features): Sequential(
    (0): Conv2d(3, 64, kernel_size=(7, 7), stride=(1, 1))
    (1): ReLU()
    (2): Conv2d(64, 192, kernel_size=(3, 3), stride=(1, 1))
    (3): ReLU()
    (4): Conv2d(192, 384, kernel_size=(3, 3), stride=(1, 1))
    (5): ReLU()
    (6): Conv2d(384, 256, kernel_size=(3, 3), stride=(1, 1))
    (7): ReLU()
    (8): Conv2d(256, 256, kernel_size=(3, 3), stride=(1, 1))
  )
)
"""


def work_of(net, path, shape, batch):
    """Multiplications and additions of a run, and the bytes of its weights."""
    weights = Weights(path)
    height, width = shape[1:]
    flops, size = 0, 0
    for kind, name, padding, _ in NETS[net]:
        weight, _ = weights.of_layer(kind, name)
        if kind == "conv":
            height += 2 * padding - weight.shape[2] + 1
            width += 2 * padding - weight.shape[3] + 1
        pixels = height * width if kind == "conv" else 1
        flops += 2 * weight.size * pixels * batch
        size += weight.nbytes
    return flops, size
