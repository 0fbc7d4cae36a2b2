"""Files that another program cuts while ours use them: one line, status 5.

The other program is linked into copies of ours, in PTF_CUT_PROGRAMS, and comes
right after a call that PTF_CUT_AT names: see tests/cut.c.

SPDX-License-Identifier: Apache-2.0
"""
import os
import random
import signal
import subprocess
import unittest
from pathlib import Path

import checkpoint
from programs import (PROGRAMS, SANITIZED, SYSTEM, ProgramTest,
                      quiet_threads, registration)

CUT_PROGRAMS = Path(os.environ["PTF_CUT_PROGRAMS"])
SIDE, HIDDEN = 24, 300
TEXT = f"""# input: 3x{SIDE}x{SIDE}
Net(
  (0): Conv2d(3, 4, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
  (1): BatchNorm2d(4, eps=1e-05, momentum=0.1, affine=True, \
track_running_stats=True)
  (2): ReLU()
  (3): Flatten(start_dim=1, end_dim=-1)
  (4): Linear(in_features={4 * SIDE * SIDE}, out_features={HIDDEN}, bias=True)
  (5): Linear(in_features={HIDDEN}, out_features=5, bias=True)
)
"""
MOMENTS = ["mmap64", "ptf_checkpoint_open", "ptf_checkpoint_verify",
           "ptf_net_make", "ptf_output_open", "copy_file_range"]


class CutTest(ProgramTest):
    def setUp(self):
        super().setUp()
        numbers = random.Random(1)

        def some(*shape):
            count = 1
            for n in shape:
                count *= n
            return checkpoint.tensor(shape, [numbers.uniform(.1, 1)
                                             for _ in range(count)])
        self.tensors = {
            "0.weight": some(4, 3, 3, 3), "0.bias": some(4),
            "1.weight": some(4), "1.bias": some(4),
            "1.running_mean": some(4), "1.running_var": some(4),
            "4.weight": some(HIDDEN, 4 * SIDE * SIDE), "4.bias": some(HIDDEN),
            "5.weight": some(5, HIDDEN), "5.bias": some(5),
        }
        self.write("net.txt", TEXT.encode().replace(b"Net(", b"Sequential("))
        self.write("image.ppm", b"P6\n%d %d\n255\n" % (SIDE, SIDE) +
                   bytes(3 * SIDE * SIDE))

    def refresh(self, name):
        checkpoint.write_torch(self.path("net.pt"), self.tensors)
        if name == "net.safetensors":
            self.succeed("ptfold", "convert", "--force", "net.pt", name)
        return self.path(name).stat().st_size

    def cut(self, name, moment, size, program, *args):
        """The status, or None when the moment did not come."""
        self.refresh(name)
        for old in self.folder.glob("out.*"):
            old.unlink()
        before = self.contents()
        with subprocess.Popen(
                [CUT_PROGRAMS / f"cut-{program}", *args], cwd=self.folder,
                env={**quiet_threads(), "PTF_CUT_AT": moment,
                     "PTF_CUT_FILE": name, "PTF_CUT_TO": str(size)},
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, text=True) as done:
            stdout, stderr = done.communicate()
        say = f"{program} {args} {moment} {size}: {done} {stdout} {stderr}"
        after = self.contents()
        self.assertFalse(registration(done.pid).exists(), say)
        if len(after[name]) == len(before[name]):
            self.assertEqual(done.returncode, 0, say)
            return
        self.assertEqual(done.returncode, SYSTEM, say)
        self.assertRegex(stderr,
                         rf"\A{program}: {name}: was truncated while it was in "
                         r"use[^\n]*\n\Z", say)
        del before[name], after[name]
        self.assertEqual(after, before, say)
        self.seen.add((moment, *args[:1]))

    def try_all(self, program, *args, name="net.pt"):
        self.seen = set()
        whole = self.refresh(name)
        for moment in MOMENTS:
            for size in 0, 4096, whole // 2, whole - 1:
                with self.subTest(moment=moment, size=size):
                    self.cut(name, moment, size, program, *args)
        self.assertGreaterEqual(len(self.seen), 2)

    def test_info(self):
        self.try_all("ptfold", "info", "--sha256", "net.pt")

    def test_convert(self):
        self.try_all("ptfold", "convert", "net.pt", "out.safetensors")

    def test_convert_from_safetensors(self):
        self.try_all("ptfold", "convert", "net.safetensors", "out.pt",
                     name="net.safetensors")

    def test_run(self):
        self.try_all("ptfold", "run", "-q", "--arch", "net.txt", "net.pt",
                     "image.ppm")

    def test_check(self):
        self.try_all("ptfold", "check", "--arch", "net.txt", "--arch-b",
                     "net.txt", "net.pt", "net.pt")

    def test_bnfuse(self):
        self.try_all("bnfuse", "--arch", "net.txt", "net.pt", "out.pt")

    def test_bnfuse_of_safetensors(self):
        self.try_all("bnfuse", "--arch", "net.txt", "net.safetensors",
                     "out.safetensors", name="net.safetensors")

    def test_lnin_convert(self):
        self.try_all("lnin-convert", "--arch", "net.txt", "-o", "out.pt",
                     "net.pt")

    def test_other_bus_errors_end_the_program_as_ever(self):
        """Only a fault in one of our files is an I/O error."""
        self.refresh("net.pt")
        process = subprocess.Popen(
            [CUT_PROGRAMS / "cut-ptfold", "run", "--arch", "net.txt", "net.pt",
             "-"], cwd=self.folder, env=quiet_threads(),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE)
        process.stdin.write(b"P6\n")  # it waits for the rest
        process.stdin.flush()
        maps = Path(f"/proc/{process.pid}/maps")
        while process.poll() is None and b"net.pt" not in maps.read_bytes():
            pass
        process.send_signal(signal.SIGBUS)
        process.communicate()
        ending = signal.SIGABRT if SANITIZED else signal.SIGBUS
        self.assertEqual(process.returncode, -ending)
        self.assertFalse(registration(process.pid).exists())

    def test_what_a_killed_process_left_ends_no_other(self):
        """LLVM's OpenMP died of files of the process that had the number."""
        if not os.access("/dev/shm", os.W_OK):
            self.skipTest("no shared memory")
        self.refresh("net.pt")
        for left in b"", bytes(1024), b"half":
            def leave():
                registration(os.getpid()).write_bytes(left)
            with self.subTest(left=left):
                with subprocess.Popen(
                        [PROGRAMS / "ptfold", "convert", "--force", "net.pt",
                         "out.safetensors"], cwd=self.folder,
                        env=quiet_threads(), preexec_fn=leave) as process:
                    process.wait()
                file = registration(process.pid)
                self.addCleanup(file.unlink, missing_ok=True)
                self.assertEqual(process.returncode, 0)
                self.assertFalse(file.exists())


if __name__ == "__main__":
    unittest.main()
