"""The programs on files that PyTorch wrote, and PyTorch on theirs.

Skipped (status 77) by a Python without PyTorch.  PTF_TORCH2_PYTHON may name
another Python, whose PyTorch is 2 or newer; the files are then loaded there
as well.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import subprocess
import sys
import unittest
from pathlib import Path

from checkpoint import npy
from programs import (DIFFERENT, EQUIVALENT, SOURCE, UNSUPPORTED, USAGE,
                      ProgramTest, need_torch, quiet_threads)

torch = need_torch()
LOADER = Path(__file__).resolve().parent / "torch_loads.py"


class PyTorch(ProgramTest):
    def run_python(self, python, *args):
        done = subprocess.run(
            [python, "-B", *args], cwd=self.folder, env=quiet_threads(),
            text=True, timeout=600, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout.split("\n")[0]

    def make_files(self):
        self.run_python(sys.executable, SOURCE / "checkpoints" / "make.py",
                        "--small", "--steps", "5")
        for name in ("folded.pt", "folded.pth"):
            report = self.report("bnfuse", "--arch", "smallNetTrain.txt",
                                 "smallNetSaved", name)
            self.assertTrue(report["equivalent"])
        self.succeed("bnfuse", "--fold", "epilogue", "--arch",
                     "smallNetTrain.txt", "smallNetSaved", "folded.bin")
        for name in ("net2.pt", "net2.pth"):
            report = self.report("lnin-convert", "--arch", "Net1.txt",
                                 "net1.pt", "-o", name)
            self.assertEqual(report["same_size"]["level"], "BITWISE")
            self.assertEqual(report["windows"]["level"], "BITWISE")
            self.assertEqual(report["windows"]["samples"], 70)

    def fuse_with_pytorch(self):
        """PyTorch's own fold of the small net, in f32, to fused.pt."""
        sys.path.insert(0, str(SOURCE / "checkpoints"))
        import nets
        from torch.nn.utils import fusion
        model = nets.smallNetTrain(**nets.SMALL_NET)
        model.load_state_dict(torch.load(self.path("smallNetSaved")))
        model.eval()
        fused = nets.smallNetTest(**nets.SMALL_NET).eval()
        for name in ("conv1", "conv2", "fc1"):
            fuse = (fusion.fuse_linear_bn_eval if name == "fc1"
                    else fusion.fuse_conv_bn_eval)
            layers = getattr(model, name)
            getattr(fused, name)[0] = fuse(layers[0], layers[1])
        fused.fc2[0] = model.fc2[0]
        torch.save(fused.state_dict(), self.path("fused.pt"))

    def test_pytorch_s_own_fold_is_ulps_off_and_explained(self):
        self.make_files()
        self.fuse_with_pytorch()
        nets = ("--arch", "smallNetTrain.txt", "--arch-b", "smallNetTest.txt",
                "smallNetSaved", "fused.pt")
        done = self.run_program("ptfold", "check", "--json", *nets)
        report = json.loads(done.stdout)
        self.assertEqual(done.returncode, DIFFERENT)
        certificate = report["certificate"]
        self.assertFalse(certificate["holds"])
        self.assertTrue(certificate["within"])
        self.assertGreater(certificate["parameters_wrong"], 0)
        off = {p["name"]: p["ulps"] for p in report["parameters"]}
        self.assertEqual(certificate["layer"],
                         next(n for n in off if off[n]["0"] < sum(
                             off[n].values())))
        for name in ("conv1.0.weight", "fc1.0.weight"):
            few = sum(off[name][bin] for bin in ("0", "1", "2", "3-4"))
            self.assertEqual(few, sum(off[name].values()))
        for name in ("fc2.0.weight", "fc2.0.bias"): # not folded
            self.assertEqual(off[name]["0"], sum(off[name].values()))
        self.assertLess(certificate["parameter_effect"], 1e-4)
        self.succeed("ptfold", "check", "--require", "argmax", *nets)
        # A channel that was forgotten is no rounding.
        state = torch.load(self.path("fused.pt"))
        state["conv2.0.bias"][1] = 0
        torch.save(state, self.path("fused.pt"))
        done = self.run_program("ptfold", "check", "--json", *nets)
        worst = {p["name"]: p["worst"] for p in
                 json.loads(done.stdout)["parameters"]}
        self.assertEqual(worst["conv2.0.bias"], 1)

    def test_pytorch_s_folds_are_within_few_ulps(self):
        """Biases that cancel, depthwise and linear layers."""
        from torch import nn
        from torch.nn.utils import fusion
        for seed in range(4):
            torch.manual_seed(seed)
            layers = [nn.Conv2d(3, 8, 3, bias=seed % 2 == 0),
                      nn.BatchNorm2d(8), nn.ReLU(),
                      nn.Conv2d(8, 8, 3, groups=8), nn.BatchNorm2d(8),
                      nn.ReLU(), nn.Flatten(), nn.Linear(8 * 9, 6),
                      nn.BatchNorm1d(6)]
            net = nn.Sequential(*layers).eval()
            for norm in (layers[1], layers[4], layers[8]):
                # Means that nearly are what beta takes back.
                nn.init.uniform_(norm.weight, -2, 2)
                nn.init.uniform_(norm.running_mean, 5, 9)
                nn.init.uniform_(norm.running_var, 0.1, 3)
                scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
                norm.bias.data = (norm.running_mean * scale).detach() * 0.9999
            fused = nn.Sequential(
                fusion.fuse_conv_bn_eval(*layers[:2]), nn.ReLU(),
                fusion.fuse_conv_bn_eval(*layers[3:5]), nn.ReLU(),
                nn.Flatten(), fusion.fuse_linear_bn_eval(*layers[7:]))
            for name, model in (("a", net), ("b", fused)):
                torch.save(model.state_dict(), self.path(f"{name}.pt"))
                self.path(f"{name}.txt").write_text(
                    f"# input: 3x7x7\n{model}\n")
            nets = ("--arch", "a.txt", "--arch-b", "b.txt", "a.pt", "b.pt")
            done = self.run_program("ptfold", "check", "--json", *nets)
            self.assertEqual(done.returncode, DIFFERENT)
            c = json.loads(done.stdout)["certificate"]
            self.assertTrue(c["within"], c)
            self.assertFalse(c["another_network"])
            self.succeed("ptfold", "check", "--max-ulps", "4", *nets)

    def test_a_net_whose_batch_norms_stay_loads_in_pytorch(self):
        from torch import nn
        torch.manual_seed(3)
        net = nn.Sequential(
            nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4),
            nn.ReLU(), nn.BatchNorm2d(4),
            nn.Conv2d(4, 2, 3, padding=1, bias=False), nn.BatchNorm2d(2),
            nn.Flatten(), nn.BatchNorm1d(50)).eval()
        for norm in net:
            if isinstance(norm, (nn.BatchNorm1d, nn.BatchNorm2d)):
                nn.init.uniform_(norm.weight, 0.5, 2)
                nn.init.uniform_(norm.running_mean, -1, 1)
                nn.init.uniform_(norm.running_var, 0.1, 3)
        torch.save(net.state_dict(), self.path("a.pt"))
        self.path("a.txt").write_text(f"# input: 3x7x7\n{net}\n")
        for output in ("out.pt", "out.safetensors"):
            report = self.report("bnfuse", "--arch", "a.txt", "a.pt", output)
            self.assertEqual([r["layer"] for r in report["remarks"]],
                             ["4", "8"])
        # What PyTorch calls the layers that are left.
        folded = nn.Sequential(
            nn.Conv2d(3, 4, 3), net[3], net[4], nn.Conv2d(4, 2, 3, padding=1),
            net[7], net[8]).eval()
        folded.load_state_dict(torch.load(self.path("out.pt")), strict=True)
        self.succeed("ptfold", "convert", "out.safetensors", "again.pt")
        again = torch.load(self.path("again.pt"))
        self.assertEqual(set(again), set(folded.state_dict()))
        for key, tensor in folded.state_dict().items():
            self.assertTrue(torch.equal(again[key], tensor), key)
        x = torch.rand(2, 3, 7, 7)
        with torch.no_grad():
            self.assertLess((net(x) - folded(x)).abs().max(), 1e-5)
        # ptfold's text is what PyTorch prints of that module, settings and all.
        texts = json.loads(self.succeed(
            "ptfold", "info", "--json", "out.safetensors"))["metadata"]
        lines = texts["architecture"].strip().splitlines()[1:]
        self.assertEqual([line.split("(")[:3] for line in lines],
                         [line.split("(")[:3] for line in
                          str(folded).splitlines()])

    def test_the_state_dict_is_taken_and_keys_are_proposed(self):
        net = {"weight": torch.zeros(2, 2), "bias": torch.zeros(2)}
        torch.save({"moving": {"mean": torch.zeros(2)},
                    "model_state_dict": net}, self.path("two.pt"))
        self.assertIn("2 tensors, 6 elements",
                      self.succeed("ptfold", "info", "two.pt"))
        for key, meant in (("model_state_dic", "model_state_dict"),
                           ("state_dict", "model_state_dict"),
                           ("Moving", "moving")):
            for command in (["ptfold", "info"], ["ptfold", "convert"],
                            ["bnfuse"]):
                self.refuse(USAGE, [f"key '{key}'",
                                    f"; did you mean --key {meant}?"],
                            *command, "--key", key, "two.pt",
                            *["o.pt"][:command != ["ptfold", "info"]])
        message = self.refuse(USAGE, ["key 'xyz'"], "ptfold", "info", "--key",
                              "xyz", "two.pt")
        self.assertNotIn("did you mean", message)
        torch.save({"nets": {"generator": net, "critic": net}},
                   self.path("deep.pt"))
        self.refuse(USAGE, ["did you mean --key nets.critic?"], "ptfold",
                    "info", "--key", "nets.critik", "deep.pt")
        torch.save({"generator": net, "critic": net}, self.path("gan.pt"))
        self.refuse(USAGE, ["'generator' (2)", "choose one with --key"],
                    "ptfold", "convert", "gan.pt", "o.pt")
        done = self.run_program("ptfold", "info", "--tensors", "gan.pt")
        self.assertEqual(done.returncode, EQUIVALENT)
        self.assertIn(b"note: gan.pt: data.pkl: expected one state dict, got 2",
                      done.stderr)
        for name in ("generator.weight", "critic.weight"):
            self.assertIn(name.encode(), done.stdout)

    def test_a_frozen_model_has_no_names_left(self):
        net = torch.nn.Sequential(torch.nn.Linear(2, 3)).eval()
        torch.jit.freeze(torch.jit.script(net)).save(self.path("frozen.pt"))
        with open(self.path("net.txt"), "w") as f:
            f.write(str(net))
        self.assertIn("constants of the code, without names: ",
                      self.succeed("ptfold", "info", "frozen.pt"))
        for arch in [], ["--arch", "net.txt"]:
            self.refuse(UNSUPPORTED, ["constants of TorchScript code",
                                      "state_dict() before it"],
                        "bnfuse", *arch, "frozen.pt", "o.pt")

    def test_what_a_script_saves_beside_the_network_is_left_out(self):
        net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3),
                                  torch.nn.BatchNorm2d(2)).eval()
        wrapped = torch.nn.DataParallel(net)
        optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
        net(torch.zeros(2, 1, 4, 4)).sum().backward()
        optimizer.step()
        for name, model in (("net.txt", net), ("wrapped.txt", wrapped)):
            with open(self.path(name), "w") as f:
                f.write("# input: 1x4x4\n" + str(model))
        averaged = torch.optim.swa_utils.AveragedModel(net)
        layouts = {
            "best.pt": ({"state_dict": wrapped.state_dict(),
                         "best_acc1": torch.tensor(9.5),
                         "optimizer": optimizer.state_dict()},
                        "--key state_dict.module; 1 other tensor, such as "
                        "'best_acc1', left out"),
            "rng.pt": ({"rng": [torch.get_rng_state()] * 2,
                        "model": net.state_dict(),
                        "optimizers": [optimizer.state_dict()] * 2},
                       "--key model; 2 other tensors, such as 'rng.0'"),
            "averaged.pt": (averaged.state_dict(),
                            "--key module; 1 other tensor, such as "
                            "'n_averaged'"),
            "plain.pt": (net.state_dict(), None),
            "wrapped.pt": (wrapped.state_dict(), None),
        }
        first = None
        for name, (layout, note) in layouts.items():
            torch.save(layout, self.path(name))
            for arch in "net.txt", "wrapped.txt":
                done = self.run_program("bnfuse", "-q", "--force", "--arch",
                                        arch, name, "out.pt")
                self.assertEqual(done.returncode, EQUIVALENT, done.stderr)
                self.assertIn((note or "").encode(), done.stderr)
                self.assertEqual(done.stderr == b"", note is None)
                found = self.succeed("ptfold", "info", "--sha256", "out.pt")
                first = first or found
                self.assertEqual(found, first)
        torch.save({"model": net.state_dict(), "ema": wrapped.state_dict()},
                   self.path("two.pt"))
        self.refuse(USAGE, ["'model' (7), 'ema.module' (7)", "--key NAME"],
                    "bnfuse", "--arch", "net.txt", "two.pt", "o.pt")

    def test_both_programs_with_this_pytorch_and_a_newer_one(self):
        self.make_files()
        print(self.run_python(sys.executable, LOADER))
        newer = os.environ.get("PTF_TORCH2_PYTHON")
        if newer is None:
            print("PyTorch 2: skipped, PTF_TORCH2_PYTHON is not set")
        else:
            print(self.run_python(newer, LOADER))


