"""ptfold run --preset: pixels as torchvision gives them, names of ImageNet.

SPDX-License-Identifier: Apache-2.0
"""
import hashlib
import json
import unittest

import checkpoint
from programs import SOURCE, USAGE, ProgramTest

IMAGES = SOURCE / "tests" / "images"
# It gives what it gets.
PIXELS = """# input: 3x224x224
Sequential(
  (0): Conv2d(3, 3, kernel_size=(1, 1), stride=(1, 1), bias=False)
)
"""
# The mean of each channel, and from these 1000 classes.
CLASSES = """# input: 3x224x224
Sequential(
  (0): AdaptiveAvgPool2d(output_size=(1, 1))
  (1): Flatten(start_dim=1, end_dim=-1)
  (2): Linear(in_features=3, out_features=%d, bias=True)
)
"""


class Preset(ProgramTest):
    def net(self, text, tensors):
        self.write("net.txt", text.encode())
        checkpoint.write_safetensors(self.path("net.safetensors"), tensors, {})
        return "--arch", "net.txt", "net.safetensors"

    def classes(self, count=1000):
        weight = checkpoint.tensor((count, 3), [0.0] * 3 * count)
        bias = checkpoint.tensor((count,), [float(k) for k in range(count)])
        return self.net(CLASSES % count, {"2.weight": weight, "2.bias": bias})

    def test_pixels_are_those_of_torchvision(self):
        eye = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
        net = self.net(PIXELS,
                       {"0.weight": checkpoint.tensor((3, 3, 1, 1), eye)})
        lines = (IMAGES / "imagenet.tsv").read_text().splitlines()
        self.assertEqual(len(lines), 9)
        for line in lines:
            name, options, digest = line.split("\t")
            self.succeed("ptfold", "run", "--preset", "imagenet", "--force",
                         *options.split(), "--npy", "x.npy", *net,
                         IMAGES / name)
            numbers = self.path("x.npy").read_bytes()[-4 * 3 * 224 * 224:]
            self.assertEqual(hashlib.sha256(numbers).hexdigest(), digest, line)

    def test_a_thousand_outputs_have_names(self):
        image = IMAGES / "preset_small.png"
        net = self.classes()
        for options, first in ((("--preset", "imagenet"), "toilet tissue"),
                               (("--labels", "imagenet", "--resize", "224x224"),
                                "toilet tissue"),
                               (("--resize", "224x224"), None)):
            report = json.loads(self.succeed("ptfold", "run", "--json",
                                             *options, *net, image))
            self.assertEqual(
                report["images"][0]["top"][0].get("class_name"), first)
        self.assertIn("toilet tissue", self.succeed(
            "ptfold", "run", "--preset", "imagenet", *net, image))

    def test_other_networks_have_other_names(self):
        text = self.succeed("ptfold", "run", "--preset", "imagenet",
                            *self.classes(10), IMAGES / "preset_small.png")
        self.assertNotIn("tench", text)
        self.refuse(USAGE, ["expected 10 names, one for each output, got 1000"],
                    "ptfold", "run", "--preset", "imagenet", "--labels",
                    "imagenet", *self.classes(10), IMAGES / "preset_small.png")

    def test_unknown_words_are_refused(self):
        for option, say in (("--preset", 'expected imagenet, got "x"'),
                            ("--filter", 'expected bilinear or bicubic, got')):
            self.refuse(USAGE, [say], "ptfold", "run", option, "x", "a", "b")


if __name__ == "__main__":
    unittest.main()
