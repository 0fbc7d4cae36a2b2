#!/bin/sh
# reproducible.sh [BUILD]: builds a copy of the source in a folder of another
# name; programs, libraries and manual pages must have the bytes of BUILD, or
# of a first build made here.
#
# SPDX-License-Identifier: Apache-2.0
set -eu
cd "$(dirname "$0")/.."
sh tests/install.sh gcc meson ninja-build pkg-config libzip-dev zlib1g-dev \
    libjansson-dev libssl-dev libdeflate-dev libpng-dev libjpeg-dev scdoc

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# build SOURCE BUILD
build() {
    CC=gcc meson setup "$2" "$1" -Dtests=false -Dlibtorch=disabled >/dev/null
    ninja -C "$2" --quiet
}

mkdir "$work/elsewhere"
git ls-files -z | tar --null --files-from - -c | tar -x -C "$work/elsewhere"
build "$work/elsewhere" "$work/elsewhere/second"
first=${1-}
if [ -z "$first" ]; then
    first=$work/first
    build . "$first"
fi

cd "$work/elsewhere/second"
find src docs -type f \( -perm -100 -o -name '*.a' -o -name '*.1' \) |
    sort >"$work/files"
[ "$(wc -l <"$work/files")" -gt 10 ]
cd - >/dev/null
while read -r file; do
    cmp "$first/$file" "$work/elsewhere/second/$file" || exit 1
done <"$work/files"
echo "$(wc -l <"$work/files") files have the same bytes in two builds"
