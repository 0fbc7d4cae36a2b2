"""Running the programs in a folder of their own, and what may be left there.

The folder with the built programs is in PTF_PROGRAMS.

SPDX-License-Identifier: Apache-2.0
"""
import ast
import json
import os
import struct
import subprocess
import sys
import tempfile
import unittest
import zipfile
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
FIXTURES = SOURCE / "checkpoints" / "fixtures"
PROGRAMS = Path(os.environ["PTF_PROGRAMS"])
# They reserve terabytes of addresses, and have signal handlers of their own.
SANITIZED = os.environ.get("PTF_SANITIZERS", "none") != "none"

MOST_IN_MESSAGE = 300  # characters

# What a program's exit status says.
EQUIVALENT, DIFFERENT, USAGE, UNSUPPORTED, DAMAGED, SYSTEM = range(6)


def need_torch():
    """PyTorch; a Python without it skips the whole program (status 77)."""
    try:
        import torch
    except ImportError:
        print("skipped: this Python has no PyTorch")
        sys.exit(77)
    return torch


def quiet_threads():
    """An environment: threads that spin while they wait slow others down."""
    return {**os.environ, "OMP_WAIT_POLICY": "passive"}


def uncounted():
    """For a process that is killed or may not write: gcc's coverage counters,
    where there are any, would be left damaged, so they go nowhere."""
    return {**quiet_threads(), "GCOV_PREFIX": "/dev/null"}


def registration(pid):
    """The file that LLVM's OpenMP has while a process runs, and SIGKILL leaves:
    it is the trouble of the next process that gets the number."""
    return Path(f"/dev/shm/__KMP_REGISTERED_LIB_{pid}_{os.getuid()}")


def read_npz(path):
    """{name: (shape, numbers)} of arrays of floating point."""
    arrays = {}
    with zipfile.ZipFile(path) as file:
        for entry in file.namelist():
            data = file.read(entry)
            size = struct.unpack("<H", data[8:10])[0]
            head = ast.literal_eval(data[10:10 + size].decode())
            kind = {"<f4": "<f", "<f8": "<d"}[head["descr"]]
            numbers = [x for x, in struct.iter_unpack(kind, data[10 + size:])]
            arrays[entry.removesuffix(".npy")] = head["shape"], numbers
    return arrays


class ProgramTest(unittest.TestCase):
    """A test whose files are in self.folder, the programs' current one."""

    maxDiff = None

    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="ptfold-e2e-")
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)

    def path(self, name):
        return self.folder / name

    def write(self, name, data):
        self.path(name).write_bytes(data)
        return self.path(name)

    def fixture(self, name):
        """A copy of a committed file in the folder."""
        return self.write(name, (FIXTURES / name).read_bytes())

    def contents(self):
        """Everything in the folder: name -> bytes, or where a link goes."""
        return {str(p.relative_to(self.folder)):
                os.readlink(p) if p.is_symlink() else
                p.read_bytes() if p.is_file() else None
                for p in sorted(self.folder.rglob("*"))}

    def run_program(self, program, *args, **options):
        env = uncounted() if "preexec_fn" in options else quiet_threads()
        return subprocess.run(
            [PROGRAMS / program, *args], cwd=self.folder,
            env={**env, **options.pop("env", {})},
            timeout=300,
            **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE,
               "stderr": subprocess.PIPE, **options})

    def succeed(self, program, *args, **options):
        """Runs it; it must end well and say nothing on stderr."""
        done = self.run_program(program, *args, **options)
        self.assertEqual((done.returncode, done.stderr), (EQUIVALENT, b""),
                         (program, args, done.stdout))
        return done.stdout.decode()

    def report(self, program, *args, **options):
        return json.loads(self.succeed(program, "--json", *args, **options))

    def refuse(self, status, words, program, *args, **options):
        """Runs it; it must end so, with one line, and change no file.

        The line is "PROGRAM: FILE: ..." and has all of the words.
        """
        before = self.contents()
        done = self.run_program(program, *args, **options)
        message = done.stderr.decode()
        say = f"{program} {' '.join(map(str, args))}: {message}"
        self.assertEqual(done.returncode, status, say)
        self.assertEqual(done.stdout, b"", say)
        self.assertRegex(message, rf"\A{program.split()[0]}: [^\n]+\n\Z", say)
        self.assertLessEqual(len(message), MOST_IN_MESSAGE + 1, say)
        self.assertTrue(message[:-1].isprintable(), say)
        for word in words:
            self.assertIn(word, message)
        self.assertEqual(self.contents(), before, say)
        return message
