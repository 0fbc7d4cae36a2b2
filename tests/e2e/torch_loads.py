"""Run by a Python that has PyTorch, in a folder with what test_torch.py made.

Loads the originals and what the programs made of them, and compares what
PyTorch computes with both.  Says which PyTorch it is, and nothing else
unless something is wrong.

SPDX-License-Identifier: Apache-2.0
"""
import sys
import unittest
from pathlib import Path

import torch

CHECKPOINTS = Path(__file__).resolve().parents[2] / "checkpoints"
sys.path.insert(0, str(CHECKPOINTS))

import nets  # noqa: E402


def load(kind, widths, path):
    """A network in evaluation mode; every key must be there, and no other."""
    model = kind(**widths)
    state = torch.load(path, weights_only=True)
    model.load_state_dict(state, strict=True)
    return model.eval()


class Loads(unittest.TestCase):
    def close(self, a, b):
        """Up to the order in which PyTorch's kernels add."""
        self.assertEqual(a.shape, b.shape)
        self.assertGreater(a.abs().max(), 0)
        self.assertLess((a - b).abs().max(), 1e-5 * a.abs().max())

    def test_folded_networks(self):
        before = load(nets.smallNetTrain, nets.SMALL_NET, "smallNetSaved")
        x = torch.rand(100, 3, 32, 32)
        want = before(x)
        for name in ("folded.pt", "folded.pth"):
            after = load(nets.smallNetTest, nets.SMALL_NET, name)
            got = after(x)
            self.close(want, got)
            self.assertTrue(torch.equal(want.argmax(1), got.argmax(1)))

    def test_converted_networks(self):
        before = load(nets.Net1, nets.SMALL_NET1, "net1.pt")
        x, large = torch.rand(4, 3, 32, 32), torch.rand(2, 3, 36, 38)
        for name in ("net2.pt", "net2.pth"):
            after = load(nets.Net2, nets.SMALL_NET1, name)
            self.close(before(x), after(x).flatten(1))
            windows = after(large)
            self.assertEqual(windows.shape, (2, 10, 5, 7))
            for i in range(5):
                for k in range(7):
                    crop = large[:, :, i:i + 32, k:k + 32]
                    self.close(before(crop), windows[:, :, i, k])

    def test_no_weight_of_a_converted_network_changed(self):
        before = torch.load("net1.pt", weights_only=True)
        after = torch.load("net2.pt", weights_only=True)
        self.assertEqual(list(before), list(after))
        for name, tensor in before.items():
            self.assertTrue(torch.equal(tensor.flatten(),
                                        after[name].flatten()))


if __name__ == "__main__":
    print("PyTorch", torch.__version__)
    torch.manual_seed(7)
    torch.set_grad_enabled(False)
    unittest.main()
