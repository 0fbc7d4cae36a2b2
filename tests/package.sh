#!/bin/sh
# Builds the Debian packages from what is committed, has lintian look at them,
# lets dpkg install them into a folder beside a copy of this machine's list of
# packages, so that it checks what they depend on, tries them there, and
# removes them again.  The machine itself is left alone.
#
#     sh tests/package.sh
#
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2016 # what is in single quotes, others expand
set -eu
cd "$(dirname "$0")/.."
sh tests/install.sh build-essential dpkg-dev debhelper lintian scdoc meson \
    pkg-config python3 libzip-dev zlib1g-dev libjansson-dev libssl-dev \
    libdeflate-dev libpng-dev libjpeg-dev man-db zsh fish

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git archive --prefix=ptfold/ HEAD | tar -x -C "$work"
(cd "$work/ptfold" && PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    dpkg-buildpackage -us -uc -b >"$work/log" 2>&1) || {
    tail -n 40 "$work/log"
    exit 1
}
lintian --fail-on error,warning "$work"/ptfold_*.changes
rm "$work"/*-dbgsym_*.deb
for package in "$work"/*.deb; do
    echo "$(basename "$package"): $(stat -c %s "$package") bytes"
done

# Slim machines leave out manuals, and only root may give files away.
root=$work/root
in_root() {
    PATH=/usr/sbin:/usr/bin:/sbin:/bin dpkg --root="$root" \
        --force-not-root --path-include='/usr/share/*' --log=/dev/null "$@"
}
listed() {
    dpkg-query --admindir="$root/var/lib/dpkg" -W "$@"
}
mkdir -p "$root/var/lib/dpkg/info" "$root/var/lib/dpkg/updates" \
    "$root/var/log"
cp /var/lib/dpkg/status "$root/var/lib/dpkg"
cp /var/lib/dpkg/info/*.list /var/lib/dpkg/info/format "$root/var/lib/dpkg/info"
listed >"$work/before"

packages="ptfold libptfold0 libptfold-dev"
in_root --install "$work"/*.deb
# shellcheck disable=SC2086 # a list of words
listed -f '${Package} ${Version}: ${Status}\n' $packages
# shellcheck disable=SC2086
in_root --verify $packages >"$work/changed"
[ ! -s "$work/changed" ] || { cat "$work/changed"; exit 1; }

fixtures=$PWD/checkpoints/fixtures
"$root/usr/bin/bnfuse" --arch "$fixtures/small_net.txt" \
    "$fixtures/small_net.pt" "$work/out.pt" >"$work/said"
tail -n 2 "$work/said"
sh tests/clean_install.sh "$root" cc
for page in bnfuse lnin-convert ptfold ptfold-run; do
    man -M "$root/usr/share/man" "$page" | grep -q '^SYNOPSIS'
done

# Whoever has the development package has all that pkg-config asks for: from
# what the package depends on, or what that does.
depends=$(listed -f '${Depends}, ' libptfold-dev)
# shellcheck disable=SC2046 # a list of words
depends="$depends$(listed -f '${Depends}, ' \
    $(echo "$depends" | sed 's/([^)]*)//g; s/,/ /g'))"
PKG_CONFIG_PATH=$(dirname "$(find "$root" -name ptfold.pc)")
export PKG_CONFIG_PATH
for needed in $(pkg-config --print-requires-private ptfold); do
    file=$(pkg-config --variable=pcfiledir "$needed")/$needed.pc
    owner=$(dpkg-query -S "$file" | cut -d : -f 1)
    case " $depends" in
    *" $owner,"* | *" $owner "*) ;;
    *)
        echo "libptfold-dev does not bring $owner for $needed.pc" >&2
        exit 1
        ;;
    esac
done

# Completions are where the shells of this machine look for them.
shell_looks_in() {
    found=
    for folder in $1; do
        [ ! -e "$root$folder/$2" ] || found=$root$folder/$2
    done
    [ -n "$found" ] || { echo "no shell finds $2 in: $1" >&2; exit 1; }
}
export HOME="$work"
shell_looks_in "$(zsh -fc 'print $fpath')" _ptfold
for program in bnfuse lnin-convert ptfold; do
    shell_looks_in "$(fish -c 'echo $fish_complete_path')" "$program.fish"
    shell_looks_in /usr/share/bash-completion/completions "$program"
done

# shellcheck disable=SC2086
in_root --purge $packages
(cd "$root" && find . -path ./var -prune -o ! -type d -print) >"$work/left"
listed | cmp - "$work/before"
[ ! -s "$work/left" ] || { cat "$work/left"; exit 1; }
echo "installed, tried and removed: nothing is left"
