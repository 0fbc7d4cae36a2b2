"""Batch norms in graphs: which are folded, into what, and which stay, why.

SPDX-License-Identifier: Apache-2.0
"""
import unittest

import checkpoint
from graphs import Drawn
from programs import DAMAGED, DIFFERENT, UNSUPPORTED, ProgramTest

CONV = "c = conv2d({}, 2, 3, 1x1)"
PADDED = "c = conv2d({}, 2, 3, 3x3) padding=[1,1]"
NORM = "n = batch_norm2d({}, 2)"

# What is folded, whole nets; "output" is the last line's value if not stated.
FOLDED = {
    "at the input": ["x 2x6x6", NORM.format("x"), CONV.format("n")],
    "into a kernel without padding": [
        "x 2x6x6", NORM.format("x"), "c = conv2d(n, 2, 3, 3x3) stride=[2,2]"],
    "after a ReLU": [
        "x 2x6x6", "r = relu(x)", NORM.format("r"), CONV.format("n"),
        "m = batch_norm2d(c, 3)", "s = relu(m)"],
    "into two": [
        "x 2x6x6", NORM.format("x"), CONV.format("n"),
        "d = conv2d(n, 2, 3, 1x1)", "m = maximum(c, d)"],
    "two in a row": [
        "x 2x6x6", NORM.format("x"), "m = batch_norm2d(n, 2)",
        CONV.format("m")],
    "into groups": [
        "x 4x6x6", "n = batch_norm2d(x, 4)",
        "c = conv2d(n, 4, 6, 3x3) groups=2"],
    "into a depthwise convolution": [
        "x 4x6x6", "n = batch_norm2d(x, 4)",
        "c = conv2d(n, 4, 4, 3x3) groups=4 dilation=[2,2]"],
    "through Dropout": [
        "x 2x6x6", NORM.format("x"), "d = dropout(n) p=0.5",
        CONV.format("d")],
    "into a linear layer": [
        "x 5", "n = batch_norm1d(x, 5)", "l = linear(n, 5, 3)"],
    "into a linear layer on a map": [
        "x 2x3x4", NORM.format("x"), "f = flatten(n) start_dim=1 end_dim=-1",
        "l = linear(f, 24, 3)", "m = batch_norm1d(l, 3)"],
    "along one axis": [
        "x 2x9", "n = batch_norm1d(x, 2)", "c = conv1d(n, 2, 3, 3)"],
    "along three axes": [
        "x 2x4x4x4", "n = batch_norm3d(x, 2)",
        "c = conv3d(n, 2, 3, 3x2x2)"],
    "through padding, without a shift": [
        "x 2x6x6", NORM.format("x") + " zero", PADDED.format("n")],
    "into a transposed convolution, without a shift": [
        "x 4x6x6", "n = batch_norm2d(x, 4) zero",
        "c = conv_transpose2d(n, 4, 6, 3x3) stride=[2,2] groups=2"],
    "after a transposed convolution": [
        "x 4x6x6", "c = conv_transpose2d(x, 4, 6, 3x3) stride=[2,2] groups=2",
        "n = batch_norm2d(c, 6)"],
    "after a view that keeps channels": [
        "x 2x6x6", CONV.format("x"), "f = flatten(c) start_dim=2 end_dim=3",
        "n = batch_norm1d(f, 3)", "r = relu(n)"],
    "through a concatenation": [
        "x 4x6x6", "c = conv2d(x, 4, 3, 3x3) padding=[1,1]",
        "d = conv2d(x, 4, 2, 1x1) nobias",
        "e = conv2d(x, 4, 4, 3x3) padding=[1,1] groups=4",
        "j = concat(c, d, e) dim=1", "n = batch_norm2d(j, 9)",
        "r = relu(n)", "f = conv2d(r, 9, 2, 1x1)", "m = batch_norm2d(f, 2)"],
    "through constants": [
        "x 2x6x6", CONV.format("x"), "const one []", "a = mul(c, one)",
        "const each [3,1,1]", "b = sub(each, a)", "n = batch_norm2d(b, 3)",
        "r = relu(n)"],
    "beside another reader of its operand": [
        "x 2x6x6", "r = relu(x)", NORM.format("r"),
        "c = conv2d(n, 2, 2, 1x1)", "s = add(c, r)"],
}

