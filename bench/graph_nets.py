#!/usr/bin/env python3
"""graph_nets.py FOLDER [NAME...]: networks for graphs.py.

Writes FOLDER/NAME-BATCH.pt2 and .onnx, and .pt (TorchScript, which pnnx reads
for ncnn): torchvision's networks of these names and "unet", a U-Net of 256x256
pixels.  Weights are random; the statistics of batch norms are those of random
inputs, so that numbers stay of ordinary size.  Needs torch, torchvision, onnx
and onnxscript.

SPDX-License-Identifier: Apache-2.0
"""
import argparse
import os

import torch
from torch import nn

NAMES = ["resnet18", "resnet50", "vgg11_bn", "densenet121", "convnext_tiny",
         "vit_b_16", "mobilenet_v2", "regnet_y_400mf", "unet",
         "mobilenet_v3_small", "efficientnet_b0", "shufflenet_v2_x1_0"]


class Block(nn.Sequential):
    def __init__(self, inputs, outputs):
        layers = []
        for i in range(2):
            layers += [nn.Conv2d(outputs if i else inputs, outputs, 3,
                                 padding=1, bias=False),
                       nn.BatchNorm2d(outputs), nn.ReLU()]
        super().__init__(*layers)


class UNet(nn.Module):
    """32 to 512 channels; up by transposed convolutions."""

    def __init__(self):
        super().__init__()
        sizes = [32, 64, 128, 256, 512]
        self.down = nn.ModuleList(
            Block(i, o) for i, o in zip([3] + sizes[:-1], sizes))
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(2 * s, s, 2, stride=2) for s in sizes[-2::-1])
        self.join = nn.ModuleList(Block(2 * s, s) for s in sizes[-2::-1])
        self.last = nn.Conv2d(sizes[0], 1, 1)

    def forward(self, x):
        kept = []
        for i, block in enumerate(self.down):
            x = block(nn.functional.max_pool2d(x, 2) if i else x)
            kept.append(x)
        kept.pop()
        for up, join in zip(self.up, self.join):
            x = join(torch.cat([kept.pop(), up(x)], 1))
        return self.last(x)


# Of torchvision; they are registered while it is imported.
OPERATORS = [name + back for name in ["roi_align", "roi_pool", "ps_roi_align",
                                      "ps_roi_pool", "deform_conv2d"]
             for back in ["", "_backward"]] + ["nms", "qnms"]


def declare_torchvision_ops():
    """torchvision imports where its compiled operators do not load."""
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in OPERATORS:
        mark = "_" if name.endswith("_backward") else ""
        library.define(f"{mark}{name}(Tensor x) -> Tensor")
    library.define("_qroi_align(Tensor x) -> Tensor")
    return library


def make(name):
    """A network, and the shape of an input without the batch."""
    torch.manual_seed(1)
    if name == "unet":
        net, shape = UNet(), (3, 256, 256)
    else:
        import torchvision.models
        net, shape = torchvision.models.get_model(name), (3, 224, 224)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the mean over all calls
    with torch.no_grad():
        net.train()(torch.rand(4, *shape))
    return net.eval(), shape


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("names", nargs="*", default=NAMES)
    parser.add_argument("--batch", default="1,8")
    o = parser.parse_args()
    library = declare_torchvision_ops()
    for name in o.names:
        net, shape = make(name)
        for batch in map(int, o.batch.split(",")):
            x = torch.rand(batch, *shape)
            stem = os.path.join(o.folder, f"{name}-{batch}")
            with torch.no_grad():
                program = torch.export.export(net, (x,))
                torch.export.save(program, stem + ".pt2")
                torch.onnx.export(net, (x,), stem + ".onnx", dynamo=True,
                                  external_data=False, verbose=False)
                if batch == 1:
                    torch.jit.trace(net, x).save(stem + ".pt")
        print(name, flush=True)
    del library


if __name__ == "__main__":
    main()
