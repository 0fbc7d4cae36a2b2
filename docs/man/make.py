#!/usr/bin/env python3
"""Makes a manual page's source for scdoc from what a program's --help says.

usage: make.py SUMMARY VERSION PROGRAM [COMMAND]

SPDX-License-Identifier: Apache-2.0
"""
import re
import subprocess
import sys
from pathlib import Path

# What only the page of ptfold itself has: its help lists the commands alone.
OPTIONS = """# OPTIONS

*--help*
\tthe commands; after a command, its options

*--version*
\tthe version

# FILES

*NET.pt, NET.pth, NET.bin, NET.safetensors*
\tcheckpoints, which are recognised by what is in them, whatever their names;
\ta *.bin* or *.safetensors* that ptfold wrote carries its network's text

*NET.txt*
\tthe text that *print(model)* prints, for *--arch*; a line
\t"# input: 3x32x32" may say the shape of one input.  Or the text of a graph,
\tas *ptfold info --graph* prints it
"""

ENVIRONMENT = """# ENVIRONMENT

*PTF_ISA*
\tthe instruction set to use at most: *ref*, *avx2*, *avx512* or *neon*; every
\tone gives the same bits

*NO_COLOR*
\twhen it is set and not empty, reports have no colour
"""

STATUS = """# EXIT STATUS

*0*
\tdone, and equivalent where two networks were compared
*1*
\tnot equivalent
*2*
\twrong usage
*3*
\tsound input that is not supported
*4*
\tdamaged or hostile input
*5*
\tinput, output or memory failed
"""


def escape(text):
    return re.sub(r"([\\*_#`<>~\[\]|])", r"\\\1", text)


def text_column(lines):
    """Where the right one of the two columns of a table begins."""
    starts = [found.end() for found in
              (re.match(r"  \S.*?  +(?=\S)", line) for line in lines) if found]
    return max(starts, key=starts.count) if starts else 0


def row(line, column):
    """("--fold weights", "change weights and biases, in double, rounded")"""
    term, text = line[:column], line[column:]
    if term.endswith(" ") and text and not text.startswith("-"):
        return term.strip(), text.strip()
    return (re.split("  +", line.strip(), maxsplit=1) + [""])[:2]


def table(lines):
    """Options and what they do, which man then sets for any width."""
    column = text_column(lines)
    out = []
    for line in lines:
        if re.match(r"  \S", line):
            term, text = row(line, column)
            out.append(f"\n*{escape(term)}*" + f"\n\t{escape(text)}" * bool(text))
        elif line.startswith(" "):
            out.append(f"\t{escape(line.strip())}")
        else:
            out.append(f"\n{escape(line)}")
    return "\n".join(out) + "\n"


def paragraph(text):
    lines = text.split("\n")
    if any(line.startswith(" ") for line in lines):
        return table(lines)
    return "\n".join(map(escape, lines)) + "\n"


def main():
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    summary, version, program, *command = sys.argv[1:]
    text = subprocess.run([program, *command, "--help"], check=True,
                          stdout=subprocess.PIPE, text=True).stdout
    name = "-".join([Path(program).name, *command])
    usage, *parts = text.strip().split("\n\n")
    parts = [p for p in parts if not p.startswith("Exit status:")]
    examples = [p for p in parts if p.startswith("Example")]
    print(f'{name}(1) "" "ptfold {version}"\n')
    print(f"# NAME\n\n{name} - {escape(summary)}\n")
    lines = [line.removeprefix("usage:").strip() for line in usage.split("\n")]
    print("# SYNOPSIS\n\n" + "\n\n".join(map(escape, lines)) + "\n")
    print("# DESCRIPTION\n")
    for part in parts:
        if part not in examples:
            print(paragraph(part))
    for part in examples:
        print(f"# EXAMPLE\n\n{escape(part.split(':', 1)[1].strip())}\n")
    if not command and name == "ptfold":
        print(OPTIONS)
    print(ENVIRONMENT)
    print(STATUS)
    print("# SEE ALSO\n\n*ptfold*(1), *bnfuse*(1), *lnin-convert*(1)")


if __name__ == "__main__":
    main()
