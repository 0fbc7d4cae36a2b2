"""Networks whose forward() was not seen: refused, or believed on the user's
word, which every output then carries.

SPDX-License-Identifier: Apache-2.0
"""
import csv
import io
import json
import unittest
import xml.etree.ElementTree as xml

import checkpoint
from programs import DAMAGED, EQUIVALENT, UNSUPPORTED, ProgramTest

ASSUMED = "FNet.forward() runs its modules in the printed order"
# F.relu in forward(): the text has no activation.
TEXT = """# input: 2x4x4
FNet(
  (conv): Conv2d(2, 3, kernel_size=(3, 3), stride=(1, 1))
  (bn): BatchNorm2d(3, eps=1e-05, momentum=0.1, affine=False, track_running_stats=True)
  (fc1): Linear(in_features=12, out_features=4, bias=False)
  (fc2): Linear(in_features=4, out_features=3, bias=True)
)
"""
SEQUENTIAL = TEXT.replace("FNet(", "Sequential(").replace(
    "  (fc1)", "  (flatten): Flatten(start_dim=1, end_dim=-1)\n  (fc1)")
DOUBT = "conv and fc1 have no activation between them"
# Each command that opens a network, with --json where it is not the default.
COMMANDS = (
    ("bnfuse", "--arch", "net.txt", "net.pt", "out.bin"),
    ("bnfuse", "--no-check", "--arch", "net.txt", "net.pt", "out.bin"),
    ("lnin-convert", "--arch", "net.txt", "net.pt", "-o", "out.bin"),
    ("lnin-convert", "--no-check", "--arch", "net.txt", "net.pt", "-o",
     "out.bin"),
    ("ptfold", "check", "--arch", "net.txt", "--arch-b", "sequential.txt",
     "net.pt", "net.pt"),
    ("ptfold", "check", "--arch", "sequential.txt", "--arch-b", "net.txt",
     "net.pt", "net.pt"),
    ("ptfold", "check", "--arch", "net.txt", "net.pt", "--invariance"),
    ("ptfold", "run", "--arch", "net.txt", "net.pt", "x.npy"),
    ("ptfold", "run", "--arch", "net.txt", "--map", "map.ppm", "net.pt",
     "large.npy"),
    ("ptfold", "grad", "--arch", "net.txt", "net.pt", "x.npy"),
    ("ptfold", "ops", "net.txt"),
    ("ptfold", "ops", "sequential.txt", "--compare", "net.txt"),
)


def values(found, key):
    """All that stands under a key, at any depth."""
    if isinstance(found, dict):
        return ([found[key]] if key in found else []) + values(
            list(found.values()), key)
    if isinstance(found, list):
        return [v for item in found for v in values(item, key)]
    return []


