#!/bin/sh
# msan.sh SOURCE-ROOT [SHARED]: builds the reader with clang's MemorySanitizer
# and runs the fuzzers' corpora through it, and the files of the folder SHARED
# where it is there.  Exits with 77, which means skipped, without such a clang.
#
# SPDX-License-Identifier: Apache-2.0
set -eu
root=$1
shared=${2:-}
clang=${CLANG:-clang}
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT

echo 'int main(void) { return 0; }' >"$build/try.c"
if ! "$clang" -fsanitize=memory "$build/try.c" -o "$build/try" 2>/dev/null ||
    ! "$build/try"; then
    echo "no clang with MemorySanitizer: skipped"
    exit 77
fi

# Threads would hand values over through OpenMP, which is not instrumented.
echo '#define PTF_VERSION "msan"' >"$build/version.h"
flags="-std=gnu11 -O1 -g -D_GNU_SOURCE -include $build/version.h
-ffp-contract=off -fsanitize=memory -fno-sanitize-recover=memory
-fno-omit-frame-pointer -Wno-unknown-pragmas -I$root/include -I$root/src -I$root/tests/support"
wrap=$(sed -n 's/^WRAP([^,]*, \([a-zA-Z_]*\),.*/-Wl,--wrap=\1/p' \
    "$root/tests/support/msan.c")
libraries="-lzip -lz -ljansson -lcrypto -lm"

cd "$build"
# shellcheck disable=SC2086 # lists of words
"$clang" $flags -c "$root"/tests/support/msan.c "$root"/tests/support/make_checkpoint.c \
    "$root"/src/base/*.c
for folder in archive pickle tensor checkpoint program op net import; do
    mkdir "$folder"
    # shellcheck disable=SC2086
    (cd "$folder" && "$clang" $flags -c "$root"/src/$folder/*.c)
done
python3 "$root/src/program/schemas.py" schemas.c \
    "$root/src/program/aten_schemas.txt"
# shellcheck disable=SC2086
"$clang" $flags -c schemas.c
python3 "$root/src/import/embed.py" texts.c "$root"/checkpoints/*.txt
# shellcheck disable=SC2086
"$clang" $flags -I"$root/src/import" -c texts.c

link() {
    program=$1
    shift
    # shellcheck disable=SC2086
    "$clang" $flags $wrap "$@" -o "$program" ./*.o ./*/*.o $libraries
}

export MSAN_OPTIONS=halt_on_error=1:exitcode=9
fuzz=$root/tests/fuzz
for target in archive checkpoint pickle safetensors state_dict; do
    link "replay_$target" "$fuzz/fuzz_$target.c" "$fuzz/replay.c"
    echo "$target:"
    "./replay_$target" "$fuzz/corpus/$target"
done
if [ -n "$shared" ] && [ -d "$shared" ]; then
    link corpus "$root/tests/unit/checkpoint/corpus.c"
    ./corpus "$shared"
else
    echo "no folder ../shared: its files are skipped"
fi
