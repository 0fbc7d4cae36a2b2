#!/bin/sh
# Formatting of all C, as .clang-format says.  Versions of clang-format differ
# in their taste, so that only the one of Debian 12 is asked.
#
# SPDX-License-Identifier: Apache-2.0
set -eu
cd "$(dirname "$0")/../.."

for tool in clang-format-14 clang-format ''; do
    if [ -z "$tool" ]; then
        echo "skipped: no clang-format 14"
        exit 77
    fi
    "$tool" --version 2>/dev/null | grep -q 'version 14\.' && break
done

misplaced() {
    ! printf 'int  x;\n' | "$tool" --style=file --dry-run --Werror 2>/dev/null
}
misplaced # or the check could not fail

find src include tests subprojects docs \
    \( -name '*.[ch]' -o -name '*.inc' -o -name '*.cc' \) -print0 |
    xargs -0 "$tool" --dry-run --Werror
