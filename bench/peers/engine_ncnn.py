"""ncnn, one input at a time, with a net written here.

Half-precision storage is off: with it ncnn reads half the weights.
"ncnn-direct" has Winograd's convolutions off, too.

SPDX-License-Identifier: Apache-2.0
"""
import os
import tempfile

import ncnn
import numpy

import nets


def write_net(name, path, stem):
    """STEM.param and STEM.bin, ncnn's two files."""
    weights = nets.Weights(path)
    lines = ["Input x 0 1 x"]
    last = "x"
    with open(stem + ".bin", "wb") as f:
        for kind, layer, padding, relu in nets.NETS[name]:
            weight, bias = weights.of_layer(kind, layer)
            f.write(numpy.uint32(0).tobytes())  # f32 follow
            f.write(weight.tobytes() + bias.tobytes())
            common = f"0={len(bias)} 9={int(relu)}"
            if kind == "conv":
                size = f"1={weight.shape[2]} 4={padding} 5=1 6={weight.size}"
                kind = "Convolution"
            else:
                size = f"1=1 2={weight.size}"
                kind = "InnerProduct"
            lines.append(f"{kind} {layer} 1 1 {last} {layer} {common} {size}")
            last = layer
    with open(stem + ".param", "w", encoding="utf-8") as f:
        f.write(f"7767517\n{len(lines)} {len(lines)}\n" + "\n".join(lines))
        f.write("\n")
    return last


def prepare(engine, name, path, shape, batch, threads):
    assert batch == 1, "ncnn takes one input at a time"
    net = ncnn.Net()
    option = net.opt
    option.num_threads = threads
    option.use_vulkan_compute = False
    for kind in ("fp16_packed", "fp16_storage", "fp16_arithmetic",
                 "bf16_storage"):
        setattr(option, "use_" + kind, False)
    if engine == "ncnn-direct":
        option.use_winograd_convolution = False
    with tempfile.TemporaryDirectory() as folder:
        stem = os.path.join(folder, "net")
        last = write_net(name, path, stem)
        assert net.load_param(stem + ".param") == 0
        assert net.load_model(stem + ".bin") == 0

    def run(x):
        extractor = net.create_extractor()
        extractor.input("x", ncnn.Mat(x[0]))
        return numpy.array(extractor.extract(last)[1], copy=False)

    return run
