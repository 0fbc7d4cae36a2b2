"""Rewrites by their names: ptfold convert --rewrites, ptfold info --rewrites.

SPDX-License-Identifier: Apache-2.0
"""
import json
import unittest

import checkpoint
from graphs import Drawn
from programs import (DIFFERENT, FIXTURES, UNSUPPORTED, USAGE,
                      ProgramTest)

CONV = "c = conv2d({}, 2, 3, 3x3)"
NORMALISED = ["const mean [2,1,1]", "const deviation [2,1,1]",
              "a = sub(x, mean)", "b = div(a, deviation)"]

# What goes, whole nets after "x 2x6x6", and the ops that are left.
APPLIES = {
    "fold_scale": {
        "an input's mean and deviation": (
            [*NORMALISED, CONV.format("b"), "r = relu(c)"],
            ["Conv2d", "ReLU"]),
        "a constant in front": (
            ["const each [2,1,1]", "a = sub(each, x)", "b = mul(each, a)",
             CONV.format("b")], ["Conv2d"]),
        "constants after a layer": (
            [CONV.format("x"), "const each [3,1,1]", "a = mul(c, each)",
             "const one []", "b = add(one, a)", "r = relu(b)"],
            ["Conv2d", "ReLU"]),
        "a factor before padding": (
            ["const each [2,1,1]", "b = mul(x, each)",
             CONV.format("b") + " padding=[1,1]"], ["Conv2d"]),
        "beside a batch norm": (
            [*NORMALISED, CONV.format("b"), "n = batch_norm2d(c, 3)",
             "r = relu(n)"], ["Conv2d", "BatchNorm2d", "ReLU"]),
    },
    "drop_identity": {
        "reshapes one after the other": (
            ["a = reshape(x) size=[2,36]", "b = reshape(a) size=[72]",
             "l = linear(b, 72, 3)"], ["reshape", "Linear"]),
        "a reshape to the same shape": (
            ["a = reshape(x) size=[2,6,6]", "d = dropout(a) p=0.5",
             CONV.format("d")], ["Conv2d"]),
    },
    "dead_code": {
        "what nobody reads": (
            ["d = conv2d(x, 2, 4, 1x1)", "const each [4,1,1]",
             "e = mul(d, each)", CONV.format("x")], ["Conv2d"]),
    },
}

# What is left as it is, and why.
STAYS = {
    "a shift before padding": (
        "fold_scale", ["const mean [2,1,1]", "a = sub(x, mean)",
                       CONV.format("a") + " padding=[1,1]"],
        "read by c (Conv2d), which has zeros where the shift would be"),
    "a factor that others read": (
        "fold_scale", ["const one []", "b = mul(x, one)", CONV.format("b"),
                       "d = conv2d(x, 2, 2, 1x1)", "s = maximum(b, d)"],
        "read by s (maximum)"),
    "a constant for each position": (
        "fold_scale", ["const map [2,6,6]", "b = mul(x, map)",
                       CONV.format("b")], "no sum or product"),
    "a constant of rows": (
        "fold_scale", [CONV.format("x"), "const rows [4,1]",
                       "b = mul(c, rows)"], "no sum or product"),
    "a division by the value": (
        "fold_scale", ["const one []", "b = div(one, x)", CONV.format("b")],
        "no sum or product"),
    "nothing that is idle": ("dead_code", [CONV.format("x")],
                             "nothing that no output comes of"),
    "an input without a size": ("any_size", [CONV.format("x")],
                                "no input of one size"),
}


