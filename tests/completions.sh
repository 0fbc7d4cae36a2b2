#!/bin/sh
# completions.sh FOLDER: what bash completes for the programs in FOLDER.
#
# SPDX-License-Identifier: Apache-2.0
set -eu
here=$(dirname "$0")
PATH=$1:$PATH
export PATH
command -v bash >/dev/null || exit 77

# complete WORD...: the candidates for the last word.
candidates() {
    # shellcheck disable=SC2016 # bash expands it
    bash -c '. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _ptfold
        echo "${COMPREPLY[@]}"' "$here/../completions/ptfold.bash" "$@"
}

expect() {
    wanted=$1
    shift
    found=$(candidates "$@")
    if [ "$found" != "$wanted" ]; then
        echo "completions.sh: $*: expected \"$wanted\", found \"$found\"" >&2
        exit 1
    fi
}

expect "run" ptfold ru
expect "--labels --layout" ptfold run --la
expect "--fold --force" bnfuse --fo
expect "--output" lnin-convert --outp
for shell in zsh fish; do
    command -v $shell >/dev/null || continue
    case $shell in
    zsh) zsh -n "$here/../completions/_ptfold" ;;
    fish)
        found=$(fish -c "source $here/../completions/ptfold.fish
            complete -C 'ptfold run --lab'")
        [ "$found" = "--labels" ] || { echo "fish: $found" >&2; exit 1; }
        ;;
    esac
done
