"""What the programs make of sound checkpoints, seen without PyTorch.

SPDX-License-Identifier: Apache-2.0
"""
import hashlib
import json
import math
import unittest

import checkpoint
from programs import FIXTURES, SOURCE, ProgramTest

ENDINGS = (".pt", ".pth", ".bin", ".safetensors")
SMALL_NET = ("--arch", FIXTURES / "small_net.txt", "small_net.pt")
NET1 = ("--arch", FIXTURES / "net1.txt", "net1.pt")


def read(path):
    """The tensors of a file that a program wrote."""
    if path.suffix in (".pt", ".pth"):
        return checkpoint.read_torch(path)
    return checkpoint.read_safetensors(path)[1]


def fold(tensors, layer, norm):
    """Folds a batch norm in double, as the course's formula says."""
    weight, bias, gamma, beta, mean, var = (
        checkpoint.floats(tensors[name]) for name in (
            f"{layer}.weight", f"{layer}.bias", f"{norm}.weight",
            f"{norm}.bias", f"{norm}.running_mean", f"{norm}.running_var"))
    scale = [g / math.sqrt(v + 1e-5) for g, v in zip(gamma, var)]
    terms = len(weight) // len(scale)
    return ([w * scale[i // terms] for i, w in enumerate(weight)],
            [(b - m) * s + t for b, m, s, t in zip(bias, mean, scale, beta)])


class BatchNorms(ProgramTest):
    def setUp(self):
        super().setUp()
        self.before = checkpoint.read_torch(self.fixture("small_net.pt"))

    def test_every_format_has_the_folded_numbers(self):
        for ending in ENDINGS:
            target = f"out{ending}"
            said = self.succeed("bnfuse", *SMALL_NET, target)
            self.assertIn("verdict: CERTIFIED", said)
            self.assertIn(f"{target}: written\n", said)
            after = read(self.path(target))
            self.assertEqual(list(after), [
                f"{layer}.{role}" for layer in
                ("conv1.0", "conv2.0", "fc1.0", "fc2.0")
                for role in ("weight", "bias")])
            for layer in ("conv1", "conv2", "fc1"):
                numbers = fold(self.before, f"{layer}.0", f"{layer}.1")
                for role, exact in zip(("weight", "bias"), numbers):
                    name = f"{layer}.0.{role}"
                    self.assertEqual(after[name][0], self.before[name][0])
                    self.assertEqual(  # rounded once, to the last bit
                        after[name], checkpoint.tensor(after[name][0], exact))
            for name in ("fc2.0.weight", "fc2.0.bias"):
                self.assertEqual(after[name], self.before[name])

    def test_an_epilogue_is_bitwise_and_keeps_the_weights(self):
        said = self.succeed("bnfuse", "--fold", "epilogue", *SMALL_NET,
                            "out.bin")
        self.assertIn("verdict: BITWISE", said)
        self.assertIn("unequal bits          0\n", said)
        after = read(self.path("out.bin"))
        for name in ("conv1.0.weight", "conv2.0.bias", "fc1.0.weight"):
            self.assertEqual(after[name], self.before[name])
        self.assertEqual(len(after["fc1.0.scale"][1]), 4 * 5)

    def test_safetensors_carry_their_history(self):
        self.succeed("bnfuse", *SMALL_NET, "out.bin")
        metadata, _ = checkpoint.read_safetensors(self.path("out.bin"))
        digest = hashlib.sha256(self.path("small_net.pt").read_bytes())
        self.assertEqual(metadata["source_sha256"], digest.hexdigest())
        self.assertEqual(metadata["rewrites"], "fold_batchnorm")
        self.assertNotIn("BatchNorm", metadata["architecture"])
        # What is needed to run it is in the file: no --arch.
        said = self.succeed("ptfold", "info", "--stage", "text", "out.bin")
        self.assertEqual(said, metadata["architecture"])

    def test_json_says_what_the_text_says(self):
        report = self.report("bnfuse", *SMALL_NET, "out.pt", "--check", "13")
        self.assertTrue(report["checked"] and report["equivalent"])
        self.assertEqual(report["output"], "out.pt")
        self.assertEqual(report["verdict"]["samples"], 13)
        self.assertEqual(report["verdict"]["outputs"], 130)
        self.assertEqual(report["verdict"]["level"], "CERTIFIED")
        self.assertLess(report["verdict"]["max_abs"], 1e-5)
        self.assertLess(report["verdict"]["max_squares_per_100"], 1e-8)
        kinds = [layer["layer"].split("(")[0] for layer in report["after"]]
        self.assertNotIn("BatchNorm2d", kinds)
        self.assertEqual(kinds.count("Conv2d"), 2)

    def test_without_a_check_the_same_file_is_written(self):
        self.succeed("bnfuse", *SMALL_NET, "a.pt")
        said = self.succeed("bnfuse", "--no-check", *SMALL_NET, "a.pth")
        self.assertIn("not checked", said)
        self.assertEqual(read(self.path("a.pt")), read(self.path("a.pth")))

    def test_equal_input_gives_equal_bytes(self):
        for ending in ENDINGS:
            for folder in ("one", "two"):
                self.path(folder).mkdir(exist_ok=True)
                self.succeed("bnfuse", *SMALL_NET, f"{folder}/out{ending}")
            self.assertEqual(self.path(f"one/out{ending}").read_bytes(),
                             self.path(f"two/out{ending}").read_bytes())

    def test_the_instruction_set_changes_no_output(self):
        """Bits of the outputs, and so every figure of the report."""
        reports = []
        for isa in ("ref", "avx2", "avx512", "neon"):
            report = self.report("bnfuse", *SMALL_NET, f"{isa}.pt",
                                 env={"PTF_ISA": isa})
            reports.append((report["verdict"], read(self.path(f"{isa}.pt"))))
        for report in reports[1:]:
            self.assertEqual(report, reports[0])

    def test_an_old_target_is_replaced(self):
        self.write("out.pt", b"old")
        self.succeed("bnfuse", "--force", *SMALL_NET, "out.pt")
        self.assertEqual(len(read(self.path("out.pt"))), 8)
        self.assertEqual(set(self.contents()), {"out.pt", "small_net.pt"})

    def test_images_of_cifar10(self):
        """A network for 32x32 images, on a file in CIFAR-10's format."""
        text = (FIXTURES / "small_net.txt").read_text()
        text = text.replace("3x8x8", "3x32x32").replace(
            "in_features=192", "in_features=3072")
        self.write("wide.txt", text.encode())
        shape, data = self.before["fc1.0.weight"]
        self.before["fc1.0.weight"] = (shape[0], 3072), data * 16
        checkpoint.write_torch(self.path("wide.pt"), self.before)
        images = b"".join(bytes([i % 10]) + bytes(
            (i * 37 + k * k) % 256 for k in range(3072)) for i in range(203))
        self.write("images.bin", images)
        report = self.report("bnfuse", "--arch", "wide.txt", "--data",
                             "images.bin", "wide.pt", "out.bin")
        self.assertEqual(report["inputs"], "images.bin")
        self.assertEqual(report["verdict"]["samples"], 203)
        self.assertEqual(report["verdict"]["argmax_different"], 0)
        self.assertTrue(report["equivalent"])


class LinearLayers(ProgramTest):
    SHAPES = {"classifier.0.weight": (4, 1, 18, 18),
              "classifier.2.weight": (4, 4, 1, 1),
              "classifier.4.weight": (10, 4, 1, 1)}

    def setUp(self):
        super().setUp()
        self.before = checkpoint.read_torch(self.fixture("net1.pt"))

    def test_numbers_stay_and_shapes_change(self):
        for ending in ENDINGS:
            target = f"net2{ending}"
            self.succeed("lnin-convert", *NET1, "-o", target)
            after = read(self.path(target))
            self.assertEqual(list(after), list(self.before))
            for name, (shape, data) in self.before.items():
                self.assertEqual(after[name],
                                 (self.SHAPES.get(name, shape), data))

    def test_both_verdicts_are_bitwise(self):
        said = self.succeed("lnin-convert", *NET1)
        self.assertEqual(said.count("verdict: BITWISE"), 2)
        self.assertIn("70 windows on larger images 3x36x38", said)
        self.assertEqual(set(self.contents()), {"net1.pt", "net1.net2.pt"})

    def test_layers_that_a_flatten_renumbers_are_told_apart(self):
        linear = "Linear(in_features={}, out_features={}, bias=True)"
        first, second = linear.format(48, 5), linear.format(5, 2)
        self.write("text", f"""# input: 3x4x4
Sequential(
  (0): Flatten(start_dim=1, end_dim=-1)
  (1): {first}
  (2): ReLU()
  (3): {second}
)
""".encode())
        numbers = [k / 7 - 2 for k in range(240)]
        checkpoint.write_torch(self.path("in.pt"), {
            "1.weight": checkpoint.tensor((5, 48), numbers),
            "1.bias": checkpoint.tensor((5,), numbers[:5]),
            "3.weight": checkpoint.tensor((2, 5), numbers[:10]),
            "3.bias": checkpoint.tensor((2,), numbers[:2])})
        said = self.succeed("lnin-convert", "--arch", "text", "in.pt")
        self.assertIn(f"  1: {first}\n    -> 0: Conv2d(3, 5, "
                      "kernel_size=(4, 4), stride=(1, 1))\n", said)
        self.assertIn(f"  3: {second}\n    -> 2: Conv2d(5, 2, "
                      "kernel_size=(1, 1), stride=(1, 1))\n", said)
        self.assertEqual(said.count("verdict: BITWISE"), 2)

    def test_json_and_the_number_of_windows(self):
        report = self.report("lnin-convert", *NET1, "--check", "3",
                             "--output", "out.safetensors")
        self.assertTrue(report["equivalent"])
        self.assertEqual(report["large"], "3x36x38")
        for check, samples in (("same_size", 3), ("windows", 3 * 5 * 7)):
            self.assertEqual(report[check]["level"], "BITWISE")
            self.assertEqual(report[check]["samples"], samples)
            self.assertEqual(report[check]["unequal_bits"], 0)
            self.assertEqual(report[check]["max_abs"], 0)

    def test_every_instruction_set_gives_bitwise_and_the_same_file(self):
        files = set()
        for isa in ("ref", "avx2", "avx512", "neon"):
            report = self.report("lnin-convert", "--force", *NET1, "-o", "out.bin",
                                 env={"PTF_ISA": isa})
            self.assertTrue(report["equivalent"])
            files.add(self.path("out.bin").read_bytes())
        self.assertEqual(len(files), 1)

    def test_the_converted_network_has_no_linear_layer(self):
        self.succeed("lnin-convert", *NET1, "-o", "net2.bin")
        graph = self.succeed("ptfold", "info", "--stage", "net", "net2.bin")
        self.assertNotIn("Linear", graph)


class Info(ProgramTest):
    def test_a_plan_names_steps_kernels_and_memory(self):
        def plan(*args):
            self.fixture("net1.pt")
            return self.succeed("ptfold", "info", "--stage", "plan", *NET1,
                                *args, env={"PTF_ISA": "ref"})
        text = plan("--batch", "3")
        self.assertRegex(text, r"\Aplan of Sequential: ref, \d+ threads?, batch 3, "
                               r"\d+ bytes\n")
        for words in ("in 3x32x32 -> ", "-> out 10", "+bias", "+relu"):
            self.assertIn(words, text)
        self.succeed("lnin-convert", *NET1, "-o", "net2.bin")
        slid = self.succeed("ptfold", "info", "--stage", "plan", "--input",
                            "3x36x38", "net2.bin")
        self.assertIn("in 3x36x38 -> ", slid)
        self.assertIn("-> out 10x5x7", slid)

    def test_every_stage_of_every_fixture(self):
        stages = ("archive", "values", "tensors")
        for source in sorted(FIXTURES.iterdir()):
            if source.suffix not in (".pt", ".safetensors"):
                continue
            for stage in stages:
                self.assertTrue(self.succeed("ptfold", "info", "--verify",
                                             "--stage", stage, source))

    def test_digests_and_shapes_as_json(self):
        source = FIXTURES / "small_net.pt"
        report = json.loads(self.succeed("ptfold", "info", "--json",
                                         "--sha256", source))
        self.assertEqual(report["sha256"],
                         hashlib.sha256(source.read_bytes()).hexdigest())
        tensors = checkpoint.read_torch(source)
        self.assertEqual(
            {t["name"]: (tuple(t["shape"]), t["sha256"])
             for t in report["tensors"]},
            {name: (shape, hashlib.sha256(data).hexdigest())
             for name, (shape, data) in tensors.items()})


class BuiltIn(ProgramTest):
    """Networks of the full size, which need no --arch."""

    @staticmethod
    def pattern(*shape):
        """Some numbers around zero, over and over."""
        some = [((k * 7919) % 1009 - 500) / 25000 for k in range(1021)]
        count = math.prod(shape)
        data = checkpoint.tensor((), some)[1] * (count // len(some) + 1)
        return shape, data[:4 * count]

    def small_net(self):
        """A smallNetTrain with numbers from nowhere."""
        out = {}
        for stem, shape in (("conv1", (16, 3, 3, 3)), ("conv2", (16, 16, 3, 3)),
                            ("fc1", (1024, 16384)), ("fc2", (10, 1024))):
            channels = shape[0]
            out[f"{stem}.0.weight"] = self.pattern(*shape)
            out[f"{stem}.0.bias"] = self.pattern(channels)
            if stem == "fc2":
                break
            for role in ("weight", "bias", "running_mean"):
                out[f"{stem}.1.{role}"] = self.pattern(channels)
            out[f"{stem}.1.running_var"] = checkpoint.tensor(
                (channels,), [0.5 + k % 7 for k in range(channels)])
            out[f"{stem}.1.num_batches_tracked"] = (), bytes([9] + [0] * 7)
        checkpoint.write_torch(self.path("smallNetSaved"), out)

    def test_small_net_is_recognised_by_its_keys(self):
        self.small_net()
        reports = [self.report("bnfuse", "--force", *arch, "smallNetSaved",
                               "out.bin")
                   for arch in ((), ("--arch", "smallNetTrain"))]
        self.assertEqual(reports[0], reports[1])
        self.assertEqual(reports[0]["network"], "smallNetTrain")
        self.assertTrue(reports[0]["equivalent"])
        text = self.succeed("ptfold", "info", "--stage", "text", "out.bin")
        want = (SOURCE / "checkpoints" / "smallNetTest.txt").read_text()
        self.assertEqual(text.replace("smallNetTrain(", "smallNetTest("), want)


class Usage(ProgramTest):
    def test_help_and_version_are_results(self):
        for program, *command in (["bnfuse"], ["lnin-convert"], ["ptfold"],
                                  ["ptfold", "info"], ["ptfold", "bench"]):
            said = self.succeed(program, *command, "--help")
            self.assertTrue(said.startswith(
                f"usage: {' '.join([program, *command])} "))
            self.assertRegex(self.succeed(program, *command, "--version"),
                             r"\Aptfold \d+\.\d+\.\d+\n\Z")

    def test_help_is_a_command_as_well(self):
        for words in ((), ("help",), ("--help",)):
            self.assertEqual(self.succeed("ptfold", "help", *words),
                             self.succeed("ptfold", "--help"))
        self.assertEqual(self.succeed("ptfold", "help", "run"),
                         self.succeed("ptfold", "run", "--help"))

    def test_wrong_arguments_end_with_status_2(self):
        rows = (("bnfuse",), ("bnfuse", "a"), ("bnfuse", "a", "b", "c"),
                ("bnfuse", "--fold", "x", "a", "b.pt"),
                ("bnfuse", "--check", "0", "a", "b.pt"),
                ("bnfuse", "--check", "1x", "a", "b.pt"),
                ("bnfuse", "--bogus", "a", "b.pt"),
                ("bnfuse", "--arch"), ("lnin-convert",),
                ("lnin-convert", "-o"), ("lnin-convert", "a", "b"),
                ("lnin-convert", "--threads", "-1", "a"),
                ("ptfold", "bogus"), ("ptfold", "help", "bogus"),
                ("ptfold", "info"),
                ("ptfold", "info", "--stage", "x", "a"))
        for row in rows:
            with self.subTest(row):
                self.refuse(2, [], *row)


if __name__ == "__main__":
    unittest.main()
