#!/bin/sh
# installed.sh BUILD COMPILER...: installs into an empty folder, and there
# builds the example of docs/ as a stranger would: with what pkg-config says,
# against the shared library and the static one; and runs the one in Python.
#
# SPDX-License-Identifier: Apache-2.0
set -eu
cd "$(dirname "$0")/.."
build=$1
shift

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
meson install -C "$build" --destdir "$root" --no-rebuild --quiet

pc=$(find "$root" -name ptfold.pc)
library=$(dirname "$(dirname "$pc")")
PKG_CONFIG_PATH=$(dirname "$pc")
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR="$root" \
    LD_LIBRARY_PATH="$library"

# example NAME COMPILER FLAG...: builds docs/examples/fold.c and runs it.
example() {
    name=$1
    shift
    "$@" -Wall -Wextra -Werror -o "$root/$name"
    said=$("$root/$name" checkpoints/fixtures/small_net.pt \
        checkpoints/fixtures/small_net.txt)
    echo "$name: $said"
    case $said in
    "SAME PREDICTIONS, largest difference "[1-9]*e-0[678]) ;;
    *) exit 1 ;;
    esac
}

# shellcheck disable=SC2046 # lists of words
example shared "$@" docs/examples/fold.c $(pkg-config --cflags --libs ptfold)

# From Python, where NumPy is: the bits of the installed program.
python=/usr/bin/python3
if "$python" -c 'import numpy' 2>/dev/null; then
    "$python" - "$library/libptfold.so" "$(find "$root" -path '*/bin/ptfold')" \
        "$root" <<'END'
import subprocess
import sys
from pathlib import Path

import numpy as np

sys.dont_write_bytecode = True
sys.path.insert(0, "docs/examples")
from run import Net

library, program, root = sys.argv[1:]
checkpoint, text = (f"checkpoints/fixtures/small_net.{end}"
                    for end in ("pt", "txt"))
x = np.random.default_rng(1).random((3, 3, 8, 8), np.float32)
net = Net(library, checkpoint, Path(text).read_text(), batch=3)
np.save(root + "/in.npy", x)
subprocess.run([program, "run", "--arch", text, "--npy", root + "/out.npy",
                checkpoint, root + "/in.npy"], check=True,
               stdout=subprocess.DEVNULL)
assert net(x).tobytes() == np.load(root + "/out.npy").tobytes()
net.close()
print("python: the bits of ptfold run")
END
else
    echo "python: skipped, no NumPy"
fi

rm "$library"/libptfold.so* # what is left is static
# shellcheck disable=SC2046
example static "$@" docs/examples/fold.c \
    $(pkg-config --static --cflags --libs ptfold)

"$(find "$root" -path '*/bin/bnfuse')" --version
