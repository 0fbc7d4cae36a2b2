# bash completion for ptfold, bnfuse and lnin-convert.  Commands and options
# are asked from --help, so that they are those of the installed programs.
#
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash

_ptfold_options() {
    "$@" --help 2>/dev/null | grep -oE -- '--[a-z][a-z0-9-]*' | sort -u
}

# What --help has after an option, in small letters: "--fold weights",
# "--format text|md".
_ptfold_values() {
    local option=$1
    shift
    "$@" --help 2>/dev/null | sed -nE "s/^  $option ([a-z0-9|]+)([ ,].*)?$/\1/p" |
        tr '|' '\n' | sort -u
}

_ptfold() {
    local word=${COMP_WORDS[COMP_CWORD]} program=${COMP_WORDS[0]}
    local last=${COMP_WORDS[COMP_CWORD - 1]} values=
    local -a command=("$program")
    COMPREPLY=()
    if [[ ${program##*/} == ptfold ]]; then
        if [[ $COMP_CWORD == 1 && $word != -* ]]; then
            mapfile -t COMPREPLY < <(compgen -W "$("$program" --help \
                2>/dev/null | awk '/^  [a-z]/ { print $1 }')" -- "$word")
            return
        fi
        [[ $COMP_CWORD -gt 1 ]] && command+=("${COMP_WORDS[1]}")
    fi
    [[ $last == --* ]] && values=$(_ptfold_values "$last" "${command[@]}")
    if [[ -n $values ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$values" -- "$word")
    elif [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_ptfold_options \
            "${command[@]}")" -- "$word")
    else
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
    fi
}

complete -o filenames -F _ptfold ptfold bnfuse lnin-convert
