"""Classifiers that slide over larger images: what is equal to crops, and what
is said where nothing is.

SPDX-License-Identifier: Apache-2.0
"""
import itertools
import re
import unittest

from checkpoint import npy
from graphs import Drawn, wave
from programs import FIXTURES, UNSUPPORTED, ProgramTest

HEAD = "{mean}\nf = flatten(m) start_dim=1 end_dim=-1\nl = linear(f, {n}, 4)"
POOL = "m = adaptive_avg_pool2d({}) output_size=[1,1]"
MEAN = "m = mean({}) dims=[2,3] keepdim=True"
GONE = "m = mean({}) dims=[-1,-2] keepdim=False"

# Of an input of 2 x 8 x 10, and by how many pixels windows are apart.
EQUAL = {
    "a pool of all": (["c = conv2d(x, 2, 3, 3x3)", "r = relu(c)",
                       HEAD.format(mean=POOL.format("r"), n=3)], (1, 1)),
    "a mean that keeps axes": (["c = conv2d(x, 2, 3, 3x3) stride=[1,2]",
                                HEAD.format(mean=MEAN.format("c"), n=3)],
                               (1, 2)),
    "a mean without axes": (["c = conv2d(x, 2, 3, 2x3)",
                             GONE.format("c"), "d = dropout(m) p=0.5",
                             "l = linear(d, 3, 4)", "r = relu(l)",
                             "k = linear(r, 4, 2)"], (1, 1)),
    "a pool to the size that it has": (
        ["c = conv2d(x, 2, 3, 3x3) stride=[2,2]",
         HEAD.format(mean="m = adaptive_avg_pool2d(c) output_size=[3,4]",
                     n=36)], (2, 2)),
    "a pool of like windows": (
        ["c = conv2d(x, 2, 3, 3x3)",
         HEAD.format(mean="m = adaptive_avg_pool2d(c) output_size=[2,4]",
                     n=24)], (3, 2)),
    "branches": (["c = conv2d(x, 2, 3, 3x3)", "d = conv2d(c, 3, 3, 1x1)",
                  "s = add(c, d)", HEAD.format(mean=POOL.format("s"), n=3)],
                 (1, 1)),
}

PADDED = ["c = conv2d(x, 2, 3, 3x3) padding=[1,1]", "r = relu(c)",
          "p = max_pool2d(r) kernel_size=2 stride=2 padding=0 dilation=1 "
          "ceil_mode=False", "d = conv2d(p, 3, 3, 3x3) padding=[1,0]"]
GATE = ["g = adaptive_avg_pool2d(p) output_size=[1,1]",
        "h = conv2d(g, 3, 3, 1x1)", "i = sigmoid(h)", "q = mul(i, d)"]

# What no map can be made of, and why.
STAYS = {
    "windows that are not alike": (
        [HEAD.format(mean="m = adaptive_avg_pool2d(x) output_size=[3,4]",
                     n=24)], "has windows that depend on the size of the map"),
    "a gate of linear layers": (
        ["c = conv2d(x, 2, 3, 3x3)", GONE.format("c"), "l = linear(m, 3, 3)",
         "v = reshape(l) size=[3,1,1]", "q = mul(c, v)",
         "p = adaptive_avg_pool2d(q) output_size=[1,1]",
         "f = flatten(p) start_dim=1 end_dim=-1", "o = linear(f, 3, 4)"],
        "reduces over positions"),
}


