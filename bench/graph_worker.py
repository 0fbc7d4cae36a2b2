"""One engine with one network, in a process of its own that obeys stdin.

    graph_worker.py ENGINE STEM THREADS

ENGINE is torch (STEM.pt2), ort or openvino (STEM.onnx), or ncnn (STEM.pt, by
pnnx).  Answers each line, a number of runs, with the seconds of the fastest.

SPDX-License-Identifier: Apache-2.0
"""
import importlib.util
import os
import subprocess
import sys
import tempfile
import time

import numpy


def random_input(shape):
    return numpy.random.default_rng(1).random(shape, dtype=numpy.float32)


def prepare_torch(stem, threads):
    import torch
    torch.set_num_threads(threads)
    program = torch.export.load(stem + ".pt2")
    module = program.module()
    values = {n.name: n.meta["val"] for n in program.graph.nodes
              if n.op == "placeholder"}
    if program.example_inputs:
        args, kwargs = program.example_inputs
    else:
        kwargs = {}
        args = [torch.rand(values[n].shape)
                for n in program.graph_signature.user_inputs]
    torch.set_grad_enabled(False)
    return lambda: module(*args, **kwargs)


def prepare_ort(stem, threads):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        stem + ".onnx", options, providers=["CPUExecutionProvider"])
    x = {i.name: random_input(i.shape) for i in session.get_inputs()}
    return lambda: session.run(None, x)


def prepare_openvino(stem, threads):
    import openvino
    model = openvino.Core().compile_model(
        stem + ".onnx", "CPU",
        {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1,
         "INFERENCE_PRECISION_HINT": "f32"})
    request = model.create_infer_request()
    x = [random_input(tuple(i.shape)) for i in model.inputs]
    return lambda: request.infer(x)


def prepare_ncnn(stem, threads):
    """One input of one image; f32 storage, no Winograd."""
    import ncnn
    import onnx
    pnnx = importlib.util.find_spec("pnnx")
    shape = [d.dim_value for d in onnx.load(stem + ".onnx", load_external_data=
             False).graph.input[0].type.tensor_type.shape.dim]
    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.use_winograd_convolution = False
    for kind in ("fp16_packed", "fp16_storage", "fp16_arithmetic",
                 "bf16_storage"):
        setattr(net.opt, "use_" + kind, False)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [os.path.join(os.path.dirname(pnnx.origin), "pnnx"),
             os.path.abspath(stem + ".pt"), "fp16=0",
             "inputshape=" + str(shape).replace(" ", ""),
             f"ncnnparam={folder}/net.param", f"ncnnbin={folder}/net.bin"],
            cwd=folder, check=True, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        if (net.load_param(folder + "/net.param") != 0
                or net.load_model(folder + "/net.bin") != 0):
            raise RuntimeError("ncnn does not read what pnnx wrote")
    x = random_input(shape[1:])

    def run():
        extractor = net.create_extractor()
        extractor.input("in0", ncnn.Mat(x))
        code, y = extractor.extract("out0")
        assert code == 0 and not y.empty()

    return run


PREPARE = {"torch": prepare_torch, "ort": prepare_ort,
           "openvino": prepare_openvino, "ncnn": prepare_ncnn}


def fastest(run, count):
    least = float("inf")
    for _ in range(count):
        before = time.perf_counter()
        run()
        least = min(least, time.perf_counter() - before)
    return least


def main():
    engine, stem, threads = sys.argv[1:]
    run = PREPARE[engine](stem, int(threads))
    run()  # warms up
    print("ready", flush=True)
    for line in sys.stdin:
        run()  # wakes the threads
        print(fastest(run, int(line)), flush=True)


main()
