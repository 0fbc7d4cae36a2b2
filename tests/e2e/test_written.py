"""Programs (.pt2) that ptfold writes.

PTF_TORCH2_PYTHON may name a Python with PyTorch 2.9 or newer, which then
loads what was written; else this one's is taken, if it is as new.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import re
import subprocess
import sys
import unittest
import zipfile
from pathlib import Path

import pt2
from programs import (DAMAGED, FIXTURES, USAGE, ProgramTest,
                      quiet_threads)

PROGRAMS = FIXTURES / "programs"
LOADER = Path(__file__).resolve().parent / "pt2_loads.py"
NEEDED = (2, 9)

# What PyTorch loads, of kinds that differ: each costs it a second.
LOADED = ("net", "residual", "dynamic", "core", "places", "values", "regions",
          "choice", "tokens", "ports")


def load(test, *arguments):
    """Lets PyTorch load programs in pairs: see pt2_loads.py."""
    python = os.environ.get("PTF_TORCH2_PYTHON", sys.executable)

    def run(*args):
        return subprocess.run([python, "-B", *args], env=quiet_threads(),
                              capture_output=True, text=True, timeout=250)

    version = re.findall(r"\d+", run("-c", "import torch\n"
                                     "print(torch.__version__)").stdout)
    if tuple(map(int, version[:2])) < NEEDED:
        test.skipTest("no PyTorch 2.9 or newer")
    done = run(LOADER, *arguments)
    test.assertEqual(done.returncode, 0, done.stderr[-2000:])


def entries(path):
    """What is in an archive, without its folder's name: name -> bytes."""
    with zipfile.ZipFile(path) as archive:
        return {name.partition("/")[2]: archive.read(name)
                for name in archive.namelist()}


def graph_of(path):
    held = entries(path)
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if "serialized_exported_program.json" in names:
            return json.loads(archive.read("serialized_exported_program.json"))
    return json.loads(held["models/model.json"])


def spelled(at):
    """As the newest schema spells it."""
    if isinstance(at, list):
        return [spelled(value) for value in at]
    if not isinstance(at, dict):
        return at
    return {key: True if key == "as_none" and value == [] else spelled(value)
            for key, value in at.items() if key != "schema_version"}


