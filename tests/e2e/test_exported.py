"""torch.export archives (.pt2) as ptfold info shows them.

The graphs that are expected were written by PyTorch: see the script beside
the files.

SPDX-License-Identifier: Apache-2.0
"""
import json
import struct
import unittest
import zipfile

from programs import (DAMAGED, FIXTURES, UNSUPPORTED, USAGE, ProgramTest,
                      read_npz)

PROGRAMS = FIXTURES / "programs"


class Graphs(ProgramTest):
    def graph(self, name, *options):
        return self.succeed("ptfold", "info", "--graph", "-v", *options,
                            PROGRAMS / f"{name}.pt2")

    def test_graphs_are_those_of_pytorch(self):
        names = sorted(path.stem for path in PROGRAMS.glob("*.txt"))
        self.assertGreater(len(names), 8)
        for name in names:
            with self.subTest(name):
                expected = (PROGRAMS / f"{name}.txt").read_text()
                self.assertEqual(self.graph(name), expected)

    def test_older_layouts_hold_the_same_program(self):
        expected = (PROGRAMS / "net.txt").read_text()
        for name in ("old_a", "old_b"):
            self.assertEqual(self.graph(name), expected)

    def test_one_of_several_models_is_chosen_by_name(self):
        for name, outputs in (("a", 2), ("b", 1)):
            self.assertIn(f"parameter p_weight float32 [{outputs}, 2]",
                          self.graph("two", "--model", name))
        two = PROGRAMS / "two.pt2"
        for options, say in (((), "got 2: 'a', 'b'; choose one with --model"),
                             (("--model", "c"), "has 'a', 'b', got 'c'")):
            self.refuse(USAGE, [say], "ptfold", "info", *options, two)


class Summary(ProgramTest):
    def test_inputs_outputs_symbols_and_calls_are_listed(self):
        text = self.succeed("ptfold", "info", PROGRAMS / "sizes.pt2")
        self.assertEqual(text.splitlines()[1:7], [
            "input       x  float32 [s77, 3, ~8, 8]",
            "output      output.0  float32 [s77, 3, s39, 4]",
            "output      output.1  float32 [s77, 6]",
            "symbol      s77 from 0 to 64",
            "symbol      2*s39 from 0 to any",
            "symbol      s39 from 2 to any"])
        self.assertIn("        2   aten.sym_size.int\n", text)
        text = self.succeed("ptfold", "info", PROGRAMS / "places.pt2")
        for line in ("parameters  10, with 66 numbers",
                     "buffers     2, with 6 numbers", "extra file  note.txt"):
            self.assertIn(f"{line}\n", text)
        self.assertLessEqual(max(map(len, text.splitlines())), 80)

    def test_options_are_for_one_kind_of_file(self):
        net = PROGRAMS / "net.pt2"
        for option in ("--json", "--tensors", "--in-order"):
            self.refuse(USAGE, ["options for checkpoints"], "ptfold", "info",
                        option, net)
        self.refuse(USAGE, ["expected a torch.export archive"], "ptfold",
                    "info", "--model", "net", FIXTURES / "net1.pt")


