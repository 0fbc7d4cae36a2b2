"""ptfold info and ptfold convert.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import random
import signal
import re
import subprocess
import time
import unittest

import checkpoint
from programs import (DAMAGED, FIXTURES, PROGRAMS, UNSUPPORTED, USAGE,
                      ProgramTest, registration, uncounted)

KEYS = {"nested.pt": ["--key", "state_dict"]}


def fixtures():
    return sorted(p for p in FIXTURES.iterdir()
                  if p.suffix in (".pt", ".safetensors"))


class Reader(ProgramTest):
    def describe(self, *args):
        return json.loads(self.succeed("ptfold", "info", "--json", "--sha256",
                                       "--keep-prefix", *args))

    def tensors(self, *args):
        """Name -> what must survive a conversion."""
        return {t["name"]: (t["dtype"], t["shape"], t["sha256"])
                for t in self.describe(*args)["tensors"]}


class Info(Reader):
    def test_a_zip_is_described(self):
        report = self.describe(FIXTURES / "views.pt")
        self.assertEqual(
            [report[k] for k in ("kind", "version", "byteorder", "root")],
            ["torch zip", 3, "little", "views"])
        self.assertIn("data.pkl", [e["name"] for e in report["entries"]])
        tensors = {t["name"]: t for t in report["tensors"]}
        self.assertEqual(tensors["tied"]["tied_to"], "base")
        self.assertEqual(tensors["row"]["shares_memory_with"], "base")
        self.assertEqual(tensors["row"]["offset"], 16)
        self.assertEqual(tensors["expanded"]["stride"], [0, 1])
        self.assertNotIn("tied_to", tensors["expanded"])

    def test_the_text_says_what_the_json_says(self):
        text = self.succeed("ptfold", "info", "--sha256",
                            FIXTURES / "views.pt")
        self.assertIn("torch zip, format 3, little-endian, root 'views'",
                      re.sub(r"\n +", " ", text))
        self.assertIn("tied: tied is base\n", text)
        self.assertIn("shares memory: row with base\n", text)
        for tensor in self.describe(FIXTURES / "views.pt")["tensors"]:
            self.assertRegex(text, rf"(?m)^{tensor['name']}\n    float32 .*\n"
                                   rf"    sha256 {tensor['sha256']}$")

    def test_classes_are_named_and_not_run(self):
        report = self.describe(FIXTURES / "whole.pt")
        self.assertIn("torch.nn.modules.conv.Conv2d", report["opaque"])
        self.assertNotIn("collections.OrderedDict", report["opaque"])

    def test_texts_cannot_steer_the_terminal(self):
        checkpoint.write_safetensors(
            self.path("x.safetensors"), {"w": ((1,), bytes(4))},
            {"note\x1b[2J": "a\x9bb\x7f"})
        for how in ([], ["--json"]):
            text = self.succeed("ptfold", "info", *how, "x.safetensors")
            self.assertIn("note", text)
            for control in "\x1b\x9b\x7f":
                self.assertNotIn(control, text)


class WholeModel(Reader):
    """whole.pt is what torch.save(nn.Sequential(...)) wrote."""

    def test_it_needs_no_architecture(self):
        text = self.succeed("ptfold", "info", "--stage", "text",
                            FIXTURES / "whole.pt")
        self.assertEqual(text, """\
