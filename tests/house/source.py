"""The files of the project, and C without its comments and texts.

SPDX-License-Identifier: Apache-2.0
"""
import os
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
C_ENDINGS = {".c", ".h", ".inc"}
TEXT_ENDINGS = C_ENDINGS | {".py", ".sh", ".md", ".txt", ".build", ".tsv",
                            ".cc", ".yml", ""}
NOT_OURS = re.compile(r"^(build.*|out|\.git|__pycache__)$")


def skipped(path):
    """Caches, outputs, and folders that meson builds in, whatever their name."""
    return NOT_OURS.match(path.name) or (path / "meson-private").is_dir()


def files(*folders, endings):
    """Files below the folders, sorted; builds and caches left out."""
    found = []
    for folder in folders:
        for where, subfolders, names in os.walk(ROOT / folder):
            subfolders[:] = [s for s in subfolders
                             if not skipped(Path(where) / s)]
            found += [Path(where) / n for n in names
                      if Path(n).suffix in endings]
    return sorted(found)


def name(path):
    return str(path.relative_to(ROOT))


TOKENS = re.compile(
    r"""//[^\n]* | /\*.*?\*/ | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'""",
    re.VERBOSE | re.DOTALL)


def code_of(text):
    """C without comments and what is in quotes; the lines stay in place."""
    def blank(match):
        token = match.group()
        keep = token[0] if token[0] in "\"'" else " "
        return keep + "\n" * token.count("\n") + keep
    return TOKENS.sub(blank, text)


def numbered(text):
    return enumerate(text.split("\n"), start=1)