class Runs(ProgramTest):
    """Networks of make_graphs.py, with what PyTorch gave for their inputs."""

    def agree(self, net, name):
        text = self.succeed("ptfold", "check", net, "--data",
                            PROGRAMS / f"{name}.in.npy", "--expect",
                            PROGRAMS / f"{name}.out.npy")
        self.assertIn("AGREES with the recorded outputs", text)

    def test_outputs_are_those_that_were_recorded(self):
        refused = {"stale", "overflow", "hidden"}
        names = {path.name.removesuffix(".in.npy")
                 for path in PROGRAMS.glob("*.in.npy")}
        self.assertGreater(len(names), 8)
        for name in sorted(names - refused):
            with self.subTest(name):
                self.agree(PROGRAMS / f"{name}.pt2", name)

    def test_one_output_may_be_an_npy(self):
        net, data = PROGRAMS / "twice.pt2", PROGRAMS / "twice.in.npy"
        self.succeed("ptfold", "run", net, "--data", data, "--npy", "y.npy")
        text = self.succeed("ptfold", "check", net, "--data", data, "--expect",
                            "y.npy")
        self.assertIn("largest distance      0\n", text)

    def test_a_residual_network_is_folded_and_certified(self):
        net = PROGRAMS / "residual.pt2"
        text = self.succeed("bnfuse", net, "out.safetensors")
        self.assertIn("verdict: CERTIFIED", text)
        self.agree("out.safetensors", "residual")
        graph = self.succeed("ptfold", "info", "--graph", "out.safetensors")
        self.assertNotIn("batch_norm", graph)
        self.assertIn("input x f32 [N,3,12,12] fixed\n", graph)
        self.assertIn("add_ = add(layer1.conv2, max_pool2d)", graph)
        self.refuse(USAGE, ["expected an input of 3x12x12"], "ptfold", "ops",
                    "--input", "3x16x16", "out.safetensors")
        text = self.succeed("ptfold", "check", net, "out.safetensors",
                            "--require", "certified")
        self.assertIn("verdict: CERTIFIED", text)

    def test_a_transposed_convolution_is_folded_and_certified(self):
        text = self.succeed("bnfuse", PROGRAMS / "slides.pt2", "out.safetensors")
        self.assertRegex(text, "verdict: (CERTIFIED|BITWISE)")
        self.agree("out.safetensors", "slides")
        graph = self.succeed("ptfold", "info", "--graph", "out.safetensors")
        self.assertNotIn("batch_norm", graph)
        self.assertIn("padding=same", graph)
        self.assertIn("output_padding=[1,0]", graph)

    def test_a_view_that_goes_stale_is_refused(self):
        self.refuse(UNSUPPORTED, ["stale.pt2: node 'relu_' (aten.relu_.default",
                                  "writes to 'mul' in place, whose storage add "
                                  "reads later as 'flatten'"],
                    "ptfold", "ops", PROGRAMS / "stale.pt2")

    def test_integers_that_float32_may_not_hold_are_refused(self):
        self.refuse(UNSUPPORTED, ["node 'mul_1' (aten.mul.Tensor): computes "
                                  "integers that may be beyond 2^24"],
                    "ptfold", "ops", PROGRAMS / "overflow.pt2")

    def test_a_region_of_autocast_is_refused_with_what_is_in_it(self):
        self.refuse(UNSUPPORTED, ["is a region of autocast in bfloat16, from "
                                  "node 'relu' (aten.relu.default) on; export "
                                  "the model outside of autocast"],
                    "ptfold", "ops", PROGRAMS / "autocast.pt2")

    def test_masks_of_infinity_are_no_fault_of_the_network(self):
        net = PROGRAMS / "causal.pt2"
        text = self.succeed("ptfold", "check", net, net)
        self.assertIn("verdict: BITWISE", text)
        text = self.succeed("ptfold", "check", net, "--expect",
                            PROGRAMS / "causal.out.npy")
        self.assertRegex(text, r"\n  proved +recorded outputs are within")
        self.succeed("ptfold", "run", "--sample", "--strict", net)

    def test_a_mask_that_hides_a_whole_row_keeps_its_infinities(self):
        net = PROGRAMS / "hidden.pt2"
        done = self.run_program("ptfold", "run", "--sample", net, "--npy",
                                "y.npy")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(b"NaN or infinity", done.stderr)
        got, want = self.path("y.npy").read_bytes(), (
            PROGRAMS / "hidden.out.npy").read_bytes()
        rows = [struct.unpack("<18f", data[-72:]) for data in (got, want)]
        for a, b in zip(*rows, strict=True):
            self.assertTrue(abs(a - b) < 1e-6 or a != a and b != b)
        self.assertNotEqual(rows[1][0], rows[1][0])
        self.refuse(DAMAGED, ["add: element 0 is NaN or infinite"], "ptfold",
                    "check", net, net)

    def test_training_mode_is_said(self):
        for name, node in (("bn", "batch_norm"), ("drop", "dropout"),
                           ("bn_core", "_native_batch_norm_legit_functional"),
                           ("drop_core", "native_dropout")):
            net = PROGRAMS / f"trained_{name}.pt2"
            text = self.succeed("ptfold", "info", net)
            self.assertIn(f"mode        training: see {node}; export after "
                          "model.eval()\n", text)
            self.refuse(UNSUPPORTED, [f"node '{node}'", "was exported in "
                                      "training mode; call model.eval()"],
                        "ptfold", "run", "--sample", net)
        self.assertNotIn("mode", self.succeed("ptfold", "info",
                                              PROGRAMS / "net.pt2"))


class Ports(ProgramTest):
    """Programs of several inputs and outputs, run by name."""

    def run_data(self, name, *options):
        return self.succeed("ptfold", "run", "--data",
                            PROGRAMS / f"{name}.in.npz", "--npz", "out.npz",
                            *options, PROGRAMS / f"{name}.pt2")

    def test_every_output_is_what_pytorch_gave(self):
        for name in ("ports", "tuple"):
            self.run_data(name, "--force")
            got = read_npz(self.path("out.npz"))
            want = read_npz(PROGRAMS / f"{name}.out.npz")
            self.assertGreater(len(want), 1)
            for key, (shape, numbers) in want.items():
                self.assertEqual(got[key][0], shape)
                for a, b in zip(got[key][1], numbers, strict=True):
                    self.assertAlmostEqual(a, b, delta=2e-6)
        # Outputs without keys go by the names in the graph, too.
        self.assertEqual(list(got),
                         ["output.0", "relu", "output.1", "sigmoid"])

    def test_equal_runs_give_equal_files(self):
        self.run_data("ports", "--threads", "1")
        first = self.path("out.npz").read_bytes()
        self.run_data("ports", "--force", "--threads", "2", "--batch", "2")
        self.assertEqual(self.path("out.npz").read_bytes(), first)

    def test_results_are_listed(self):
        text = self.run_data("ports")
        self.assertIn("parts.1                          float32  3x3\n", text)
        report = json.loads(self.run_data("ports", "--force", "--json"))
        self.assertEqual([o["name"] for o in report["outputs"]],
                         ["maps", "both", "again", "given", "parts.0",
                          "parts.1"])

    def test_what_is_missing_or_of_another_shape_is_named(self):
        ports, other = PROGRAMS / "ports.pt2", PROGRAMS / "tuple.in.npz"
        for status, say, options in (
                (USAGE, "for the input 'image', got none",
                 ("--data", other)),
                (USAGE, "expected --npz for 6 outputs",
                 ("--data", PROGRAMS / "ports.in.npz", "--npy", "y.npy")),
                (USAGE, "expected images, --data FILE or --sample", ()),
                (USAGE, "--npz: expected --data", ("--npz", "y.npz"))):
            self.refuse(status, [say], "ptfold", "run", *options, ports)
        self.refuse(USAGE, ["expected 2 axes with the batch, got 4"],
                    "ptfold", "run", "--data", PROGRAMS / "residual.in.npy",
                    PROGRAMS / "tuple.pt2")

    def test_all_inputs_and_outputs_are_counted_and_drawn(self):
        ports = PROGRAMS / "ports.pt2"
        self.assertIn("conv", self.succeed("ptfold", "ops", ports))
        dot = self.succeed("ptfold", "info", "--dot", ports)
        for line in ("n0 [shape=ellipse, label=\"image",
                     "n1 [shape=ellipse, label=\"extra", "n1 -> output3;"):
            self.assertIn(line, dot)


