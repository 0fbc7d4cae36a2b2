"""Pickles put together opcode by opcode: calls that no pickler would write.

A value is a Node.  Each is emitted once, and stored in the memo where it is
made, so that it can be changed later by what stands after it.

SPDX-License-Identifier: Apache-2.0
"""
import struct
import zipfile

FLOATS = struct.pack("<6f", *range(6))
# key -> class and bytes
STORAGES = {
    "0": ("FloatStorage", 6, FLOATS),
    "1": ("QInt8Storage", 6, bytes(range(6))),
    "2": ("DoubleStorage", 2, struct.pack("<2d", .5, .25)),
    "3": ("LongStorage", 2, struct.pack("<2q", 1, 0)),
    "4": ("UntypedStorage", 24, FLOATS),
}


def text(value):
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def scalar(value):
    """Opcodes of what cannot change."""
    if value is None or isinstance(value, bool):
        return {None: b"N", True: b"\x88", False: b"\x89"}[value]
    if isinstance(value, str):
        return text(value)
    if isinstance(value, bytes):
        return b"C" + bytes([len(value)]) + value
    if isinstance(value, float):
        return b"G" + struct.pack(">d", value)
    return b"J" + struct.pack("<i", value)


class Node:
    """kind is list, dict, set, tuple, call, new, newex, storage or global."""

    def __init__(self, kind, *parts, state=None):
        self.kind, self.parts, self.state = kind, parts, state

    def children(self):
        """Nodes right below."""
        parts = list(self.parts) + [self.state]
        return [p for p in parts if isinstance(p, Node)]

    def all(self):
        """This one and all below, each once."""
        found = []
        for child in self.children():
            found += [n for n in child.all() if n not in found]
        return found + [self]


def tup(*parts):
    return Node("tuple", *parts)


def lst(*parts):
    return Node("list", *parts)


def dic(*pairs):
    """Keys and values in turn."""
    return Node("dict", *pairs)


def name(dotted):
    return Node("global", *dotted.rsplit(".", 1))


def call(function, *args, state=None):
    return Node("call", name(function), *args, state=state)


def new(function, *args, state=None):
    return Node("new", name(function), *args, state=state)


class Assembler:
    def __init__(self):
        self.memo = {}

    def many(self, values):
        return b"(" + b"".join(self.value(v) for v in values)

    def bare(self, node):
        kind, parts = node.kind, node.parts
        if kind == "global":
            return f"c{parts[0]}\n{parts[1]}\n".encode()
        if kind == "storage":
            class_name, count, _ = STORAGES[parts[0]]
            module = "torch.storage" if class_name[0] == "U" else "torch"
            return (b"(" + text("storage")
                    + f"c{module}\n{class_name}\n".encode() + text(parts[0])
                    + text("cpu") + scalar(count) + b"tQ")
        if kind == "tuple":
            return self.many(parts) + b"t"
        if kind in ("list", "dict", "set"):
            empty, fill = {"list": b"]e", "dict": b"}u",
                           "set": b"\x8f\x90"}[kind].decode("latin1")
            return (empty.encode("latin1") + self.many(parts)
                    + fill.encode("latin1"))
        opcode = {"call": b"R", "new": b"\x81"}[kind]
        return self.value(parts[0]) + self.many(parts[1:]) + b"t" + opcode

    def value(self, value):
        if not isinstance(value, Node):
            return scalar(value)
        if value in self.memo:
            return b"j" + struct.pack("<I", self.memo[value])
        code = self.bare(value)
        index = self.memo[value] = len(self.memo)
        code += b"r" + struct.pack("<I", index)
        if value.state is not None:
            code += self.value(value.state) + b"b"
        return code

    def change(self, node, how, *values):
        """Changes what was made before: append, item, add or build."""
        code = b"".join(self.value(v) for v in values)
        if how == "add":
            code = b"(" + code
        opcode = {"append": b"a", "item": b"s", "add": b"\x90",
                  "build": b"b"}[how]
        return self.value(node) + code + opcode + b"0"


def pickle_of(root, changes):
    """The pickle of a root, and of changes that come after all of it."""
    a = Assembler()
    code = b"\x80\x04" + a.value(root)
    for node, how, *values in changes:
        code += a.change(node, how, *values)
    return code + b"."


def write(path, pickle):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle)
        archive.writestr("archive/byteorder", "little")
        for key, (_, _, data) in STORAGES.items():
            archive.writestr(f"archive/data/{key}", data)
        archive.writestr("archive/version", "3\n")
