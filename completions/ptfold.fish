# fish completion for ptfold, bnfuse and lnin-convert: commands and options are
# asked from --help.
#
# SPDX-License-Identifier: Apache-2.0

function __ptfold_commands
    ptfold --help 2>/dev/null | sed -n 's/^  \([a-z]*\) *\(.*\)/\1\t\2/p'
end

function __ptfold_options
    set -l words (commandline -opc)
    set -l last (test "$words[1]" = ptfold; and echo 2; or echo 1)
    $words[1..$last] --help 2>/dev/null |
        string match -ra -- '--[a-z][a-z0-9-]*' | sort -u
end

# What --help has after an option, in small letters: "--fold weights".
function __ptfold_values
    set -l words (commandline -opc)
    string match -q -- '--*' "$words[-1]"; or return
    set -l last (test "$words[1]" = ptfold; and echo 2; or echo 1)
    $words[1..$last] --help 2>/dev/null |
        string replace -rf -- "^  $words[-1] ([a-z0-9|]+)([ ,].*)?\$" '$1' |
        string split '|' | sort -u
end

complete -c ptfold -n __fish_use_subcommand -f -a '(__ptfold_commands)'
for program in ptfold bnfuse lnin-convert
    complete -c $program -f -a '(__ptfold_values)' \
        -n 'test (count (__ptfold_values)) -gt 0'
    complete -c $program -a '(__ptfold_options)' \
        -n 'string match -q -- "-*" (commandline -ct)'
end