class Order(ProgramTest):
    def setUp(self):
        super().setUp()
        numbers = iter(range(1, 1000))
        self.tensors = {}
        for name, shape in (("conv.weight", (3, 2, 3, 3)), ("conv.bias", (3,)),
                            ("bn.running_mean", (3,)),
                            ("bn.running_var", (3,)), ("fc1.weight", (4, 12)),
                            ("fc2.weight", (3, 4)), ("fc2.bias", (3,))):
            count = 1
            for size in shape:
                count *= size
            self.tensors[name] = checkpoint.tensor(
                shape, [(next(numbers) * 37 % 101 + 1) / 101
                        for _ in range(count)])
        checkpoint.write_torch(self.path("net.pt"), self.tensors)
        self.write("net.txt", TEXT.encode())
        self.write("sequential.txt", SEQUENTIAL.encode())
        for name, side in (("x.npy", 4), ("large.npy", 6)):
            numbers = [i / 100 for i in range(2 * side * side)]
            self.write(name, checkpoint.npy((1, 2, side, side), numbers))

    def believed(self, *command):
        """Runs it with --in-order: of what is said on stderr, the warnings
        are those that the text deserves."""
        done = self.run_program(*command, "--in-order")
        said = done.stderr.decode()
        self.assertEqual(done.returncode, EQUIVALENT, said)
        self.assertIn("warning: net.", said)
        self.assertIn(f": {DOUBT}; does forward() run them as printed?\n",
                      said)
        return done.stdout.decode()

    def quiet(self, *command):
        """Its report in JSON; nothing is left to be warned of."""
        at = 2 if command[0] == "ptfold" else 1
        return json.loads(self.succeed(*command[:at], "--json", *command[at:]))

    def clear(self):
        for name in ("out.bin", "map.ppm"):
            self.path(name).unlink(missing_ok=True)

    def test_nothing_is_guessed(self):
        for command in COMMANDS:
            message = self.refuse(
                UNSUPPORTED,
                ["net.txt: line 2: class FNet is not nn.Sequential", "forward()",
                 "torch.export.save()", "wrap its modules as nn.Sequential",
                 "--in-order", "--expect"], *command)
            self.assertLess(len(message), 300)

    def test_every_text_carries_the_assumption(self):
        for command in COMMANDS:
            self.assertIn(ASSUMED, self.believed(*command), command)
            self.clear()

    def test_every_json_carries_the_assumption(self):
        for command in COMMANDS:
            found = json.loads(self.believed(*command, "--json"))
            self.assertIn(ASSUMED, values(found, "assumes"), command)
            self.clear()

    def test_verdicts_are_conditional(self):
        said = self.believed(*COMMANDS[0])
        self.assertIn(f"\nverdict: CERTIFIED if {ASSUMED}\n", said)
        said = self.believed(*COMMANDS[4])
        self.assertIn(f"\nverdict: BITWISE if {ASSUMED}, required: ", said)
        self.path("out.bin").unlink()
        said = self.believed(*COMMANDS[2])
        self.assertEqual(said.count(f"verdict: BITWISE if {ASSUMED}\n"), 2)
        said = self.believed(*COMMANDS[6])
        self.assertIn(f"\nverdict: BITWISE if {ASSUMED}\n", said)

    def test_other_forms(self):
        said = self.believed("ptfold", "check", "--arch", "net.txt", "--arch-b",
                             "net.txt", "--junit", "j.xml", "net.pt", "net.pt")
        self.assertEqual(said.count(ASSUMED), 1)
        found = xml.parse(self.path("j.xml")).getroot()
        self.assertEqual([p.get("value") for p in found.iter("property")
                          if p.get("name") == "assumes"], [ASSUMED])
        self.assertIn(ASSUMED, self.believed("ptfold", "ops", "--md",
                                             "net.txt"))
        rows = list(csv.DictReader(io.StringIO(self.believed(
            "ptfold", "ops", "--csv", "net.txt"))))
        self.assertEqual({row["assumes"] for row in rows}, {ASSUMED})
        self.assertIn(f"assumes {ASSUMED}\n", self.believed(
            "ptfold", "info", "--stage", "net", "--arch", "net.txt", "net.pt"))
        for form in ("md", "json", "csv"):
            self.assertIn(ASSUMED, self.believed(
                "ptfold", "bench", "--format", form, "--batch", "1",
                "--repeat", "1", "--arch", "net.txt", "net.pt"))

    def test_files_carry_it_and_are_believed(self):
        self.believed(*COMMANDS[0])
        said = self.quiet("ptfold", "info", "out.bin")
        self.assertEqual(said["metadata"]["assumes"], ASSUMED)
        report = self.quiet("ptfold", "run", "out.bin", "x.npy")
        self.assertEqual(report["assumes"], ASSUMED)
        report = self.quiet("lnin-convert", "out.bin", "-o", "again.bin")
        self.assertEqual(report["assumes"], ASSUMED)
        self.believed(*COMMANDS[0][:-1], "out.pt")
        said = self.quiet("ptfold", "info", "out.pt")
        self.assertEqual(said["metadata"], {"assumes": ASSUMED})
        said = self.quiet("ptfold", "info", "again.bin")
        self.assertEqual(said["metadata"]["assumes"], ASSUMED)
        self.succeed("ptfold", "convert", "-q", "again.bin", "again.pt")
        report = self.quiet("ptfold", "run", "again.pt", "x.npy")
        self.assertEqual(report["assumes"], ASSUMED)
        self.believed("ptfold", "grad", "-o", "g.safetensors", "--arch",
                      "net.txt", "net.pt", "x.npy")
        said = self.quiet("ptfold", "info", "g.safetensors")
        self.assertEqual(said["metadata"]["assumes"], ASSUMED)

    def test_a_file_that_does_not_say_is_refused(self):
        for texts, status in (({}, UNSUPPORTED),
                              ({"assumes": "\x1b[2J"}, DAMAGED)):
            checkpoint.write_safetensors(
                self.path("net.bin"), self.tensors,
                {"architecture": TEXT, **texts})
            self.refuse(status, ["net.bin: "], "ptfold", "run", "net.bin",
                        "x.npy")
        checkpoint.write_safetensors(self.path("net.bin"), self.tensors,
                                     {"architecture": TEXT})
        self.believed("ptfold", "run", "net.bin", "x.npy")

    def test_the_graph_of_torchscript_is_not_read(self):
        self.fixture("scripted.pt")
        self.refuse(UNSUPPORTED, ["scripted.pt: TorchScript's graph is not "
                                  "read", "torch.export.save()", "--arch"],
                    "bnfuse", "scripted.pt", "out.bin")

    def test_a_file_without_tensors_is_no_network(self):
        checkpoint.write_torch(self.path("none.pt"), {})
        self.refuse(UNSUPPORTED, ["none.pt: expected the tensors of a network, "
                                  "got none"], "bnfuse", "none.pt", "out.bin")

    def test_a_sequence_assumes_nothing(self):
        for more in ((), ("--in-order",)):
            report = self.quiet("bnfuse", *more, "--arch", "sequential.txt",
                                 "net.pt", "out.bin", "--force")
            self.assertIsNone(report["assumes"])
            self.assertEqual(self.quiet("ptfold", "info", "out.bin")
                             ["metadata"]["assumes"], "")
        self.succeed("bnfuse", "--arch", "sequential.txt", "net.pt", "out.pt")
        self.assertEqual(self.quiet("ptfold", "info", "out.pt")["metadata"], {})
        said = self.succeed("bnfuse", "--force", "--arch", "sequential.txt",
                            "net.pt", "out.bin")
        self.assertNotIn("assumes", said)
        self.assertIn("verdict: CERTIFIED (required", said)


if __name__ == "__main__":
    unittest.main()
