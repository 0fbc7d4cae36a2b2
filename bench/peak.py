#!/usr/bin/env python3
"""peak.py COMMAND...: the most memory that it had resident, in MB.

The first figure counts everything, mapped files too; the second what is not
backed by a file, as often as it can be looked at while the command runs.

SPDX-License-Identifier: Apache-2.0
"""
import os
import re
import subprocess
import sys

child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
anonymous = 0
while True:
    try:
        with open(f"/proc/{child.pid}/status") as status:
            found = re.search(r"RssAnon:\s+(\d+)", status.read())
    except FileNotFoundError:
        found = None
    anonymous = max(anonymous, int(found.group(1)) if found else 0)
    pid, code, usage = os.wait4(child.pid, os.WNOHANG)
    if pid:
        break
print(f"{usage.ru_maxrss / 1024:.1f} MB, of which not mapped files "
      f"{anonymous / 1024:.1f} MB")
sys.exit(os.waitstatus_to_exitcode(code))
