#!/bin/sh
# The kernel test on other machines: NEON through aarch64-linux-gnu-gcc and
# qemu-aarch64, and this machine's build without any AVX under qemu-x86_64.
#
#     kernel_cross.sh aarch64 | noavx TEST_KERNEL
#
# Exit status 77 (skipped) where the tools are missing.
# SPDX-License-Identifier: Apache-2.0
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)

need() {
    for tool; do
        if ! command -v "$tool" >/dev/null; then
            echo "skipped: no $tool"
            exit 77
        fi
    done
}

aarch64() {
    need aarch64-linux-gnu-gcc qemu-aarch64
    dir=$(mktemp -d)
    trap 'rm -rf "$dir"' EXIT
    aarch64-linux-gnu-gcc -std=gnu11 -O3 -ffp-contract=off -D_GNU_SOURCE \
        -DPTF_VERSION='"cross"' -static -I"$root/include" -I"$root/src" \
        -I"$root/tests" \
        "$root/tests/unit/kernel/test_kernel.c" "$root/src/kernel/ref.c" \
        "$root/src/kernel/neon.c" "$root/src/kernel/strides.c" \
        "$root/src/kernel/table.c" "$root/src/kernel/taps.c" \
        "$root/src/base/error.c" "$root/src/base/machine.c" \
        "$root/src/base/memory.c" -o "$dir/test_kernel" -lm
    qemu-aarch64 "$dir/test_kernel" 1 "${1:-40}"
}

# An AVX instruction outside of its own objects ends this with SIGILL.
noavx() {
    need qemu-x86_64
    qemu-x86_64 -cpu Nehalem "$1" 1 3
}

"$@"
