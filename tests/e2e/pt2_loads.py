"""Run by a Python that has PyTorch 2.9 or newer: pt2_loads.py BEFORE AFTER...

Loads programs in pairs, of which ptfold wrote the second: PyTorch must take
both, find the same program in them, and get the same bits from it.  With
--rewritten only outputs are compared, up to rounding.  Says which PyTorch it
is, and nothing else unless something is wrong.

SPDX-License-Identifier: Apache-2.0
"""
import sys

import torch
from torch.utils import _pytree


def outputs(program, inputs):
    args, kwargs = inputs
    values = _pytree.tree_leaves(program.module()(*args, **kwargs))
    return [v for v in values if isinstance(v, torch.Tensor)]


def check_same(before, after):
    """The same program, tensor by tensor."""
    for part in ("graph", "graph_signature", "range_constraints"):
        assert str(getattr(before, part)) == str(getattr(after, part)), part
    assert set(before.state_dict) == set(after.state_dict)
    for name, want in before.state_dict.items():
        got = after.state_dict[name]
        assert want.dtype == got.dtype and torch.equal(want, got), name
        assert want.requires_grad == got.requires_grad, name
        assert 0 in want.shape or want.stride() == got.stride(), name


def check(before, after, rewritten):
    old, new = torch.export.load(before), torch.export.load(after)
    if not rewritten:
        check_same(old, new)
    for want, got in zip(outputs(old, old.example_inputs),
                         outputs(new, old.example_inputs), strict=True):
        got = got.reshape(want.shape)
        if not rewritten:
            assert torch.equal(want.nan_to_num(), got.nan_to_num())
        else:
            scale = want.abs().max()
            assert scale > 0 and (want - got).abs().max() < 1e-5 * scale
    new.run_decompositions()


if __name__ == "__main__":
    print("PyTorch", torch.__version__)
    names = [name for name in sys.argv[1:] if name != "--rewritten"]
    with torch.no_grad():
        for first, second in zip(names[::2], names[1::2], strict=True):
            try:
                check(first, second, "--rewritten" in sys.argv)
            except Exception as e:
                sys.exit(f"{first}: {type(e).__name__}: {e}")