class Damage(ProgramTest):
    def change(self, name, change, source="net"):
        """A copy of a program whose entries 'change' has seen, as a dict."""
        with zipfile.ZipFile(PROGRAMS / f"{source}.pt2") as archive:
            entries = {n: archive.read(n) for n in archive.namelist()}
        change(entries)
        path = self.folder / name
        with zipfile.ZipFile(path, "w") as out:
            for entry, content in entries.items():
                out.writestr(entry, content)
        return path

    def refuse_change(self, status, say, change, source="net"):
        self.refuse(status, [say], "ptfold", "info",
                    self.change("x.pt2", change, source))

    def test_other_archives_with_this_ending_are_named(self):
        def only(*names):
            def change(entries):
                entries.clear()
                entries.update({"m/archive_format": b"pt2"},
                               **{f"m/{n}": b"x" for n in names})
            return change
        for names, say in (
                (["data/aotinductor/model/a.so"], "AOTInductor compiled"),
                (["data/executorch/a.pte"], "ExecuTorch; write the program")):
            self.refuse_change(UNSUPPORTED, say, only(*names))
        self.refuse_change(DAMAGED, "in the folder models, got none",
                           only("data/weights/weight_0"))

    def test_what_the_archive_says_of_itself_is_checked(self):
        for entry, content, say in (
                ("byteorder", b"big", "expected 'little'"),
                ("archive_format", b"pt3", "expected 'pt2'")):
            self.refuse_change(UNSUPPORTED, say, lambda entries: entries.update(
                {f"net/{entry}": content}))

    def test_missing_and_short_data_is_refused(self):
        weights = "net/data/weights/"
        self.refuse_change(DAMAGED, "got no such entry",
                           lambda entries: entries.pop(weights + "weight_0"))
        self.refuse_change(DAMAGED, "expected elements inside of the 107",
                           lambda entries: entries.update(
                               {weights + "weight_0": bytes(107 * 4)}))
        self.refuse_change(DAMAGED, "expected whole elements",
                           lambda entries: entries.update(
                               {weights + "weight_0": bytes(431)}))
        config = weights + "model_weights_config.json"
        self.refuse_change(DAMAGED, "expected the weights",
                           lambda entries: entries.pop(config))

        def pickled(entries):
            content = json.loads(entries[config])
            content["config"]["fc.bias"]["use_pickle"] = True
            entries[config] = json.dumps(content).encode()
        self.refuse_change(UNSUPPORTED, "fc.bias: expected a tensor, got a "
                           "pickled subclass", pickled)

        def sparse(entries):
            content = json.loads(entries[config])
            content["config"]["fc.bias"]["tensor_meta"]["layout"] = 1
            entries[config] = json.dumps(content).encode()
        self.refuse_change(UNSUPPORTED, "a sparse one; export the model with",
                           sparse)

    def test_an_entry_without_bytes_stands_for_zeros(self):
        path = self.change("x.pt2", lambda entries: entries.update(
            {"net/data/weights/weight_0": b""}))
        self.succeed("ptfold", "info", path)

    def test_data_is_compared_with_its_checksum_when_asked(self):
        data = bytearray((PROGRAMS / "net.pt2").read_bytes())
        with zipfile.ZipFile(PROGRAMS / "net.pt2") as archive:
            start = archive.getinfo("net/data/weights/weight_0").header_offset
        data[start + 200] ^= 1
        self.write("x.pt2", data)
        self.succeed("ptfold", "info", "x.pt2")
        self.refuse(DAMAGED, ["weight_0", "CRC-32"], "ptfold", "info",
                    "--verify", "x.pt2")


if __name__ == "__main__":
    unittest.main()
