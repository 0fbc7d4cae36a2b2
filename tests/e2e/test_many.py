"""Every reader with 100,000 of everything.

What takes time that grows with the square of the file's size does not end
before the test does.  Half a million where reading is quick.

SPDX-License-Identifier: Apache-2.0
"""
import io
import itertools
import json
import pickle
import struct
import tarfile
import unittest
import zipfile

from programs import DAMAGED, USAGE, ProgramTest

MANY = 100_000
NET = "Sequential(\n  (0): ReLU()\n)\n"


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def integer(value):
    return b"J" + struct.pack("<i", value)


def storage(key, view=b"", count=0):
    return (b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text(key)
            + text("cpu") + integer(count) + view + b"tQ")


def tensor(of=storage("0")):
    return (b"ctorch._utils\n_rebuild_tensor_v2\n(" + of
            + b"K\0K\0\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR")


def dict_of(pairs):
    return b"}(" + b"".join(k + v for k, v in pairs) + b"u"


def state_dict(pairs):
    return b"\x80\x02" + dict_of(pairs) + b"."


def named(value):
    """A dict with that value under every name."""
    return ((text(f"w{i}"), value) for i in range(MANY))


def module(children, buffers=b"}", skipped=b"]"):
    return (b"ctorch.nn.modules.module\nModule\n)\x81" + dict_of([
        (text("_parameters"), b"}"), (text("_buffers"), buffers),
        (text("_non_persistent_buffers_set"), skipped),
        (text("_modules"), children)]) + b"b")


def safetensors(tensors, texts):
    header = {name: {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
              for name in tensors}
    if texts:
        header["__metadata__"] = {name: "" for name in texts}
    data = json.dumps(header).encode()
    return struct.pack("<Q", len(data)) + data


def npy():
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (4,), }"
    return (b"\x93NUMPY\x01\0v\0" + header.ljust(117) + b"\n" + bytes(16))


