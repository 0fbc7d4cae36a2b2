# Writes the table of built-in architectures: embed.py OUTPUT NAME.txt...
# SPDX-License-Identifier: Apache-2.0
import os
import sys


def c_string(line):
    return '"%s\\n"' % line.replace('\\', '\\\\').replace('"', '\\"')


with open(sys.argv[1], 'w') as out:
    out.write('#include "import/arch.h"\n\nconst ptf_arch ptf_arch_table[] = {\n')
    for path in sys.argv[2:]:
        name = os.path.splitext(os.path.basename(path))[0]
        with open(path) as text:
            lines = text.read().splitlines()
        out.write('    {"%s",\n' % name)
        for line in lines:
            out.write('     %s\n' % c_string(line))
        out.write('    },\n')
    out.write('    {0},\n};\n')