Sequential(
  (0): Conv2d(1, 2, kernel_size=(3, 3), stride=(1, 1))
  (1): BatchNorm2d(2, eps=1e-05, momentum=0.1, affine=True, """
                         """track_running_stats=True)
  (2): ReLU()
  (3): MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, """
                         """ceil_mode=False)
  (4): Sequential(
    (0): Flatten(start_dim=1, end_dim=-1)
    (1): Linear(in_features=18, out_features=3, bias=True)
  )
)
""")
        report = self.report("bnfuse", "--input", "1x8x8",
                             FIXTURES / "whole.pt", "out.bin")
        self.assertTrue(report["equivalent"])
        self.assertNotIn("1.running_mean", self.tensors("out.bin"))


class Convert(Reader):
    def test_every_fixture_keeps_every_bit(self):
        for source in fixtures():
            if source.name == "quantized.pt":
                continue  # see the next test
            key = KEYS.get(source.name, [])
            wanted = self.tensors(*key, source)
            lacks = {t[0] for t in wanted.values()} & {"complex128",
                                                       "complex32"}
            steps = [(key, source, "b.pt"), ([], "b.pt", "c.pth")]
            if lacks:
                self.refuse(UNSUPPORTED, ["safetensors has no dtype"],
                            "ptfold", "convert", "--force", source,
                            "a.safetensors")
            else:
                steps += [(key, source, "a.safetensors"),
                          ([], "a.safetensors", "d.pt"), ([], "d.pt", "e.bin")]
            for options, old, new in steps:
                self.succeed("ptfold", "convert", "--force", *options, old,
                             new)
                with self.subTest(source=source.name, step=new):
                    self.assertEqual(self.tensors(new), wanted)
                    self.succeed("ptfold", "info", "--verify", new)

    def test_quantized_tensors_are_not_written_as_something_else(self):
        for target in ("a.pt", "a.safetensors"):
            self.refuse(UNSUPPORTED, ["'qint8' is quantized"], "ptfold",
                        "convert", FIXTURES / "quantized.pt", target)

    def test_shared_memory_stays_shared_or_is_noted(self):
        self.succeed("ptfold", "convert", FIXTURES / "views.pt", "a.pt")
        for old, new in zip(self.describe(FIXTURES / "views.pt")["tensors"],
                            self.describe("a.pt")["tensors"]):
            for what in ("tied_to", "shares_memory_with"):
                self.assertEqual(old.get(what), new.get(what), old["name"])
        said = self.succeed("ptfold", "convert", "a.pt", "b.safetensors")
        self.assertIn("5 of them share memory", said)
        note = self.describe("b.safetensors")["metadata"]["shared_memory"]
        self.assertEqual(json.loads(note)["tied"], "base")
        self.assertNotIn("expanded", json.loads(note))

    def test_the_report_in_json(self):
        said = json.loads(self.succeed("ptfold", "convert", "--json", "-q",
                                       FIXTURES / "views.pt",
                                       "a.safetensors"))
        wanted = self.tensors(FIXTURES / "views.pt")
        self.assertEqual(said["tensors"], len(wanted))
        self.assertEqual((said["output"], said["sharing_memory"]),
                         ("a.safetensors", 5))
        said = json.loads(self.succeed("ptfold", "convert", "--json",
                                       FIXTURES / "whole.pt", "b.pt"))
        self.assertIsInstance(said["left_out"], list)

    def test_metadata_goes_along(self):
        texts = {"architecture": "Net(\n)", "quote \" \\": "ü\n\t"}
        checkpoint.write_safetensors(self.path("a.safetensors"),
                                     {"w": ((1,), bytes(4))}, texts)
        for old, new in (("a.safetensors", "b.pt"), ("b.pt", "c.pt"),
                         ("c.pt", "d.safetensors")):
            self.succeed("ptfold", "convert", old, new)
            self.assertEqual(self.describe(new)["metadata"], texts)

    def test_files_of_an_index_become_one(self):
        tensors = {name: ((2,), bytes([i] * 8))
                   for i, name in enumerate("abc")}
        self.shards(tensors)
        self.succeed("ptfold", "convert", "m.index.json", "one.pt")
        self.assertEqual(checkpoint.read_torch(self.path("one.pt")), tensors)
        self.refuse(USAGE, ["is the input itself"], "ptfold", "convert",
                    "--force", "m.index.json", "2.safetensors")
        self.path("2.safetensors").write_bytes(b"")
        self.refuse(DAMAGED, ["2.safetensors: ", "file is empty"], "ptfold",
                    "convert", "m.index.json", "two.pt")

    def shards(self, tensors):
        """One file for each tensor, and an index."""
        files = {name: f"{i}.safetensors" for i, name in enumerate(tensors)}
        for name, file in files.items():
            checkpoint.write_safetensors(self.path(file),
                                         {name: tensors[name]}, {})
        self.write("m.index.json", json.dumps(
            {"metadata": {"total_size": 24}, "weight_map": files}).encode())

    def test_a_part_of_the_file_by_its_key(self):
        self.refuse(USAGE, ["below the key 'ema'"], "ptfold", "convert",
                    "--key", "ema", FIXTURES / "nested.pt", "a.pt")
        self.succeed("ptfold", "convert", "--key", "", FIXTURES / "nested.pt",
                     "a.pt")
        self.assertEqual(self.tensors("a.pt"),
                         self.tensors("--key", "", FIXTURES / "nested.pt"))

    def test_prefixes_stay_unless_stripped(self):
        source = FIXTURES / "module.pt"
        self.succeed("ptfold", "convert", source, "a.pt")
        self.assertTrue(all(n.startswith("module.")
                            for n in self.tensors("a.pt")))
        self.succeed("ptfold", "convert", "--strip-prefix", source, "b.pt")
        self.assertFalse(any(n.startswith("module.")
                             for n in self.tensors("b.pt")))

    def test_damage_is_not_passed_on(self):
        data = bytearray((FIXTURES / "small_net.pt").read_bytes())
        data[data.index(b"data/0") + 200] ^= 1
        self.write("bad.pt", bytes(data))
        self.refuse(DAMAGED, ["bad.pt: "], "ptfold", "convert", "bad.pt",
                    "out.pt")

    def test_a_killed_conversion_leaves_the_old_file_or_the_new(self):
        tensors = {f"w{i}": ((100000,), os.urandom(400000)) for i in range(6)}
        checkpoint.write_safetensors(self.path("in.safetensors"), tensors, {})
        old = b"the old file"
        command = [PROGRAMS / "ptfold", "convert", "--force",
                   "in.safetensors", "out.pt"]
        start = time.monotonic()
        self.succeed("ptfold", "convert", "in.safetensors", "out.pt")
        longest = time.monotonic() - start
        new = self.path("out.pt").read_bytes()
        seen = {old: 0, new: 0}
        for _ in range(100):
            self.write("out.pt", old)
            with subprocess.Popen(command, cwd=self.folder, env=uncounted(),
                                  stdout=subprocess.DEVNULL) as running:
                time.sleep(random.uniform(0, longest))
                running.send_signal(signal.SIGKILL)
            registration(running.pid).unlink(missing_ok=True)
            found = self.path("out.pt").read_bytes()
            self.assertIn(found, seen, "neither the old file nor the new")
            seen[found] += 1
        print(f"killed 100 times: {seen[old]} old files, {seen[new]} new")
        self.assertGreater(seen[old], 0)
        # Between its two names a file that replaces another has a third.
        left = [data for name, data in self.contents().items()
                if name not in ("in.safetensors", "out.pt")]
        self.assertTrue(all(data == new for data in left), "a part is left")
        self.assertLess(len(left), 20)


if __name__ == "__main__":
    unittest.main()
