"""The networks that checkpoints are made for, written in PyTorch.

Each class takes its widths as arguments; the defaults are the real sizes.
The names of classes and attributes matter: they are what print(model) and
the keys of the state dict show.

SPDX-License-Identifier: Apache-2.0
"""
from collections import OrderedDict

import torch
from torch import nn


class smallNetTrain(nn.Module):
    """Two convolutions and two linear layers, three of them normalised."""

    def __init__(self, channels=16, hidden=1024, side=32, classes=10):
        super().__init__()
        self.conv1 = nn.Sequential(
            nn.Conv2d(3, channels, 3, padding=1),
            nn.BatchNorm2d(channels), nn.ReLU())
        self.conv2 = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.BatchNorm2d(channels), nn.ReLU())
        self.fc1 = nn.Sequential(
            nn.Linear(channels * side * side, hidden),
            nn.BatchNorm1d(hidden), nn.ReLU())
        self.fc2 = nn.Sequential(nn.Linear(hidden, classes), nn.ReLU())

    def forward(self, x):
        x = torch.flatten(self.conv2(self.conv1(x)), 1)
        return self.fc2(self.fc1(x))


class smallNetTest(nn.Module):
    """smallNetTrain without batch norms: what folding them must give."""

    def __init__(self, channels=16, hidden=1024, side=32, classes=10):
        super().__init__()
        self.conv1 = nn.Sequential(
            nn.Conv2d(3, channels, 3, padding=1), nn.ReLU())
        self.conv2 = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU())
        self.fc1 = nn.Sequential(
            nn.Linear(channels * side * side, hidden), nn.ReLU())
        self.fc2 = nn.Sequential(nn.Linear(hidden, classes), nn.ReLU())

    forward = smallNetTrain.forward


def net1_features(widths):
    """Five convolutions without padding: 32x32 becomes 18x18."""
    layers = []
    sizes = zip((3,) + widths[:-1], widths, (7, 3, 3, 3, 3))
    for source, target, kernel in sizes:
        layers += [nn.Conv2d(source, target, kernel), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


NET1_WIDTHS = (64, 192, 384, 256, 256)


class Net1(nn.Module):
    """Convolutions, then linear layers: takes 32x32 images only."""

    def __init__(self, widths=NET1_WIDTHS, hidden=4096, classes=10):
        super().__init__()
        self.features = net1_features(widths)
        self.classifier = nn.Sequential(
            nn.Linear(widths[-1] * 18 * 18, hidden), nn.ReLU(),
            nn.Linear(hidden, hidden), nn.ReLU(),
            nn.Linear(hidden, classes))

    def forward(self, x):
        return self.classifier(torch.flatten(self.features(x), 1))


class Net2(nn.Module):
    """Net1 with its linear layers as convolutions: takes larger images."""

    def __init__(self, widths=NET1_WIDTHS, hidden=4096, classes=10):
        super().__init__()
        self.features = net1_features(widths)
        self.classifier = nn.Sequential(
            nn.Conv2d(widths[-1], hidden, 18), nn.ReLU(),
            nn.Conv2d(hidden, hidden, 1), nn.ReLU(),
            nn.Conv2d(hidden, classes, 1))

    def forward(self, x):
        return self.classifier(self.features(x))


def sequence(model):
    """The net as an nn.Sequential: print() of it says all that it computes.

    The keys of the state dict stay.  What forward() flattens is a module.
    """
    children = []
    for name, child in model.named_children():
        if isinstance(child[0], nn.Linear) and not any(
                isinstance(layer, nn.Flatten) for _, layer in children):
            children.append(("flatten", nn.Flatten()))
        children.append((name, child))
    return nn.Sequential(OrderedDict(children))


# Widths of the narrow variants that tests use: the same keys, few numbers.
SMALL_NET = dict(channels=4, hidden=16)
SMALL_NET1 = dict(widths=(4, 6, 8, 6, 4), hidden=16)