class Windows(ProgramTest):
    def make(self, lines, name="net.safetensors"):
        last = lines[-1].splitlines()[-1].split(" ")[0]
        lines = "\n".join(["x 2x8x10", *lines, "output " + last])
        Drawn(lines).save(self.path(name))
        return name

    def convert(self, lines):
        return self.report("lnin-convert", "--force", "-o", "slid.safetensors",
                           self.make(lines))

    def test_windows_are_crops(self):
        """What the program says, and each crop by itself."""
        image = wave("image", (2, 14, 16), -1, 1)
        self.write("large.npy", npy((1, 2, 14, 16), image))
        for what, (lines, stride) in EQUAL.items():
            with self.subTest(what):
                report = self.convert(lines)
                self.assertEqual(report["windows"]["level"], "BITWISE")
                self.assertEqual(report["windows"]["samples"], 70)
                self.assertNotIn("inside", report)
                self.succeed("ptfold", "run", "--force", "--slide", "--npy",
                             "map.npy", "--input", "2x8x10", "slid.safetensors",
                             "large.npy")
                classes, rows, columns, maps = self.read("map.npy")
                self.assertEqual((rows, columns), tuple(
                    6 // s + 1 for s in stride))
                crops = [image[(c * 14 + i * stride[0] + y) * 16 +
                               j * stride[1] + x]
                         for i, j in itertools.product(range(rows),
                                                       range(columns))
                         for c in range(2) for y in range(8) for x in range(10)]
                self.write("crops.npy", npy((rows * columns, 2, 8, 10), crops))
                self.succeed("ptfold", "run", "-q", "--force", "--npy",
                             "each.npy", "net.safetensors", "crops.npy")
                *_, each = self.read("each.npy")
                self.assertEqual(each, [maps[k * rows * columns + at]
                                        for at in range(rows * columns)
                                        for k in range(classes)])
                for level in ("bitwise", "certified"):
                    self.succeed("ptfold", "check", "--require", level,
                                 "net.safetensors", "slid.safetensors")

    def read(self, name):
        """Its sizes without a batch of 1, and its numbers as bytes."""
        data = self.path(name).read_bytes()
        size = int.from_bytes(data[8:10], "little") + 10
        shape = re.search(rb"'shape': \(([^)]*)\)", data[:size]).group(1)
        sizes = [int(n) for n in shape.replace(b",", b" ").split()]
        numbers = [data[k:k + 4] for k in range(size, len(data), 4)]
        return *(sizes if len(sizes) == 3 else (0, 0, 0)), numbers

    def inside(self, report):
        return {r["layer"]: (r["rows"], r["columns"], r["equal_rows"],
                             r["equal_columns"])
                for r in report["inside"]}

    def test_what_padding_does_not_reach_is_listed_and_equal(self):
        tail = HEAD.format(mean=POOL.format("d"), n=3)
        report = self.convert([*PADDED, tail])
        self.assertEqual(report["windows_blocked_by"], "c")
        self.assertEqual(self.inside(report), {
            "c": (8, 10, 6, 8), "r": (8, 10, 6, 8), "p": (4, 5, 2, 3),
            "d": (4, 3, 0, 0), "m": (1, 1, 0, 0), "l": (1, 1, 0, 0)})
        for row in report["inside"]:
            self.assertEqual(row["unequal"], 0)
            self.assertEqual(row["numbers"] > 0, row["equal_rows"] > 0)

    def test_what_is_made_of_all_of_the_image_differs(self):
        tail = HEAD.format(mean=POOL.format("q"), n=3)
        report = self.convert([*PADDED[:3],
                               PADDED[3].replace("[1,0]", "[0,0]"), *GATE,
                               tail])
        inside = self.inside(report)
        self.assertEqual(inside["d"], (2, 3, 0, 1)[:2] + (0, 0))
        self.assertEqual(inside["p"], (4, 5, 2, 3))
        self.assertEqual(inside["q"][2:], (0, 0))
        self.write("large.npy", npy((1, 2, 10, 14),
                                    wave("image", (2, 10, 14), -1, 1)))
        slide = ("ptfold", "run", "--force", "--slide", "--input", "2x8x10",
                 "--npy", "map.npy", "slid.safetensors", "large.npy")
        self.refuse(UNSUPPORTED, ["made of all of the image", "--allow-border"],
                    *slide)
        said = self.succeed(*slide, "--allow-border")
        self.assertIn("they differ everywhere", " ".join(said.split()))
        self.assertEqual(self.read("map.npy")[:3], (4, 2, 3))

    def test_what_cannot_be_a_map_stays(self):
        for what, (lines, reason) in STAYS.items():
            with self.subTest(what):
                report = self.convert(lines)
                self.assertIn(reason, report["windows_blocked_because"])
                self.assertEqual(report["same_size"]["level"], "BITWISE")
        lines = STAYS["a gate of linear layers"][0][:5]
        self.refuse(UNSUPPORTED, ["layer m (mean): leads to linear layers",
                                  "works on the flattened map"],
                    "lnin-convert", self.make(lines))

    def test_exported_programs_get_any_size(self):
        """Also as a program that PyTorch loads, of the size that it states."""
        source = FIXTURES / "programs" / "residual.pt2"
        report = self.report("lnin-convert", "-o", "out.pt2", source)
        self.assertGreater(max(r["numbers"] for r in report["inside"]), 0)
        graph = self.succeed("ptfold", "info", "--graph", "out.pt2")
        self.assertIn("aten.avg_pool2d.default(self=", graph)
        self.assertNotIn("aten.adaptive", graph)
        self.succeed("ptfold", "check", "--require", "certified", source,
                     "out.pt2")


if __name__ == "__main__":
    unittest.main()
