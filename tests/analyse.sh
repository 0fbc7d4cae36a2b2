#!/bin/sh
# Lets clang's static analyzer read the library and the programs; it must
# report nothing.
#
# SPDX-License-Identifier: Apache-2.0
set -eu
cd "$(dirname "$0")/.."
sh tests/install.sh clang clang-tools libomp-dev meson ninja-build pkg-config \
    libzip-dev zlib1g-dev libjansson-dev libssl-dev libdeflate-dev libpng-dev \
    libjpeg-dev

build="build-test/analyse"
rm -rf "$build"
analyse="scan-build --use-cc=clang --status-bugs -o $build/reports"
CC=clang $analyse meson setup "$build" -Dbuildtype=debug -Dtests=false \
    -Dlibtorch=disabled >/dev/null
$analyse ninja -C "$build" >"$build/log" 2>&1 || {
    grep -E 'warning:|error:|FAILED' "$build/log" || tail -n 20 "$build/log"
    exit 1
}
tail -n 1 "$build/log"
