#!/usr/bin/python3
"""The programs' jobs in Python, as one would write them with PyTorch.

    jobs.py fold IN OUT       fold smallNet's batch norms
    jobs.py convert IN OUT    net1.pt to net2.pt
    jobs.py list IN           names and shapes

SPDX-License-Identifier: Apache-2.0
"""
import sys

import torch


def fold(state):
    out = {}
    for stem in ("conv1", "conv2", "fc1"):
        weight, bias = state[f"{stem}.0.weight"], state[f"{stem}.0.bias"]
        scale = state[f"{stem}.1.weight"] / torch.sqrt(
            state[f"{stem}.1.running_var"] + 1e-5)
        shape = (-1,) + (1,) * (weight.dim() - 1)
        out[f"{stem}.0.weight"] = weight * scale.reshape(shape)
        out[f"{stem}.0.bias"] = state[f"{stem}.1.bias"] + scale * (
            bias - state[f"{stem}.1.running_mean"])
    out["fc2.0.weight"] = state["fc2.0.weight"]
    out["fc2.0.bias"] = state["fc2.0.bias"]
    return out


def convert(state):
    state["classifier.0.weight"] = state["classifier.0.weight"].reshape(
        -1, 256, 18, 18)
    for name in ("classifier.2.weight", "classifier.4.weight"):
        state[name] = state[name][:, :, None, None]
    return state


def main():
    job, source, *target = sys.argv[1:]
    state = torch.load(source, map_location="cpu")
    if job == "list":
        for name, tensor in state.items():
            print(name, tuple(tensor.shape))
        return
    torch.save({"fold": fold, "convert": convert}[job](state), *target)


if __name__ == "__main__":
    main()
