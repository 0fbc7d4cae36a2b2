"""Drawn checkpoints: what PyTorch wrote, and PyTorch on their conversions.

Skipped (status 77) by a Python without PyTorch.  PTF_TORCH2_PYTHON may name
another Python, whose PyTorch is 2 or newer and writes other files; and
PTF_DRAWN says which are drawn and how many, as "SEED COUNT".

SPDX-License-Identifier: Apache-2.0
"""
import os
import subprocess
import sys
import unittest
from pathlib import Path

from programs import (EQUIVALENT, PROGRAMS, SOURCE, UNSUPPORTED, ProgramTest,
                      need_torch, quiet_threads)

DRAWER = Path(__file__).resolve().parent / "drawn_checkpoints.py"
SEED, COUNT = os.environ.get("PTF_DRAWN", "1 40").split()


class Drawn(ProgramTest):
    def run_python(self, python, *args):
        done = subprocess.run(
            [python, "-B", *args], cwd=self.folder, env=quiet_threads(),
            text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout.rstrip()

    def convert_all(self):
        """Into both formats, whatever they can hold."""
        self.path("converted").mkdir()
        table = self.path("GOLDEN.tsv").read_text(encoding="utf-8")
        for name in {line.split("\t")[0] for line in table.splitlines()}:
            for ending in (".pt", ".safetensors"):
                done = self.run_program("ptfold", "convert", "--key", "", name,
                                        f"converted/{name}{ending}")
                allowed = (EQUIVALENT, UNSUPPORTED)
                self.assertIn(done.returncode, allowed, (name, done.stderr))
                if done.returncode == UNSUPPORTED:
                    self.assertRegex(done.stderr.decode(),
                                     "is quantized|no dtype")

    def check(self, python):
        self.run_python(python, DRAWER, self.folder, SEED, COUNT)
        print(self.run_python(sys.executable, SOURCE / "tests" / "e2e" / "digests.py",
                              PROGRAMS / "ptfold", self.path("GOLDEN.tsv")))
        self.convert_all()
        print(self.run_python(python, DRAWER, self.folder))

    def test_this_pytorch(self):
        self.check(sys.executable)

    def test_a_newer_pytorch(self):
        newer = os.environ.get("PTF_TORCH2_PYTHON")
        if newer is None:
            self.skipTest("PTF_TORCH2_PYTHON is not set")
        self.check(newer)


if __name__ == "__main__":
    need_torch()
    unittest.main()