class Unchanged(ProgramTest):
    def convert(self, name, out="out.pt2", *options):
        self.succeed("ptfold", "convert", "--force", *options, name, out)
        return self.path(out)

    def names(self):
        return sorted(path.stem for path in PROGRAMS.glob("*.pt2")
                      if path.stem != "two")

    def test_nothing_of_a_program_is_lost(self):
        self.assertGreater(len(self.names()), 30)
        for name in self.names():
            with self.subTest(name):
                source = PROGRAMS / f"{name}.pt2"
                out = self.convert(source)
                want, got = graph_of(source), graph_of(out)
                self.assertEqual(got["schema_version"],
                                 {"major": 8, "minor": 20})
                self.assertEqual(spelled(got), spelled(want))
                self.assertEqual(
                    self.succeed("ptfold", "info", "--graph", "-v", out),
                    self.succeed("ptfold", "info", "--graph", "-v", source))

    def test_equal_input_gives_equal_bytes_also_when_written_again(self):
        for name in ("net", "places", "old_a", "ports"):
            with self.subTest(name):
                first = self.convert(PROGRAMS / f"{name}.pt2").read_bytes()
                self.path("more").mkdir(exist_ok=True)
                again = self.convert(PROGRAMS / f"{name}.pt2", "more/out.pt2")
                self.assertEqual(again.read_bytes(), first)
                again = self.convert("out.pt2", "more/out.pt2")
                self.assertEqual(again.read_bytes(), first)

    def test_the_archive_is_laid_out_as_pytorch_does(self):
        source = PROGRAMS / "places.pt2"
        out = self.convert(source)
        with zipfile.ZipFile(source) as want, zipfile.ZipFile(out) as got:
            self.assertIsNone(got.testzip())
            order = [i.filename.partition("/")[2] for i in want.infolist()]
            self.assertEqual(
                [i.filename.partition("/")[2] for i in got.infolist()], order)
            for i in got.infolist():
                self.assertTrue(i.filename.startswith("out/"))
                self.assertEqual(i.compress_type, zipfile.ZIP_STORED)
                header = out.read_bytes()[i.header_offset:][:30]
                start = (i.header_offset + 30 + int.from_bytes(
                    header[26:28], "little") + int.from_bytes(
                    header[28:30], "little"))
                self.assertEqual(start % 64, 0, i.filename)
        want, got = entries(source), entries(out)
        for name in ("archive_format", "archive_version", ".data/version",
                     "byteorder", "extra/note.txt",
                     "data/sample_inputs/model.pt"):
            self.assertEqual(got[name], want[name], name)
        self.assertRegex(got[".data/serialization_id"], rb"\A\d{40}\Z")

    def test_shared_and_strided_data_stays_so(self):
        names = ("data/weights/model_weights_config.json",
                 "data/constants/model_constants_config.json")
        want = entries(PROGRAMS / "places.pt2")
        got = entries(self.convert(PROGRAMS / "places.pt2"))
        for name in names:
            before = json.loads(want[name])["config"]
            after = json.loads(got[name])["config"]
            self.assertEqual(set(before), set(after))
            for tensor, meta in before.items():
                if 0 not in [s["as_int"] for s in meta["tensor_meta"]["sizes"]]:
                    self.assertEqual(after[tensor]["tensor_meta"],
                                     meta["tensor_meta"], tensor)
        config = json.loads(got[names[0]])["config"]
        self.assertEqual(config["a.weight"]["path_name"],
                         config["b.weight"]["path_name"])
        self.assertEqual(config["top"]["path_name"],
                         config["end"]["path_name"])

    def test_older_layouts_become_the_newest(self):
        want = entries(self.convert(PROGRAMS / "net.pt2"))
        for name in ("old_a", "old_b"):
            got = entries(self.convert(PROGRAMS / f"{name}.pt2"))
            self.assertEqual(set(got) - {"extra/note"}, set(want))
            for entry, data in want.items():
                if entry.startswith("data/weights/"):
                    self.assertEqual(got[entry], data, entry)

    def test_one_of_several_models_is_written(self):
        two = PROGRAMS / "two.pt2"
        out = self.convert(two, "out.pt2", "--model", "b")
        self.assertIn("models/model.json", entries(out))
        self.assertEqual(self.succeed("ptfold", "info", "--graph", out),
                         self.succeed("ptfold", "info", "--graph", "--model",
                                      "b", two))
        self.refuse(USAGE, ["choose one with --model"], "ptfold", "convert",
                    two, "none.pt2")
        self.refuse(USAGE, ["--model: expected an exported program"],
                    "ptfold", "convert", "--model", "b",
                    FIXTURES / "net1.pt", "none.pt")
        self.refuse(USAGE, ["--key and --strip-prefix are for state dicts"],
                    "ptfold", "convert", "--key", "a", two, "none.pt2")

    def test_runs_give_the_same_bits(self):
        for name in ("residual", "masked", "norms_core", "dynamic", "ports"):
            with self.subTest(name):
                source = PROGRAMS / f"{name}.pt2"
                data = next(PROGRAMS.glob(f"{name}.in.np*"))
                for net, out in ((source, "a.npz"), (self.convert(source),
                                                     "b.npz")):
                    self.succeed("ptfold", "run", "--force", net, "--data",
                                 data, "--npz", out)
                self.assertEqual(self.path("a.npz").read_bytes(),
                                 self.path("b.npz").read_bytes())

    def test_a_program_becomes_another_file(self):
        net, data = PROGRAMS / "residual.pt2", PROGRAMS / "residual.in.npy"
        text = self.succeed("ptfold", "convert", "--json", net, "a.bin")
        self.assertEqual(json.loads(text),
                         {"input": str(net), "output": "a.bin"})
        self.succeed("ptfold", "check", net, "a.bin", "--data", data,
                     "--require", "bitwise")

    def test_pytorch_takes_what_was_written(self):
        load(self, *(path for name in LOADED for path in (
            PROGRAMS / f"{name}.pt2",
            self.convert(PROGRAMS / f"{name}.pt2", f"{name}.pt2"))))

    def test_pytorch_takes_what_it_refuses_in_the_old_layout(self):
        load(self, "--rewritten", PROGRAMS / "net.pt2",
             self.convert(PROGRAMS / "old_a.pt2"))


