"""Changes that come after the call that used what is changed.

Python calls at once, and what the arguments become later is nothing to the
tensor.  A reader that keeps calls for later could take the change into it.
Here every function that rebuilds something is called with every argument that
can change, and each is changed after the call in every way that it allows;
what PyTorch's torch.load() gives is right, and ptfold may give that or refuse.

Skipped (status 77) by a Python without PyTorch.  PTF_TORCH2_PYTHON may name
another Python, whose PyTorch is 2 or newer: all of it runs there as well.
PTF_LATE says how many files are drawn of each kind, as "SEED COUNT"; with a
count of 0 each change alone is tried once, and that is all.

SPDX-License-Identifier: Apache-2.0
"""
import collections
import hashlib
import json
import os
import random
import subprocess
import sys
import unittest
import warnings

from pickles import (Node, call, dic, lst, name, new, pickle_of, tup, write)
from programs import (DAMAGED, EQUIVALENT, UNSUPPORTED, ProgramTest,
                      need_torch, quiet_threads)

torch = need_torch()
SEED, COUNT = map(int, os.environ.get("PTF_LATE", "1 500").split())
OLD = not hasattr(torch._utils, "_rebuild_device_tensor_from_cpu_tensor")

# ------------------------------------------------------- what may be called


def storage(key="0"):
    return Node("storage", key)


def ordered(*pairs):
    return call("collections.OrderedDict", *pairs)


def tensor(size=(6,), stride=(1,), offset=0, key="0"):
    return call("torch._utils._rebuild_tensor_v2", storage(key), offset,
                tup(*size), tup(*stride), False, ordered())


def dtype():
    return call("numpy.dtype", "f4", False, True,
                state=tup(3, "<", None, None, None, -1, -1, 0))


def module(parameters, buffers=(), skipped=()):
    return new("torch.nn.modules.module.Module", state=dic(
        "training", False, "_parameters", dic(*parameters), "_buffers",
        dic(*buffers), "_non_persistent_buffers_set",
        Node("set", *skipped), "_backward_hooks", ordered(),
        "_forward_hooks", ordered(), "_forward_pre_hooks", ordered(),
        "_state_dict_hooks", ordered(), "_load_state_dict_pre_hooks",
        ordered(), "_modules", ordered()))


def sizes():
    """(size, stride) of a 2 x 3 tensor in every form that is taken."""
    forms = [tup, lst, lambda *n: call("torch.Size", lst(*n)),
             lambda *n: call("torch.Size", tup(*n)),
             lambda *n: new("torch.Size", lst(*n))]
    return [(lambda f=f: f(2, 3), lambda f=f: f(3, 1)) for f in forms]


def of_sizes():
    utils = "torch._utils._rebuild_"
    for size, stride in sizes():
        def place(key="0"):
            return storage(key), 0, size(), stride()
        yield call(utils + "tensor", *place())
        yield call(utils + "tensor_v2", *place(), False, ordered())
        yield call(utils + "tensor_v2", *place(), False, ordered(), dic())
        yield call(utils + "tensor_v3", *place("4"), False, ordered(),
                   name("torch.float32"), dic())
        yield call(utils + "qtensor", *place("1"),
                   tup(name("torch.per_tensor_affine"), .5, 1), False,
                   ordered())
        yield call("torch.FloatTensor", state=tup(*place()))
        yield new("torch.FloatTensor", state=tup(*place()))
        yield new("torch.Tensor", state=tup(*place()))
        yield call("torch._tensor._rebuild_from_type_v2",
                   name(utils + "tensor_v2"), name("torch.Tensor"),
                   tup(*place(), False, ordered()), dic("note", 1))