# What stays, and what is said of it.
STAYS = {
    "into padding": (
        ["x 2x6x6", NORM.format("x"), PADDED.format("n")],
        "expected a convolution or linear layer before it, got none; read by "
        "c (Conv2d), which has zeros where the shift would be"),
    "of one that pads and one that does not": (
        ["x 2x6x6", NORM.format("x"), CONV.format("n"),
         "d = conv2d(n, 2, 3, 3x3) padding=[1,1]", "m = maximum(c, d)"],
        "d (Conv2d), which has zeros where the shift would be"),
    "into a transposed convolution": (
        ["x 2x6x6", NORM.format("x"),
         "c = conv_transpose2d(n, 2, 3, 3x3) stride=[2,2]"],
        "c (ConvTranspose2d), which has zeros where the shift would be"),
    "before a ReLU": (
        ["x 2x6x6", "r = tanh(x)", NORM.format("r"), "s = relu(n)",
         CONV.format("s")],
        "follows r (Tanh), expected a convolution or linear layer; read by s "
        "(ReLU)"),
    "as an output": (
        ["x 2x6x6", NORM.format("x"), CONV.format("n"), "output a n",
         "output b c"],
        "got none; it is an output"),
    "of a convolution with another reader": (
        ["x 2x6x6", "c = conv2d(x, 2, 2, 1x1)", NORM.format("c"),
         "s = add(n, c)"],
        "the output of c (Conv2d) is used 2 times, expected this batch norm "
        "alone to read it; read by s (add)"),
    "of a convolution that is an output": (
        ["x 2x6x6", "c = conv2d(x, 2, 2, 1x1)", NORM.format("c"),
         "r = relu(n)", "output a c", "output b r"],
        "the output of c (Conv2d) is used 2 times"),
    "of two convolutions' sum": (
        ["x 2x6x6", "c = conv2d(x, 2, 2, 1x1)", "d = conv2d(x, 2, 2, 1x1)",
         "s = mul(c, d)", NORM.format("s"), "r = relu(n)"],
        "follows s (mul)"),
    "of a concatenation with another reader": (
        ["x 2x6x6", "c = conv2d(x, 2, 3, 1x1)", "d = conv2d(x, 2, 1, 1x1)",
         "j = concat(c, d) dim=1", "n = batch_norm2d(j, 4)",
         "s = maximum(n, j)"], "follows j (concat)"),
    "of a concatenation of what is no layer": (
        ["x 2x6x6", "c = conv2d(x, 2, 3, 1x1)", "j = concat(c, x) dim=1",
         "n = batch_norm2d(j, 5)", "r = relu(n)"], "follows j (concat)"),
    "of a concatenation along rows": (
        ["x 2x6x6", "c = conv2d(x, 2, 3, 1x1)", "d = conv2d(x, 2, 3, 1x1)",
         "j = concat(c, d) dim=2", "n = batch_norm2d(j, 3)", "r = relu(n)"],
        "follows j (concat)"),
    "into a sum": (
        ["x 2x6x6", NORM.format("x"), "c = conv2d(n, 2, 2, 1x1)",
         "s = add(c, n)"],
        "got none; read by s (add)"),
    "through a pool": (
        ["x 2x6x6", NORM.format("x"), "p = max_pool2d(n) kernel_size=2 "
         "stride=2 padding=0 dilation=1 ceil_mode=False", CONV.format("p")],
        "read by p (MaxPool2d)"),
    "through a pad": (
        ["x 2x6x6", NORM.format("x"), "p = pad(n) padding=[1,1,1,1] "
         "mode=reflect", CONV.format("p")],
        "read by p (pad)"),
    "through a view into other channels": (
        ["x 4x6x6", "n = batch_norm2d(x, 4)", "v = reshape(n) size=[2,12,6]",
         CONV.format("v")],
        "read by v (reshape)"),
    "of features before rows": (
        ["x 5x4", "l = linear(x, 4, 5)", "n = batch_norm1d(l, 5)",
         "r = relu(n)"],
        "l (Linear) before it works on the last axis, and this batch norm on "
        "the first; read by r (ReLU)"),
    "before a linear layer on rows": (
        ["x 5x4", "n = batch_norm1d(x, 5)", "l = linear(n, 4, 3)"],
        "read by l (Linear), which works on the last axis"),
    "that nobody reads": (
        ["x 2x6x6", NORM.format("x"), "c = conv2d(x, 2, 2, 1x1)"],
        "got none"),
}


