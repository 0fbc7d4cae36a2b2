#!/usr/bin/env python3
"""graphs.py PTFOLD STEM...: ptfold and its peers on exported programs.

For each STEM, batch and number of threads a line of a table: milliseconds of
ptfold ("ptfold bench STEM-1.pt2"), PyTorch (STEM-BATCH.pt2, as
torch.export.load() gives it), ONNX Runtime and OpenVINO (STEM-BATCH.onnx) and
ncnn (STEM-1.pt), as graph_nets.py writes these files; then the time of the
fastest of the last three over ptfold's.  Engines are processes of their own
that run in turn, some rounds each, on as many processors; times are the least
of all rounds, because what else the machine does comes and goes within seconds.
With --base OLD another ptfold is in turn with them.

SPDX-License-Identifier: Apache-2.0
"""
import argparse
import csv
import io
import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
PEERS = ["torch", "ort", "openvino", "ncnn"]


def clean_environment(threads):
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads))
    for name in ("OPENBLAS_CORETYPE", "ONEDNN_MAX_CPU_ISA",
                 "DNNL_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY", "PTF_ISA"):
        environment.pop(name, None)
    return environment


def on_cpus(threads):
    cpus = sorted(os.sched_getaffinity(0))[:threads]
    return ["taskset", "-c", ",".join(map(str, cpus))]


class Peer:
    """A process of graph_worker.py."""

    def __init__(self, python, engine, stem, threads):
        self.process = subprocess.Popen(
            on_cpus(threads) + [python, HERE / "graph_worker.py", engine, stem,
                                str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            stderr=subprocess.DEVNULL, env=clean_environment(threads))
        self.works = self.process.stdout.readline().strip() == "ready"

    def run(self, repeat):
        self.process.stdin.write(f"{repeat}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Ptfold:
    works = True

    def __init__(self, program, stem, batch, threads):
        self.command = on_cpus(threads) + [
            program, "bench", f"{stem}-1.pt2", "--batch", str(batch),
            "--threads", str(threads), "--format", "csv", "--repeat"]
        self.environment = clean_environment(threads)

    def run(self, repeat):
        out = subprocess.run(self.command + [str(repeat)], check=True,
                             capture_output=True, text=True,
                             env=self.environment)
        row = next(csv.DictReader(io.StringIO(out.stdout)))
        return float(row["least_seconds"])

    def close(self):
        pass


def engines_of(o, stem, batch, threads):
    """Those that have the files they need, and can run them."""
    engines = {"ptfold": Ptfold(o.ptfold, stem, batch, threads)}
    if o.base:
        engines["base"] = Ptfold(o.base, stem, batch, threads)
    for name in o.peers.split(","):
        suffix = {"torch": ".pt2", "ncnn": ".pt"}.get(name, ".onnx")
        if name == "ncnn" and batch > 1:
            continue  # it takes one image
        if not os.path.exists(f"{stem}-{batch}{suffix}"):
            continue
        python = o.torch if name == "torch" else sys.executable
        engines[name] = Peer(python, name, f"{stem}-{batch}", threads)
    return {name: e for name, e in engines.items() if e.works}


def measure(o, stem, batch, threads):
    """The least seconds, by engine."""
    engines = engines_of(o, stem, batch, threads)
    least = {name: float("inf") for name in engines}
    for _ in range(o.rounds):
        for name, engine in engines.items():
            least[name] = min(least[name], engine.run(o.repeat))
            time.sleep(o.pause)  # until its threads sleep
    for engine in engines.values():
        engine.close()
    return least


def line_of(names, least):
    cells = [f"{1000 * least[n]:.2f}" if n in least else "" for n in names]
    others = [least[n] for n in ("ort", "openvino", "ncnn") if n in least]
    if others:
        cells.append(f"{min(others) / least['ptfold']:.2f}")
    if "base" in least:
        cells.append(f"{least['base'] / least['ptfold']:.2f}")
    return " | ".join(cells)


def numbers(text):
    return [int(n) for n in text.split(",")]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ptfold")
    parser.add_argument("stems", nargs="+")
    parser.add_argument("--base")
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--torch", default=sys.executable,
                        help="a Python with torch; this one has the others")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--batch", default="1,8")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--pause", type=float, default=0.3)
    o = parser.parse_args()
    names = ["ptfold"] + ["base"] * bool(o.base) + o.peers.split(",")
    heads = (["network", "batch", "threads"] + names + ["ratio to the best"]
             + ["to base"] * bool(o.base))
    print("| " + " | ".join(heads) + " |")
    print("|---" * len(heads) + "|")
    for stem in o.stems:
        for batch in numbers(o.batch):
            for threads in numbers(o.threads):
                cells = line_of(names, measure(o, stem, batch, threads))
                print(f"| {Path(stem).name} | {batch} | {threads} | {cells} |",
                      flush=True)


if __name__ == "__main__":
    main()
