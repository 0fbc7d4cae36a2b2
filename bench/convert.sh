#!/bin/sh
# The programs beside cp and beside the same job in Python, in one run.
#
#     sh bench/convert.sh [DIR]
#
# DIR (default: bench-files) gets smallNetSaved and net1.pt when it has none,
# and needs 5 GB.  PTF_PROGRAMS is the folder with the programs (default:
# build/src/tool), PYTHON a Python with PyTorch (default: /usr/bin/python3).
#
# SPDX-License-Identifier: Apache-2.0
set -eu
cd "$(dirname "$0")/.."
here=$PWD
programs=$(realpath "${PTF_PROGRAMS:-build/src/tool}")
python=${PYTHON:-/usr/bin/python3}
dir=${1:-bench-files}

sh tests/install.sh hyperfine python3-torch python3-numpy
mkdir -p "$dir"
cd "$dir"
for file in smallNetSaved net1.pt; do
    [ -f "$file" ] || "$python" "$here/checkpoints/make.py" "$file"
done
trap 'rm -f out.* ratios.json' EXIT
cat smallNetSaved net1.pt >/dev/null # into the page cache

# compare TITLE RUNS -n NAME COMMAND...: each run from the same clean state.
compare() {
    title=$1 runs=$2
    shift 2
    hyperfine --style none --runs "$runs" --warmup 1 \
        --prepare 'rm -f out.*; sync' --export-json ratios.json "$@" \
        >/dev/null 2>&1
    python3 "$here/bench/ratios.py" "$title" ratios.json
}

job="$python $here/bench/jobs.py"
compare "net1.pt to net2.pt, $(stat -c %s net1.pt) bytes" 7 \
    -n "cp, not synced" "cp net1.pt out.pt" \
    -n "cp, then sync" "cp net1.pt out.pt && sync out.pt" \
    -n "lnin-convert --no-check" \
    "$programs/lnin-convert --force --no-check net1.pt -o out.pt" \
    -n "Python" "$job convert net1.pt out.pt"
compare "smallNetSaved folded" 10 \
    -n "Python" "$job fold smallNetSaved out.pt" \
    -n "bnfuse --no-check, .bin" \
    "$programs/bnfuse --force --no-check smallNetSaved out.bin" \
    -n "bnfuse --no-check, .pt" \
    "$programs/bnfuse --force --no-check smallNetSaved out.pt" \
    -n "bnfuse, 8 inputs compared" "$programs/bnfuse --force smallNetSaved out.bin"
compare "open net1.pt and list its tensors" 30 \
    -n "ptfold --version" "$programs/ptfold --version" \
    -n "ptfold info" "$programs/ptfold info net1.pt" \
    -n "Python" "$job list net1.pt"

printf '\nMost memory resident:\n'
peak() {
    printf '  %-24s ' "$1"
    shift
    python3 "$here/bench/peak.py" "$@"
}
peak "lnin-convert --no-check" "$programs/lnin-convert" --force --no-check net1.pt \
    -o out.pt
peak "bnfuse --no-check" "$programs/bnfuse" --force --no-check smallNetSaved out.bin
# shellcheck disable=SC2086 # a list of words
peak "Python, net1.pt" $job convert net1.pt out.pt