class Recorded(ProgramTest):
    """What PyTorch gives agrees, and what another network gives does not."""

    @staticmethod
    def net(depth):
        nn = torch.nn
        layers = [nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()]
        for _ in range(depth):
            layers += [nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8),
                       nn.ReLU()]
        layers += [nn.MaxPool2d(2), nn.Flatten(), nn.Linear(128, 32),
                   nn.Sigmoid(), nn.Linear(32, 10)]
        net = nn.Sequential(*layers).eval()
        for layer in net:
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_mean.normal_(0, 0.3)
                layer.running_var.uniform_(0.1, 2)
        return net

    def save(self, name, array):
        numbers = array.detach().contiguous().view(-1).tolist()
        self.write(name, npy(tuple(array.shape), numbers))

    def expect(self, status, x, y):
        self.save("x.npy", x)
        self.save("y.npy", y)
        done = self.run_program(
            "ptfold", "check", "--json", "--arch", "net.txt", "net.pt",
            "--data", "x.npy", "--expect", "y.npy")
        self.assertEqual(done.returncode, status, done.stderr)
        array, = json.loads(done.stdout)["recorded"]["arrays"]
        return array["distance"] / array["limit"]

    def test_true_outputs_are_inside_and_those_of_a_wrong_net_are_not(self):
        torch.manual_seed(3)
        # The outputs of a deep one hardly depend on its inputs: a single one
        # shows nothing.
        for depth, counts in ((0, (1, 8, 40)), (2, (1, 8, 40)), (8, (8, 40))):
            net = self.net(depth)
            torch.save(net.state_dict(), self.path("net.pt"))
            self.path("net.txt").write_text(f"# input: 3x8x8\n{net}\n")
            for count in counts:
                x = torch.randn(count, 3, 8, 8)
                self.assertLess(self.expect(EQUIVALENT, x, net(x)), 0.5)
                for left_out in (2, len(net) - 2):
                    other = torch.nn.Sequential(*(
                        layer for i, layer in enumerate(net) if i != left_out))
                    self.assertGreater(
                        self.expect(DIFFERENT, x, other(x)), 100)


if __name__ == "__main__":
    unittest.main()
