#!/usr/bin/env python3
"""Compares `ptfold info --json --sha256` with tables of digests.

usage: digests.py PTFOLD TABLE...

A table has one line per tensor, tab separated: the file (relative to the
table), the tensor's name, and the SHA-256 of its elements last.  A table
that is not there is named and skipped; when none is there, so is the test.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import subprocess
import sys


def read_table(path):
    """{file: {tensor: digest}} in the order of the table."""
    files = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            columns = line.rstrip("\n").split("\t")
            if line.startswith("#") or columns[0] == "file":
                continue
            files.setdefault(columns[0], {})[columns[1]] = columns[-1]
    return files


# All names in full; else as a user would open the file.
OPTIONS = (["--key", "", "--keep-prefix"], [], ["--key", "state_dict"])


def describe(ptfold, path, options):
    """{tensor: digest} as the program prints it."""
    command = [ptfold, "info", "--json", "--sha256", *options, path]
    result = subprocess.run(command, capture_output=True, check=False)
    if result.returncode != 0:
        return {"error": result.stderr.decode(errors="replace")}
    tensors = json.loads(result.stdout)["tensors"]
    return {t["name"]: t["sha256"] for t in tensors}


def main():
    ptfold, checked, failures = sys.argv[1], 0, 0
    tables = [t for t in sys.argv[2:] if os.path.exists(t)]
    for path in sys.argv[2:]:
        if path not in tables:
            print(f"{path}: not here, skipped")
    for path in tables:
        for name, expected in read_table(path).items():
            full = os.path.join(os.path.dirname(path), name)
            found = (describe(ptfold, full, options) for options in OPTIONS)
            checked += len(expected)
            if list(expected.items()) not in (list(f.items()) for f in found):
                failures += 1
                print(f"FAIL {name}: {describe(ptfold, full, OPTIONS[0])}")
    print(f"{checked} tensors, {failures} files differ")
    if not tables:
        return 77
    return int(failures > 0 or checked == 0)


sys.exit(main())
