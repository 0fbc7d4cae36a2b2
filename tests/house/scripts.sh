#!/bin/sh
# All shell scripts, read by shellcheck.
#
# SPDX-License-Identifier: Apache-2.0
set -eu
cd "$(dirname "$0")/../.."

if ! command -v shellcheck >/dev/null; then
    echo "skipped: no shellcheck"
    exit 77
fi
find . \( -name 'build*' -o -name .git \) -prune -o -type f \
    \( -name '*.sh' -o -path ./.ci/run \) -print0 |
    xargs -0 shellcheck
