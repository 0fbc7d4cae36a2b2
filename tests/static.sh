#!/bin/sh
# static.sh [BNFUSE]: builds the programs without shared libraries, and tries
# bnfuse where there is nothing else: an empty root where that is allowed.
# BNFUSE is one of another build, which must write the same bytes.
#
# SPDX-License-Identifier: Apache-2.0
set -eu
cd "$(dirname "$0")/.."
sh tests/install.sh gcc meson ninja-build pkg-config zlib1g-dev \
    libjansson-dev libssl-dev libdeflate-dev

build="build-test/static"
rm -rf "$build"
meson setup "$build" -Dstatic=true -Dbuildtype=minsize -Db_staticpic=false \
    -Dlibtorch=disabled >/dev/null
ninja -C "$build" --quiet >"$build/log" 2>&1 || { cat "$build/log"; exit 1; }

program=$build/src/tool/bnfuse
size=$(stat -c %s "$program")
limit=2500000 # 2.5 MB
echo "bnfuse: $size bytes, $((limit - size)) left," \
    "$(LC_ALL=C ldd "$program" 2>&1 | sed 's/^[ \t]*//')"
[ "$size" -lt "$limit" ]
LC_ALL=C ldd "$program" 2>&1 | grep -q 'not a dynamic executable'

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$program" checkpoints/fixtures/small_net.* "$work"
args="--arch small_net.txt small_net.pt"
if [ "$(id -u)" = 0 ]; then
    inside="chroot $work /bnfuse"
else
    inside=./bnfuse
fi
# shellcheck disable=SC2086 # lists of words
(cd "$work" && $inside $args out.pt >/dev/null)
if [ -n "${1-}" ]; then
    program=$(readlink -f "$1")
    # shellcheck disable=SC2086
    (cd "$work" && mkdir other && "$program" $args other/out.pt >/dev/null)
    cmp "$work/out.pt" "$work/other/out.pt"
fi
