"""Writes the names in a text, one a line, as a table in C.

usage: embed.py OUTPUT NAME.txt

SPDX-License-Identifier: Apache-2.0
"""
import json
import sys
from pathlib import Path

lines = Path(sys.argv[2]).read_text(encoding="ascii").splitlines()
names = [line for line in lines if not line.startswith("#")]
with Path(sys.argv[1]).open("w", encoding="ascii") as out:
    print('#include "tool/run/run.h"\n\nconst char *const run_imagenet[] = {',
          file=out)
    for name in names:
        print(f"    {json.dumps(name)},", file=out)
    print("};", file=out)