def of_tensors():
    utils = "torch._utils._rebuild_"
    yield call(utils + "parameter", tensor(), True, ordered())
    yield call(utils + "parameter_with_state", tensor(), True, ordered(),
               dic("note", lst(1)))
    yield call(utils + "device_tensor_from_cpu_tensor", tensor(),
               name("torch.float32"), "cpu", False)
    for make in (call, new):
        for module_name in ("torch.nn.parameter", "torch.nn"):
            yield make(module_name + ".Parameter", tensor(), False)
        yield make("torch.nn.parameter.Parameter", tensor(), False,
                   state=tup(False, False, ordered()))
        yield make("torch.nn.parameter.Parameter", state=tup(
            tensor(), None, ordered(), False, False))
        yield make("torch.nn.parameter.Buffer", tensor())
        # one that other arguments make, empty at first
        yield make("torch.nn.parameter.Parameter", new("torch.Tensor"), False)
    yield call(utils + "qtensor", storage("1"), 0, tup(2, 3), tup(3, 1),
               tup(name("torch.per_channel_affine"), tensor((2,), key="2"),
                   tensor((2,), key="3"), 0), False, ordered())
    yield call(utils + "qtensor", storage("1"), 0, tup(2, 3), tup(3, 1),
               tup(name("torch.per_channel_affine"), lst(.5, .25), lst(1, 0),
                   0), False, ordered())


def containers():
    pairs = (lambda: tup("a", tensor()), lambda: lst("a", tensor()))
    for kind in ("collections.OrderedDict", "collections.Counter",
                 "builtins.dict"):
        for make in (call, new):
            for pair in pairs:
                yield make(kind, lst(pair()))
                yield make(kind, tup(pair()))
            yield make(kind, dic("a", tensor()))
            yield make(kind, ordered(lst(tup("a", tensor()))))
            yield make(kind)
    for make in (call, new):
        yield make("collections.defaultdict", name("builtins.list"),
                   dic("a", tensor()))
        for kind in ("builtins.set", "builtins.frozenset"):
            yield make(kind, lst(1))
            yield make(kind, Node("set", 1))
    yield ordered(lst(tup("a", tensor()))).__class__(
        "call", name("collections.OrderedDict"), state=dic("b", tensor()))
    yield module(["a", tensor()], ["b", tensor()], ["c"])
    yield module(["a", None], ["b", tensor(), "c", tensor()], ["c"])


def arrays():
    """Arrays count where there is no tensor."""
    shapes = (lambda: tup(2, 3), lambda: lst(2, 3),
              lambda: call("torch.Size", lst(2, 3)))
    data = bytes(range(24))
    for shape in shapes:
        yield call("numpy.core.multiarray._reconstruct",
                   name("numpy.ndarray"), tup(0), b"b",
                   state=tup(1, shape(), dtype(), False, data))
        yield call("numpy.core.numeric._frombuffer", data, dtype(), shape(),
                   "C")
    yield call("numpy.core.multiarray.scalar", dtype(), bytes(4))


# ------------------------------------------------------------ what is changed

def changes_of(node, of_arrays):
    """Ways to change a value."""
    other = 7 if of_arrays else tensor((2,), offset=4)
    items = [("item", key, value) for key, value in (
        ("data", other), ("neg", True), ("z", other), ("a", other),
        ("_parameters", dic("z", other)))]
    if node.kind == "list":
        return [("append", value) for value in
                (1, .5, other, tup("z", other))]
    if node.kind == "set":
        return [("add", "b"), ("add", 2)]
    if node.kind == "dict":
        return items
    if node.kind not in ("call", "new"):
        return []
    states = (dic("z", other), dic("data", other),
              tup(3, ">", None, None, None, -1, -1, 0),
              tup(False, False, ordered()))
    if not of_arrays:
        states += (tup(storage(), 4, tup(2), tup(1)),
                   tup(other, None, ordered(), False, False))
    return ([("build", state) for state in states] + items[:3]
            + [("append", 1), ("add", 2)])


def root_of(value, of_arrays):
    return dic("w", value, "v", 1 if of_arrays else tensor())