# Branches of one value that are added, and become the convolution "c".
SAME = "c = conv2d(x, 4, 4, 3x3) padding=[1,1] nobias"
MERGED = {
    "3x3, 1x1 and the value, each with its norm": [
        "x 4x6x6", SAME, "cn = batch_norm2d(c, 4)",
        "d = conv2d(x, 4, 4, 1x1) nobias", "dn = batch_norm2d(d, 4)",
        "i = batch_norm2d(x, 4)", "s = add(dn, cn)", "t = add(s, i)",
        "r = relu(t)"],
    "several of one shape, with stride": [
        "x 4x6x6", "c = conv2d(x, 4, 6, 3x3) padding=[1,1] stride=[2,2]",
        "d = conv2d(x, 4, 6, 3x3) padding=[1,1] stride=[2,2]",
        "dn = batch_norm2d(d, 6)", "e = conv2d(x, 4, 6, 1x1) stride=[2,2]",
        "s = add(c, dn)", "t = add(s, e)", "r = relu(t)"],
    "rows and columns": [
        "x 4x6x6", SAME, "d = conv2d(x, 4, 4, 1x3) padding=[0,1]",
        "e = conv2d(x, 4, 4, 3x1) padding=[1,0]", "s = add(c, d)",
        "t = add(s, e)", "n = batch_norm2d(t, 4)"],
    "an average": [
        "x 4x6x6", SAME,
        "a = avg_pool2d(x) kernel_size=3 stride=1 padding=1 "
        "count_include_pad=True", "an = batch_norm2d(a, 4)",
        "s = add(c, an)", "r = relu(s)"],
    "a diverse branch": [
        "x 4x6x6", SAME, "cn = batch_norm2d(c, 4)",
        "d = conv2d(x, 4, 4, 1x1) nobias", "dn = batch_norm2d(d, 4)",
        "e = conv2d(x, 4, 4, 1x3) padding=[0,1] nobias",
        "en = batch_norm2d(e, 4)",
        "g = conv2d(x, 4, 4, 3x1) padding=[1,0] nobias",
        "gn = batch_norm2d(g, 4)",
        "a = avg_pool2d(x) kernel_size=3 stride=1 padding=1 "
        "count_include_pad=True", "an = batch_norm2d(a, 4)",
        "i = batch_norm2d(x, 4)", "s = add(cn, dn)", "t = add(s, en)",
        "u = add(t, gn)", "v = add(u, an)", "w = add(i, v)", "r = relu(w)"],
    "groups of groups": [
        "x 4x6x6", "c = conv2d(x, 4, 4, 3x3) padding=[1,1] groups=2",
        "d = conv2d(x, 4, 4, 1x1) groups=4", "s = add(c, d)",
        "t = add(s, x)", "r = relu(t)"],
    "holes": [
        "x 4x6x6", "c = conv2d(x, 4, 4, 3x3) padding=[2,2] dilation=[2,2]",
        "d = conv2d(x, 4, 4, 1x1)", "s = sub(d, c)", "r = relu(s)"],
    "constants": [
        "x 4x6x6", SAME, "n = batch_norm2d(c, 4)",
        "const zero []", "o = add(n, zero)", "const gamma [4,1,1]",
        "m = batch_norm2d(x, 4)", "b = sub(o, m)", "g = mul(gamma, b)",
        "s = add(x, g)", "r = relu(s)"],
    "in a block with another sum": [
        "x 4x6x6", "f = relu(x)", SAME.replace("(x", "(f"),
        "d = conv2d(f, 4, 4, 1x1)", "s = add(c, d)", "t = add(x, s)",
        "r = relu(t)"],
    "after another": [
        "x 4x6x6", "z = conv2d(x, 4, 4, 1x1)", SAME.replace("(x", "(z"),
        "n = batch_norm2d(z, 4)", "s = add(n, c)", "r = relu(s)"],
    "along one axis": [
        "x 4x9", "c = conv1d(x, 4, 4, 3) padding=[1]",
        "d = conv1d(x, 4, 4, 1)", "s = add(c, d)"],
}

