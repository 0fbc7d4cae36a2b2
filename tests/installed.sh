#!/bin/sh
# installed.sh BUILD COMPILER...: installs into an empty folder, and there
# builds the example of docs/ as a stranger would: with what pkg-config says,
# against the shared library and the static one.
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

rm "$library"/libptfold.so* # what is left is static
# shellcheck disable=SC2046
example static "$@" docs/examples/fold.c \
    $(pkg-config --static --cflags --libs ptfold)

"$(find "$root" -path '*/bin/bnfuse')" --version
