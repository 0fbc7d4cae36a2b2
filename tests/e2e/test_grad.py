"""ptfold grad beside PyTorch's autograd.

Skipped (status 77) by a Python without PyTorch.

SPDX-License-Identifier: Apache-2.0
"""
import json
import random
import struct
import unittest

from checkpoint import read_safetensors
from programs import USAGE, ProgramTest, need_torch

torch = need_torch()
nn = torch.nn
NETS = 40


def npy(tensor):
    """A C-ordered float32 array as numpy.save() writes it."""
    head = repr({"descr": "<f4", "fortran_order": False,
                 "shape": tuple(tensor.shape)})
    head += " " * (63 - (10 + len(head)) % 64) + "\n"
    numbers = tensor.flatten().tolist()
    return (b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head.encode() +
            struct.pack(f"<{len(numbers)}f", *numbers))


def layer(rng, channels):
    """One more layer, and how many channels it leaves."""
    kind = rng.randrange(8)
    if kind < 3:
        groups = rng.choice([1, 1, channels])
        out = groups * rng.randint(1, 3)
        return nn.Conv2d(
            channels, out, (rng.randint(1, 3), rng.randint(1, 3)),
            rng.randint(1, 2), rng.randint(0, 1), rng.randint(1, 2), groups,
            bias=rng.random() < 0.8), out
    if kind == 3:
        norm = nn.BatchNorm2d(channels)
        nn.init.uniform_(norm.weight, 0.5, 2)
        nn.init.uniform_(norm.running_mean, -1, 1)
        nn.init.uniform_(norm.running_var, 0.5, 2)
        return norm, channels
    if kind == 4:
        return rng.choice([
            nn.MaxPool2d(2, rng.randint(1, 2), ceil_mode=True),
            nn.MaxPool2d(3, 2, 1, dilation=rng.randint(1, 2)),
            nn.AdaptiveAvgPool2d((rng.randint(1, 4), rng.randint(1, 4)))]
        ), channels
    return rng.choice([nn.ReLU(), nn.LeakyReLU(0.2), nn.Sigmoid(), nn.Tanh(),
                       nn.Softplus(),
                       nn.Dropout(0.3)]), channels


def random_net(seed):
    """(module in evaluation mode, an input for it)"""
    rng = random.Random(seed)
    torch.manual_seed(seed)
    while True:
        channels = rng.randint(1, 4)
        x = torch.randn(channels, rng.randint(6, 14), rng.randint(6, 14))
        layers = []
        for _ in range(rng.randint(2, 7)):
            one, channels = layer(rng, channels)
            layers.append(one)
        try:
            numel = nn.Sequential(*layers).eval()(x[None]).numel()
        except RuntimeError:  # a window larger than its map
            continue
        layers += [nn.Flatten(), nn.Linear(numel, 7), nn.Softmax(dim=1)]
        return nn.Sequential(*layers).eval(), x


class Gradients(ProgramTest):
    def save(self, net, x):
        torch.save(net.state_dict(), self.path("net.pt"))
        self.path("net.txt").write_text(f"{net}\n")
        self.write("x.npy", npy(x))

    def expect_near(self, name, got, want):
        largest = max(want.abs().max().item(), 1e-6)
        off = (got - want).abs().max().item()
        self.assertLessEqual(off, 1e-4 * largest, name)

    def check(self, net, x, output):
        self.save(net, x)
        self.succeed("ptfold", "grad", "--force", "--arch", "net.txt", "--wrt",
                     "input,params", "--output", str(output), "-o", "g.bin",
                     "net.pt", "x.npy")
        x = x[None].requires_grad_()
        net.zero_grad()
        net(x)[0, output].backward()
        want = {"input": x.grad,
                **{name: p.grad for name, p in net.named_parameters()}}
        _, tensors = read_safetensors(self.path("g.bin"))
        self.assertEqual(list(tensors), list(want))
        for name, (shape, data) in tensors.items():
            self.assertEqual(shape, tuple(want[name].shape))
            numbers = struct.unpack(f"<{len(data) // 4}f", data)
            self.expect_near(f"{name} in {net}", torch.tensor(numbers),
                             want[name].flatten())

    def test_random_nets_agree_with_autograd(self):
        for seed in range(NETS):
            net, x = random_net(seed)
            self.check(net, x, seed % 7)

    def test_a_map_sums_its_channel_and_becomes_a_picture(self):
        torch.manual_seed(1)
        net = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.Conv2d(2, 4, 3))
        x = torch.rand(3, 9, 8)
        self.save(net, x)
        report = json.loads(self.succeed(
            "ptfold", "grad", "--json", "--arch", "net.txt", "--saliency",
            "s.ppm", "net.pt", "x.npy"))
        self.assertEqual([report[key] for key in
                          ("program", "checkpoint", "image", "input")],
                         ["ptfold grad", "net.pt", "x.npy", "3x9x8"])
        x = x[None].requires_grad_()
        sums = net(x)[0].sum(dim=(1, 2))
        self.assertEqual(report["output"], sums.argmax().item())
        self.assertAlmostEqual(report["value"], sums.max().item(), places=3)
        sums.max().backward()
        want = x.grad[0].abs().amax(dim=0)
        want = (255 * want / want.max()).flatten()
        # Small pictures are enlarged: 28 x 28 pixels for each.
        head, grey = b"P6\n224 252\n255\n", self.path("s.ppm").read_bytes()
        self.assertEqual(grey[:len(head)], head)
        rows = [grey[len(head):][3 * 224 * y:][:3 * 224] for y in range(252)]
        grey = b""
        for y in range(0, 252, 28):
            self.assertEqual(len(set(rows[y:y + 28])), 1)
            pixels = [rows[y][3 * x:3 * x + 3] for x in range(224)]
            for x in range(0, 224, 28):
                self.assertEqual(len(set(pixels[x:x + 28])), 1)
                grey += pixels[x]
        self.assertEqual(grey[0::3], grey[1::3])
        self.assertEqual(grey[0::3], grey[2::3])
        off = torch.tensor(list(grey[0::3])) - want
        self.assertLess(off.abs().max().item(), 0.51)

    def test_what_cannot_be_is_refused(self):
        net, x = random_net(3)
        self.save(net, x)
        common = ["grad", "--arch", "net.txt"]
        self.refuse(USAGE, ["--wrt", "weights"], "ptfold", *common, "--wrt",
                    "weights", "net.pt", "x.npy")
        self.refuse(USAGE, ["--output", "0 to 6", "7"], "ptfold", *common,
                    "--output", "7", "net.pt", "x.npy")
        self.refuse(USAGE, ["--index", "below 1", "got 1"], "ptfold", *common,
                    "--index", "1", "net.pt", "x.npy")
        self.path("net.txt").write_text(
            f"# input: {'x'.join(map(str, x.shape))}\n{net}\n")
        larger = torch.zeros(x.shape[0], 31, 33)
        self.write("large.npy", npy(larger))
        self.refuse(USAGE, ["large.npy: expected an input "
                            f"{'x'.join(map(str, x.shape))}, got "
                            f"{x.shape[0]}x31x33"],
                    "ptfold", *common, "net.pt", "large.npy")
        self.path("net.txt").write_text(f"{net}\n")
        self.write("z.npy", npy(torch.zeros(99, 9, 9)))
        self.refuse(USAGE, ["channels"], "ptfold", *common, "net.pt", "z.npy")
        self.refuse(USAGE, [".xyz"], "ptfold", *common, "-o", "g.xyz",
                    "net.pt", "x.npy")


if __name__ == "__main__":
    unittest.main()