# What is no sum of branches of one value with like windows.
APART = {
    "another value": [
        "x 4x6x6", "f = relu(x)", SAME, "d = conv2d(f, 4, 4, 1x1)",
        "s = add(c, d)", "r = relu(s)"],
    "a ReLU in between": [
        "x 4x6x6", SAME, "f = relu(c)", "d = conv2d(x, 4, 4, 1x1)",
        "s = add(f, d)", "r = relu(s)"],
    "another reader": [
        "x 4x6x6", SAME, "d = conv2d(x, 4, 4, 1x1)", "s = add(c, d)",
        "r = maximum(s, d)"],
    "a branch that is an output": [
        "x 4x6x6", SAME, "d = conv2d(x, 4, 4, 1x1)", "s = add(c, d)",
        "output a d", "output b s"],
    "another stride": [
        "x 4x6x6", "c = conv2d(x, 4, 4, 3x3) padding=[1,1] stride=[2,2]",
        "d = conv2d(x, 4, 4, 4x4)", "s = add(c, d)", "r = relu(s)"],
    "taps beside those of the larger": [
        "x 4x6x6", "c = conv2d(x, 4, 4, 3x3) padding=[2,2] dilation=[2,2]",
        "d = conv2d(x, 4, 4, 3x3) padding=[1,1]", "s = add(c, d)"],
    "one map against one number": [
        "x 4x1x1", "c = conv2d(x, 4, 4, 3x3) padding=[2,2]",
        "d = conv2d(x, 4, 4, 1x1)", "s = add(c, d)"],
    "an average of fewer taps at the border": [
        "x 4x6x6", SAME,
        "a = avg_pool2d(x) kernel_size=3 stride=1 padding=1 "
        "count_include_pad=False", "s = add(c, a)"],
    "the largest of a window": [
        "x 4x6x6", SAME,
        "a = max_pool2d(x) kernel_size=3 stride=1 padding=1 dilation=1 "
        "ceil_mode=False", "s = add(c, a)"],
    "a constant for each position": [
        "x 4x6x6", SAME, "const map [4,6,6]", "g = mul(c, map)",
        "d = conv2d(x, 4, 4, 1x1)", "s = add(g, d)"],
    "groups that do not divide each other": [
        "x 12x6x6", "c = conv2d(x, 12, 12, 3x3) padding=[1,1] groups=4",
        "d = conv2d(x, 12, 12, 1x1) groups=3", "s = add(c, d)"],
    "a product": [
        "x 4x6x6", SAME, "d = conv2d(x, 4, 4, 1x1)", "s = mul(c, d)"],
}


