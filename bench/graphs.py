#!/usr/bin/env python3
"""graphs.py PTFOLD FILE.pt2...: ptfold and PyTorch on exported programs.

Each program runs on its sample inputs, or on random ones of their shape, one
at a time: in PyTorch as torch.export.load() gives it, in ptfold by "ptfold
bench".  The two run in turn, on as many threads, some rounds each; the table
has the median of the rounds' least times, and PyTorch's over ptfold's.  With
--base OLD another ptfold is in turn with them.

SPDX-License-Identifier: Apache-2.0
"""
import argparse
import csv
import io
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

BATCH = 1


def time_torch(path, threads, repeat):
    """Seconds of the fastest of some runs; called in a process of its own."""
    import torch
    torch.set_num_threads(threads)
    program = torch.export.load(path)
    module = program.module()
    if program.example_inputs:
        args, kwargs = program.example_inputs
    else:
        values = {n.name: n.meta["val"] for n in program.graph.nodes
                  if n.op == "placeholder"}
        args = [torch.rand(values[n].shape)
                for n in program.graph_signature.user_inputs]
        kwargs = {}
    least = float("inf")
    with torch.inference_mode():
        for _ in range(repeat + 1):  # the first warms up
            before = time.perf_counter()
            module(*args, **kwargs)
            least = min(least, time.perf_counter() - before)
    return least


def run_torch(path, threads, repeat):
    environment = {k: v for k, v in os.environ.items()
                   if k != "OPENBLAS_CORETYPE"}
    out = subprocess.run(
        [sys.executable, __file__, "--torch", path, "--threads", str(threads),
         "--repeat", str(repeat)], env=environment, check=True,
        capture_output=True, text=True)
    return float(out.stdout)


def run_ptfold(program, path, threads, repeat):
    out = subprocess.run(
        [program, "bench", path, "--batch", str(BATCH), "--threads",
         str(threads), "--repeat", str(repeat), "--format", "csv"],
        check=True, capture_output=True, text=True)
    row = next(csv.DictReader(io.StringIO(out.stdout)))
    return float(row["least_seconds"])


def compare(o, path, threads):
    """Medians of all rounds, by engine."""
    engines = {"PyTorch": lambda: run_torch(path, threads, o.repeat),
               "ptfold": lambda: run_ptfold(o.ptfold, path, threads, o.repeat)}
    if o.base:
        engines["base"] = lambda: run_ptfold(o.base, path, threads, o.repeat)
    times = {name: [] for name in engines}
    for _ in range(o.rounds):
        for name, run in engines.items():
            times[name].append(run())
    return {name: statistics.median(t) for name, t in times.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ptfold")
    parser.add_argument("files", nargs="*")
    parser.add_argument("--base")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--torch", action="store_true", help="of the script's "
                        "own processes: time PTFOLD, a file, in PyTorch")
    o = parser.parse_intermixed_args()
    if o.torch:
        print(time_torch(o.ptfold, int(o.threads), o.repeat))
        return
    base = " base | base / ptfold |" if o.base else ""
    print(f"| program | threads | PyTorch | ptfold | x PyTorch |{base}")
    print("|---|---|---|---|---|" + ("---|---|" if o.base else ""))
    for path in o.files:
        for threads in map(int, o.threads.split(",")):
            ms = {k: 1000 * s for k, s in compare(o, path, threads).items()}
            old = (f" {ms['base']:.1f} | {ms['base'] / ms['ptfold']:.2f} |"
                   if o.base else "")
            print(f"| {Path(path).stem} | {threads} | {ms['PyTorch']:.1f} "
                  f"| {ms['ptfold']:.1f} "
                  f"| {ms['PyTorch'] / ms['ptfold']:.2f} |{old}", flush=True)


if __name__ == "__main__":
    main()
