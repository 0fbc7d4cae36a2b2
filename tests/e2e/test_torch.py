"""The programs on files that PyTorch wrote, and PyTorch on theirs.

Skipped (status 77) by a Python without PyTorch.  PTF_TORCH2_PYTHON may name
another Python, whose PyTorch is 2 or newer; the files are then loaded there
as well.

SPDX-License-Identifier: Apache-2.0
"""
import os
import subprocess
import sys
import unittest
from pathlib import Path

from programs import SOURCE, ProgramTest, quiet_threads

LOADER = Path(__file__).resolve().parent / "torch_loads.py"


class PyTorch(ProgramTest):
    def run_python(self, python, *args):
        done = subprocess.run(
            [python, "-B", *args], cwd=self.folder, env=quiet_threads(),
            text=True, timeout=600, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout.split("\n")[0]

    def make_files(self):
        self.run_python(sys.executable, SOURCE / "checkpoints" / "make.py",
                        "--small", "--steps", "5")
        for name in ("folded.pt", "folded.pth"):
            report = self.report("bnfuse", "--arch", "smallNetTrain.txt",
                                 "smallNetSaved", name)
            self.assertTrue(report["equivalent"])
        self.succeed("bnfuse", "--fold", "epilogue", "--arch",
                     "smallNetTrain.txt", "smallNetSaved", "folded.bin")
        for name in ("net2.pt", "net2.pth"):
            report = self.report("lnin-convert", "--arch", "Net1.txt",
                                 "net1.pt", "-o", name)
            self.assertEqual(report["same_size"]["level"], "BITWISE")
            self.assertEqual(report["windows"]["level"], "BITWISE")
            self.assertEqual(report["windows"]["samples"], 70)

    def test_both_programs_with_this_pytorch_and_a_newer_one(self):
        self.make_files()
        print(self.run_python(sys.executable, LOADER))
        newer = os.environ.get("PTF_TORCH2_PYTHON")
        if newer is None:
            print("PyTorch 2: skipped, PTF_TORCH2_PYTHON is not set")
        else:
            print(self.run_python(newer, LOADER))


if __name__ == "__main__":
    try:
        import torch  # noqa: F401
    except ImportError:
        print("skipped: this Python has no PyTorch")
        sys.exit(77)
    unittest.main()
