"""One engine with one net, in a process of its own that obeys stdin.

    worker.py ENGINE NET WEIGHTS SHAPE BATCH THREADS

Answers "run N" with the seconds of N runs, "save FILE" with a file of the
last outputs, "limits" (ptfold only) with FLOP/s and bytes/s.  Every engine
gets the same weights and the same inputs.

SPDX-License-Identifier: Apache-2.0
"""
import importlib
import json
import sys
import time

import numpy


def main():
    name, net, weights, shape, batch, threads = sys.argv[1:]
    shape = [int(n) for n in shape.split("x")]
    x = numpy.random.default_rng(1).random([int(batch)] + shape,
                                           dtype=numpy.float32)
    engine = importlib.import_module("engine_" + name.split("-")[0])
    run = engine.prepare(name, net, weights, shape, int(batch), int(threads))
    y = numpy.asarray(run(x))
    print("ready", flush=True)
    for line in sys.stdin:
        verb, argument = (line.split() + [""])[:2]
        if verb == "run":
            run(x)  # wakes the threads, fills the caches
            seconds = []
            for _ in range(int(argument)):
                before = time.perf_counter()
                y = run(x)
                seconds.append(time.perf_counter() - before)
            print(json.dumps(seconds), flush=True)
        elif verb == "save":
            numpy.save(argument, numpy.asarray(y).reshape(int(batch), -1))
            print("saved", flush=True)
        else:
            print(json.dumps(engine.limits(int(threads))), flush=True)


main()
