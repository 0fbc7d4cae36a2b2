"""The text of a graph: printed, taken for --arch, kept in files, drawn.

SPDX-License-Identifier: Apache-2.0
"""
import shutil
import subprocess
import unittest

import checkpoint
from programs import DAMAGED, FIXTURES, UNSUPPORTED, USAGE, ProgramTest

ARCH = FIXTURES / "small_net.txt"
# Two values read conv, and nothing of it can be said by print(model).
BRANCHES = """ptfold graph 1
net Branches
input x f32 [N,2,4,4]
const conv.weight f32 [3,2,1,1]
conv = conv2d(x, conv.weight)
const scale f32 [3,1,1]
mul_1 = mul(conv, scale)
sum = add(mul_1, conv)
output logits sum
"""


class Graph(ProgramTest):
    def setUp(self):
        super().setUp()
        self.fixture("small_net.pt")
        self.graph = self.succeed("ptfold", "info", "--graph", "--arch", ARCH,
                                  "small_net.pt")
        self.path("net.graph").write_text(self.graph)

    def write_branches(self, text=BRANCHES, **others):
        numbers = [0.5, -1.0, 2.0, 0.25, 3.0, -0.75]
        checkpoint.write_safetensors(self.path("branches.safetensors"), {
            "conv.weight": checkpoint.tensor((3, 2, 1, 1), numbers),
            "scale": checkpoint.tensor((3, 1, 1), numbers[:3]),
        }, {"graph": text, "assumes": "", **others})

    def test_a_graph_reads_back_as_itself(self):
        self.assertTrue(self.graph.startswith("ptfold graph 1\nnet "))
        self.assertEqual(self.graph, self.succeed("ptfold", "info", "--graph",
                                                  "net.graph"))
        self.assertEqual(self.graph, self.succeed(
            "ptfold", "info", "--arch", "net.graph", "--graph",
            "small_net.pt"))
        self.assertEqual(self.succeed("ptfold", "info", "--graph", "Net1"),
                         self.succeed("ptfold", "info", "--graph", "Net1"))

    def test_a_graph_is_folded_and_kept_in_the_file(self):
        for arch, target in ((ARCH, "chain.bin"), ("net.graph", "graph.bin")):
            said = self.succeed("bnfuse", "--arch", arch, "small_net.pt",
                                target)
            self.assertIn("verdict: CERTIFIED", said)
        chain, a = checkpoint.read_safetensors(self.path("chain.bin"))
        graph, b = checkpoint.read_safetensors(self.path("graph.bin"))
        self.assertEqual(a, b)
        self.assertNotIn("graph", chain)
        self.assertNotIn("architecture", graph)
        self.assertEqual(graph["graph"], self.succeed("ptfold", "info",
                                                      "--graph", "graph.bin"))
        for level, *b in (("CERTIFIED", "graph.bin"),
                          ("BITWISE", "--arch-b", "net.graph", "small_net.pt")):
            self.assertIn(f"verdict: {level}", self.succeed(
                "ptfold", "check", "--arch", ARCH, "small_net.pt", *b))

    def test_values_that_several_read_are_kept(self):
        self.write_branches()
        self.assertEqual(self.succeed("ptfold", "info", "--graph",
                                      "branches.safetensors"), BRANCHES)
        self.succeed("ptfold", "convert", "branches.safetensors", "b.pt")
        self.assertEqual(self.succeed("ptfold", "info", "--graph", "b.pt"),
                         BRANCHES)
        self.refuse(UNSUPPORTED, ["no chain of modules"], "ptfold", "info",
                    "--stage", "text", "b.pt")

    def refuse_graph(self, status, words):
        self.refuse(status, [words], "ptfold", "info", "--graph",
                    "branches.safetensors")

    def test_what_a_file_says_wrong_is_named(self):
        self.write_branches(architecture="ReLU()")
        self.refuse_graph(DAMAGED, "got both")
        self.write_branches(BRANCHES.replace("(conv, scale)", "(conv, scal)"))
        self.refuse_graph(DAMAGED,
                          "branches.safetensors: line 7, column 19: expected a "
                          "value of a line above, got 'scal'")
        self.write_branches(BRANCHES.replace("[3,1,1]", "[3]"))
        self.refuse_graph(USAGE, "scale: expected shape [3], got [3, 1, 1]")

    def test_one_form_at_a_time(self):
        for options in (("--graph", "--dot"), ("--mermaid", "--stage", "net")):
            self.refuse(USAGE, ["expected one of --graph"], "ptfold", "info",
                        *options, "Net1")

    def test_pictures_are_drawn(self):
        self.write_branches()
        dot = self.succeed("ptfold", "info", "--dot", "branches.safetensors")
        self.assertIn('label="conv\\nconv2d\\n3x4x4"', dot)
        mermaid = self.succeed("ptfold", "info", "--mermaid",
                               "branches.safetensors")
        self.assertIn("    n1 --> n4\n", mermaid)
        if shutil.which("dot") is None:
            self.skipTest("no Graphviz")
        svg = subprocess.run(["dot", "-Tsvg"], input=dot, check=True,
                             stdout=subprocess.PIPE, text=True).stdout
        self.assertEqual(svg.count('class="node"'), 6)
        self.assertEqual(svg.count('class="edge"'), 6)


if __name__ == "__main__":
    unittest.main()