class Folded(ProgramTest):
    def make(self, lines, name="net.safetensors"):
        if not any(line.startswith("output") for line in lines):
            lines = [*lines, "output " + lines[-1].split(" ")[0]]
        Drawn("\n".join(lines)).save(self.path(name))
        return name

    def fold(self, lines, *options):
        report = self.report("bnfuse", *options, "--force", self.make(lines),
                             "folded.safetensors")
        self.assertTrue(report["equivalent"])
        self.assertEqual(report["verdict"]["level"], "CERTIFIED",
                        report["verdict"])
        return report

    def test_what_can_be_folded_is(self):
        for what, lines in FOLDED.items():
            with self.subTest(what):
                report = self.fold(lines)
                self.assertEqual(report["remarks"], [])
                self.assertNotIn("BatchNorm", str(report["after"]))
                self.assertIn("BatchNorm", str(report["before"]))

    def test_what_cannot_be_folded_stays_and_does_not_stop_others(self):
        more = ["other = conv2d(x, {0}, 3, {1})", "other_n = {2}(other, 3)"]
        for what, (lines, reason) in STAYS.items():
            sizes = lines[0][2:].split("x")
            axes = len(sizes) - 1
            kernel = "x".join("1" * axes)
            norm = f"batch_norm{max(axes, 1)}d"
            others = [m.replace("conv2d", f"conv{axes}d").format(
                sizes[0], kernel, norm) for m in more]
            outputs = [l for l in lines if l.startswith("output")] or [
                "output last " + lines[-1].split(" ")[0]]
            body = [l for l in lines if not l.startswith("output")]
            with self.subTest(what):
                report = self.fold([*body, *others, *outputs,
                                    "output more other_n"])
                self.assertEqual(
                    [r["layer"] for r in report["remarks"] if r["left"]],
                    [l.split(" ")[0] for l in body
                     if "batch_norm" in l])
                self.assertIn(reason, report["remarks"][0]["text"])
                self.assertNotIn("'other_n'", str(report["after"]))

    def test_what_is_no_fixed_function_or_too_large_stays(self):
        """Their nets have no verdict: the one has no function, the other no
        finite outputs."""
        for lines, reason in (
                ((CONV.format("x"), "n = batch_norm2d(c, 3) nostats"),
                 "keeps no running statistics, so what it computes depends on "
                 "the batch"),
                ((NORM.format("x") + " big", "m = batch_norm2d(n, 2) big",
                  CONV.format("m")),
                 "of output channel 0 too large for a float"),
                ((CONV.format("x"), "n = batch_norm2d(c, 3) big",
                  "m = batch_norm2d(n, 3) big"),
                 "of output channel 0 too large for a float")):
            lines = ["x 2x6x6", *lines, "d = conv2d(x, 2, 3, 1x1)",
                     "o = batch_norm2d(d, 3)", "r = relu(o)",
                     "output a " + lines[-1].split(" ")[0], "output b r"]
            report = self.report("bnfuse", "--no-check", "--force",
                                 self.make(lines), "folded.safetensors")
            for remark in report["remarks"]:
                self.assertIn(reason, remark["text"])
            self.assertEqual(len(report["remarks"]),
                             str(lines).count("batch_norm") - 1)

    def test_branches_become_one_convolution(self):
        for what, lines in MERGED.items():
            with self.subTest(what):
                report = self.fold(lines, "--merge-branches")
                after = [layer["layer"].split("(")[0]
                         for layer in report["after"]]
                self.assertNotIn("BatchNorm2d", after)
                self.assertLessEqual(after.count("add"), "block" in what)
                self.assertEqual(sum(l.startswith("Conv") for l in after),
                                 1 + ("another" in what.split()[-1:]
                                      and what.startswith("after")))

    def test_what_is_no_sum_of_branches_is_not_merged(self):
        for what, lines in APART.items():
            with self.subTest(what):
                self.refuse(UNSUPPORTED, ["has no"], "bnfuse",
                            "--merge-branches", self.make(lines), "out.bin")

    def test_a_batch_norm_beside_what_is_not_merged_is_folded(self):
        lines = [*APART["another value"], "o = conv2d(r, 4, 2, 1x1)",
                 "on = batch_norm2d(o, 2)"]
        report = self.fold(lines, "--merge-branches")
        self.assertNotIn("BatchNorm", str(report["after"]))
        self.assertIn("'add'", str(report["after"]))

    def test_one_number_of_a_merged_convolution_off_is_seen(self):
        self.fold(MERGED["constants"], "--merge-branches")
        self.see_each_number()

    def test_a_negative_variance_is_a_fault_of_the_file(self):
        for lines in ((CONV.format("x"), "n = batch_norm2d(c, 3) negative",
                       "r = relu(n)"),
                      (NORM.format("x") + " negative", CONV.format("n"))):
            self.refuse(DAMAGED, ["layer n (BatchNorm2d)",
                                  "running_var[0] is -1"], "bnfuse",
                        self.make(["x 2x6x6", *lines]),
                        "folded.safetensors")

    def test_one_number_off_is_no_fold(self):
        for what in ("after a ReLU", "through a concatenation"):
            self.fold(FOLDED[what])
            self.see_each_number()

    def test_a_merge_of_windows_that_are_not_alike_is_no_rewrite(self):
        """As if the average had as many taps at the border as inside, and as
        if the convolution read what is after the batch norm there."""
        average = APART["an average of fewer taps at the border"]
        shifted = ["x 4x6x6", "n = batch_norm2d(x, 4)", SAME.replace("(x", "(n"),
                   "d = conv2d(n, 4, 4, 1x1)", "s = add(c, d)"]
        for lines, each, reason in (
                (average, 1 / 9, "is an average whose windows are not alike"),
                (shifted, 0, "has zeros in its padding")):
            self.make(lines)
            merged = Drawn("x 4x6x6\n" + SAME + "\noutput s c")
            shape, data = merged.tensors["c.weight"]
            weights = checkpoint.floats((shape, data))
            for o in range(4):
                for tap in range(9):
                    weights[o * 45 + tap] += each
            merged.tensors["c.weight"] = checkpoint.tensor(shape, weights)
            merged.save(self.path("merged.safetensors"))
            done = self.run_program(
                "ptfold", "check", "--require", "certified",
                "net.safetensors", "merged.safetensors")
            self.assertEqual(done.returncode, DIFFERENT)
            self.assertIn(reason, " ".join(done.stdout.decode().split()))

    def see_each_number(self):
        """Each parameter of the folded file, off by its last bit."""
        metadata, tensors = checkpoint.read_safetensors(
            self.path("folded.safetensors"))
        for name, (shape, data) in tensors.items():
            for k in range(0, len(data), max(4, len(data) // 80 * 4)):
                damaged = bytearray(data)
                damaged[k] ^= 1
                checkpoint.write_safetensors(
                    self.path("damaged.safetensors"),
                    {**tensors, name: (shape, bytes(damaged))}, metadata)
                done = self.run_program(
                    "ptfold", "check", "--require", "certified",
                    "net.safetensors", "damaged.safetensors")
                self.assertEqual(done.returncode, DIFFERENT, (name, k))
                self.assertIn(f"{name}[{k // 4}]", done.stdout.decode())


if __name__ == "__main__":
    unittest.main()
