"""Containers of checkpoints that today's PyTorch reads but does not write.

SPDX-License-Identifier: Apache-2.0
"""
import ctypes
import io
import pickle
import struct
import tarfile
import zipfile

import torch
from torch import nn


def rezip(data, compression, change=lambda name, data: data, folders=False):
    """The same entries as another program packs them."""
    old, out = zipfile.ZipFile(io.BytesIO(data)), io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as new:
        names = old.namelist()
        root = names[0].split("/")[0]
        if folders:
            for name in (root + "/", root + "/data/"):
                new.writestr(zipfile.ZipInfo(name), b"")
        for name in names:
            new.writestr(name, change(name, old.read(name)))
    return out.getvalue()


def without_checksums(data):
    """As a PyTorch writes it that was told to compute none."""
    data = bytearray(data)
    for signature, at in ((b"PK\7\x08", 4), (b"PK\1\2", 16)):
        start = 0
        for entry in zipfile.ZipFile(io.BytesIO(bytes(data))).infolist():
            crc = struct.pack("<I", entry.CRC)
            found = data.find(signature, start)
            while entry.file_size and data[found + at:found + at + 4] != crc:
                found = data.find(signature, found + 1)
            if entry.file_size:
                data[found + at:found + at + 4] = bytes(4)
    return bytes(data)


def big_endian(data, dtype):
    width = torch.empty(0, dtype=dtype).element_size()
    width //= 2 if dtype.is_complex else 1

    def change(name, data):
        if name.endswith("/byteorder"):
            return b"big"
        if "/data/" not in name:
            return data
        return b"".join(data[i:i + width][::-1]
                        for i in range(0, len(data), width))
    data = rezip(data, zipfile.ZIP_STORED, change)
    if b"/byteorder" in data:
        return data
    out = io.BytesIO(data)
    with zipfile.ZipFile(out, "a") as more:
        root = more.namelist()[0].split("/")[0]
        more.writestr(root + "/byteorder", "big")
    return out.getvalue()


class TarPickler(pickle.Pickler):
    """Tensors and classes of modules become ids, as in PyTorch 0.1."""

    def __init__(self, file):
        super().__init__(file, 2)
        self.tensors, self.classes = {}, set()

    def persistent_id(self, obj):
        if isinstance(obj, type) and issubclass(obj, nn.Module):
            if obj in self.classes:  # inside its own id
                return None
            self.classes.add(obj)
            return obj, "file.py", "class " + obj.__name__
        if not isinstance(obj, torch.Tensor):
            return None
        self.tensors[id(obj)] = obj
        return str(id(obj))


def tar_storages(draw, tensors):
    """The member 'storages', and the number of each tensor's storage."""
    out, roots, views, numbers = io.BytesIO(), {}, [], {}
    for key, tensor in tensors.items():
        storage = tensor.storage()
        place = storage.data_ptr(), storage.dtype, len(storage)
        number = roots.setdefault(place, (len(roots) + 1, storage))[0]
        numbers[key] = number
        if draw.random() < 0.3:  # 0.1 wrote parts of storages like this
            numbers[key] = 1000 + len(views)
            views.append((numbers[key], number, 0, len(storage)))
    pickle.dump(len(roots), out, 2)
    for number, storage in roots.values():
        kind = getattr(torch, storage.pickle_storage_type())
        size = len(storage) * storage.element_size()
        pickle.dump((number, "cpu", kind), out, 2)
        out.write(struct.pack("<q", len(storage)))
        out.write(ctypes.string_at(storage.data_ptr(), size) if size else b"")
    pickle.dump(views, out, 2)
    return out.getvalue(), numbers


def tar_tensors(tensors, numbers):
    out = io.BytesIO()
    pickle.dump(len(tensors), out, 2)
    for key, tensor in tensors.items():
        pickle.dump((key, numbers[key], torch.FloatTensor), out, 2)
        rank, shape, stride = tensor.dim(), tensor.shape, tensor.stride()
        out.write(struct.pack(f"<ii{2 * rank + 1}q", rank, 77, *shape, *stride,
                              tensor.storage_offset()))
    return out.getvalue()


def write_tar(draw, path, made):
    """As PyTorch 0.1.9 did."""
    data = io.BytesIO()
    pickler = TarPickler(data)
    pickler.dump(made)
    storages, numbers = tar_storages(draw, pickler.tensors)
    members = {"sys_info": pickle.dumps({"little_endian": True}, 2),
               "pickle": data.getvalue(),
               "tensors": tar_tensors(pickler.tensors, numbers),
               "storages": storages}
    with tarfile.open(path, "w:", format=draw.choice(
            [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])) as tar:
        for name, member in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(member), 1490000000.5
            tar.addfile(info, io.BytesIO(member))
