#!/bin/sh
# Measures ptfold beside PyTorch, ONNX Runtime and ncnn: makes an environment
# for them with pip, the checkpoints with PyTorch, and runs compare.py.
#
#     run.sh BUILD FOLDER [option of compare.py...]
#
# BUILD is a build directory of ptfold; FOLDER takes 5 GB of checkpoints and
# 3 GB of Python packages, and keeps them.  Debian's PyTorch is measured, too,
# where /usr/bin/python3 has it.  Run as root, or with a limit that lets
# priorities be raised, to hold off what else runs on the machine.
#
# SPDX-License-Identifier: Apache-2.0
set -eu
[ $# -ge 2 ] || { sed -n '2,12s/^# \{0,1\}//p' "$0"; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
mkdir -p "$2"
folder=$(cd "$2" && pwd)
shift 2
root=$here/../..
python=$folder/venv/bin/python

if [ ! -x "$python" ]; then
    python3 -m venv "$folder/venv"
    "$python" -m pip install -q torch==2.13.0 numpy onnx onnxruntime ncnn
fi

cd "$folder"
[ -f net1.pt ] || "$python" "$root/checkpoints/make.py" --out "$folder"
[ -f small.safetensors ] ||
    "$build/src/tool/bnfuse" smallNetSaved small.safetensors
[ -f net2.safetensors ] ||
    "$build/src/tool/lnin-convert" net1.pt -o net2.safetensors
[ -f features.safetensors ] || PYTHONPATH=$here "$python" -c \
    "import nets; nets.write_features('net2.safetensors', 'features.safetensors')"

old=
if env -u PYTHONPATH /usr/bin/python3 -c 'import torch' 2>/dev/null; then
    old="--old-torch /usr/bin/python3"
fi
# Sessions share the processors alike, whatever the priority inside: see
# sched(7), autogroups.
first=
if nice -n -20 true 2>/dev/null; then
    first="nice -n -20"
    command -v setsid >/dev/null && first="setsid -w $first"
fi
export PTFOLD_LIBRARY="$build/src/libptfold.so"
# shellcheck disable=SC2086
exec $first sh -c 'echo -20 2>/dev/null >/proc/self/autogroup; exec "$@"' sh \
    "$python" "$here/compare.py" $old "$@" "$folder"
