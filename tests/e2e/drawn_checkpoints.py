"""Draws checkpoints of every kind that this PyTorch can write.

usage: drawn_checkpoints.py FOLDER SEED COUNT
       drawn_checkpoints.py FOLDER

Writes COUNT files and GOLDEN.tsv, which has a line for every tensor: file,
name, dtype, shape, strides, offset in elements, and the SHA-256 of the
elements in C order, all from PyTorch.  What is drawn: containers, pickle
protocols, structures, dtypes, layouts of memory, and what lies beside the
tensors.

The second form reads what stands in FOLDER/converted under the same names
and ".pt" or ".safetensors", and compares it with the table.

SPDX-License-Identifier: Apache-2.0
"""
import argparse
import collections
import ctypes
import datetime
import decimal
import enum
import functools
import hashlib
import io
import pathlib
import random
import sys
import warnings
import zipfile

import numpy
import torch
from torch import nn

from drawn_containers import (big_endian, rezip, without_checksums,
                              write_tar)

warnings.filterwarnings("ignore")

# Those whose storages have a class of their own, and those of PyTorch 2.
TYPED = [getattr(torch, n) for n in (
    "float32", "float64", "float16", "bfloat16", "int8", "int16", "int32",
    "int64", "uint8", "bool", "complex64", "complex128")]
NEWER = [getattr(torch, n) for n in (
    "uint16", "uint32", "uint64", "float8_e4m3fn", "float8_e5m2",
    "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu",
    "float4_e2m1fn_x2", "bits8", "bits16", "bits1x8", "bits2x4", "bits4x2")
    if hasattr(torch, n)]
DTYPES = TYPED + NEWER
# Those that may be views of the same bytes.
PLAIN = NEWER + [torch.uint8]


# -------------------------------------------------------------------- tensors

def draw_bytes(draw, count, dtype):
    """A flat tensor of any bits, also not-a-numbers."""
    width = torch.empty(0, dtype=dtype).element_size()
    raw = bytearray(draw.getrandbits(8) for _ in range(count * width))
    if dtype == torch.bool:
        raw = bytearray(b & 1 for b in raw)
    if count == 0:
        return torch.empty(0, dtype=dtype)
    return torch.frombuffer(raw, dtype=torch.uint8).clone().view(dtype)


def draw_shape(draw, rank=None):
    rank = draw.choice([0, 1, 1, 2, 2, 3, 4, 4, 5, 8]) if rank is None else rank
    return [draw.choice([1, 2, 3, 4] if rank < 6 else [1, 2])
            for _ in range(rank)]


def draw_view(draw, flat_of):
    """A tensor in any layout of memory; flat_of(count) makes its storage."""
    shape = draw_shape(draw)
    numel = 1
    for n in shape:
        numel *= n
    how = draw.choice(["plain", "permuted", "stepped", "offset", "expanded",
                       "overlapping", "empty", "empty after", "sized 1"])
    if how == "permuted":
        order = list(range(len(shape)))
        draw.shuffle(order)
        return flat_of(numel).reshape(shape).permute(order)
    if how == "stepped":
        return flat_of(2 * numel + 3)[3::2][:numel].reshape(-1)
    if how == "offset":
        before = draw.randrange(5)
        return flat_of(numel + before + 2)[before:before + numel].view(shape)
    if how == "expanded":
        return flat_of(3).view(3, 1).expand(3, draw.randrange(1, 9))
    if how == "overlapping":
        return flat_of(9).as_strided((4, 3), (draw.randrange(3), 1), 0)
    if how == "empty":
        return flat_of(0).view([0] + shape[:6])
    if how == "empty after":
        return flat_of(9)[draw.randrange(10):][:0]
    if how == "sized 1":
        return flat_of(12).as_strided((1, 3, 1), (99, 2, 7), 1)
    return flat_of(numel).view(shape)


