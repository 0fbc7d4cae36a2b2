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
from programs import (DAMAGED, FIXTURES, UNSUPPORTED, USAGE, ProgramTest,
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


def np_bytes(path):
    """The arrays of a .npz, whatever they are called."""
    with zipfile.ZipFile(path) as archive:
        return [archive.read(name) for name in archive.namelist()]


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


def calls(path):
    return graph_of(path)["graph_module"]["graph"]["nodes"]


def state(path):
    """What the state dict has: name -> the entry that it is in."""
    config = json.loads(entries(path)["data/weights/model_weights_config.json"])
    return {name: own["path_name"] for name, own in config["config"].items()}


class Rewritten(ProgramTest):
    """Programs whose network was rewritten; the writer has read each again."""

    def fold(self, source, out="out.pt2", *options):
        text = self.succeed("bnfuse", *options, "--force", "-q", source, out)
        self.assertIn("verdict: ", text)
        return self.path(out)

    def convert(self, source, out="out.pt2"):
        self.succeed("lnin-convert", "--force", "-q", source, "-o", out)
        return self.path(out)

    def same_bits(self, a, b, data):
        for net, out in ((a, "a.npz"), (b, "b.npz")):
            self.succeed("ptfold", "run", "--force", net, "--data", data,
                         "--npz", out)
        self.assertEqual(self.path("a.npz").read_bytes(),
                         self.path("b.npz").read_bytes())

    def test_a_fold_changes_convolutions_and_what_batch_norms_had(self):
        source, data = PROGRAMS / "residual.pt2", PROGRAMS / "residual.in.npy"
        out = self.fold(source)
        before = {c["name"]: c for c in calls(source)}
        after = {c["name"]: c for c in calls(out)}
        gone = {n for n, c in before.items() if "batch_norm" in c["target"]}
        self.assertEqual(set(before) - set(after), gone)
        self.assertEqual(list(after), [n for n in before if n not in gone])
        for name, call in after.items():
            old = before[name]
            self.assertEqual(call["metadata"], old["metadata"])
            self.assertEqual(call["target"], old["target"])
            if "conv" in call["target"]:
                self.assertEqual(call["inputs"][3:], old["inputs"][3:])
                self.assertIn("as_tensor", call["inputs"][2]["arg"])
        kept = {n for n in state(source)
                if n.rpartition(".")[0] + ".running_mean" not in state(source)}
        added = {n.rpartition(".")[0] + ".bias" for n in kept
                 if n.endswith(".weight")}
        self.assertEqual(set(state(out)), kept | added)
        self.succeed("bnfuse", "-q", source, "out.safetensors")
        self.same_bits(out, "out.safetensors", data)
        text = self.succeed("ptfold", "check", source, out, "--require",
                            "certified")
        self.assertIn("verdict: CERTIFIED", text)

    def test_equal_input_gives_equal_bytes(self):
        first = self.fold(PROGRAMS / "residual.pt2").read_bytes()
        self.assertEqual(self.fold(PROGRAMS / "residual.pt2").read_bytes(),
                         first)

    def test_programs_of_all_forms_are_folded(self):
        for name in ("core", "functional", "counted", "slides", "old_a",
                     "old_b"):
            with self.subTest(name):
                source = PROGRAMS / f"{name}.pt2"
                out = self.fold(source)
                targets = {c["target"] for c in calls(out)}
                self.assertFalse(any("batch_norm" in t for t in targets))
                self.assertFalse(any("running" in n or "tracked" in n
                                     for n in state(out)))
                specs = graph_of(out)["graph_module"]["signature"]
                self.assertFalse(any("buffer_mutation" in s
                                     for s in specs["output_specs"]))

    def test_a_linear_layer_becomes_a_convolution_of_the_same_bytes(self):
        for name in ("net", "core", "functional", "residual"):
            with self.subTest(name):
                source = PROGRAMS / f"{name}.pt2"
                out = self.convert(source)
                before, after = calls(source), calls(out)
                self.assertNotIn("linear", {c["target"].split(".")[3]
                                            for c in after})
                self.assertFalse({"addmm", "flatten"} & {
                    c["target"].split(".")[3] for c in after})
                call = after[-1]
                self.assertEqual(call["target"],
                                 "torch.ops.aten.conv2d.default")
                self.assertEqual(call["outputs"], before[-1]["outputs"])
                self.assertEqual(set(state(out)), set(state(source)))
                graph = graph_of(out)["graph_module"]["graph"]
                result = call["outputs"][0]["as_tensor"]["name"]
                sizes = [s["as_int"]
                         for s in graph["tensor_values"][result]["sizes"]]
                self.assertEqual(sizes[2:], [1, 1])
                self.succeed("ptfold", "check", source, out, "--require",
                             "bitwise")

    def linear(self, *between):
        """A map that is flattened for two linear layers, calls in between."""
        p = pt2.Program()
        p.input("x", [2, 3, 4, 4])
        p.parameter("a.weight", [5, 48], [i / 240 for i in range(240)])
        p.parameter("b.weight", [2, 5], [i / 10 for i in range(10)])
        p.call("torch.ops.aten.flatten.using_ints", {"flat": [2, 48]},
               {"self": "x", "start_dim": 1})
        p.call("torch.ops.aten.linear.default", {"y": [2, 5]},
               {"input": "flat", "weight": "a.weight"})
        name = "y"
        for i, (target, more) in enumerate(between):
            p.call(f"torch.ops.aten.{target}", {f"v{i}": [2, 5]},
                   {"self" if "drop" not in target else "input": name, **more})
            name = f"v{i}"
        p.call("torch.ops.aten.linear.default", {"z": [2, 2]},
               {"input": name, "weight": "b.weight"})
        p.output("z")
        return p.save(self.path("in.pt2"))

    def test_what_stands_between_linear_layers_has_their_shapes(self):
        source = self.linear(
            ("relu.default", {}), ("dropout.default", {"p": .5, "train": False}),
            ("flatten.using_ints", {"start_dim": 1}),
            ("view.default", {"size": [2, 5]}), ("clone.default", {}))
        out = self.convert(source)
        values = graph_of(out)["graph_module"]["graph"]["tensor_values"]
        for name in ("y", "v0", "v1", "v4"):
            self.assertEqual([s["as_int"] for s in values[name]["sizes"]],
                             [2, 5, 1, 1], name)
        self.assertFalse({"flat", "v2", "v3"} & set(values))
        self.succeed("ptfold", "check", source, out, "--require", "bitwise")

    def test_what_reads_a_map_and_is_no_layer_is_written_anew(self):
        source = self.linear(("alias.default", {}),
                             ("expand.default", {"size": [2, 5]}))
        out = self.convert(source)
        self.assertEqual({c["target"].split(".")[3] for c in calls(out)},
                         {"conv2d"})
        self.succeed("ptfold", "check", source, out, "--require", "bitwise")

    def norm(self, p, name, source, result, channels=2):
        for role, numbers in (("weight", [2., 3.]), ("bias", [.5, .25]),
                              ("running_mean", [.1, .2]),
                              ("running_var", [1., 2.])):
            if f"{name}.{role}" not in p.parameters:
                p.parameter(f"{name}.{role}", [channels], numbers)
        p.call("torch.ops.aten.batch_norm.default", {result: [1, 2, 4, 4]},
               {"input": source, "weight": f"{name}.weight",
                "bias": f"{name}.bias", "running_mean": f"{name}.running_mean",
                "running_var": f"{name}.running_var", "training": False,
                "momentum": .1, "eps": 1e-5, "cudnn_enabled": False})

    def conv(self, p, source, result):
        p.call("torch.ops.aten.conv2d.default", {result: [1, 2, 4, 4]},
               {"input": source, "weight": "c.weight"})

    def test_a_weight_that_others_have_too_gets_a_name_of_its_own(self):
        p = pt2.Program()
        p.input("x", [1, 2, 4, 4])
        p.parameter("c.weight", [2, 2, 1, 1], [1., 2., 3., 4.])
        self.conv(p, "x", "a")
        self.norm(p, "n", "a", "b")
        self.conv(p, "b", "c")
        self.norm(p, "n", "c", "d")
        self.conv(p, "d", "y")
        p.output("y")
        source = p.save(self.path("in.pt2"))
        out = self.fold(source)
        self.assertEqual(len(state(out)), 5)
        self.assertIn("c.weight", state(out))
        self.assertEqual(len(set(state(out).values())), 5)
        last = calls(out)[-1]["inputs"][1]["arg"]["as_tensor"]["name"]
        self.assertEqual(last, "c.weight")
        self.assertEqual(len(calls(out)), 3)

    def test_what_only_a_replaced_weight_needed_goes_with_it(self):
        p = pt2.Program()
        p.input("x", [1, 2, 4, 4])
        p.parameter("w", [2, 2, 1, 1], [1., 2., 3., 4.])
        p.call("torch.ops.aten.mul.Tensor", {"scaled": [2, 2, 1, 1]},
               {"self": "w", "other": 2.0})
        p.call("torch.ops.aten.neg.default", {"c.weight": [2, 2, 1, 1]},
               {"self": "scaled"})
        self.conv(p, "x", "a")
        self.norm(p, "n", "a", "b")
        p.output("b")
        out = self.fold(p.save(self.path("in.pt2")))
        self.assertEqual(sorted(state(out)), ["a.bias", "a.weight"])
        self.assertEqual([c["outputs"][0]["as_tensor"]["name"]
                          for c in calls(out)], ["a"])
        outputs = graph_of(out)["graph_module"]["graph"]["outputs"]
        self.assertEqual(outputs, [{"as_tensor": {"name": "a"}}])

    def test_a_sum_in_place_of_merged_branches_goes(self):
        p = pt2.Program()
        p.input("x", [1, 2, 4, 4])
        p.parameter("c.weight", [2, 2, 1, 1], [1., 2., 3., 4.])
        self.conv(p, "x", "a")
        self.norm(p, "n", "a", "b")
        self.norm(p, "m", "x", "i")
        for name, to, other in (("add_", "i", "b"), ("add", "x", "add_")):
            p.call(f"torch.ops.aten.{name}.Tensor", {name: [1, 2, 4, 4]},
                   {"self": to, "other": other})
        p.output("add")
        out = self.fold(p.save(self.path("in.pt2")), "out.pt2",
                        "--merge-branches")
        self.assertEqual([c["outputs"][0] for c in calls(out)],
                         [{"as_tensor": {"name": "a"}}])
        self.assertIn("c.weight", state(out))  # changed, not written anew

    def test_a_long_chain_of_constants_goes(self):
        p = pt2.Program()
        p.input("x", [1, 2, 4, 4])
        p.parameter("w0", [2, 2, 1, 1], [1., 2., 3., 4.])
        for i in range(2000):
            p.call("torch.ops.aten.neg.default", {f"w{i + 1}": [2, 2, 1, 1]},
                   {"self": f"w{i}"})
        p.call("torch.ops.aten.neg.default", {"c.weight": [2, 2, 1, 1]},
               {"self": "w2000"})
        self.conv(p, "x", "a")
        self.norm(p, "n", "a", "b")
        p.output("b")
        self.assertEqual(len(calls(self.fold(p.save(self.path("in.pt2"))))), 1)

    def test_a_scale_and_a_shift_are_a_batch_norm_of_the_same_bits(self):
        for name in ("residual", "core"):
            source = PROGRAMS / f"{name}.pt2"
            self.succeed("bnfuse", "--force", "-q", "--fold", "epilogue",
                         source, "out.pt2")
            self.assertEqual(
                entries(self.path("out.pt2"))["data/sample_inputs/model.pt"],
                entries(source)["data/sample_inputs/model.pt"])
            text = self.succeed("ptfold", "check", source, "out.pt2",
                                "--require", "bitwise")
            self.assertIn("verdict: BITWISE", text)

    def test_a_layer_in_a_region_is_written_anew(self):
        p = pt2.Program()
        p.input("x", [1, 2, 4, 4])
        p.parameter("c.weight", [2, 2, 1, 1], [1., 2., 3., 4.])
        inner = pt2.Program()
        inner.input("x", [1, 2, 4, 4])
        inner.parameter("c.weight", [2, 2, 1, 1])
        self.conv(inner, "x", "a")
        inner.output("a")
        graph = inner.json()["graph_module"]["graph"]
        p.call("torch.ops.higher_order.wrap_with_set_grad_enabled",
               [{"as_tensors": [{"name": "a"}]}], {})
        p.values["a"] = pt2.meta([1, 2, 4, 4])
        p.calls[-1]["inputs"] = [
            {"name": "", "arg": pt2.argument(False)},
            {"name": "", "arg": {"as_graph": {"name": "inner",
                                              "graph": graph}}},
            {"name": "", "arg": pt2.argument("x")},
            {"name": "", "arg": pt2.argument("c.weight")}]
        self.norm(p, "n", "a", "b")
        p.output("b")
        source = p.save(self.path("in.pt2"))
        out = self.fold(source)
        self.assertEqual([c["target"] for c in calls(out)],
                         ["torch.ops.aten.conv2d.default"])
        self.succeed("ptfold", "check", source, out, "--require", "certified")

    def test_pytorch_takes_what_was_rewritten(self):
        pairs = []
        for name in ("residual", "core", "counted", "slides"):
            pairs += [PROGRAMS / f"{name}.pt2",
                      self.fold(PROGRAMS / f"{name}.pt2", f"{name}.f.pt2")]
        for name in ("net", "core", "residual"):
            pairs += [PROGRAMS / f"{name}.pt2",
                      self.convert(PROGRAMS / f"{name}.pt2", f"{name}.l.pt2")]
        load(self, "--rewritten", *pairs)


class Composed(ProgramTest):
    """Networks that were read from no program; the writer has read each again.
    """

    # What is of one sample, or of a batch that has to be 1, among the others.
    KINDS = ("residual", "masked", "norms", "cosine", "causal", "lookup",
             "contracted", "powers", "windows", "padded", "parts", "ports",
             "mixed")

    def write_net(self, *arguments, out="out.pt2"):
        self.succeed("ptfold", "convert", "--force", *arguments, out)
        return self.path(out)

    def small_net(self):
        return ("--arch", FIXTURES / "small_net.txt", FIXTURES / "small_net.pt")

    def test_a_state_dict_and_its_text_become_a_program(self):
        out = self.write_net(*self.small_net())
        self.succeed("ptfold", "convert", FIXTURES / "small_net.pt",
                     "all.safetensors")
        with open(self.path("all.safetensors"), "rb") as f:
            head = json.loads(f.read(int.from_bytes(f.read(8), "little")))
        self.assertEqual(set(state(out)), set(head) - {"__metadata__"})
        graph = graph_of(out)["graph_module"]["graph"]
        size = graph["tensor_values"]["x"]["sizes"][0]
        self.assertIn("s77", size["as_expr"]["expr_str"])
        self.assertEqual(graph_of(out)["range_constraints"],
                         {"s77": {"min_val": 0, "max_val": None}})
        stack = calls(out)[0]["metadata"]["nn_module_stack"]
        self.assertTrue(stack.endswith(",conv1.0,torch.nn.Conv2d"), stack)
        text = self.succeed("ptfold", "check", *self.small_net(), out,
                            "--require", "bitwise")
        self.assertIn("verdict: BITWISE", text)

    def test_equal_input_gives_equal_bytes(self):
        first = self.write_net(*self.small_net()).read_bytes()
        self.path("more").mkdir()
        again = self.write_net(*self.small_net(), out="more/out.pt2")
        self.assertEqual(again.read_bytes(), first)

    def test_whole_models_and_rewritten_nets_become_programs(self):
        self.write_net("--input", "1x8x8", FIXTURES / "whole.pt")
        for fold, verdict in (("weights", "certified"),
                              ("epilogue", "bitwise")):
            self.succeed("bnfuse", "--force", "-q", "--fold", fold,
                         *self.small_net(), "out.pt2")
            self.succeed("ptfold", "check", *self.small_net(), "out.pt2",
                         "--require", verdict)
        self.succeed("lnin-convert", "--force", "-q", *self.small_net(), "-o",
                     "out.pt2")
        self.assertNotIn("torch.ops.aten.linear.default",
                         {c["target"] for c in calls(self.path("out.pt2"))})

    def test_the_text_of_a_graph_comes_back_with_the_same_bits(self):
        for name in self.KINDS:
            with self.subTest(name):
                source = PROGRAMS / f"{name}.pt2"
                self.succeed("ptfold", "convert", "--force", source, "net.bin")
                out = self.write_net("net.bin")
                data = next(PROGRAMS.glob(f"{name}.in.np*"))
                for net, outputs in ((source, "a.npz"), (out, "b.npz")):
                    self.succeed("ptfold", "run", "--force", net, "--data",
                                 data, "--npz", outputs)
                self.assertEqual(*(sorted(np_bytes(self.path(p)))
                                   for p in ("a.npz", "b.npz")))

    def test_parameters_that_are_added_keep_their_names(self):
        p = pt2.Program()
        p.input("x", [1, 2, 3])
        p.parameter("token", [1, 1, 3], [1., 2., 3.])
        p.parameter("position", [1, 3, 3], [i / 9 for i in range(9)])
        p.call("torch.ops.aten.expand.default", {"more": [1, 1, 3]},
               {"self": "token", "size": [1, -1, -1]})
        p.call("torch.ops.aten.cat.default", {"both": [1, 3, 3]},
               {"tensors": ["more", "x"], "dim": 1})
        p.call("torch.ops.aten.add.Tensor", {"y": [1, 3, 3]},
               {"self": "both", "other": "position"})
        p.output("y")
        source = p.save(self.path("in.pt2"))
        self.succeed("ptfold", "convert", source, "net.bin")
        out = self.write_net("net.bin")
        self.assertEqual(set(state(out)), {"token", "position"})
        again = self.succeed("ptfold", "convert", "--force", out, "net.bin")
        self.assertIn("written", again)
        self.assertEqual(set(state(self.write_net("net.bin"))),
                         {"token", "position"})
        self.succeed("ptfold", "check", source, out, "--require", "bitwise")

    def test_what_is_assumed_is_said_again(self):
        text = self.write("net.txt", b"""Block(
  (a): Conv2d(3, 4, kernel_size=(1, 1), stride=(1, 1), bias=False)
  (b): ReLU()
)
""")
        p = pt2.Program()
        p.input("x", [1, 3, 2, 2])
        p.parameter("a.weight", [4, 3, 1, 1], [i / 12 for i in range(12)])
        p.call("torch.ops.aten.conv2d.default", {"y": [1, 4, 2, 2]},
               {"input": "x", "weight": "a.weight"})
        p.output("y")
        self.succeed("ptfold", "convert", p.save(self.path("in.pt2")),
                     "net.pt")
        out = self.write_net("--in-order", "--input", "3x2x2", "--arch", text,
                             "net.pt")
        self.assertIn(b"Block.forward()",
                      entries(out)["extra/ptfold_assumes"])
        text = self.succeed("ptfold", "check", out, out, "--require",
                            "bitwise")
        self.assertIn("Block.forward()", text)
        again = self.write_net(out, out="again.pt2")
        self.assertEqual(entries(again)["extra/ptfold_assumes"],
                         entries(out)["extra/ptfold_assumes"])

    def refuse_graph(self, words, line):
        text = f"""ptfold graph 1
input x f32 [N,4,6]
const w f32 [6]
z = add(x, w)
{line}
output y
"""
        p = pt2.Program()
        p.input("x", [1, 6])
        p.parameter("w", [6], [1., 2., 3., 4., 5., 6.])
        p.call("torch.ops.aten.add.Tensor", {"y": [1, 6]},
               {"self": "x", "other": "w"})
        p.output("y")
        self.succeed("ptfold", "convert", "--force",
                     p.save(self.path("in.pt2")), "w.pt")
        self.refuse(UNSUPPORTED, [*words, "write .safetensors"], "ptfold",
                    "convert", "--arch", self.write("g.txt", text.encode()),
                    "w.pt", "none.pt2")

    def test_what_pytorch_has_no_call_for_is_refused(self):
        self.refuse_graph(["Softsign", "PyTorch has no call"],
                          "y = softsign(z)")
        self.refuse_graph(["steps backward"],
                          "y = slice(z) dim=1 start=2 step=-2")
        self.refuse_graph(["depends on no input"], "y = relu(w)")
        self.refuse_graph(["depends on no input"],
                          "a = relu(w)\ny = add(a, z)")

    def test_integers_and_positions_are_of_pytorchs_dtypes(self):
        text = """ptfold graph 1
input x f32 [N,4,6]
input ids i64 [N,3]
const w f32 [6]
z = mul(x, w)
table = reshape(z) size=[4,6]
rows = argsort(z) dim=1
most = argsort(z) dim=2 descending=True k=1
some = argsort(z) dim=2 descending=True k=2
picked = gather(z, some) dim=2
up = gt(z, x)
joined = logical_and(up, up)
best = where(joined, z, x)
output z
output ids_out ids i64
output rows rows i64
output most most i64
output picked picked
output up up bool
output best best
"""
        p = pt2.Program()
        p.input("x", [1, 6])
        p.parameter("w", [6], [1., -2., 3., -4., 5., 6.])
        p.call("torch.ops.aten.mul.Tensor", {"y": [1, 6]},
               {"self": "x", "other": "w"})
        p.output("y")
        self.succeed("ptfold", "convert", p.save(self.path("in.pt2")), "w.pt")
        out = self.write_net("--arch", self.write("g.txt", text.encode()),
                             "w.pt")
        values = graph_of(out)["graph_module"]["graph"]["tensor_values"]
        self.assertEqual([values[name]["dtype"] for name in (
            "x", "ids", "rows", "most", "some", "up", "joined", "best")],
            [pt2.FLOAT32, pt2.INT64, pt2.INT64, pt2.INT64, pt2.INT64,
             pt2.BOOL, pt2.BOOL, pt2.FLOAT32])
        self.assertEqual(
            [c["target"].split(".")[3] for c in calls(out)],
            ["mul", "argsort", "argmax", "topk", "gather", "gt",
             "logical_and", "where"])

    def test_options_that_mean_nothing_are_refused(self):
        self.refuse(USAGE, ["give --input CxHxW"], "ptfold", "convert",
                    FIXTURES / "whole.pt", "none.pt2")
        for option in (("--input", "3x8x8"), ("--in-order",),
                       ("--arch", "Net1")):
            self.refuse(USAGE, [option[0], "becomes a .pt2"], "ptfold",
                        "convert", *option, FIXTURES / "small_net.pt",
                        "none.safetensors")

    def test_pytorch_takes_what_was_composed(self):
        pairs = []
        for name in ("residual", "causal", "masked", "lookup"):
            self.succeed("ptfold", "convert", "--force",
                         PROGRAMS / f"{name}.pt2", "net.bin")
            pairs += [PROGRAMS / f"{name}.pt2",
                      self.write_net("net.bin", out=f"{name}.c.pt2")]
        self.succeed("bnfuse", "-q", "--fold", "epilogue",
                     PROGRAMS / "residual.pt2", "e.pt2")
        load(self, "--rewritten", *pairs, PROGRAMS / "residual.pt2",
             self.path("e.pt2"))


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

    def test_stack_traces_that_are_no_json_are_refused(self):
        """They are left out of what is read, so they are looked at apart."""
        p = self.program()
        p.calls[0]["metadata"] = {"stack_trace": "HERE"}
        path = p.save(self.path("in.pt2"))
        held = {"a/" + k: v for k, v in entries(path).items()}
        whole = held["a/models/model.json"]
        for text, wrong in ((rb"a \"quoted\" \\ \/ \b\f\n\r\t trace", False),
                            (rb"\u00e9", False), ("\u00e9".encode(), False),
                            (b"", False), (rb"\\", False),
                            (b"\n", True), (b"\0", True), (rb"\x", True),
                            (b"\xff", True), (rb"\ud800", True),
                            (b'" "', True), (b"\\", True)):
            with self.subTest(text):
                held["a/models/model.json"] = whole.replace(b"HERE", text)
                with zipfile.ZipFile(path, "w") as out:
                    for name, data in held.items():
                        out.writestr(name, data)
                if not wrong:
                    self.succeed("ptfold", "convert", "--force", path,
                                 "out.pt2")
                    got = calls(self.path("out.pt2"))[0]["metadata"]
                    self.assertEqual(got["stack_trace"], json.loads(
                        b'"' + text + b'"'))
                    continue
                self.refuse(DAMAGED, ["models/model.json", "JSON"], "ptfold",
                            "info", path)

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