class Many(ProgramTest):
    def zip(self, name, pickled, entries=("data/0",)):
        with zipfile.ZipFile(self.path(name), "w") as archive:
            archive.writestr("a/data.pkl", pickled)
            for entry in entries:
                archive.writestr("a/" + entry, b"")
            archive.writestr("a/version", "3\n")

    def count(self, name, *options):
        """The number of tensors that ptfold info finds."""
        report = json.loads(self.succeed("ptfold", "info", "--json", *options,
                                         name))
        return len(report["tensors"])

    def test_storages_and_entries(self):
        self.zip("f.pt", state_dict((text(f"w{i}"), tensor(storage(str(i))))
                                    for i in range(MANY)),
                 [f"data/{i}" for i in range(MANY)])
        self.assertEqual(self.count("f.pt"), MANY)
        self.succeed("ptfold", "convert", "f.pt", "f.safetensors")
        self.assertEqual(self.count("f.safetensors"), MANY)
        self.succeed("ptfold", "convert", "f.safetensors", "g.pt")

    def test_values_and_objects(self):
        for value in (b"N", b"]", b"ca\nb\n)R}b", b"cbuiltins\nset\n]\x85R"):
            self.zip("f.pt", state_dict([*named(value), (text("x"),
                                                         tensor())]))
            self.assertEqual(self.count("f.pt"), 1)

    def test_state_dicts(self):
        self.zip("f.pt", state_dict(named(dict_of([(text("a"), tensor())]))))
        self.assertEqual(self.count("f.pt", "--key", ""), MANY)
        self.refuse(USAGE, ["expected one state dict"], "ptfold", "convert",
                    "f.pt", "out.safetensors")

    def test_modules_and_buffers(self):
        self.zip("f.pt", b"\x80\x02" + module(dict_of(named(module(b"}"))))
                 + b".")
        self.assertEqual(self.count("f.pt"), 0)
        skipped = b"](" + b"".join(text(f"w{i}") for i in range(MANY)) + b"e"
        self.zip("f.pt", b"\x80\x02" + module(
            b"}", dict_of(named(tensor())), skipped) + b".")
        self.refuse(DAMAGED, ["values around the tensors"], "ptfold", "info",
                    "f.pt")

    def test_what_is_shared_or_nested(self):
        """A large dict on every way down, and in every place."""
        large = dict_of([*named(b"N"), (text("x"), dict_of(
            [(text("x"), tensor())]))])
        for depth, end in ((200, b"s" * 200), (1, b"s")):
            nested = (b"}" + text("a")) * depth + large + end
            self.zip("f.pt", b"\x80\x02" + nested + b".")
            self.assertEqual(self.count("f.pt"), 1)
        again = b"".join(integer(i) + b"h\0" for i in range(10_000))
        self.zip("f.pt", b"\x80\x02}(" + text("a") + large + b"q\0" + again
                 + b"u.")
        self.refuse(DAMAGED, ["expected"], "ptfold", "info", "f.pt")

    def test_arguments_that_are_shared(self):
        """Every call freezes what it is given, but each value once."""
        self.zip("f.pt", b"\x80\x02]q\0(" + integer(1) * 1000 + b"e0"
                 + dict_of([*named(b"ca\nb\nh\0\x85R"),
                            (text("x"), tensor())]) + b".")
        self.assertEqual(self.count("f.pt"), 1)

    def test_legacy_streams(self):
        head = (b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
                b"\x80\x02M\xe9\x03.\x80\x02}" + text("little_endian")
                + b"\x88s.")
        keys = [str(i) for i in range(MANY)]
        for views in (False, True):
            ids = [storage("0", b"(" + text("v" + k) + b"K\0K\0t")
                   if views else storage(k, b"N") for k in keys]
            own = ["0"] if views else keys
            self.write("f.pt", head + state_dict(
                (text("w" + k), tensor(i)) for k, i in zip(keys, ids))
                + b"\x80\x02](" + b"".join(map(text, own)) + b"e."
                + bytes(8 * len(own)))
            self.assertEqual(self.count("f.pt"), MANY)

    def test_tars(self):
        def dump(value):
            return pickle.dumps(value, 2)
        numbers = range(MANY)
        parts = {
            "storages": dump(MANY) + b"".join(
                b"\x80\x02" + integer(i) + text("cpu")
                + b"ctorch\nFloatStorage\n\x87." + bytes(8) for i in numbers)
            + dump([]),
            "tensors": dump(MANY) + b"".join(
                b"\x80\x02" + integer(MANY + i) + integer(i)
                + b"ctorch\nFloatTensor\n\x87."
                + struct.pack("<qqqq", 1, 0, 1, 0) for i in numbers),
            "pickle": state_dict((text(f"w{i}"), integer(MANY + i) + b"Q")
                                 for i in numbers)}
        with tarfile.open(self.path("f.pt"), "w") as archive:
            for name, data in parts.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
        self.assertEqual(self.count("f.pt"), MANY)

    def test_metadata_and_indices(self):
        texts = [f"k{i}" for i in range(5 * MANY)]
        self.write("f.safetensors", safetensors([], texts))
        self.assertEqual(self.count("f.safetensors"), 0)
        names = [f"w{i}" for i in range(MANY)]
        self.write("f.safetensors", safetensors(names, []))
        self.write("f.index.json", json.dumps({
            "metadata": {t: t for t in texts},
            "weight_map": {n: "f.safetensors" for n in names}}).encode())
        self.assertEqual(self.count("f.index.json"), MANY)
        files = {n: f"{i // 100}.safetensors" for i, n in enumerate(names)}
        for name, own in itertools.groupby(names, files.get):
            self.write(name, safetensors(own, []))
        self.write("f.index.json", json.dumps({"weight_map": files}).encode())
        self.assertEqual(self.count("f.index.json"), MANY)

    def test_arrays(self):
        self.write("net.txt", NET.encode())
        self.write("f.safetensors", safetensors([], []))
        with zipfile.ZipFile(self.path("f.npz"), "w") as archive:
            for i in range(MANY):
                archive.writestr(f"a{i}.npy", npy())
            archive.writestr("x.npy", npy())
        self.succeed("ptfold", "run", "--arch", "net.txt", "--input", "4",
                     "--array", "x", "f.safetensors", "f.npz")

    def test_layers(self):
        self.write("f.txt", ("Sequential(\n" + "".join(
            f"  ({i}): ReLU()\n" for i in range(10_000)) + ")\n").encode())
        self.succeed("ptfold", "ops", "--input", "4", "f.txt")

    def test_names_that_libzip_would_put_into_one_chain(self):
        """'Ez' and 'FY' are one to a hash that multiplies by 33."""
        names = ["".join(n) for n in itertools.islice(
            itertools.product(("Ez", "FY"), repeat=16), MANY // 2)]
        self.zip("f.pt", state_dict([(text("x"), tensor())]),
                 ["data/0", *names])
        self.refuse(DAMAGED, ["to collide"], "ptfold", "info", "f.pt")


if __name__ == "__main__":
    unittest.main()
