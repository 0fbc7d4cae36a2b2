#!/bin/sh
# installed.sh BUILD COMPILER...: what "meson install" leaves in an empty
# folder serves a stranger.
#
# SPDX-License-Identifier: Apache-2.0
set -eu
build=$1
shift

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
meson install -C "$build" --destdir "$root" --no-rebuild --quiet
sh "$(dirname "$0")/clean_install.sh" "$root" "$@"
