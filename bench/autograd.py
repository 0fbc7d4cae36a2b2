"""Gradients of exported programs beside PyTorch's autograd in double.

    python3 bench/autograd.py PTFOLD FILE.pt2...

Of the largest output of each program for one drawn input, by the input and by
all parameters: the largest distance in a tensor over 2^-17 of that tensor's
largest number and 2^-22 of the largest gradient, which is the bound of
docs/gradients.md; 1 is just within it.  Where a sum before a ReLU lies within
rounding of 0 no bound holds.  Needs PyTorch 2.13.

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


def of_autograd(path, x):
    """The largest output's number, and gradients by name, in double."""
    module = torch.export.load(path).module().double()
    for p in module.parameters():
        p.requires_grad_(True)
    x = torch.from_numpy(x).double().requires_grad_(True)
    y = torch.utils._pytree.tree_leaves(module(x))[0]
    flat = y.reshape(-1)
    index = int(flat.argmax())
    channel = (index if y.dim() < 3
               else index // int(np.prod(y.shape[2:])) % y.shape[1])
    (flat[index] if y.dim() < 3 else y[0, channel].sum()).backward()
    grads = {name: p.grad.numpy() for name, p in module.named_parameters()
             if p.grad is not None}
    return channel, {**grads, "input": x.grad.numpy()}


def compare(ptfold, path, folder):
    shape = list(torch.export.load(path).example_inputs[0][0].shape)
    x = np.random.default_rng(1).standard_normal([1, *shape[1:]])
    x = x.astype(np.float32)
    np.save(folder / "x.npy", x)
    channel, want = of_autograd(path, x)
    out = folder / "g.safetensors"
    subprocess.run([ptfold, "grad", "--force", "--wrt", "input,params",
                    "--output", str(channel), "-o", out, path,
                    folder / "x.npy"], check=True, stdout=subprocess.DEVNULL)
    got = tensors(out)
    most = max(np.abs(g).max() for g in want.values())
    worst, where, missing = 0, "", []
    for name, g in want.items():
        if name not in got:
            missing.append(name)
            continue
        bound = 2.0**-17 * np.abs(g).max() + 2.0**-22 * most
        far = np.abs(got[name].reshape(g.shape) - g).max() / bound
        if not far <= worst:
            worst, where = far, name
    return len(want) - len(missing), worst, where, missing


def main(ptfold, *paths):
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            count, worst, where, missing = compare(ptfold, path, Path(folder))
            failed |= worst > 1 or bool(missing)
            print(f"{Path(path).stem}: {count} tensors, at most {worst:.3g} of "
                  f"the bound ({where})"
                  + (f", without {len(missing)}: {missing[:3]}" if missing
                     else ""), flush=True)
    return failed


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(re.sub(r"\A", "usage: ", __doc__.split("\n\n")[1].strip()))
    sys.exit(main(*sys.argv[1:]))
