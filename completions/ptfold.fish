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

complete -c ptfold -n __fish_use_subcommand -f -a '(__ptfold_commands)'
for program in ptfold bnfuse lnin-convert
    complete -c $program -a '(__ptfold_options)' \
        -n 'string match -q -- "-*" (commandline -ct)'
end