def draw_quantized(draw):
    kind = draw.choice([torch.qint8, torch.quint8, torch.qint32])
    numbers = torch.randn(draw.randrange(1, 5), 3, 2)
    if kind == torch.qint32:  # more digits than a float has
        numbers *= 10 ** draw.uniform(0, 8)
    if draw.random() < 0.5:
        return torch.quantize_per_tensor(
            numbers, draw.uniform(0.01, 2), draw.randrange(0, 9), kind)
    axis = draw.randrange(3)
    slices = numbers.shape[axis]
    if draw.random() < 0.3:  # zero points that are no integers
        return torch.quantize_per_channel(
            numbers, torch.rand(slices) + 0.01, torch.rand(slices) * 9, axis,
            torch.quint8)
    return torch.quantize_per_channel(
        numbers, torch.rand(slices, dtype=torch.float64) + 0.01,
        torch.randint(0, 9, (slices,)), axis, kind)


class Subclass(torch.Tensor):
    pass


def draw_tensor(draw, dtypes, shared):
    dtype = draw.choice(dtypes)

    def flat_of(count):
        if draw.random() < 0.3 and dtype in TYPED and count <= 64:
            if dtype not in shared:
                shared[dtype] = draw_bytes(draw, 64, dtype)
            return shared[dtype][:count]
        if draw.random() < 0.3 and dtype in PLAIN and count <= 16:
            if "bytes" not in shared:
                shared["bytes"] = draw_bytes(draw, 256, torch.uint8)
            return shared["bytes"].view(dtype)[:count]
        return draw_bytes(draw, count, dtype)
    tensor = draw_view(draw, flat_of)
    real = dtype.is_floating_point
    how = draw.choice(["tensor"] * 5 + ["parameter", "marked parameter",
                                        "subclass", "buffer"])
    if how.endswith("parameter"):
        tensor = nn.Parameter(tensor, requires_grad=real and
                              dtype in TYPED and draw.random() < 0.8)
        if how.startswith("marked"):
            tensor.sharded_by = ("rows", 3)
    elif how == "subclass":
        tensor = tensor.as_subclass(Subclass)
        tensor.note = "a note"
    elif how == "buffer" and hasattr(nn, "Buffer"):
        tensor = nn.Buffer(tensor)
    return tensor


# ------------------------------------------------------------ beside tensors

class Colour(enum.Enum):
    RED = 1


class Settings:
    def __init__(self):
        self.rate, self.steps = 0.1, [1, 2]


class NamedDict(collections.OrderedDict):
    pass


Point = collections.namedtuple("Point", "x y")


def loop():
    it = Settings()
    it.children = [it, {"parent": it}]
    return it


def nest(depth):
    it = ()
    for i in range(depth):
        it = (it,) if i % 2 else [it]
    return it


BESIDE = [
    lambda d: argparse.Namespace(lr=0.1, name="x", sizes=(1, 2)),
    lambda d: collections.defaultdict(list, {"a": [1]}),
    lambda d: collections.defaultdict(functools.partial(int, 3), {1: 2}),
    lambda d: collections.Counter("hello"),
    lambda d: collections.deque([1, 2], 3),
    lambda d: {1, 2.5, "three", b"four", None},
    lambda d: frozenset([(1, 2)]),
    lambda d: datetime.datetime(2020, 2, 3, 4, 5),
    lambda d: decimal.Decimal("1.5"),
    lambda d: pathlib.PurePosixPath("/tmp/x"),
    lambda d: functools.partial(sorted, reverse=True),
    lambda d: [2 ** n for n in (7, 8, 15, 16, 31, 32, 63, 64, 100, 2040)],
    lambda d: [-2 ** n for n in (7, 8, 15, 16, 31, 32, 63, 64, 100, 3000)],
    lambda d: [float("nan"), float("inf"), -0.0, 1e-320, True, None, ...],
    lambda d: [b"", b"\x00\xff" * 200, bytearray(b"ab"), 1j, range(3)],
    lambda d: ["", "ü€𝄞", "\ud800", "x" * 70000, "a\nb"],
    lambda d: [float(i) for i in range(2500)],
    lambda d: {i: str(i) for i in range(2500)},
    lambda d: Colour.RED,
    lambda d: Settings(),
    lambda d: [Settings, len, nn.functional.relu, nn.Linear],
    lambda d: NamedDict(a=1),
    lambda d: Point(1, "y"),
    lambda d: loop(),
    lambda d: nest(120),
    lambda d: [torch.float32, torch.device("cpu"), torch.Size([1, 2]),
               torch.strided],
    lambda d: [numpy.float64(1.5), numpy.int8(3), numpy.bool_(True),
               numpy.dtype("<f4"), numpy.arange(6).reshape(2, 3).T],
    lambda d: numpy.array(["text", None], dtype=object),
    lambda d: numpy.random.RandomState(0).get_state(),
    lambda d: torch.FloatStorage(4),
]


