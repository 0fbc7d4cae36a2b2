#!/usr/bin/env python3
"""Compares `ptfold info --json --sha256` with tables of digests.

usage: digests.py PTFOLD TABLE...

A table has one line per tensor, tab separated: the file (relative to the
table), the tensor's name, dtype, shape, perhaps strides and the offset in
elements, and the SHA-256 of its elements last.  A table that is not there is
named and skipped; when none is there, so is the test.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import subprocess
import sys


def read_table(path):
    """{file: {tensor: columns}} in the order of the table."""
    files = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            columns = line.rstrip("\n").split("\t")
            if line.startswith("#") or columns[0] == "file":
                continue
            columns = [c if c != "-" else "" for c in columns]
            files.setdefault(columns[0], {})[columns[1]] = columns[2:]
    return files


# All names in full; else as a user would open the file.
OPTIONS = (["--key", "", "--keep-prefix"], [], ["--key", "state_dict"])

# Tables may have the names of safetensors.
SHORT = {"bool": "BOOL", "bfloat16": "BF16", "complex64": "C64",
         "complex128": "C128", "uint8": "U8"}


def short_name(dtype):
    return SHORT.get(dtype, dtype.replace("float", "F").replace("int", "I"))


def columns_of(tensor, like):
    """What the program says about a tensor, in the form of 'like'."""
    dtype = tensor["dtype"]
    columns = [short_name(dtype) if like[0].isupper() else dtype,
               "x".join(map(str, tensor["shape"]))]
    if len(like) == 5:
        columns += ["x".join(map(str, tensor["stride"])),
                    str(tensor["offset"])]
    return columns + [tensor["sha256"]]


def describe(ptfold, path, options, like):
    """[(tensor, columns)] as the program prints it."""
    command = [ptfold, "info", "--json", "--sha256", *options, path]
    result = subprocess.run(command, capture_output=True, check=False)
    if result.returncode != 0:
        return result.stderr.decode(errors="replace")
    return [(t["name"], columns_of(t, like))
            for t in json.loads(result.stdout)["tensors"]]


def difference(found, expected):
    if isinstance(found, str):
        return found
    wrong = [f"{f}, not {e}" for f, e in zip(found, expected) if f != e]
    return "; ".join([f"{len(found)} tensors, not {len(expected)}"] + wrong)


def main():
    ptfold, checked, failures = sys.argv[1], 0, 0
    tables = [t for t in sys.argv[2:] if os.path.exists(t)]
    for path in sys.argv[2:]:
        if path not in tables:
            print(f"{path}: not here, skipped")
    for path in tables:
        for name, tensors in read_table(path).items():
            full = os.path.join(os.path.dirname(path), name)
            expected = list(tensors.items())
            found = [describe(ptfold, full, options, expected[0][1])
                     for options in OPTIONS]
            checked += len(expected)
            if expected not in found:
                failures += 1
                print(f"FAIL {name}: {difference(found[0], expected)}")
    print(f"{checked} tensors, {failures} files differ")
    if not tables:
        return 77
    return int(failures > 0 or checked == 0)


sys.exit(main())
