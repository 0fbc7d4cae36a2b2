"""What the shells complete: each is run on a terminal, has the completions
loaded as it finds them when they are installed, and is asked for all
candidates, which must be what --help lists.

SPDX-License-Identifier: Apache-2.0
"""
import os
import pty
import re
import select
import shutil
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from programs import PROGRAMS, SOURCE
from test_help import commands, help_of

COMPLETIONS = SOURCE / "completions"
PROGRAM_NAMES = ("bnfuse", "lnin-convert", "ptfold")

# For each shell: a file that it reads when it starts, and how.  Escape-star
# puts all candidates on the command line, control-T writes that to a pipe.
BASH = f"""
. '{COMPLETIONS}/ptfold.bash'
bind -x '"\\C-t": echo "$READLINE_LINE" >"$ANSWER"'
bind '"\\e*": insert-completions'
"""
ZSH = f"""
fpath=('{COMPLETIONS}' $fpath)
autoload -U compinit
compinit -u -D
zstyle ':completion:all:*' insert yes
zstyle ':completion:all:*' completer _all_matches _complete
zstyle ':completion:all:*' old-matches no
zle -C all complete-word _generic
bindkey '\\e*' all
answer() {{ print -r -- "$BUFFER" >"$ANSWER"; }}
zle -N answer
bindkey '^T' answer
"""


class Terminal:
    """A shell on a terminal of its own."""

    def __init__(self, shell, folder):
        self.answer = folder / f"{shell}-answer"
        os.mkfifo(self.answer)
        start = folder / {"bash": "start.bash", "zsh": ".zshrc"}[shell]
        start.write_text({"bash": BASH, "zsh": ZSH}[shell])
        command = {"bash": ["bash", "--noprofile", "--rcfile", start, "-i"],
                   "zsh": ["zsh", "-d", "-i"]}[shell]
        environment = {
            **os.environ, "PATH": f"{PROGRAMS}:{os.environ['PATH']}",
            "ANSWER": str(self.answer), "ZDOTDIR": str(folder),
            "TERM": "dumb", "PS1": "ready> ", "HOME": str(folder)}
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, cwd=folder,
            env=environment, start_new_session=True)
        os.close(slave)
        self.pipe = os.open(self.answer, os.O_RDWR)
        self.seen = b""

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.pipe)

    def candidates(self, line):
        """All that may stand where the line's last word does."""
        os.write(self.master, line.encode() + b"\x1b*\x14")
        answer = b""
        end = time.monotonic() + 60
        while not answer.endswith(b"\n"):
            ready, _, _ = select.select([self.master, self.pipe], [], [],
                                        end - time.monotonic())
            if not ready:
                raise TimeoutError(self.seen.decode(errors="replace"))
            if self.master in ready:  # read, or the shell would wait
                self.seen += os.read(self.master, 4096)
            if self.pipe in ready:
                answer += os.read(self.pipe, 65536)
        os.write(self.master, b"\x15")  # an empty line for the next one
        words = answer.decode().split()
        return sorted(words[len(f"{line}?".split()) - 1:])


class Fish:
    """Fish answers such questions itself."""

    def __init__(self, folder):
        vendor = folder / "vendor_completions.d"
        vendor.mkdir()
        for name in PROGRAM_NAMES:
            (vendor / f"{name}.fish").symlink_to(COMPLETIONS / "ptfold.fish")
        self.environment = {**os.environ, "HOME": str(folder),
                            "PATH": f"{PROGRAMS}:{os.environ['PATH']}"}
        self.start = f"set -p fish_complete_path '{vendor}'; complete -C "
        self.folder = folder

    def close(self):
        pass

    def candidates(self, line):
        told = subprocess.run(
            ["fish", "--no-config", "-c", f"{self.start}'{line}'"],
            check=True, stdout=subprocess.PIPE, text=True, cwd=self.folder,
            env=self.environment).stdout
        return sorted(row.split("\t")[0] for row in told.splitlines())


class Completions:
    """For one shell, of which the class has the name."""

    shell = ""

    def setUp(self):
        if shutil.which(self.shell) is None:
            self.skipTest(f"no {self.shell}")
        holder = tempfile.TemporaryDirectory(prefix="ptfold-e2e-")
        self.addCleanup(holder.cleanup)
        folder = Path(holder.name)
        self.terminal = (Fish(folder) if self.shell == "fish"
                         else Terminal(self.shell, folder))
        self.addCleanup(self.terminal.close)
        for name in ("net.pt", "net.txt"):
            (folder / name).touch()

    def test_commands_are_those_of_the_help(self):
        listed = re.findall(r"^  ([a-z]+) ", help_of(["ptfold"]), re.MULTILINE)
        self.assertEqual(self.terminal.candidates("ptfold "), sorted(listed))
        self.assertEqual(self.terminal.candidates("ptfold b"), ["bench"])

    def test_options_are_those_of_the_help(self):
        for words in [["ptfold"], *(words for words, _ in commands())]:
            said = set(re.findall(r"--[a-z][a-z0-9-]*", help_of(words)))
            line = " ".join(words)
            with self.subTest(line):
                self.assertEqual(self.terminal.candidates(line + " --"),
                                 sorted(said))
        self.assertEqual(self.terminal.candidates("ptfold run --la"),
                         ["--labels", "--layout"])

    def test_values_are_those_of_the_help(self):
        for line, values in (
                ("ptfold check --require ",
                 ["argmax", "bitwise", "certified", "tolerance"]),
                ("ptfold check --require bi", ["bitwise"]),
                ("bnfuse --fold ", ["epilogue", "weights"]),
                ("ptfold bench --format ", ["csv", "json", "md", "text"]),
                ("ptfold run --layout n", ["nchw", "nhwc"]),
                ("ptfold info --key n", ["net.pt", "net.txt"])):
            with self.subTest(line):
                self.assertEqual(self.terminal.candidates(line), values)

    def test_operands_are_files(self):
        for line in ("bnfuse n", "lnin-convert n", "ptfold info n",
                     "ptfold run --json n"):
            with self.subTest(line):
                self.assertEqual(self.terminal.candidates(line),
                                 ["net.pt", "net.txt"])


class Bash(Completions, unittest.TestCase):
    shell = "bash"


class Zsh(Completions, unittest.TestCase):
    shell = "zsh"


class FishShell(Completions, unittest.TestCase):
    shell = "fish"


if __name__ == "__main__":
    unittest.main()