def single():
    """Every function, argument and change."""
    for of_arrays, values in ((False, [of_sizes, of_tensors, containers]),
                              (True, [arrays])):
        for value in (v for source in values for v in source()):
            root = root_of(value, of_arrays)
            yield root, []
            for node in value.all():
                for change in changes_of(node, of_arrays):
                    yield root, [(node, *change)]


def drawn(draw, count):
    values = [v for source in (of_sizes, of_tensors, containers)
              for v in source()]
    for _ in range(count):
        picked = draw.sample(values, 2)
        root = root_of(picked[0], False)
        root.parts += ("u", picked[1])
        changes = []
        nodes = [n for n in root.all() if changes_of(n, False)]
        for _ in range(draw.randint(1, 3)):
            node = draw.choice(nodes)
            changes.append((node, *draw.choice(changes_of(node, False))))
        yield root, changes


# --------------------------------------------------------------- what it is

def digest_of(value):
    if value.is_quantized:
        value = value.dequantize()
    array = value.detach().contiguous().numpy()
    return (str(value.dtype).removeprefix("torch."), list(value.shape),
            hashlib.sha256(array.tobytes()).hexdigest())


def flatten(value, prefix, found):
    """Dotted name -> tensor, as PyTorch has them."""
    if isinstance(value, torch.nn.Module):
        value = value.state_dict()
    if isinstance(value, torch.Tensor):
        found[prefix] = digest_of(value)
    elif isinstance(value, dict):
        for key, inner in value.items():
            flatten(inner, f"{prefix}.{key}" if prefix else str(key), found)
    elif isinstance(value, (list, tuple)):
        for i, inner in enumerate(value):
            flatten(inner, f"{prefix}.{i}" if prefix else str(i), found)
    elif type(value).__module__ == "numpy":
        found[prefix] = digest_of(torch.from_numpy(value.reshape(value.shape)
                                                   .copy()))
    return found


def loaded(path, of_arrays):
    """What PyTorch gives, or None."""
    options = {} if OLD else {"weights_only": False}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = flatten(torch.load(path, **options), "", {})
    except Exception:  # whatever a file of this kind may raise
        return None
    return found


class Late(ProgramTest):
    def compare(self, cases):
        """Returns how often what happened."""
        counts = collections.Counter()
        for root, changes in cases:
            code = pickle_of(root, changes)
            write(self.path("f.pt"), code)
            want = loaded(self.path("f.pt"), False)
            done = self.run_program("ptfold", "info", "--json", "--sha256",
                                    "--keep-prefix", "--key", "", "f.pt")
            with self.subTest(pickle=code):
                self.assertIn(done.returncode,
                              (EQUIVALENT, UNSUPPORTED, DAMAGED), done.stderr)
                counts["read" if done.returncode == EQUIVALENT else
                       "refused"] += 1
                counts["PyTorch reads" if want is not None else
                       "PyTorch does not"] += 1
                if done.returncode != EQUIVALENT:
                    continue
                got = {t["name"]: (t["dtype"], t["shape"], t["sha256"])
                       for t in json.loads(done.stdout)["tensors"]}
                if want is not None:
                    self.assertEqual(got, want)
                else:
                    counts["only ptfold reads"] += 1
        if cases:
            self.assertGreater(counts["read"], 0)
        return ", ".join(f"{n} {what}" for what, n in sorted(counts.items()))

    def test_each_change_alone(self):
        cases = list(single())
        if COUNT > 0:
            cases = random.Random(SEED).sample(cases, COUNT)
        print(self.compare(cases))

    def test_changes_together(self):
        print(self.compare(list(drawn(random.Random(SEED), COUNT))))

    def test_a_newer_pytorch(self):
        newer = os.environ.get("PTF_TORCH2_PYTHON")
        if newer is None or newer == sys.executable:
            self.skipTest("PTF_TORCH2_PYTHON is not set")
        done = subprocess.run([newer, "-B", __file__], env={
            **quiet_threads(), "PTF_TORCH2_PYTHON": newer}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(done.returncode, 0, done.stdout)


if __name__ == "__main__":
    unittest.main()