# ----------------------------------------------------------------- structures

class Net(nn.Module):
    """A class of the user's own, with all that a module may have."""

    def __init__(self, draw):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3))
        self.layers = nn.ModuleList([nn.Linear(3, 2, bias=False)])
        self.by_name = nn.ModuleDict({"a": nn.LayerNorm(4)})
        self.scale = nn.Parameter(torch.randn(2))
        self.register_buffer("kept", torch.arange(3))
        self.register_buffer("dropped", torch.arange(4), persistent=False)
        self.register_buffer("absent", None)
        self.register_parameter("no_bias", None)
        self.again = self.layers[0] if draw.random() < 0.5 else nn.ReLU()
        self.plain, self.loose = Settings(), torch.ones(2)


def draw_module(draw):
    inner = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(),
                          nn.Sequential(nn.Flatten(), nn.Linear(2, 2)))
    made = draw.choice([Net(draw), inner, nn.LSTM(2, 3, num_layers=2),
                        nn.MultiheadAttention(4, 2),
                        nn.Embedding(5, 2, padding_idx=0)])
    if draw.random() < 0.3:
        made = made.half()
    if draw.random() < 0.3:
        made = made.to(memory_format=torch.channels_last)
    return nn.DataParallel(made) if draw.random() < 0.2 else made


def train(draw, module):
    """An optimizer that has a state."""
    parameters = [p for p in module.parameters() if p.dtype == torch.float32]
    if not parameters:
        return {}
    optim = torch.optim
    optimizer = draw.choice([
        optim.Adam, optim.LBFGS, optim.Adagrad, optim.Rprop, optim.ASGD,
        functools.partial(optim.SGD, lr=0.1, momentum=0.9)])(parameters)

    def gradients():
        for p in parameters:
            p.grad = torch.ones_like(p)
        return torch.tensor(1.0)
    optimizer.step(gradients)
    return optimizer.state_dict()


def draw_key(draw, taken):
    while True:
        key = draw.choice([
            lambda: draw.randrange(10 ** 6),
            lambda: "layer%d.weight" % draw.randrange(1000),
            lambda: "é%d" % draw.randrange(1000),
            lambda: -draw.randrange(9),
            lambda: draw.choice([True, False, None]),
            lambda: "a b/c:%d" % draw.randrange(1000)])()
        if str(key) not in taken:
            taken.add(str(key))
            return key


def draw_dict(draw, tensor_of, depth=0):
    made = draw.choice([dict, collections.OrderedDict, dict,
                        functools.partial(collections.defaultdict, list),
                        NamedDict])()
    taken = set()
    for _ in range(draw.choice([1, 2, 3, 5])):
        kind = draw.random()
        key = draw_key(draw, taken)
        if kind < 0.6 or depth > 3:
            made[key] = tensor_of()
        elif kind < 0.75:
            made[key] = draw_dict(draw, tensor_of, depth + 1)
        elif kind < 0.85:
            made[key] = draw.choice([list, tuple, collections.deque])(
                tensor_of() for _ in range(draw.randrange(4)))
        else:
            made[key] = draw.choice(BESIDE)(draw)
    values = [v for v in made.values() if isinstance(v, torch.Tensor)]
    if values and draw.random() < 0.3:
        made[draw_key(draw, taken)] = draw.choice(values)  # tied
    return made


