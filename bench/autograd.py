"""Gradients of exported programs beside PyTorch's autograd in double.

    python3 bench/autograd.py PTFOLD FILE.pt2...

Of the largest output of each program for one drawn input, by the input and by
all parameters: the largest distance in a tensor over 2^-17 of that tensor's
largest number and 2^-22 of the largest gradient, which is the bound of
docs/gradients.md; 1 is just within it.  Beside it the same of PyTorch's own
gradients in float32: where a sum before a ReLU lies within rounding of 0 no
bound holds, for either.  Exit status 1 where ptfold is beyond the bound and
farther off than PyTorch.  Needs PyTorch 2.13.

SPDX-License-Identifier: Apache-2.0
"""
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch


def tensors(path):
    data = Path(path).read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    return {name: np.frombuffer(data[end + own["data_offsets"][0]:
                                     end + own["data_offsets"][1]],
                                np.float32).reshape(own["shape"])
            for name, own in json.loads(data[8:end]).items()
            if name != "__metadata__" and own["dtype"] == "F32"}


def of_autograd(path, x, dtype, channel=None):
    """The largest output's number, and gradients by name."""
    module = torch.export.load(path).module().to(dtype)
    for p in module.parameters():
        p.requires_grad_(True)
    x = torch.from_numpy(x).to(dtype).requires_grad_(True)
    y = torch.utils._pytree.tree_leaves(module(x))[0]
    if channel is None:
        index = int(y.argmax())
        channel = (index if y.dim() < 3
                   else index // int(np.prod(y.shape[2:])) % y.shape[1])
    (y[0, channel] if y.dim() < 3 else y[0, channel].sum()).backward()
    grads = {name: p.grad.numpy() for name, p in module.named_parameters()
             if p.grad is not None}
    return channel, {**grads, "input": x.grad.numpy()}


def compare(ptfold, path, folder):
    shape = list(torch.export.load(path).example_inputs[0][0].shape)
    x = np.random.default_rng(1).standard_normal([1, *shape[1:]])
    x = x.astype(np.float32)
    np.save(folder / "x.npy", x)
    channel, want = of_autograd(path, x, torch.float64)
    _, own = of_autograd(path, x, torch.float32, channel)
    out = folder / "g.safetensors"
    subprocess.run([ptfold, "grad", "--force", "--wrt", "input,params",
                    "--output", str(channel), "-o", out, path,
                    folder / "x.npy"], check=True, stdout=subprocess.DEVNULL)
    got = tensors(out)
    missing = [name for name in want if name not in got]
    return missing, *(farthest(want, g) for g in (got, own))


def farthest(want, got):
    """In bounds, and the tensor; of those that are there."""
    most = max(np.abs(g).max() for g in want.values())
    far = {}
    for name, g in want.items():
        if name in got:
            bound = 2.0**-17 * np.abs(g).max() + 2.0**-22 * most
            far[name] = np.abs(got[name].reshape(g.shape) - g).max() / bound
    name = max(far, key=far.get)
    return far[name], name, len(far)


def main(ptfold, *paths):
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            missing, (far, name, count), (own, _, _) = compare(
                ptfold, path, Path(folder))
            failed |= not far <= max(1, own) or bool(missing)
            print(f"{Path(path).stem}: {count} tensors, at most {far:.3g} of "
                  f"the bound ({name}), PyTorch {own:.3g}"
                  + (f", without {missing[:3]}" if missing else ""),
                  flush=True)
    return failed


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(re.sub(r"\A", "usage: ", __doc__.split("\n\n")[1].strip()))
    sys.exit(main(*sys.argv[1:]))
