#!/usr/bin/env python3
"""The forms that "ptfold bench" writes: every column is there, and they agree.

    bench.py PTFOLD FIXTURES

SPDX-License-Identifier: Apache-2.0
"""
import csv
import json
import subprocess
import sys

PTFOLD, FIXTURES = sys.argv[1:]
RUNS = ["--batch", "1,3", "--threads", "1,2", "--repeat", "3", "--per-layer"]


def run(*options, status):
    done = subprocess.run(
        [PTFOLD, "bench", *options, "--arch", FIXTURES + "/net1.txt",
         FIXTURES + "/net1.pt"], capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    return done


def bench(*options, status=0):
    return run(*options, status=status).stdout


def check_row(row, layers):
    assert 0 < float(row["least_seconds"]) <= float(row["median_seconds"])
    assert float(row["peak_flops_per_second"]) >= 0
    assert float(row["read_bytes_per_second"]) > 0
    assert (int(row["plan_bytes"]) > 0) == (row["layer"] == "")
    assert row["layer"] in layers or row["layer"] == ""


def check_rows(rows, key):
    """Both batches with both threads: eight layers, then the whole net."""
    layers = [f"features.{i}" for i in (0, 2, 4, 6, 8)]
    layers += [f"classifier.{i}" for i in (0, 2, 4)]
    assert [r["layer"] for r in rows] == (layers + [""]) * 4
    assert [(int(r["batch"]), int(r["threads"])) for r in rows[::9]] == [
        (1, 1), (3, 1), (1, 2), (3, 2)]
    for i in range(0, 36, 9):
        for row in rows[i:i + 9]:
            check_row(row, layers)
        for name in ("flops", "weight_bytes"):
            parts = sum(key(r[name]) for r in rows[i:i + 8])
            assert parts == key(rows[i + 8][name]) > 0
    # Conv2d(3, 2, 7) on 32x32: 26 x 26 pixels of 3 x 49 terms
    assert key(rows[0]["flops"]) == 2 * 26 * 26 * 2 * 3 * 49
    assert key(rows[9]["flops"]) == 3 * key(rows[0]["flops"])
    assert key(rows[0]["weight_bytes"]) == 4 * 2 * 3 * 49


check_rows(list(csv.DictReader(bench("--format", "csv", *RUNS).splitlines())),
           float)
check_rows(json.loads(bench("--format", "json", *RUNS)), float)
lines = bench(*RUNS).splitlines()
assert len(lines) == 1 + 36 and max(map(len, lines)) == 80, lines
assert sum(line.startswith("batch ") for line in lines) == 4, lines
lines = bench("--format", "md", *RUNS).splitlines()
assert len(lines) == 2 + 36 and {l.count("|") for l in lines} == {11}, lines
for column in ("least ms", "median ms", "GFLOP/s", "FMA peak",
               "read bandwidth", "plan MB"):
    assert column in lines[0]
assert len(bench("--batch", "2", "--threads", "1", "--repeat", "1", "--slide",
                 "--input", "3x40x36").splitlines()) == 2
assert bench("--batch", "1,x", status=2) == ""
assert bench("--format", "xml", status=2) == ""
assert bench("--threads", "0", status=2) == ""
for form in ("md", "csv", "json"):
    assert bench("--format", form, "--input", "3x7x7", status=2) == ""
small = run("--input", "3x7x7", "--threads", "1,2", status=2).stderr
assert small.count("GFLOP/s") == 1, small  # and nothing after the failure