def draw_object(draw, dtypes):
    shared = {}
    kind = draw.random()

    def tensor_of():
        if draw.random() < 0.1 and len(dtypes) > 1:
            return draw_quantized(draw)
        return draw_tensor(draw, dtypes, shared)
    if kind < 0.55 or len(dtypes) == 1:
        return draw_dict(draw, tensor_of)
    if kind < 0.7:
        return draw_module(draw)
    if kind < 0.85:
        module = draw_module(draw)
        return {"epoch": 3, "best": numpy.float32(0.5), "args": BESIDE[0](draw),
                "state_dict": module.state_dict(), "optimizer": train(draw, module),
                "model": draw_module(draw), draw.randrange(9): tensor_of()}
    if kind < 0.92:
        return {"a": numpy.asfortranarray(numpy.random.rand(2, 3)),
                "b": [numpy.arange(3, dtype=draw.choice(["u1", "<i8", ">f4"])),
                      numpy.float64(2.5)], "c": numpy.zeros((0, 2), "f2"),
                "d": numpy.array(True), "e": numpy.ones((2, 2), "c16")[:, 0],
                "f": numpy.random.rand(2, 3, 4).transpose(
                    draw.sample(range(3), 3))}
    return draw.choice([list, tuple])(
        tensor_of() for _ in range(draw.randrange(1, 4)))


# ----------------------------------------------------------------- containers

def write(draw, path, made, dtypes):
    options = {"pickle_protocol": draw.choice([2, 2, 2, 1, 3, 4, 5])}
    how = draw.choice(["zip", "zip", "memory", "legacy", "legacy", "deflated",
                       "stored again", "no checksums", "big-endian"])
    if how == "big-endian" and (len(dtypes) > 1 or dtypes[0] not in TYPED):
        how = "zip"
    if how == "zip":
        torch.save(made, path, **options)
        return
    out = io.BytesIO()
    torch.save(made, out, _use_new_zipfile_serialization=how != "legacy",
               **options)
    data = out.getvalue()
    if how == "deflated":
        data = rezip(data, zipfile.ZIP_DEFLATED, folders=draw.random() < 0.5)
    elif how == "stored again":
        data = rezip(data, zipfile.ZIP_STORED, folders=draw.random() < 0.5)
    elif how == "no checksums":
        data = without_checksums(data)
    elif how == "big-endian":
        data = big_endian(data, dtypes[0])
    path.write_bytes(data)


def draw_tar(draw, path):
    """Writes one; what today's PyTorch reads from it."""
    shared, made = {}, {"net": nn.Linear, "epoch": 3, "more": []}
    for i in range(draw.randrange(1, 6)):
        made[f"w{i}"] = draw_tensor(draw, TYPED, shared).detach()
        made[f"w{i}"] = made[f"w{i}"].as_subclass(torch.Tensor)
    made["more"].append(made["w0"])
    write_tar(draw, path, made)
    return torch.load(path, weights_only=False)


