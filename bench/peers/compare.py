#!/usr/bin/env python3
"""Runs ptfold and its peers on the same weights and inputs, in turn.

    compare.py [options] FOLDER

FOLDER holds net1.pt, net2.safetensors, features.safetensors and
small.safetensors, as run.sh makes them.  Every engine is a process of its own
(worker.py), pinned to the same processors.  In each round each engine runs
once in turn; times are medians over the rounds, ratios medians of the rounds'
ratios, so that what the machine does meanwhile hits all alike.  Shares are of
the multiply-adds and reads per second that ptfold measures in each round.

SPDX-License-Identifier: Apache-2.0
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

import numpy

import nets

HERE = os.path.dirname(os.path.abspath(__file__))

# name, net, file for ptfold, file for the others, input, batch, runs a round
WORK = [
    ("Net1", "net1", "net1.pt", "net2.safetensors", "3x32x32", 1, 5),
    ("Net1", "net1", "net1.pt", "net2.safetensors", "3x32x32", 10, 3),
    ("Net1", "net1", "net1.pt", "net2.safetensors", "3x32x32", 100, 1),
    ("Net1's convolutions", "features", "features.safetensors",
     "features.safetensors", "3x32x32", 1, 10),
    ("Net2", "net2", "net2.safetensors", "net2.safetensors", "3x36x38", 1, 3),
    ("Net2", "net2", "net2.safetensors", "net2.safetensors", "3x36x38", 10, 1),
    ("smallNet", "small", "small.safetensors", "small.safetensors", "3x32x32",
     1, 50),
    ("smallNet", "small", "small.safetensors", "small.safetensors", "3x32x32",
     100, 5),
    ("smallNet", "small", "small.safetensors", "small.safetensors", "3x32x32",
     1000, 1),
]


class Worker:
    """A process with one engine and one net."""

    def __init__(self, engine, python, item, folder, threads):
        _, net, ours, theirs, shape, batch, _ = item
        self.engine = engine
        file = os.path.join(folder, ours if "ptfold" in engine else theirs)
        environment = dict(os.environ, OMP_NUM_THREADS=str(threads))
        for name in ("OPENBLAS_CORETYPE", "ONEDNN_MAX_CPU_ISA",
                     "DNNL_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY", "PTF_ISA"):
            environment.pop(name, None)
        cpus = sorted(os.sched_getaffinity(0))[:threads]
        self.process = subprocess.Popen(
            ["taskset", "-c", ",".join(map(str, cpus)), python,
             os.path.join(HERE, "worker.py"), engine, net, file, shape,
             str(batch), str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=environment)
        self.expect("ready")

    def ask(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()

    def expect(self, word):
        line = self.process.stdout.readline().strip()
        if line != word:
            raise RuntimeError(f"{self.engine}: {line!r}, not {word!r}")

    def run(self, count):
        return statistics.median(json.loads(self.ask(f"run {count}")))

    def output(self):
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, "y.npy")
            self.ask("save " + file)
            return numpy.load(file)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def engines_of(options, batch):
    """(engine, interpreter) of all that can do it, ptfold first."""
    torch = options.torch or sys.executable
    engines = [("ptfold", sys.executable), ("ort", sys.executable),
               ("torch", torch)]
    if options.old_torch:
        engines.append(("torch-old", options.old_torch))
    if batch == 1:
        engines += [("ncnn", sys.executable), ("ncnn-direct", sys.executable)]
    if options.gradients:
        engines = [("ptfold", sys.executable)] + [
            (e + "-gradient", python) for e, python in engines
            if "ptfold" in e or "torch" in e]
    chosen = options.engines.split(",") if options.engines else None
    return [e for e in engines if chosen is None or e[0] in chosen]


def error_of(worker, exact):
    return numpy.abs(worker.output().astype(float) - exact).max()


def exact_output(options, item):
    """The outputs, or gradients, of an evaluation in double, by PyTorch."""
    torch = options.torch or sys.executable
    engine = "torch-double" + ("-gradient" if options.gradients else "")
    worker = Worker(engine, torch, item, options.folder, 1)
    y = worker.output()
    worker.close()
    return y


def measure(options, item, threads):
    """Rows of one work with that many threads, ptfold's first."""
    name, net, _, theirs, shape, batch, runs = item
    sizes = [int(n) for n in shape.split("x")]
    flops, weights = nets.work_of(net, os.path.join(options.folder, theirs),
                                  sizes, batch)
    workers = [Worker(engine, python, item, options.folder, threads)
               for engine, python in engines_of(options, batch)]
    seconds = {w.engine: [] for w in workers}
    limits = []
    for _ in range(options.rounds):
        limits.append(json.loads(workers[0].ask("limits")))
        for w in workers:
            seconds[w.engine].append(w.run(runs))
    exact = None
    if batch == 1 and options.errors:
        exact = exact_output(options, item)
    for w in workers:
        s = seconds[w.engine]
        gradient = "gradient" in w.engine
        passes = 2 if gradient else 1
        pairs = list(zip(s, limits))
        yield {
            "work": name, "input": shape, "batch": batch, "threads": threads,
            "engine": w.engine, "seconds": statistics.median(s),
            "least": min(s),
            "ratio": statistics.median(
                a / b for a, b in zip(s, seconds[workers[0].engine])),
            "fma": statistics.median(passes * flops / t / l[0]
                                     for t, l in pairs),
            "read": statistics.median(passes * weights / t / l[1]
                                      for t, l in pairs),
            "limits": [statistics.median(l[i] for l in limits)
                       for i in (0, 1)],
            "error": error_of(w, exact)
            if exact is not None and gradient == options.gradients else None,
        }
    for w in workers:
        w.close()


def show(row):
    error = "" if row["error"] is None else f"{row['error']:.1e}"
    print(f"| {row['work']} {row['input']} | {row['batch']} | {row['threads']} "
          f"| {row['engine']} | {1e3 * row['seconds']:.2f} "
          f"| {1e3 * row['least']:.2f} | {row['ratio']:.2f} "
          f"| {100 * row['fma']:.0f} % | {100 * row['read']:.0f} % | {error} |",
          flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--engines", help="some of ptfold, ort, torch, "
                        "torch-old, ncnn, ncnn-direct; ptfold must be there")
    parser.add_argument("--torch", help="interpreter with PyTorch")
    parser.add_argument("--old-torch", help="interpreter with an older one")
    parser.add_argument("--only", default="", help="NET or NET:BATCH of a row")
    parser.add_argument("--errors", action="store_true",
                        help="batch 1: compare with an evaluation in double")
    parser.add_argument("--gradients", action="store_true",
                        help="ptfold forward; forward and by the input of "
                        "ptfold and PyTorch")
    parser.add_argument("--json", help="write all figures here, too")
    options = parser.parse_args()
    print("| work | batch | threads | engine | median ms | least ms | time / "
          "ptfold's | of FMA peak | of read bandwidth | largest error |\n"
          "|---|--:|--:|---|--:|--:|--:|--:|--:|--:|")
    rows = []
    for threads in map(int, options.threads.split(",")):
        for item in WORK:
            if options.only in ("", item[1], f"{item[1]}:{item[5]}"):
                for row in measure(options, item, threads):
                    rows.append(row)
                    show(row)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as f:
            json.dump(rows, f, indent=1)


main()
