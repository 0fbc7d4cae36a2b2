#!/bin/sh
# Fails a build when a folded network has left its certificate:
#
#     sh certificate.sh ORIGINAL FOLDED [OPTION OF ptfold check...]
#
# for example with --data IMAGES.  A certificate compares the two files; whether
# ORIGINAL is the network that was trained is asked first where outputs that
# PyTorch gave are at hand:
#
#     RECORDED="--arch net.txt --data x.npy --expect y.npy" sh certificate.sh ...
#
# with the options that ORIGINAL needs by itself.  Leaves recorded.txt, too.
#
# Leaves certificate.txt, to be read, and
# certificate.xml, a JUnit report in which each layer is a test.  Exit status 0
# only when the certificate holds; what cannot be decided or read is no pass.
#
# SPDX-License-Identifier: Apache-2.0
set -u
if [ $# -lt 2 ]; then
    echo "usage: certificate.sh ORIGINAL FOLDED [OPTION...]" >&2
    exit 2
fi

if [ -n "${RECORDED:-}" ]; then
    # shellcheck disable=SC2086 # a list of options
    ptfold check $RECORDED "$1" >recorded.txt
    status=$?
    tail -n 1 recorded.txt
    if [ "$status" != 0 ]; then
        echo "$1 does not give the recorded outputs (status $status)" >&2
        exit "$status"
    fi
fi

ptfold check --require certified --junit certificate.xml --force "$@" \
    >certificate.txt
status=$?
case $status in
0) tail -n 1 certificate.txt ;;
1)
    awk '/^ ? ?[^ ]/ { on = 0 } # rows that are too long go on, indented
        /^verdict/ || /^  (not|that is not|no|but) certif/ { on = 1 }
        /^  (parameters|another network) / { on = 1 }
        on' certificate.txt
    echo "$2 is not certified against $1" >&2
    ;;
*) echo "ptfold check could not tell (status $status)" >&2 ;;
esac
exit $status