class Scripted(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
        self.register_buffer("count", torch.arange(2))

    def forward(self, x):
        return self.inner(x) + self.count


def write_script(draw, path):
    module = draw.choice([Scripted, lambda: nn.Linear(3, 2)])()
    module = torch.jit.script(module) if draw.random() < 0.5 else \
        torch.jit.trace(module, torch.zeros(1, 3))
    torch.jit.save(module, str(path))
    return module.state_dict()


# -------------------------------------------------------- what must be read

def join(prefix, key):
    return str(key) if prefix is None else f"{prefix}.{key}"


def walk(made, prefix, arrays, out):
    """Names as PyTorch's state_dict() and paths of containers give them."""
    wanted = (numpy.ndarray, numpy.generic) if arrays else torch.Tensor
    if isinstance(made, wanted):
        if not arrays or numpy.asarray(made).dtype.kind not in "OUSVMm":
            out.append((prefix or "", made))
    elif isinstance(made, nn.Module):
        walk(made.state_dict(), prefix, arrays, out)
    elif isinstance(made, dict):
        for key, value in made.items():
            walk(value, join(prefix, key), arrays, out)
    elif type(made) in (list, tuple, collections.deque):
        for i, value in enumerate(made):
            walk(value, join(prefix, i), arrays, out)


def describe(tensor):
    """dtype, shape, strides, offset, digest."""
    if isinstance(tensor, (numpy.ndarray, numpy.generic)):
        array = numpy.asarray(tensor)
        name = array.dtype.name
        data = array.astype(array.dtype.newbyteorder("<")).tobytes()
        stride = torch.empty(array.shape).stride() \
            if array.flags.c_contiguous else \
            [n // array.itemsize for n in array.strides]
        return name, array.shape, stride, 0, hashlib.sha256(data).hexdigest()
    tensor = tensor.detach().as_subclass(torch.Tensor)
    if tensor.is_quantized:
        tensor = tensor.dequantize().contiguous()
    same = torch.empty(tensor.shape, dtype=tensor.dtype)
    same.copy_(tensor)
    data = ctypes.string_at(same.data_ptr(), same.numel() *
                            same.element_size()) if same.numel() else b""
    return (str(tensor.dtype)[6:], tuple(tensor.shape), tensor.stride(),
            tensor.storage_offset(), hashlib.sha256(data).hexdigest())


def draw_file(draw, folder, number):
    """Writes one file; a list of (name, tensor)."""
    path = folder / draw.choice(["%d.pt", "net %d.pth", "a.b-%d.bin", "%d",
                                 "é%d.ckpt"]).replace("%d", str(number))
    kind = draw.random()
    if kind < 0.08:
        made = write_script(draw, path)
    elif kind < 0.16:
        made = draw_tar(draw, path)
    else:
        dtypes = [draw.choice(DTYPES)] if draw.random() < 0.3 else DTYPES
        made = draw_object(draw, dtypes)
        write(draw, path, made, dtypes)
    found = []
    walk(made, None, False, found)
    if not found:  # NumPy decides how an array lies in memory when read
        walk(torch.load(path, weights_only=False), None, True, found)
    return path.name, found


def write_all(folder, seed, count):
    torch.manual_seed(seed)
    numpy.random.seed(seed)
    with open(folder / "GOLDEN.tsv", "w", encoding="utf-8") as table:
        for number in range(count):
            draw = random.Random(f"{seed} {number}")
            name, tensors = draw_file(draw, folder, number)
            for key, tensor in tensors:
                dtype, shape, stride, offset, digest = describe(tensor)
                print(name, key, dtype, "x".join(map(str, shape)),
                      "x".join(map(str, stride)), offset, digest, sep="\t",
                      file=table)


# ------------------------------------------------------------ what was written

def readers():
    """Ending -> a function from a path to name -> tensor."""
    found = {".pt": torch.load}
    try:
        import safetensors.torch
        found[".safetensors"] = safetensors.torch.load_file
    except ImportError:
        print("this Python has no safetensors: skipped")
    return found


def read_all(folder):
    golden, count = {}, collections.Counter()
    with open(folder / "GOLDEN.tsv", encoding="utf-8") as table:
        for line in table:
            file, name, dtype, shape, _, _, digest = line[:-1].split("\t")
            golden.setdefault(file, {})[name] = (dtype, shape, digest)
    for ending, read in readers().items():
        for path in (folder / "converted").glob("*" + ending):
            found = {}
            for name, tensor in read(path).items():
                dtype, shape, _, _, digest = describe(tensor)
                found[name] = (dtype, "x".join(map(str, shape)), digest)
            assert found == golden[path.name[:-len(ending)]], path
            count[ending] += 1
    print(f"PyTorch {torch.__version__} reads {dict(count)}")


if __name__ == "__main__":
    if len(sys.argv) == 2:
        read_all(pathlib.Path(sys.argv[1]))
    else:
        write_all(pathlib.Path(sys.argv[1]), int(sys.argv[2]),
                  int(sys.argv[3]))
