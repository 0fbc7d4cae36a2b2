"""Checkpoints without PyTorch: what its files hold, and files like its own.

An independent reader for the tests, and a writer for the checkpoints that
PyTorch would not make.  A tensor is (shape, bytes): float32, C order.

SPDX-License-Identifier: Apache-2.0
"""
import collections
import json
import pickle
import struct
import sys
import types
import zipfile


def floats(tensor):
    """The numbers of a tensor as a list."""
    return list(struct.unpack(f"<{len(tensor[1]) // 4}f", tensor[1]))


def tensor(shape, numbers):
    return tuple(shape), struct.pack(f"<{len(numbers)}f", *numbers)


def npy(shape, numbers, kind="<f4"):
    """An array as numpy.save() writes it: f2, f4, f8 or i8."""
    code = {"f4": "f", "f8": "d", "f2": "e", "i8": "q"}[kind[1:]]
    head = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"
    head = head.ljust(117) + "\n"
    return (b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) +
            head.encode() +
            struct.pack(f"{kind[0]}{len(numbers)}{code}", *numbers))


# ------------------------------------------------------------ torch.save zips

SIZES = {"FloatStorage": 4, "LongStorage": 8}


class _Reader(pickle.Unpickler):
    """Tensors come out as (shape, bytes); they must be in C order."""

    def __init__(self, file, archive, root):
        super().__init__(file)
        self.archive, self.root = archive, root

    def find_class(self, module, name):
        if name == "OrderedDict":
            return collections.OrderedDict
        if name == "_rebuild_tensor_v2":
            return self.rebuild
        assert name in SIZES, (module, name)
        return name

    def persistent_load(self, pid):
        kind, storage, key, _, count = pid
        assert kind == "storage"
        data = self.archive.read(f"{self.root}/data/{key}")
        assert len(data) == count * SIZES[storage]
        return data, SIZES[storage]

    @staticmethod
    def rebuild(storage, offset, shape, stride, *_):
        data, size = storage
        count = 1
        for n, step in zip(reversed(shape), reversed(stride)):
            assert step == count
            count *= n
        return tuple(shape), data[offset * size:(offset + count) * size]


def read_torch(path):
    """Name -> (shape, bytes) of a state dict, in the order of the file."""
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        root = archive.namelist()[0].split("/")[0]
        with archive.open(f"{root}/data.pkl") as file:
            return _Reader(file, archive, root).load()


class _Tensor:
    def __init__(self, shape, data):
        self.shape, self.data = shape, data
        self.integer = not shape and len(data) == 8


def _fake_torch():
    """Modules that give the pickler the names that PyTorch's classes have."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in SIZES:
        setattr(torch, name, type(name, (), {"__module__": "torch"}))

    def rebuild():
        pass
    rebuild.__name__ = rebuild.__qualname__ = "_rebuild_tensor_v2"
    rebuild.__module__ = "torch._utils"
    utils._rebuild_tensor_v2 = rebuild
    return torch, utils


class _Storage:
    def __init__(self, kind, key, data):
        self.kind, self.key, self.data = kind, key, data


class _Writer(pickle.Pickler):
    """Writes _Tensor as a call of torch's rebuild function."""

    def __init__(self, file, torch, utils):
        super().__init__(file, protocol=2)
        self.torch, self.utils, self.storages = torch, utils, []

    def persistent_id(self, obj):
        if not isinstance(obj, _Storage):
            return None
        kind = getattr(self.torch, obj.kind)
        return ("storage", kind, obj.key, "cpu",
                len(obj.data) // SIZES[obj.kind])

    def reducer_override(self, obj):
        if not isinstance(obj, _Tensor):
            return NotImplemented
        kind = "LongStorage" if obj.integer else "FloatStorage"
        storage = _Storage(kind, str(len(self.storages)), obj.data)
        self.storages.append(storage)
        stride, count = [], 1
        for n in reversed(obj.shape):
            stride.insert(0, count)
            count *= n
        return self.utils._rebuild_tensor_v2, (
            storage, 0, obj.shape, tuple(stride), False,
            collections.OrderedDict())


def write_torch(path, tensors):
    """Writes a state dict as torch.save() would."""
    torch, utils = _fake_torch()
    saved = {n: sys.modules.get(n) for n in ("torch", "torch._utils")}
    sys.modules.update({"torch": torch, "torch._utils": utils})
    try:
        with zipfile.ZipFile(path, "w") as archive:
            with archive.open("archive/data.pkl", "w") as file:
                writer = _Writer(file, torch, utils)
                writer.dump(collections.OrderedDict(
                    (k, _Tensor(*t)) for k, t in tensors.items()))
            for storage in writer.storages:
                archive.writestr(f"archive/data/{storage.key}", storage.data)
            archive.writestr("archive/version", "3\n")
    finally:
        for name, module in saved.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def zip_structures(data):
    """Offsets where a structure of a zip file, or a part of one, begins.

    Of structures that occur many times, the first and the last.
    """
    places = {0, len(data)}
    for signature, size in ((b"PK\3\4", 30), (b"PK\7\x08", 16),
                            (b"PK\1\2", 46), (b"PK\6\6", 56),
                            (b"PK\6\7", 20), (b"PK\5\6", 22)):
        for at in {data.find(signature), data.rfind(signature)} - {-1}:
            places |= {at, at + len(signature), at + size}
            if signature in (b"PK\3\4", b"PK\1\2"):
                where = at + (26 if signature == b"PK\3\4" else 28)
                name, extra = struct.unpack_from("<HH", data, where)
                places |= {at + size + name, at + size + name + extra}
    return sorted(p for p in places if p <= len(data))


# ----------------------------------------------------------------- safetensors

def read_safetensors(path):
    """(metadata, name -> (shape, bytes)); checks the format on the way."""
    data = path.read_bytes()
    size, = struct.unpack_from("<Q", data)
    header = json.loads(data[8:8 + size])
    metadata = header.pop("__metadata__")
    assert all(isinstance(v, str) for v in metadata.values())
    body, tensors, end = data[8 + size:], {}, 0
    for name, entry in header.items():
        begin, stop = entry["data_offsets"]
        assert begin == end, "no holes"
        end = stop
        width = {"F32": 4, "I64": 8}[entry["dtype"]]
        count = 1
        for n in entry["shape"]:
            count *= n
        assert stop - begin == width * count
        tensors[name] = tuple(entry["shape"]), body[begin:stop]
    assert end == len(body)
    return metadata, tensors


def write_safetensors(path, tensors, metadata):
    """Writes float32 tensors; metadata is text -> text."""
    header, body = {"__metadata__": metadata}, b""
    for name, (shape, data) in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(shape),
                        "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)
