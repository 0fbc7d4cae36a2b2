"""docs/tutorial.md does what it says.

SPDX-License-Identifier: Apache-2.0
"""
import ast
import os
import re
import shlex
import shutil
import subprocess
import unittest

from programs import FIXTURES, SOURCE, ProgramTest

TUTORIAL = (SOURCE / "docs" / "tutorial.md").read_text()
EXAMPLE = SOURCE / "docs" / "examples" / "classify.c"
MODEL = FIXTURES / "programs" / "residual"
PHOTO = SOURCE / "tests" / "images" / "preset_tall.jpg"
BUILD = os.environ.get("PTF_LIBRARY", "")


def blocks(text):
    """What is indented, without that."""
    return [re.sub("^    ", "", block, flags=re.MULTILINE).strip("\n") + "\n"
            for block in re.findall(r"(?:^(?:    .*)?\n)*^    .*\n", text,
                                    re.MULTILINE)]


def section(number):
    return re.search(rf"^## {number}\. .*?(?=^## |\Z)", TUTORIAL,
                     re.MULTILINE | re.DOTALL).group()


class Tutorial(ProgramTest):
    def test_five_lines_of_python_save_the_model(self):
        lines = blocks(section(1))[0]
        self.assertEqual(lines.count("\n"), 5)
        ast.parse(lines)
        try:
            import numpy
            import torch
            from torch import export, nn
        except ImportError:
            self.skipTest("no PyTorch with torch.export")
        self.assertTrue(hasattr(export, "save"))
        model = nn.Sequential(nn.Conv2d(3, 4, 3, 8), nn.BatchNorm2d(4),
                              nn.ReLU(), nn.AdaptiveAvgPool2d(1),
                              nn.Flatten(), nn.Linear(4, 5))
        os.chdir(self.folder)
        exec(lines, {"model": model, "torch": torch, "numpy": numpy})
        self.run_commands((3, 4))

    def run_commands(self, sections):
        count = 0
        for number in sections:
            for block in blocks(section(number)):
                for line in block.replace("\\\n", " ").splitlines():
                    words = shlex.split(line)
                    if words and words[0] in ("ptfold", "bnfuse"):
                        self.succeed(words[0], *words[1:])
                        count += 1
        return count

    def test_commands_about_programs_run(self):
        shutil.copy(f"{MODEL}.pt2", self.path("model.pt2"))
        shutil.copy(f"{MODEL}.out.npy", self.path("y.npy"))
        self.assertEqual(self.run_commands((2, 3, 4)), 8)
        self.assertTrue(self.path("outputs.npz").exists())

    def test_what_it_shows_of_a_report_is_in_one(self):
        text = self.succeed("ptfold", "check", f"{MODEL}.pt2", "--expect",
                            f"{MODEL}.out.npy")
        for line in blocks(section(3))[1].splitlines():
            if "y.npy" not in line and line != "...":
                self.assertIn(line.strip().split("  ")[0], text)

    def test_the_program_in_c_is_the_example(self):
        code = EXAMPLE.read_text()
        code = code[code.index("#include"):]
        self.assertEqual(blocks(section(8))[0], code)
        self.assertLessEqual(code.count("\n"), 60)

    @unittest.skipUnless(BUILD, "no shared library")
    def test_the_program_in_c_says_what_ptfold_run_says(self):
        program = self.path("classify")
        subprocess.run([*shlex.split(os.environ["CC"]), "-Wall", "-Wextra",
                        "-Werror", f"-I{SOURCE / 'include'}", EXAMPLE, BUILD,
                        f"-Wl,-rpath,{os.path.dirname(BUILD)}", "-o", program],
                       check=True)
        done = subprocess.run([program, f"{MODEL}.pt2", PHOTO], check=True,
                              capture_output=True, text=True)
        report = self.succeed("ptfold", "run", "--preset", "imagenet",
                              "--resize", "13", "--crop", "12x12", "--npy",
                              "y.npy", "--top", "1", f"{MODEL}.pt2", PHOTO)
        best, score = re.search(r" 1 (\d+) +(\S+)", report).groups()
        found = re.fullmatch(r"class (\d+): (\S+)\n", done.stdout).groups()
        self.assertEqual(found[0], best)
        self.assertAlmostEqual(float(found[1]), float(score), places=5)
        for net in (FIXTURES / "programs" / "ports.pt2", "no.pt2"):
            done = subprocess.run([program, net, PHOTO], check=False,
                                  capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertEqual(done.stderr.count("\n"), 1)


if __name__ == "__main__":
    unittest.main()
