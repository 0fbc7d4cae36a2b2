"""ONNX Runtime, with a graph written here.

SPDX-License-Identifier: Apache-2.0
"""
import os
import tempfile

import onnx
import onnxruntime
from onnx import TensorProto, helper

import nets


def graph_of(name, path, shape, batch):
    weights = nets.Weights(path)
    nodes, tensors, last, flat = [], [], "x", False
    for kind, layer, padding, relu in nets.NETS[name]:
        for end, t in zip((".weight", ".bias"), weights.of_layer(kind, layer)):
            tensors.append(helper.make_tensor(layer + end, TensorProto.FLOAT,
                                              t.shape, t.tobytes(), raw=True))
        if kind == "linear" and not flat:
            nodes.append(helper.make_node("Flatten", [last], ["flat"]))
            last, flat = "flat", True
        inputs = [last, layer + ".weight", layer + ".bias"]
        if kind == "conv":
            nodes.append(helper.make_node("Conv", inputs, [layer],
                                          pads=[padding] * 4))
        else:
            nodes.append(helper.make_node("Gemm", inputs, [layer], transB=1))
        last = layer
        if relu:
            nodes.append(helper.make_node("Relu", [last], [layer + ".relu"]))
            last = layer + ".relu"
    value = helper.make_tensor_value_info
    x = value("x", TensorProto.FLOAT, [batch] + shape)
    y = value(last, TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, name, [x], [y], tensors)
    return helper.make_model(graph, ir_version=8,
                             opset_imports=[helper.make_opsetid("", 17)])


def prepare(engine, name, path, shape, batch, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "net.onnx")
        onnx.save(graph_of(name, path, shape, batch), file,
                  save_as_external_data=True, location="net.data")
        session = onnxruntime.InferenceSession(
            file, options, providers=["CPUExecutionProvider"])
    return lambda x: session.run(None, {"x": x})[0]
