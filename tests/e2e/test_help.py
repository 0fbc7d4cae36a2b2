"""What the programs say of themselves: --help, and what it leaves out.

SPDX-License-Identifier: Apache-2.0
"""
import os
import re
import shutil
import subprocess
import unittest

from programs import PROGRAMS, SOURCE

TABLE = re.compile(r"""\{\s*"([a-z][a-z0-9-]*)",\s*(?:0|'.'),\s*OPTION_""")
SHARED = re.compile(r"IMAGE_ROW\(texts, ([a-z]+), OPTION_")


def commands():
    """(words of the command, the file that has its table of options)"""
    tool = SOURCE / "src" / "tool"
    for path in sorted(tool.rglob("*.c")):
        usage = re.search(r'"usage: ((?:bnfuse|lnin-convert|ptfold [a-z]+))\b',
                          path.read_text())
        if usage:
            yield usage.group(1).split(), path


def help_of(words):
    return subprocess.run([PROGRAMS / words[0], *words[1:], "--help"],
                          check=True, stdout=subprocess.PIPE,
                          text=True).stdout


class Help(unittest.TestCase):
    def test_all_commands_are_found(self):
        listed = re.findall(r"^  ([a-z]+) ", help_of(["ptfold"]), re.MULTILINE)
        found = [words[1] for words, _ in commands() if len(words) == 2]
        self.assertEqual(sorted(found), sorted(listed))

    def test_it_fits_a_terminal_and_has_an_example(self):
        for words, _ in commands():
            text = help_of(words)
            with self.subTest(" ".join(words)):
                self.assertLessEqual(max(map(len, text.split("\n"))), 80)
                self.assertRegex(text, rf"\nExample: {' '.join(words)} ")

    def test_manual_pages_fit_a_terminal(self):
        pages = sorted((PROGRAMS.parents[1] / "docs" / "man").glob("*.1"))
        if not pages or shutil.which("man") is None:
            self.skipTest("no scdoc or no man")
        self.assertEqual(len(pages), 3 + sum(len(words) == 2
                                             for words, _ in commands()))
        for page in pages:
            text = subprocess.run(
                ["man", "-l", "-P", "cat", page], check=True,
                stdout=subprocess.PIPE, text=True,
                env={**os.environ, "MANWIDTH": "80", "LC_ALL": "C.UTF-8"}
            ).stdout
            text = re.sub(r".\x08|\x1b\[[0-9;]*m", "", text)
            with self.subTest(page.name):
                self.assertGreater(text.count("\n"), 30)
                self.assertLessEqual(max(map(len, text.split("\n"))), 80)

    def test_the_page_of_ops_is_what_the_program_says(self):
        """Else: ptfold info --supported ops >docs/ops.md"""
        said = subprocess.run([PROGRAMS / "ptfold", "info", "--supported",
                               "ops"], check=True, stdout=subprocess.PIPE,
                              text=True).stdout
        page = (SOURCE / "docs" / "ops.md").read_text()
        self.assertEqual(page.split("\n"), said.split("\n"))

    def test_it_names_the_options_that_there_are(self):
        for words, path in commands():
            text = path.read_text()
            options = set(TABLE.findall(text))
            if "IMAGE_OPTIONS(" in text:
                shared = (SOURCE / "src" / "tool" / "common" /
                          "image_options.h").read_text()
                options |= set(SHARED.findall(shared))
            said = set(re.findall(r"--([a-z][a-z0-9-]*)", help_of(words)))
            with self.subTest(" ".join(words)):
                self.assertEqual(said - {"help", "version", "verbose"}, options)


if __name__ == "__main__":
    unittest.main()
