"""Small torch.export archives (.pt2), also such as no PyTorch would write.

SPDX-License-Identifier: Apache-2.0
"""
import json
import struct
import zipfile

UINT8, INT32, INT64, FLOAT16, FLOAT32, FLOAT64, COMPLEX64, BOOL, BFLOAT16 = (
    1, 4, 5, 6, 7, 8, 10, 12, 13)


def meta(sizes, dtype=FLOAT32):
    """What is recorded of a contiguous tensor."""
    strides = [1]
    for size in reversed(sizes[1:]):
        strides.insert(0, strides[0] * size)
    return {"dtype": dtype, "sizes": [{"as_int": n} for n in sizes],
            "strides": [{"as_int": n} for n in strides[:len(sizes)]],
            "storage_offset": {"as_int": 0}, "requires_grad": False,
            "device": {"type": "cpu", "index": None}, "layout": 7}


def argument(value):
    """Python's value as PyTorch's union; a str is a tensor's name, and a dict
    is written as it is."""
    if isinstance(value, dict):
        return value
    if value is None:
        return {"as_none": True}
    if isinstance(value, str):
        return {"as_tensor": {"name": value}}
    for kind, key in ((bool, "as_bool"), (int, "as_int"),
                      (float, "as_float")):
        if isinstance(value, kind):
            return {key: value}
    if value and isinstance(value[0], str):
        return {"as_tensors": [{"name": name} for name in value]}
    return {"as_floats" if value and isinstance(value[0], float)
            else "as_ints": list(value)}


def text(value):
    return {"as_string": value}


def leaf():
    return {"type": None, "context": None, "children_spec": []}


def tree(kind, context, children):
    return {"type": f"builtins.{kind}", "context": context,
            "children_spec": children}


def ports(specs):
    """What a signature's inputs or outputs are in the graph."""
    arguments = [argument["arg"] for spec in specs
                 for argument in spec.values()]
    return [{"as_tensor": a} if "name" in a else a for a in arguments]


class Program:
    """A program that grows call by call; 'json' may be changed before it is
    saved."""

    def __init__(self):
        self.values = {}
        self.numbers = {kind: {} for kind in ("int", "bool", "float")}
        self.inputs, self.users, self.outputs, self.calls = [], [], [], []
        self.parameters = {}  # name -> (meta, bytes)
        self.constants = set()  # those of them that were made in forward()

    def input(self, name, sizes, dtype=FLOAT32):
        self.values[name] = meta(sizes, dtype)
        self.users.append(name)
        self.inputs.append({"user_input": {"arg": argument(name)}})

    def parameter(self, name, sizes, numbers=None, dtype=FLOAT32):
        """Zeros unless there are numbers."""
        count = 1
        for size in sizes:
            count *= size
        self.values[name] = meta(sizes, dtype)
        width = {FLOAT16: 2, FLOAT32: 4}.get(dtype, 8)
        data = (struct.pack(f"<{count}f", *numbers) if numbers
                else bytes(width * count))
        self.parameters[name] = (self.values[name], data)
        self.inputs.append({"parameter": {"arg": {"name": name},
                                          "parameter_name": name}})

    def constant(self, name, sizes, numbers):
        self.parameter(name, sizes, numbers)
        self.constants.add(name)
        self.inputs[-1] = {"tensor_constant": {"arg": {"name": name},
                                               "tensor_constant_name": name}}

    def call(self, target, results, arguments):
        """'results' are shapes of tensors by name, or the outputs' JSON."""
        outputs = results
        if isinstance(results, dict):
            outputs = [argument(name) for name in results]
            for name, sizes in results.items():
                self.values[name] = (sizes if isinstance(sizes, dict)
                                     else meta(sizes))
        self.calls.append({
            "target": target, "outputs": outputs, "metadata": {},
            "inputs": [{"name": name, "arg": argument(value)}
                       for name, value in arguments.items()]})

    def number(self, kind, name, target, arguments):
        """A call that gives an int, bool or float that sizes decide."""
        self.call(target, [{f"as_sym_{kind}": {"as_name": name}}], arguments)
        self.numbers[kind][name] = {"as_int": 2}

    def output(self, name):
        self.outputs.append({"user_output": {"arg": argument(name)}})

    def json(self):
        leaves = [leaf() for _ in self.users]
        results = [leaf() for spec in self.outputs if "user_output" in spec]
        call = {"inputs": [], "outputs": [],
                "in_spec": json.dumps([1, tree("tuple", None, [
                    tree("tuple", None, leaves), tree("dict", "[]", [])])]),
                "out_spec": json.dumps([1, results[0] if len(results) == 1
                                        else tree("tuple", None, results)]),
                "forward_arg_names": self.users}
        return {
            "graph_module": {
                "graph": {
                    "inputs": ports(self.inputs),
                    "outputs": ports(self.outputs),
                    "nodes": self.calls, "tensor_values": self.values,
                    "sym_int_values": self.numbers["int"],
                    "sym_bool_values": self.numbers["bool"],
                    "sym_float_values": self.numbers["float"],
                    "custom_obj_values": {}, "is_single_tensor_return": False},
                "signature": {"input_specs": self.inputs,
                              "output_specs": self.outputs},
                "module_call_graph": [{"fqn": "", "signature": call}]},
            "opset_version": {"aten": 10}, "range_constraints": {},
            "schema_version": {"major": 8, "minor": 20}, "guards_code": []}

    def save(self, path, program=None):
        """'program' is its JSON where that was changed."""
        config = {"weights": {}, "constants": {}}
        with zipfile.ZipFile(path, "w") as out:
            for i, (name, (own, data)) in enumerate(self.parameters.items()):
                folder = "constants" if name in self.constants else "weights"
                out.writestr(f"a/data/{folder}/weight_{i}", data)
                config[folder][name] = {
                    "path_name": f"weight_{i}", "is_param": True,
                    "use_pickle": False, "tensor_meta": own}
            for folder, content in config.items():
                out.writestr(
                    f"a/data/{folder}/model_{folder}_config.json",
                    json.dumps({"config": content}))
            out.writestr("a/models/model.json",
                         json.dumps(program or self.json()))
            out.writestr("a/archive_format", "pt2")
            out.writestr("a/byteorder", "little")
        return path
