#!/bin/sh
# Makes fresh images with the Pillow that is there, and compares.
#
# usage: pillow.sh TEST_IMAGE
#
# SPDX-License-Identifier: Apache-2.0
set -eu
here=$(dirname "$0")
python=
for candidate in python3 /usr/bin/python3; do
    if "$candidate" -c 'import PIL, numpy' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "pillow.sh: no Python with Pillow and NumPy: skipped"
    exit 77
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
seed=$(od -An -N2 -tu2 /dev/urandom | tr -d ' ')
seed=$((seed + 1))
echo "seed $seed"
"$python" "$here/images/make.py" "$folder" "$seed"
"$1" "$folder" 'images_are*'