class Hostile(ProgramTest):
    """What is kept is kept within bounds, and is JSON again."""

    def program(self):
        p = pt2.Program()
        p.input("x", [2, 3])
        p.parameter("w", [3], [1., 2., 3.])
        p.call("torch.ops.aten.mul.Tensor", {"y": [2, 3]},
               {"self": "x", "other": "w"})
        p.output("y")
        return p

    def test_texts_and_values_of_all_kinds_are_kept(self):
        p = self.program()
        odd = 'a "quoted" \\ text\twith \u2028 \U0001f600 and \x01'
        p.calls[0]["metadata"] = {"stack_trace": odd, "x" * 5000: "y" * 100000}
        whole = p.json()
        whole["more"] = {"deep": [[[[{"n": [1e-300, -0.0, 1e308, 0.1, 2**63 - 1,
                                            -2**63]}]]]]}
        whole["graph_module"]["metadata"] = {"as_none": "a text"}
        p.json = lambda: whole
        self.succeed("ptfold", "convert", p.save(self.path("in.pt2")),
                     "out.pt2")
        self.assertEqual(spelled(graph_of(self.path("out.pt2"))),
                         spelled(whole))
        text = entries(self.path("out.pt2"))["models/model.json"]
        self.assertTrue(text.isascii() and b"\n" not in text)

    def test_deep_json_is_written_or_refused(self):
        p = self.program()
        whole = p.json()
        for depth, status in ((1000, 0), (100000, DAMAGED)):
            text = json.dumps(whole)
            text = text[:-1] + ', "z": ' + "[" * depth + "]" * depth + "}"
            path = p.save(self.path("in.pt2"))
            held = {"a/" + k: v for k, v in entries(path).items()}
            held["a/models/model.json"] = text.encode()
            with zipfile.ZipFile(path, "w") as out:
                for name, data in held.items():
                    out.writestr(name, data)
            if status == 0:
                self.succeed("ptfold", "convert", path, "out.pt2")
                got = entries(self.path("out.pt2"))["models/model.json"]
                self.assertIn(b"[" * depth, got.replace(b" ", b""))
            else:
                self.refuse(status, [], "ptfold", "convert", "--force", path,
                            "out.pt2")

    def test_an_input_that_is_named_twice_is_refused(self):
        p = self.program()
        p.parameter("v", [3])
        whole = p.json()
        specs = whole["graph_module"]["signature"]["input_specs"]
        specs[2]["parameter"]["parameter_name"] = "w"
        p.json = lambda: whole
        self.refuse(USAGE, ["expected names of tensors to differ"],
                    "ptfold", "convert", p.save(self.path("in.pt2")),
                    "out.pt2")

    def test_data_that_is_not_there_is_zeros(self):
        p = self.program()
        path = p.save(self.path("in.pt2"))
        held = {"a/" + k: v for k, v in entries(path).items()}
        held["a/data/weights/weight_0"] = b""
        with zipfile.ZipFile(path, "w") as out:
            for name, data in held.items():
                out.writestr(name, data)
        self.succeed("ptfold", "convert", path, "out.pt2")
        self.assertEqual(
            entries(self.path("out.pt2"))["data/weights/weight_0"], bytes(12))

    def test_damaged_data_is_not_written(self):
        data = bytearray((PROGRAMS / "net.pt2").read_bytes())
        name = b"data/weights/weight_0FB"
        at = data.index(name) + len(name)
        at += (-at) % 64
        data[at] ^= 1
        self.refuse(DAMAGED, ["CRC-32"], "ptfold", "convert",
                    self.write("net.pt2", bytes(data)), "out.pt2")

    def test_the_output_is_not_the_input(self):
        net = self.write("net.pt2", (PROGRAMS / "net.pt2").read_bytes())
        self.refuse(USAGE, ["the output is the input itself"], "ptfold",
                    "convert", "--force", net, "net.pt2")


if __name__ == "__main__":
    unittest.main()
