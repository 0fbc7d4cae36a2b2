#!/bin/sh
# clean_install.sh ROOT COMPILER...: uses what is installed below ROOT as
# somebody does who has nothing else: builds the example of docs/ with what
# pkg-config says, against the shared library and the static one, runs the one
# in Python, and asks for the programs' versions and manuals.
#
# SPDX-License-Identifier: Apache-2.0
set -eu
cd "$(dirname "$0")/.."
root=$1
shift

pc=$(find "$root" -name ptfold.pc)
library=$(dirname "$(dirname "$pc")")
PKG_CONFIG_PATH=$(dirname "$pc")
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR="$root" \
    PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# example NAME COMPILER FLAG...: builds docs/examples/fold.c and runs it.
example() {
    name=$1
    shift
    "$@" -Wall -Wextra -Werror -o "$work/$name"
    said=$(LD_LIBRARY_PATH=$libraries "$work/$name" \
        checkpoints/fixtures/programs/residual.pt2 "$work/$name.safetensors")
    echo "$name: $said"
    echo "$said" | grep -q '^CERTIFIED, output 0: -*[0-9]'
    test -s "$work/$name.safetensors"
}

libraries=$library
# shellcheck disable=SC2046 # lists of words
example shared "$@" docs/examples/fold.c $(pkg-config --cflags --libs ptfold)

mkdir "$work/archive" # a folder without the shared one, looked in first
ln -s "$library/libptfold.a" "$work/archive"
libraries=
# shellcheck disable=SC2046
example static "$@" docs/examples/fold.c "-L$work/archive" \
    $(pkg-config --static --cflags --libs ptfold)

# From Python, where NumPy is: the bits of the installed program.
programs=$(dirname "$(find "$root" -path '*/bin/ptfold')")
python=/usr/bin/python3
if "$python" -c 'import numpy' 2>/dev/null; then
    "$python" - "$library/libptfold.so" "$programs/ptfold" "$work" <<'END'
import subprocess
import sys
from pathlib import Path

import numpy as np

sys.dont_write_bytecode = True
sys.path.insert(0, "docs/examples")
from run import Net

library, program, work = sys.argv[1:]
checkpoint, text = (f"checkpoints/fixtures/small_net.{end}"
                    for end in ("pt", "txt"))
x = np.random.default_rng(1).random((3, 3, 8, 8), np.float32)
net = Net(library, checkpoint, Path(text).read_text(), batch=3)
np.save(work + "/in.npy", x)
subprocess.run([program, "run", "--arch", text, "--npy", work + "/out.npy",
                checkpoint, work + "/in.npy"], check=True,
               stdout=subprocess.DEVNULL)
assert net(x).tobytes() == np.load(work + "/out.npy").tobytes()
net.close()
print("python: the bits of ptfold run")
END
else
    echo "python: skipped, no NumPy"
fi

for program in bnfuse lnin-convert ptfold; do
    "$programs/$program" --version >"$work/version"
    head -n 1 "$work/version"
done
