"""Certificates of graphs: what is right has one, and faults are found.

A network with skip connections, depthwise convolutions, a gate, branches, an
upsampling and a shared value is folded by bnfuse; then B's file gets one fault
of a table, and `ptfold check` must deny the certificate, in the right part, and
name the right place.  Other spellings of the same network must have one.

Networks are drawn, too: 24 of them, or as many as PTF_GRAPHS says.

SPDX-License-Identifier: Apache-2.0
"""
import math
import os
import random
import re
import struct
import unittest

import checkpoint
from programs import DIFFERENT, EQUIVALENT, ProgramTest

GRAPHS = int(os.environ.get("PTF_GRAPHS", "24"))


def f32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


def next_f32(x):
    bits = struct.unpack("<i", struct.pack("<f", x))[0]
    return struct.unpack("<f", struct.pack("<i", bits + 1))[0]


# ------------------------------------------------------------------- networks


class Net:
    """The text of a graph under construction, and its tensors."""

    def __init__(self, shape, seed):
        self.random = random.Random(seed)
        size = ",".join(map(str, shape))
        self.lines = ["ptfold graph 1", "net Planted", f"input x f32 [N,{size}]"]
        self.tensors = {}

    def const(self, name, shape, low=-0.5, high=0.5):
        numbers = [f32(self.random.uniform(low, high))
                   for _ in range(math.prod(shape))]
        self.tensors[name] = checkpoint.tensor(shape, numbers)
        self.lines.append(f"const {name} f32 [{','.join(map(str, shape))}]")
        return name

    def op(self, name, call):
        self.lines.append(f"{name} = {call}")
        return name

    def conv(self, name, x, out, ins, kernel=1, more="", bias=False):
        w = self.const(f"{name}.weight", (out, ins, kernel, kernel))
        b = ", " + self.const(f"{name}.bias", (out,)) if bias else ""
        return self.op(name, f"conv2d({x}, {w}{b}) {more}".strip())

    def norm(self, name, x, channels):
        parts = [self.const(f"{name}.{part}", (channels,), low, high)
                 for part, low, high in (
                     ("weight", 0.5, 1.5), ("bias", -1, 1),
                     ("running_mean", -1, 1), ("running_var", 0.5, 2))]
        return self.op(name, f"batch_norm2d({x}, {', '.join(parts)})")

    def unit(self, name, x, out, ins, kernel=1, more="", act="relu",
             bias=False):
        """A convolution, its batch norm, a function."""
        self.conv(name, x, out, ins, kernel, more, bias)
        self.norm(f"{name}.bn", name, out)
        return self.op(f"{name}.act", f"{act}({name}.bn)")

    def linear(self, name, x, out, ins):
        w = self.const(f"{name}.weight", (out, ins))
        b = self.const(f"{name}.bias", (out,))
        return self.op(name, f"linear({x}, {w}, {b})")

    def text(self):
        return "\n".join(self.lines) + "\n"


