"""What was built: symbols of the library, and the header by itself.

The build folder is in PTF_BUILD, the compilers in CC and CXX.

SPDX-License-Identifier: Apache-2.0
"""
import os
import re
import shlex
import subprocess
import tempfile
import unittest
from pathlib import Path

from source import ROOT, code_of

LIBRARY = Path(os.environ["PTF_BUILD"]) / "src"
HEADER = ROOT / "include" / "ptfold.h"
FOR_PROGRAMS = ROOT / "include" / "ptfold_tool.h"  # not installed


def symbols(*options):
    """Names of defined symbols, without the compiler's own (with a dot)."""
    listing = subprocess.run(["nm", "--defined-only", *options], check=True,
                             capture_output=True, text=True).stdout
    return {fields[2] for fields in map(str.split, listing.splitlines())
            if len(fields) == 3 and "." not in fields[2]}


def declared(text):
    """Names that a header declares with PTF_API."""
    return set(re.findall(r"^PTF_API\b[^;{(]*\b(\w+)\s*\(", code_of(text),
                          re.MULTILINE))


class Symbols(unittest.TestCase):
    def test_every_name_of_the_static_library_is_ours(self):
        names = symbols("-g", LIBRARY / "libptfold.a")
        self.assertGreater(len(names), 100)
        self.assertEqual([n for n in names if not n.startswith("ptf_")], [])

    def test_the_shared_library_exports_what_the_headers_declare(self):
        exported = symbols("-D", "--with-symbol-versions",
                           LIBRARY / "libptfold.so")
        self.assertEqual(exported - {"PTFOLD_0"},  # the version's own
                         {f"{n}@@PTFOLD_0" for header in (HEADER, FOR_PROGRAMS)
                          for n in declared(header.read_text())})

    def test_declarations_are_found(self):
        self.assertEqual(declared("PTF_API int f(void);\n/* PTF_API int g() */"
                                  "\nPTF_API const char *\n  h(int a(int));"),
                         {"f", "h"})


class Header(unittest.TestCase):
    def compile(self, compiler, language, text):
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "x"
            source.write_text(text)
            return subprocess.run(
                [*shlex.split(compiler), f"-std={language}", "-Wall",
                 "-Wextra", "-pedantic", "-Werror", "-fsyntax-only", "-x",
                 "c++" if "++" in language else "c", f"-I{HEADER.parent}",
                 source], capture_output=True, text=True)

    def test_it_compiles_alone_and_twice_as_c_and_as_cxx(self):
        text = '#include "ptfold.h"\n#include "ptfold.h"\n'
        for compiler, language in ((os.environ["CC"], "c11"),
                                   (os.environ["CXX"], "c++11"),
                                   (os.environ["CXX"], "c++17")):
            done = self.compile(compiler, language, text)
            self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_what_does_not_compile_would_be_seen(self):
        text = '#include "ptfold.h"\nptf_nothing *x;\n'
        for compiler, language in ((os.environ["CC"], "c11"),
                                   (os.environ["CXX"], "c++11")):
            done = self.compile(compiler, language, text)
            self.assertNotEqual(done.returncode, 0)


if __name__ == "__main__":
    unittest.main()