class Named(ProgramTest):
    def make(self, lines):
        last = lines[-1].split(" ")[0]
        Drawn("\n".join(["x 2x6x6", *lines, "output " + last])).save(
            self.path("net.safetensors"))
        return "net.safetensors"

    def rewrite(self, names, lines):
        return self.json_of("convert", "--force", "--rewrites", names,
                            self.make(lines), "out.safetensors")

    def json_of(self, command, *args):
        return json.loads(self.succeed("ptfold", command, "--json", *args))

    def layers(self, name):
        """The ops of the file's graph, as tables call them."""
        metadata, _ = checkpoint.read_safetensors(self.path(name))
        return [line for line in metadata["graph"].splitlines()
                if " = " in line]

    def test_what_applies_is_done_and_proved(self):
        for name, nets in APPLIES.items():
            for what, (lines, left) in nets.items():
                with self.subTest(f"{name}: {what}"):
                    report = self.rewrite(name, lines)
                    self.assertIn(report["verdict"], ("CERTIFIED", "BITWISE"))
                    self.assertEqual(len(self.layers("out.safetensors")),
                                     len(left))
                    self.assertNotIn("const ", "\n".join(
                        self.layers("out.safetensors")))

    def test_one_number_off_is_seen(self):
        lines, _ = APPLIES["fold_scale"]["an input's mean and deviation"]
        self.rewrite("fold_scale", lines)
        metadata, tensors = checkpoint.read_safetensors(
            self.path("out.safetensors"))
        self.assertEqual(sorted(tensors), ["c.bias", "c.weight"])
        for name, (shape, data) in tensors.items():
            for k in range(0, len(data), 4):
                damaged = bytearray(data)
                damaged[k] ^= 1
                checkpoint.write_safetensors(
                    self.path("damaged.safetensors"),
                    {**tensors, name: (shape, bytes(damaged))}, metadata)
                done = self.run_program(
                    "ptfold", "check", "--require", "certified",
                    "net.safetensors", "damaged.safetensors")
                self.assertEqual(done.returncode, DIFFERENT, (name, k))

    def test_what_does_not_apply_is_refused_with_the_reason(self):
        for what, (name, lines, reason) in STAYS.items():
            with self.subTest(what):
                self.refuse(UNSUPPORTED, [f"{name}: nothing to rewrite",
                                          reason], "ptfold", "convert",
                            "--rewrites", name, self.make(lines),
                            "out.safetensors")

    def test_one_after_the_other(self):
        lines, _ = APPLIES["fold_scale"]["beside a batch norm"]
        report = self.rewrite("fold_scale,fold_batchnorm", lines)
        self.assertRegex(report["verdict"], r"\ACERTIFIED( WITHIN \d ULP)?\Z")
        self.assertEqual(report["required"], "CERTIFIED WITHIN 4 ULP")
        self.assertEqual(len(self.layers("out.safetensors")), 2)
        text = self.succeed("ptfold", "convert", "--force", "--rewrites",
                            "fold_scale,fold_batchnorm", "net.safetensors",
                            "out.safetensors")
        self.assertIn("(required: CERTIFIED WITHIN 4 ULP)", text)
        self.assertIn("written", text)

    def test_names_are_those_of_the_table(self):
        net = self.make([CONV.format("x")])
        for names in ("fold", "fold_scale,", "", "x" * 40):
            self.refuse(USAGE, ["--rewrites: expected some of fold_batchnorm"],
                        "ptfold", "convert", "--rewrites", names, net,
                        "out.safetensors")
        self.refuse(USAGE, ["at most 16 names"], "ptfold", "convert",
                    "--rewrites", ",".join(["dead_code"] * 17), net,
                    "out.safetensors")

    def test_exported_programs_of_any_size(self):
        source = FIXTURES / "programs" / "net.pt2"
        self.refuse(USAGE, ["states one size"], "ptfold", "convert",
                    "--any-size", source, "out.pt2")
        self.refuse(UNSUPPORTED, ["runs for one size only"], "ptfold",
                    "convert", "--any-size", source, "out.safetensors")
        report = self.json_of("convert", "--rewrites", "linear_to_conv",
                              "--any-size", source, "out.safetensors")
        self.assertEqual(report["required"], "BITWISE")
        metadata, _ = checkpoint.read_safetensors(self.path("out.safetensors"))
        self.assertNotIn("fixed", metadata["graph"])

    def test_what_would_apply_is_listed(self):
        lines, _ = APPLIES["fold_scale"]["beside a batch norm"]
        net = self.make(lines)
        rows = {r["rewrite"]: r
                for r in self.json_of("info", "--rewrites", net)}
        self.assertEqual(rows["fold_scale"]["requires"], "CERTIFIED")
        self.assertTrue(rows["fold_scale"]["applies"])
        self.assertEqual(rows["fold_scale"]["gone"]["count"], 4)
        self.assertEqual(rows["fold_batchnorm"]["changed"],
                         {"count": 0, "first": None})
        self.assertEqual(rows["linear_to_conv"]["requires"], "BITWISE")
        self.assertFalse(rows["linear_to_conv"]["applies"])
        text = self.succeed("ptfold", "info", "--rewrites", net)
        for name in rows:
            self.assertRegex(text, rf"(?m)^{name} +requires (BITWISE|CERTIFIED)")
        self.make([*NORMALISED, CONV.format("b") + " padding=[1,1]"])
        text = self.succeed("ptfold", "info", "--rewrites", net)
        self.assertIn("stays: a is not after a layer", text)
        self.assertLessEqual(max(map(len, text.splitlines())), 80)


if __name__ == "__main__":
    unittest.main()
