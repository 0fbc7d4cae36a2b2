#!/usr/bin/env python3
"""ratios.py TITLE FILE: hyperfine's JSON as a table; the first row is 1.

SPDX-License-Identifier: Apache-2.0
"""
import json
import sys
from pathlib import Path

title, path = sys.argv[1:]
results = json.loads(Path(path).read_text())["results"]
first = results[0]["median"]
print(f"\n| {title} | median | fastest | ratio |\n|---|---|---|---|")
for result in results:
    print(f"| {result['command']} | {1000 * result['median']:.1f} ms "
          f"| {1000 * result['min']:.1f} ms "
          f"| {result['median'] / first:.3f} |")
