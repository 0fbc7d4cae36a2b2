#!/bin/sh
# The main job, end to end: builds the programs, lets PyTorch write a trained
# smallNet and a Net1 (1.4 GB), folds the one and converts the other.
#
#     sh checkpoints/demo.sh [--data DIR] [--out DIR]
#
# --data  a folder with CIFAR-10's binary files to train on; without it,
#         images are drawn
# --out   where the checkpoints go (default: out; 3 GB)
#
# SPDX-License-Identifier: Apache-2.0
set -eu

usage() {
    echo "usage: sh checkpoints/demo.sh [--data DIR] [--out DIR]" >&2
    exit 2
}

data=
out=
while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || usage
    case $1 in
    --data) data=$(realpath "$2") ;;
    --out) out=$(realpath -m "$2") ;;
    *) usage ;;
    esac
    shift 2
done
cd "$(dirname "$0")/.."
out=${out:-out}

step() {
    printf '\n== %s\n' "$*"
}

# run COMMAND ARGUMENT...: shows what is run, then runs it.
run() {
    printf '\n$ %s %s\n' "$(basename "$1")" "$(shift && echo "$*")"
    "$@"
}

step "what is needed: a compiler, meson, four libraries, PyTorch"
sh tests/install.sh gcc libc6-dev meson ninja-build pkg-config libzip-dev \
    zlib1g-dev libjansson-dev libssl-dev libdeflate-dev python3-torch

step "release build"
if [ ! -f build-demo/build.ninja ]; then
    meson setup build-demo --buildtype=release -Dtests=false >/dev/null
fi
ninja -C build-demo --quiet

step "checkpoints by PyTorch"
mkdir -p "$out"
free=$(df -Pk "$out" | awk 'NR == 2 { print int($4 / 1000000) }')
if [ "$free" -lt 3 ]; then
    echo "demo.sh: $out: expected 3 GB of free space, found $free GB" >&2
    exit 5
fi
/usr/bin/python3 checkpoints/make.py --out "$out" ${data:+--data "$data"}

step "batch norm folded away"
run build-demo/src/tool/bnfuse --force "$out/smallNetSaved" "$out/out.bin"

step "fully connected layers turned into convolutions"
run build-demo/src/tool/lnin-convert --force "$out/net1.pt"

printf '\n'
ls -l "$out"
