#!/bin/sh
# Installs what is missing, builds with gcc, with clang and with sanitizers,
# and runs all tests in each; then come the gates, each of which is a test.
# The last line says "N passed, N failed".
#
# SPDX-License-Identifier: Apache-2.0
set -u
cd "$(dirname "$0")/.." || exit 1

packages="build-essential gcc clang libclang-rt-14-dev libomp-dev meson
ninja-build pkg-config libzip-dev zlib1g-dev libjansson-dev libssl-dev
libdeflate-dev libcmocka-dev libgmp-dev libmpfr-dev libbz2-dev python3
qemu-user gcc-aarch64-linux-gnu
libc6-dev-arm64-cross g++ libtorch-dev python3-torch python3-numpy libpng-dev
libjpeg-dev python3-pil clang-format shellcheck scdoc man-db zsh fish
clang-tools gcovr dpkg-dev debhelper graphviz lintian git"

passed=0
failed=0

# run_build NAME COMPILER MESON-OPTION...
run_build() {
    name=$1 compiler=$2
    shift 2
    build=build-test/$name
    echo "== $name"
    rm -rf "$build"
    if ! CC=$compiler meson setup "$build" "$@" >"$log" 2>&1 ||
        ! ninja -C "$build" >>"$log" 2>&1; then
        tail -n 40 "$log"
        failed=$((failed + 1))
        return
    fi
    meson test -C "$build" --no-rebuild --print-errorlogs \
        --timeout-multiplier 10 >"$log" 2>&1
    status=$?
    cat "$log"
    ok=$(awk '$1 == "Ok:" { print $2 }' "$log")
    bad=$(awk '$1 == "Fail:" || $1 == "Timeout:" || $1 == "Unexpected" {
        n += $NF } END { print n + 0 }' "$log")
    if [ "$status" != 0 ] && [ "$bad" = 0 ]; then
        bad=1
    fi
    passed=$((passed + ${ok:-0}))
    failed=$((failed + bad))
}

# gate NAME COMMAND...: a check of the whole.
gate() {
    echo "== $1"
    shift
    if "$@" >"$log" 2>&1; then
        cat "$log"
        passed=$((passed + 1))
    else
        tail -n 60 "$log"
        failed=$((failed + 1))
    fi
}

# shellcheck disable=SC2086 # a list of words
sh tests/install.sh $packages || exit 1
mkdir -p build-test
log="build-test/log.txt"
# One build has the module with which libtorch judges; it is slow to compile
# and brings an OpenMP of its own.
run_build gcc gcc --werror -Dlibtorch=enabled
run_build clang clang --werror -Dlibtorch=disabled
# Instrumentation makes gcc 12 warn of format strings that are not there.
run_build sanitize gcc -Dbuildtype=debugoptimized -Dlibtorch=disabled \
    -Db_sanitize=address,undefined

gate coverage sh tests/coverage.sh
gate "static analysis" sh tests/analyse.sh
gate "the same bytes twice" sh tests/reproducible.sh build-test/gcc
gate "one static file" sh tests/static.sh build-test/gcc/src/tool/bnfuse
gate "Debian packages" sh tests/package.sh

echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
