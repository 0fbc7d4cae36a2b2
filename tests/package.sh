#!/bin/sh
# Builds the Debian packages from what is committed, has lintian look at them,
# and unpacks them to try the programs.
#
#     sh tests/package.sh
#
# SPDX-License-Identifier: Apache-2.0
set -eu
cd "$(dirname "$0")/.."
sh tests/install.sh build-essential dpkg-dev debhelper lintian scdoc meson pkg-config python3 \
    libzip-dev zlib1g-dev libjansson-dev libssl-dev libdeflate-dev \
    libpng-dev libjpeg-dev

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git archive --prefix=ptfold/ HEAD | tar -x -C "$work"
(cd "$work/ptfold" && PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    dpkg-buildpackage -us -uc -b >"$work/log" 2>&1) || {
    tail -n 40 "$work/log"
    exit 1
}
lintian --fail-on error,warning "$work"/ptfold_*.changes

for package in "$work"/*.deb; do
    dpkg-deb --extract "$package" "$work/unpacked"
    echo "$(basename "$package"): $(stat -c %s "$package") bytes"
done
fixtures=$PWD/checkpoints/fixtures
"$work/unpacked/usr/bin/bnfuse" --arch "$fixtures/small_net.txt" \
    "$fixtures/small_net.pt" "$work/out.pt"
man -l "$work/unpacked/usr/share/man/man1/bnfuse.1.gz" >/dev/null