def planted():
    net = Net((3, 12, 12), 1)
    op, unit = net.op, net.unit
    stem = unit("stem", "x", 8, 3, 3, "padding=[1,1]", "relu6")
    one = unit("one.a", stem, 8, 8, 3, "padding=[1,1]")
    net.norm("one.b.bn", net.conv("one.b", one, 8, 8, 3, "padding=[1,1]",
                                  True), 8)
    op("one.add", f"add(one.b.bn, {stem})")
    one = op("one.out", "relu(one.add)")
    # Depthwise, pointwise, and a gate.
    deep = unit("two.deep", one, 8, 1, 3, "padding=[1,1] groups=8", "relu6")
    point = unit("two.point", deep, 8, 8)
    mean = op("two.mean", f"mean({point}) dims=[2,3] keepdim=True")
    net.conv("two.down", mean, 4, 8, bias=True)
    op("two.relu", "relu(two.down)")
    net.conv("two.up", "two.relu", 8, 4, bias=True)
    op("two.gate", "hardsigmoid(two.up)")
    op("two.mul", f"mul({point}, two.gate)")
    two = op("two.add", f"add(two.mul, {one})")
    # Two convolutions, of which the first has the stride.
    unit("three.a", two, 8, 8, 3, "padding=[1,1] stride=[2,2]")
    three = unit("three.b", "three.a.act", 8, 8, 3, "padding=[1,1]")
    # Down and up again.
    low = op("low", f"max_pool2d({three}) kernel_size=[2,2] stride=[2,2] "
             "padding=[0,0] dilation=[1,1] ceil_mode=False")
    mid = op("mid", f"avg_pool2d({three}) kernel_size=[3,3] stride=[1,1] "
             "padding=[1,1] count_include_pad=False")
    low = unit("four", low, 8, 8, 3, "padding=[1,1]", "leaky_relu")
    net.lines[-1] += " negative_slope=0.1"
    up = op("up", f"upsample({low}) scale_factor=[2.0,2.0] mode=bilinear "
            "align_corners=False")
    left = unit("left", up, 4, 8)
    right = unit("right", mid, 4, 8)
    join = op("join", f"concat({left}, {right}, {three}) dim=1")
    # A batch norm that stays, constants, and a value that two read.
    op("five", f"relu({net.norm('five.bn', join, 16)})")
    shift = net.const("shift", (16, 1, 1))
    scale = net.const("scale", (16, 1, 1))
    op("five.sub", f"sub(five, {shift})")
    op("five.mul", f"mul(five.sub, {scale})")
    net.conv("shared", "five.mul", 8, 16)
    net.norm("shared.bn", "shared", 8)
    op("six", "sub(shared.bn, shared)")
    op("pool", "adaptive_avg_pool2d(six) output_size=[2,2]")
    op("flat", "flatten(pool) start_dim=1 end_dim=-1")
    op("fc.act", f"relu({net.linear('fc', 'flat', 6, 32)})")
    net.linear("last", "fc.act", 5, 6)
    op("shares", "softmax(last) dim=1")
    net.lines.append("output logits shares")
    return net


# --------------------------------------------------------------------- faults


def fold(net, name, eps=1e-5, root=True, gamma=True, beta=True, mean=True,
         bias=True, norm=None):
    """Weight and bias with the batch norm in them, as somebody might."""
    norm = norm or f"{name}.bn"
    numbers = {part: checkpoint.floats(net.tensors[f"{norm}.{part}"])
               for part in ("weight", "bias", "running_mean", "running_var")}
    shape, _ = net.tensors[f"{name}.weight"]
    w = checkpoint.floats(net.tensors[f"{name}.weight"])
    row = len(w) // shape[0]
    old = net.tensors.get(f"{name}.bias")
    old = checkpoint.floats(old) if old and bias else [0.0] * shape[0]
    folded, biases = [], []
    for c in range(shape[0]):
        var = numbers["running_var"][c]
        deviation = math.sqrt(var + eps) if root else math.sqrt(var) + eps
        s = (numbers["weight"][c] if gamma else 1.0) / deviation
        folded += [f32(x * s) for x in w[c * row:(c + 1) * row]]
        biases.append(f32((old[c] - mean * numbers["running_mean"][c]) * s +
                          beta * numbers["bias"][c]))
    return (checkpoint.tensor(shape, folded),
            checkpoint.tensor((shape[0],), biases))


def text(pattern, to):
    """One place of B's text, the first that fits, is another."""
    def plant(_, graph, __):
        found = re.subn(pattern, to, graph, count=1, flags=re.M)
        assert found[1] == 1, pattern
        return found[0]
    return plant


def numbers(name, change):
    """B's numbers of that name go through 'change'."""
    def plant(_, graph, tensors):
        shape, _ = tensors[name]
        x = checkpoint.floats(tensors[name])
        y = change(list(x), shape)
        assert x != y and len(x) == len(y), name
        tensors[name] = checkpoint.tensor(shape, y)
        return graph
    return plant


def folded(name, **how):
    def plant(net, graph, tensors):
        w, b = fold(net, name, **how)
        assert (w, b) != (tensors[f"{name}.weight"], tensors[f"{name}.bias"])
        tensors[f"{name}.weight"], tensors[f"{name}.bias"] = w, b
        return graph
    return plant


def swap_tensors(*pairs):
    def plant(_, graph, tensors):
        for a, b in pairs:
            tensors[a], tensors[b] = tensors[b], tensors[a]
        return graph
    return plant


def fold_shared(net, graph, tensors):
    """Though the subtraction reads the value before the batch norm, too."""
    tensors["shared.weight"], tensors["shared.bias"] = fold(net, "shared")
    for part in ("weight", "bias", "running_mean", "running_var"):
        del tensors[f"shared.bn.{part}"]
        graph = graph.replace(f"const shared.bn.{part} f32 [8]\n", "")
    graph = re.sub(r"shared = conv2d\((.*?), shared.weight\)",
                   r"const shared.bias f32 [8]\n"
                   r"shared = conv2d(\1, shared.weight, shared.bias)", graph)
    graph = re.sub(r"shared.bn = .*\n", "", graph)
    return graph.replace("sub(shared.bn, shared)", "sub(shared, shared)")


