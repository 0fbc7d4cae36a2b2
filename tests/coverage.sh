#!/bin/sh
# Builds with gcc's coverage counters, runs the tests, and prints which share
# of each file of src/ they reach.  Ends with 1 when a file is below LEAST.
#
#     sh tests/coverage.sh [LEAST]      percent of lines, default 85
#
# Tests of the build itself and of full disks fail there, because counters are
# symbols and files of their own; here only the shares count.
#
# SPDX-License-Identifier: Apache-2.0
set -eu
cd "$(dirname "$0")/.."
least=${1:-85}

sh tests/install.sh gcc meson ninja-build pkg-config gcovr libcmocka-dev \
    libgmp-dev libmpfr-dev libzip-dev zlib1g-dev libjansson-dev libssl-dev \
    libdeflate-dev libpng-dev libjpeg-dev g++ libtorch-dev
build="build-test/coverage"
rm -rf "$build"
# Counters of threads must not lose counts: they would even become negative.
CC=gcc meson setup "$build" -Db_coverage=true -Dbuildtype=debug \
    -Doptimization=1 -Dc_args=-fprofile-update=atomic \
    >/dev/null
ninja -C "$build" --quiet 2>/dev/null
meson test -C "$build" --no-rebuild --timeout-multiplier 10 || true

report=$build/coverage.txt
set -- --root . --object-directory "$build" --filter src/ --print-summary \
    --gcov-ignore-parse-errors
if ! grep -qw avx512f /proc/cpuinfo; then
    echo "left out, because this processor has no AVX-512: its files"
    set -- "$@" --exclude '.*avx512.*'
fi
gcovr "$@" "$build" >"$report"
cat "$report"
awk -v least="$least" '$1 ~ /^src\// && $4 + 0 < least {
    print $1 ": " $4 " of the lines, below " least " %"; low = 1
} END { exit low }' "$report"
