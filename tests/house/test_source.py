"""What the source promises of itself, as far as a script can see it.

SPDX-License-Identifier: Apache-2.0
"""
import re
import unittest

from source import (C_ENDINGS, ROOT, TEXT_ENDINGS, code_of, files, name,
                    numbered)

# ------------------------------------------------------------------- layering

INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)
ROW = re.compile(r"^\| `([\w/]+)/` \|.*\|([^|]*)\|$", re.MULTILINE)
PUBLIC = "include"


def layers():
    """folder -> folders that it may see, from the table of the tour."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    return {folder: set(re.findall(r"[\w/.]+", sees.replace("`", ""))) - {"and"}
            for folder, sees in ROW.findall(text)}


def may_include(table, folder, header):
    """Whether a file of the folder may include the header."""
    if header in ("ptfold.h", "ptfold_tool.h"):
        return folder == "base" or PUBLIC in table[folder]
    seen = header.rpartition("/")[0]
    return seen == folder or seen in table[folder]


def sources():
    """The C files of src, each with its folder."""
    for path in files("src", endings=C_ENDINGS):
        yield path, path.parent.relative_to(ROOT / "src").as_posix()


class Layers(unittest.TestCase):
    def test_every_folder_is_in_the_table(self):
        self.assertEqual({folder for _, folder in sources()}, set(layers()))

    def test_includes_follow_the_table(self):
        table = layers()
        wrong = [f"{name(path)} includes {header}"
                 for path, folder in sources()
                 for header in INCLUDE.findall(path.read_text())
                 if not may_include(table, folder, header)]
        self.assertEqual(wrong, [])

    def test_rows_name_folders_above_them(self):
        """So that there is no circle of folders."""
        order = list(layers())
        for folder, sees in layers().items():
            for seen in sees - {PUBLIC, "tool/common", "tool/oracle"}:
                self.assertLess(order.index(seen), order.index(folder), folder)

    def test_a_kernel_never_sees_a_tensor_nor_a_verdict_a_net(self):
        table = layers()
        for folder, header in (
                ("kernel", "tensor/tensor.h"), ("verify", "net/net.h"),
                ("archive", "pickle/pickle.h"), ("net", "plan/plan.h"),
                ("op", "net/net.h"), ("enclose", "kernel/kernel.h"),
                ("enclose", "plan/plan.h"), ("tool", "base/base.h"),
                ("tool/run", "base/base.h"), ("tool/run", "tool/ops/ops.h"),
                ("net", "net.h"), ("net", "ptfold.h")):
            self.assertFalse(may_include(table, folder, header), header)


# ----------------------------------------------------------- forbidden words

UNBOUNDED = ("alloca", "atof", "atoi", "atol", "gets", "sprintf", "sscanf",
             "strcat", "strcpy", "strncpy", "strtok", "vsprintf")
# What only base may do, and what a library may not do at all.
MEMORY = ("aligned_alloc", "calloc", "free", "malloc", "memalign",
          "posix_memalign", "realloc", "strdup", "strndup", "asprintf")
PROCESS = ("_exit", "abort", "assert", "exit", "perror", "printf", "putchar",
           "puts", "stderr", "stdout", "system", "vprintf")


# What scandir() allocated must be freed as it was.
ALLOWED = {"src/image/collect.c": {"free"}}


def forbidden(folder):
    words = set(UNBOUNDED)
    if folder.split("/")[0] != "tool":  # which sees the public header alone
        words |= set(PROCESS)
        if folder != "base":
            words |= set(MEMORY)
    return words


def uses(code, words):
    """Calls of the words; of streams, any mention."""
    streams = {"stderr", "stdout"} & words
    pattern = "|".join([rf"(?<![\w.>])({'|'.join(sorted(words))})\s*\("]
                       + [rf"\b{stream}\b" for stream in sorted(streams)])
    return [f"{line}: {match.group()}" for line, text in numbered(code)
            for match in re.finditer(pattern, text)]


class Words(unittest.TestCase):
    def test_forbidden_functions_are_not_used(self):
        wrong = []
        for path, folder in sources():
            words = forbidden(folder) - ALLOWED.get(name(path), set())
            wrong += [f"{name(path)}:{use}"
                      for use in uses(code_of(path.read_text()), words)]
        self.assertEqual(wrong, [])

    def test_they_would_be_seen(self):
        for code in ("x = malloc(3);", "if (strcpy(a, b))", "exit(1);",
                     "fprintf(stderr, s);", "\tgets (a);"):
            self.assertEqual(len(uses(code, forbidden("net"))), 1, code)
        for code in ("ptf_free(x);", "/* malloc() */", '"exit"', "snprintf(a",
                     "size_t free;", "p->free(x);", "// abort()"):
            self.assertEqual(uses(code_of(code), forbidden("net")), [], code)


class Names(unittest.TestCase):
    """The names that condemn a pickle, in the reader and in the docs."""

    def test_the_docs_list_what_the_reader_refuses(self):
        code = (ROOT / "src" / "pickle" / "calls.c").read_text()
        table = code.split("} forbidden[] = {")[1].split("};")[0]
        rows = re.findall(r'\{"([^"]+)",\s+("[^"]+"|NULL|all_names)\}', table)
        self.assertEqual(len(rows), table.count("{"))
        lists = {"NULL": [], "all_names": [], "one": []}
        for module, what in rows:
            whole = f"{module}.{what[1:-1]}" if what[0] == '"' else module
            lists[what if what in lists else "one"].append(whole)
        text = (ROOT / "docs" / "checkpoints.md").read_text()
        section = text.split("## Names that condemn a file")[1].split("##")[0]
        documented = [re.findall("`([^`]+)`", part.split("\n\n")[0])
                      for part in section.split("\n* ")[1:]]
        self.assertEqual(documented, list(lists.values()))


# -------------------------------------------------------------------- tables

# What is known of ops stands in tables by op or by family: never in a chain
# of comparisons, nor in a list that a function looks through.
COMPARED = r"(?:[=!]=|[<>]=?)\s*"
CHAINS = re.compile(
    rf"{COMPARED}(PTF_(?:OP|FAMILY)_\w+)\b[^;{{}}]*?(?:\|\||&&|\?)"
    rf"[^;{{}}]*?{COMPARED}(?!\1\b)PTF_(?:OP|FAMILY)_\w+"
    r"|\bcase\s+PTF_(?:OP|FAMILY)_\w+"
    r"|\bptf_op\s+\w+\[\]\s*=\s*\{[^[\]]*\}"
    r'|\bstrn?cmp\((?:[\w.>-]*[.>])?(?:op|class_name)\s*,\s*"', re.DOTALL)
# What reads the text of print(model) knows torch.nn's classes by their names.
READS_NAMES = {"import", "tool/oracle"}


def chains(code, folder=""):
    return [" ".join(m.group().split()) for m in CHAINS.finditer(code)
            if not (m.group().startswith("str") and folder in READS_NAMES)]


class Tables(unittest.TestCase):
    def test_there_are_no_chains_over_ops(self):
        self.assertEqual([f"{name(path)}: {text}" for path, folder in sources()
                          for text in chains(code_of(path.read_text()), folder)
                          ], [])

    def test_chains_would_be_seen(self):
        for code in ("a = op == PTF_OP_ADD || op == PTF_OP_SUB;",
                     "x = op == PTF_OP_ADD ? 1\n: n->op == PTF_OP_SUB ? 2 : 3;",
                     "if (op >= PTF_OP_EQ && op <= PTF_OP_GE)",
                     "case PTF_OP_ADD:", "if (f != PTF_FAMILY_POOL && "
                     "f != PTF_FAMILY_VIEW)",
                     "static const ptf_op whole[] = {PTF_OP_ABS, PTF_OP_NEG};",
                     'if (strcmp(layer.op, "") == 0)',
                     'strncmp(a->class_name, "", 4)'):
            self.assertEqual(len(chains(code)), 1, code)
        for code in ("a = op == PTF_OP_ADD && wide;",
                     "a->op == PTF_OP_ADD && b->op == PTF_OP_ADD",
                     "static const bool t[PTF_OP_COUNT] = {[PTF_OP_ADD] = 1};",
                     "static const ptf_op of_rank[] = {[3] = PTF_OP_CONV1D};",
                     "if (op == PTF_OP_ADD)\n{ return; }\n"
                     "if (op == PTF_OP_SUB)\n"):
            self.assertEqual(chains(code), [], code)


# -------------------------------------------------------------------- phrases

# What messages and help said once, and what they say now.
PHRASES = {r"\bbehind\b": "after", r"\bfound\b": "expected X, got Y",
           r"\bis another\b": "expected X, got Y",
           r"\bowes?\b": "requires", r"\bmeets nothing\b":
           "satisfies no requirement", r"\bcannot stand\b": "cannot follow",
           r"\bderivatives? by\b": "with respect to",
           r"\bagainst its rewrite\b": "with its rewritten version"}
STRING = re.compile(r'/\*.*?\*/|//[^\n]*|((?:"(?:\\.|[^"\\\n])*"\s*)+)', re.DOTALL)


def strings(code):
    """The texts in quotes, in one piece where the source breaks them."""
    for match in STRING.finditer(code):
        if match.group(1):
            yield re.sub(r'"\s*"', "", match.group(1))


def foreign(code):
    return [f"{text.strip()}: say '{better}'" for text in strings(code)
            for phrase, better in PHRASES.items() if re.search(phrase, text)]


class Phrases(unittest.TestCase):
    def test_messages_are_in_the_words_of_the_field(self):
        self.assertEqual([f"{name(path)}: {text}" for path, _ in sources()
                          for text in foreign(path.read_text())], [])

    def test_other_words_would_be_seen(self):
        for code in ('f("expected 3,"\n  " found 4");', '"stands behind it"',
                     'g("the rank of its input is "\n"another");'):
            self.assertEqual(len(foreign(code)), 1, code)
        for code in ('/* "found" */ f(found);', '"got 4" /* after */ "x"',
                     '// it\'s "after"\n', '"foundation"'):
            self.assertEqual(foreign(code), [], code)


# --------------------------------------------------------------------- sizes

MOST_LINES, MOST_IN_FUNCTION, MOST_LEVELS = 800, 60, 3
MOST_COLUMNS = 80
UNBROKEN = re.compile(r'"|\w://')  # a text keeps its lines, an address is one


def functions(code):
    """(line, length) of every function: braces alone in the first column."""
    start = None
    for line, text in numbered(code):
        if text == "{":
            start = line
        elif text == "}" and start is not None:
            yield start, line - start + 1
            start = None


def too_deep(code, most=MOST_LEVELS):
    """Lines with a statement inside of that many others, or more."""
    pattern = re.compile(rf"^ {{{4 * (most + 1)},}}(if|for|while|switch|do)\b")
    return [line for line, text in numbered(code) if pattern.match(text)]


def too_wide(text):
    return [line for line, content in numbered(text)
            if len(content) > MOST_COLUMNS and not UNBROKEN.search(content)]


class Sizes(unittest.TestCase):
    def code(self):
        for path in files("src", "include", "tests", "subprojects", "docs",
                          endings=C_ENDINGS | {".cc"}):
            yield name(path), code_of(path.read_text())

    def test_files_are_short(self):
        """The public header is one by design."""
        counts = [(where, code.count("\n")) for where, code in self.code()
                  if where.split("/")[0] != "include"]
        counts += [(name(path), path.read_text().count("\n"))
                   for path in files("tests", "checkpoints", "bench", "src",
                                     endings={".py", ".sh"})]
        self.assertEqual([(where, count) for where, count in counts
                          if count >= MOST_LINES], [])

    def test_lines_fit_a_terminal(self):
        wrong = [f"{name(path)}:{line}" for path in files(
                     ".", endings=C_ENDINGS | {".cc", ".sh"})
                 for line in too_wide(path.read_text())]
        self.assertEqual(wrong, [])

    def test_wide_lines_would_be_seen(self):
        self.assertEqual(too_wide(f"{80 * 'a'}\n{81 * 'b'}\n"), [2])
        self.assertEqual(too_wide(f'{81 * " "}"texts"\n'), [])

    def test_functions_are_short_and_flat(self):
        wrong = []
        for where, code in self.code():
            wrong += [f"{where}:{line}: {length} lines"
                      for line, length in functions(code)
                      if length >= MOST_IN_FUNCTION]
            # The register tile of a kernel is two loops of its own.
            most = MOST_LEVELS + where.startswith("src/kernel/")
            wrong += [f"{where}:{line}: too deep"
                      for line in too_deep(code, most)]
        self.assertEqual(wrong, [])

    def test_long_and_deep_functions_would_be_seen(self):
        body = "\n".join(["int f(void)", "{"] + 70 * ["    g();"] + ["}"])
        self.assertEqual(list(functions(body)), [(2, 72)])
        self.assertEqual(too_deep(f"{16 * ' '}if (a)\n{12 * ' '}if (a)"), [1])


# ---------------------------------------------------------------- plain text

PATHS = re.compile(r"/(?:work|home|root|Users)/|/tmp/wt|/tmp/venv")
NEEDS_TABS = re.compile(r"\.tsv$|^debian/rules$")  # columns; a makefile


def blemishes(text):
    for line, content in numbered(text):
        if "\t" in content:
            yield f"{line}: a tab"
        if content != content.rstrip():
            yield f"{line}: blanks at the end"
        if "\r" in content:
            yield f"{line}: a carriage return"
        if PATHS.search(content):
            yield f"{line}: a path of somebody's machine"
    if text and not text.endswith("\n"):
        yield "no newline at the end"


class Text(unittest.TestCase):
    SELF = "tests/house/test_source.py"

    def texts(self):
        for path in files(".", endings=TEXT_ENDINGS):
            if path.name in (".git", "LICENSE") or "corpus" in path.parts:
                continue
            data = path.read_bytes()
            if path.suffix or b"\0" not in data:
                yield name(path), data.decode()

    def test_texts_are_clean(self):
        wrong = [f"{where}:{blemish}" for where, text in self.texts()
                 if where != self.SELF
                 for blemish in blemishes(text)
                 if not ("a tab" in blemish and NEEDS_TABS.search(where))]
        self.assertEqual(wrong, [])

    def test_blemishes_would_be_seen(self):
        for text in ("a\tb\n", "a \n", "a\r\n", "see /home/me\n", "a"):
            self.assertNotEqual(list(blemishes(text)), [], repr(text))
        self.assertEqual(list(blemishes("a\n\nb\n")), [])

    def test_sources_name_their_licence(self):
        wrong = [name(path) for path in files(
                     "src", "include", "tests", "checkpoints", "bench",
                     "subprojects", "docs",
                     endings=C_ENDINGS | {".py", ".sh", ".cc"})
                 if "SPDX-License-Identifier: Apache-2.0" not in
                 path.read_text()[:4000]]
        self.assertEqual(wrong, [])


if __name__ == "__main__":
    unittest.main()