def at(i, f):
    def change(x, _):
        x[i] = f(x[i])
        return x
    return change


def rows(order):
    """Output channels in another order."""
    def change(x, shape):
        row = len(x) // shape[0]
        return [v for c in range(shape[0])
                for v in x[order(c, shape[0]) * row:][:row]]
    return change


def columns(x, shape):
    """Input channels the other way round."""
    out, ins, area = shape[0], shape[1], math.prod(shape[2:])
    return [x[(o * ins + ins - 1 - i) * area + k] for o in range(out)
            for i in range(ins) for k in range(area)]


def transposed(x, shape):
    side = shape[-1]
    return [x[n * side * side + j * side + i]
            for n in range(len(x) // side ** 2) for i in range(side)
            for j in range(side)]


def by_pixel(x, shape):
    """[8][2][2] read as [2][2][8]."""
    return [x[o * 32 + k % 8 * 4 + k // 8] for o in range(shape[0])
            for k in range(32)]


def bfloat16(x, _):
    return [struct.unpack("<f", struct.pack("<I", struct.unpack(
        "<I", struct.pack("<f", v))[0] & 0xffff0000))[0] for v in x]


MORE = r"(?=[,) ])"

# Fault, what plants it, where it is found, and a word of the reason.
FAULTS = [
    ("a skip from the wrong block", text(r"add\(two.mul, one.out\)",
     "add(two.mul, stem.act)"), "two.add", "reads other values"),
    ("a skip before the function", text(r"add\(one.b, stem.act\)",
     "add(one.b, stem)"), "one.add", "reads other values"),
    ("a skip from inside", text(r"add\(one.b, stem.act\)",
     "add(one.b, one.a.act)"), "one.add", "reads other values"),
    ("a value added to itself", text(r"add\(one.b, stem.act\)",
     "add(one.b, one.b)"), "one.add", "reads other values"),
    ("branches of a concatenation swapped", text(
     r"concat\(left.act, right.act", "concat(right.act, left.act"), "join",
     "reads other values"),
    ("a branch twice", text(r"concat\(left.act, right.act",
     "concat(left.act, left.act"), "join", "reads other values"),
    ("a function left out", text(r"conv2d\(one.a.act,", "conv2d(one.a,"),
     "one.b", "reads other values"),
    ("a function twice", text(r"^one.b = conv2d\(one.a.act,",
     "extra = hardswish(one.a.act)\none.b = conv2d(extra,"), "extra",
     "no counterpart|reads other values"),
    ("a function before the sum", text(
     r"^one.add = add\(one.b, stem.act\)\none.out = relu\(one.add\)",
     "one.add = relu(one.b)\none.out = add(one.add, stem.act)"), "one.add",
     "reads other values"),
    ("a difference for a sum", text(r"one.add = add", "one.add = sub"),
     "one.add", "no counterpart|reads other values"),
    ("a sum for a gate", text(r"two.mul = mul", "two.mul = add"), "two.mul",
     "no counterpart|reads other values"),
    ("a difference turned round", text(r"sub\(shared.bn, shared\)",
     "sub(shared, shared.bn)"), "six", "reads other values"),
    ("a gate of another value", text(r"mean\(two.point.act\)",
     "mean(two.deep.act)"), "two.mean", "reads other values"),
    ("a branch of another value", text(r"conv2d\(mid, right",
     "conv2d(up, right"), "right", "reads other values"),
    ("another output", text(r"^output logits shares", "output logits last"),
     "last", "is the output"),
    ("relu for relu6", text(r"relu6\(stem\)", "relu(stem)"), "stem.act",
     "is relu, and is relu6"),
    ("another slope", text(r"negative_slope=0.1", "negative_slope=0.2"),
     "four.act", "negative_slope"),
    ("sigmoid for hardsigmoid", text("hardsigmoid", "sigmoid"), "two.gate",
     "is sigmoid"),
    ("the stride in the next convolution", text(
     r"three.a.bias\) stride=\[2,2\] padding=\[1,1\]\n([^$]*?)"
     r"three.b.bias\) ", r"three.a.bias) padding=[1,1]\n\1"
     r"three.b.bias) stride=[2,2] "), "three.a", "stride"),
    ("a dilation", text(r"(one.a.bias\)) padding=\[1,1\]",
     r"\1 padding=[2,2] dilation=[2,2]"), "one.a", "padding"),
    ("another pool", text(r"max_pool2d\(three.b.act\) kernel_size=\[2,2\] "
     r"stride=\[2,2\] padding=\[0,0\] dilation=\[1,1\] ceil_mode=False",
     "avg_pool2d(three.b.act) kernel_size=[2,2] stride=[2,2] padding=[0,0]"),
     "low", "is avg_pool2d"),
    ("larger windows", text(r"kernel_size=\[2,2\] stride=\[2,2\] "
     r"padding=\[0,0\]", "kernel_size=[3,3] stride=[2,2] padding=[1,1]"),
     "low", "kernel_size"),
    ("padding that counts", text("count_include_pad=False",
     "count_include_pad=True"), "mid",
     "count_include_pad"),
    ("corners aligned", text("align_corners=False", "align_corners=True"),
     "up", "align_corners"),
    ("the nearest pixel", text("mode='?bilinear'? align_corners=False",
     "mode=nearest"), "up", "mode"),
    ("a softmax over rows", text(r"softmax\(last\) dim=1",
     "log_softmax(last) dim=1"), "shares", "no counterpart"),
    ("an eps of the norm that stays", text(
     r"(five.bn = .*five.bn.running_var\))", r"\1 eps=0.001"), "five.bn",
     "eps"),
    ("a variance of the norm that stays off by an ULP", numbers("five.bn.running_var",
     at(3, next_f32)), "five.bn.running_var", "ideal"),
    ("another eps", folded("one.a", eps=1e-3), "one.a.weight", "ideal"),
    ("no eps", folded("two.deep", eps=0), "two.deep.weight", "ideal"),
    ("eps outside of the root", folded("stem", root=False), "stem.weight",
     "ideal"),
    ("no gamma", folded("left", gamma=False), "left.weight", "ideal"),
    ("no beta", folded("right", beta=False), "right.bias", "ideal"),
    ("no mean", folded("four", mean=False), "four.bias", "ideal"),
    ("the old bias lost", folded("one.b", bias=False), "one.b.bias", "ideal"),
    ("the other branch's norm", folded("right", norm="left.bn"),
     "right.weight", "ideal"),
    ("a weight off by an ULP", numbers("three.b.weight", at(77, next_f32)),
     "three.b.weight", "ideal"),
    ("a bias off by an ULP", numbers("two.point.bias", at(5, next_f32)),
     "two.point.bias", "ideal"),
    ("a weight without a norm off by an ULP", numbers("two.up.weight",
     at(9, next_f32)), "two.up.weight", "ideal"),
    ("weights in bfloat16", numbers("four.weight", bfloat16), "four.weight",
     "ideal"),
    ("output channels in another order", numbers("three.a.weight",
     rows(lambda c, n: (c + 1) % n)), "three.a.weight", "ideal"),
    ("input channels the other way round", numbers("three.a.weight", columns),
     "three.a.weight", "ideal"),
    ("depthwise weights permuted", numbers("two.deep.weight",
     rows(lambda c, n: n - 1 - c)), "two.deep.weight", "ideal"),
    ("kernels transposed", numbers("stem.weight", transposed), "stem.weight",
     "ideal"),
    ("features by pixel", numbers("fc.weight", by_pixel), "fc.weight",
     "ideal"),
    ("a sign", numbers("last.weight", at(4, lambda x: -x)), "last.weight",
     "ideal"),
    ("a weight pruned", numbers("fc.weight", at(8, lambda x: 0.0)),
     "fc.weight", "ideal"),
    ("branches with each other's numbers", swap_tensors(
     ("left.weight", "right.weight"), ("left.bias", "right.bias")),
     "left.weight", "ideal"),
    ("a constant off by an ULP", numbers("shift", at(3, next_f32)), "shift",
     "ideal"),
    ("constants swapped", swap_tensors(("shift", "scale")), "shift", "ideal"),
    ("folded through a value that is shared", fold_shared, "shared.bn",
     "no counterpart"),
]


class Planted(ProgramTest):
    def setUp(self):
        super().setUp()
        self.net = planted()
        checkpoint.write_safetensors(self.path("a.safetensors"),
                                     self.net.tensors,
                                     {"graph": self.net.text(), "assumes": ""})
        self.said = self.succeed("bnfuse", "a.safetensors", "b.safetensors")
        self.metadata, self.tensors = checkpoint.read_safetensors(
            self.path("b.safetensors"))

    def check(self, graph, tensors, *args):
        """The report on B with that text and these numbers."""
        checkpoint.write_safetensors(self.path("c.safetensors"), tensors,
                                     {"graph": graph, "assumes": ""})
        done = self.run_program("ptfold", "check", "--json", "--random", "1",
                                *args, "a.safetensors", "c.safetensors")
        self.assertIn(done.returncode, (EQUIVALENT, DIFFERENT), done.stderr)
        return checkpoint.json.loads(done.stdout)

    def test_the_right_fold_is_certified(self):
        self.assertIn("verdict: CERTIFIED", self.said)
        self.assertNotIn("stem.bn", self.metadata["graph"])
        self.assertIn("shared.bn", self.metadata["graph"])

    def test_every_fault_is_found_where_it_is(self):
        for name, plant, layer, reason in FAULTS:
            with self.subTest(name):
                tensors = dict(self.tensors)
                graph = plant(self.net, self.metadata["graph"], tensors)
                c = self.check(graph, tensors)["certificate"]
                self.assertFalse(c["holds"])
                self.assertEqual((c["part"], c["layer"]), (1, layer),
                                 c["reason"])
                self.assertRegex(c["reason"], reason)
                self.assertEqual(c["within"], "ULP" in name)

    def test_bisection_names_what_differs_by_itself(self):
        """A stride is not among them: B's values have other shapes."""
        cases = [("sigmoid for hardsigmoid", "two.gate"), ("corners aligned", "up"),
                 ("no mean", "four"), ("features by pixel", "fc"),
                 ("another slope", "four.act"),
                 ("a difference turned round", "six")]
        plants = {name: plant for name, plant, _, _ in FAULTS}
        for name, layer in cases:
            with self.subTest(name):
                tensors = dict(self.tensors)
                graph = plants[name](self.net, self.metadata["graph"], tensors)
                report = self.check(graph, tensors, "--bisect")
                self.assertEqual(report["first_by_itself"], layer)
        report = self.check(self.metadata["graph"], self.tensors, "--bisect")
        self.assertIsNone(report["first_by_itself"])
        for row in report["layers"]:
            self.assertEqual(row["own_apart"], 0)
            self.assertLessEqual(row["own"], row["own_bound"])

    def test_other_spellings_of_the_same_network_are_certified(self):
        """Names, order, operands that commute, and ops that are the same."""
        spellings = [
            (r"relu6\((\S+)\)", r"hardtanh(\1) min_val=0.0 max_val=6.0"),
            (r"add\((\S+), (\S+)\)", r"add(\2, \1)"),
            (r"mul\((\S+), (\S+)\)", r"mul(\2, \1)"),
            (r"relu\((\S+)\)$", r"relu(\1) inplace=True"),
            (r"mean\((\S+)\) .*", r"adaptive_avg_pool2d(\1) "
             r"output_size=[1,1]"),
        ]
        graph = self.metadata["graph"]
        for pattern, to in spellings:
            other, count = re.subn(pattern, to, graph, flags=re.M)
            self.assertGreater(count, 0, pattern)
            self.assertTrue(self.check(other, self.tensors)
                            ["certificate"]["holds"], pattern)
            graph = other
        # A value that is made again for one of its readers.
        again = graph.replace("concat(left.act, right.act, three.b.act)",
                              "concat(left.act, right.act, again)")
        again = again.replace("join =", "again = relu(three.b)\njoin =")
        self.assertNotEqual(again, graph)
        self.assertTrue(self.check(again, self.tensors)["certificate"]["holds"])
        for seed in range(4):
            self.assertTrue(self.check(*spelled(graph, self.tensors, seed))
                            ["certificate"]["holds"])


# -------------------------------------------------------------- drawn networks


def spelled(graph, tensors, seed):
    """The same graph with other names, its lines in another order."""
    draw = random.Random(seed)
    head, lines, outputs = [], [], []
    for line in graph.splitlines():
        kind = line.split(" ", 1)[0]
        (head if kind in ("ptfold", "net", "input") else
         outputs if kind == "output" else lines).append(line)
    names = {}
    for line in lines:
        words = line.split(" ")
        names[words[1] if words[0] == "const" else words[0]] = None
    order = list(names)
    draw.shuffle(order)
    names = {name: f"v{i}" for i, name in enumerate(order)}

    def rename(line):
        kind, _, rest = line.partition(" ")
        if kind == "output":
            words = rest.split(" ")
            words[-1] = names.get(words[-1], words[-1])
            return f"output {' '.join(words)}"
        if kind == "const":
            name, _, rest = rest.partition(" ")
            return f"const {names[name]} {rest}"
        call, close, attributes = rest[2:].partition(")")
        op, _, operands = call.partition("(")
        operands = ", ".join(names.get(x, x) for x in operands.split(", "))
        return f"{names[kind]} = {op}({operands}{close}{attributes}"

    def needs(line):
        call = re.search(r"\((.*?)\)", line)
        return call.group(1).split(", ") if " = " in line else []

    known, placed, waiting = {"x", "none"}, [], lines
    while waiting:
        ready = [x for x in waiting if all(n in known for n in needs(x))]
        line = draw.choice(ready)
        waiting = [x for x in waiting if x is not line]
        words = line.split(" ")
        known.add(words[1] if words[0] == "const" else words[0])
        placed.append(rename(line))
    return ("\n".join(head + placed + [rename(x) for x in outputs]) + "\n",
            {names[k]: v for k, v in tensors.items()})


def drawn(seed):
    """A network of some twenty nodes on maps of one size."""
    net = Net((4, 6, 6), seed)
    draw, values = net.random, [("x", 4)]

    def some():
        return draw.choice(values[-4:] if draw.random() < 0.6 else values)

    def add(name, channels):
        values.append((name, channels))

    for i in range(draw.randint(6, 14)):
        x, channels = some()
        kind = draw.randrange(8)
        name = f"n{i}"
        if kind < 3:
            out, kernel = draw.choice([4, 6, 8]), draw.choice([1, 3])
            more = f"padding=[{kernel // 2},{kernel // 2}]"
            groups = draw.choice([1, 1, 2]) if channels % 2 == 0 else 1
            more += f" groups={groups}" * (groups > 1)
            net.conv(name, x, out, channels // groups, kernel, more,
                     draw.random() < 0.5)
            add(name, out)
            for k in range(draw.choice([0, 1, 1, 1, 2])):
                add(net.norm(f"{name}.bn{k}", values[-1][0], out), out)
        elif kind == 3:
            add(net.op(name, draw.choice([
                f"relu({x})", f"relu6({x})", f"silu({x})", f"sigmoid({x})",
                f"hardswish({x})", f"dropout({x}) p=0.5 inplace=False",
                f"identity({x})"])), channels)
        elif kind == 4:
            same = [v for v, c in values if c == channels]
            op = draw.choice(["add", "sub", "mul", "maximum"])
            add(net.op(name, f"{op}({x}, {draw.choice(same)})"), channels)
        elif kind == 5:
            y, more = some()
            if channels + more <= 24:
                add(net.op(name, f"concat({x}, {y}) dim=1"), channels + more)
        elif kind == 6:
            add(net.norm(name, x, channels), channels)
        else:
            op = draw.choice(["add", "mul"])
            c = net.const(f"{name}.c", draw.choice([(channels, 1, 1), (1,)]))
            add(net.op(name, f"{op}({x}, {c})"), channels)
    net.lines.append(f"output y {values[-1][0]}")
    return net


class Drawn(ProgramTest):
    def test_drawn_networks_that_are_folded_right_raise_no_alarm(self):
        for seed in range(GRAPHS):
            net = drawn(seed)
            checkpoint.write_safetensors(
                self.path("a.safetensors"), net.tensors,
                {"graph": net.text(), "assumes": ""})
            with self.subTest(seed, text=net.text()):
                graph, tensors = net.text(), net.tensors
                done = self.run_program("bnfuse", "--check", "1", "--force",
                                        "a.safetensors", "b.safetensors")
                if b"nothing to rewrite" not in done.stderr:
                    self.assertEqual((done.returncode, done.stderr),
                                     (EQUIVALENT, b""), done.stdout)
                    metadata, tensors = checkpoint.read_safetensors(
                        self.path("b.safetensors"))
                    graph = metadata.get("graph") or self.succeed(
                        "ptfold", "info", "--graph", "b.safetensors")
                graph, numbers = spelled(graph, tensors, seed)
                checkpoint.write_safetensors(self.path("c.safetensors"),
                                             numbers,
                                             {"graph": graph, "assumes": ""})
                self.succeed("ptfold", "check", "--random", "1",
                             "a.safetensors", "c.safetensors")


if __name__ == "__main__":
    unittest.main()
