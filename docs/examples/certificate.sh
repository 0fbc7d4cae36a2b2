#!/bin/sh
# Fails a build when a folded network has left its certificate:
#
#     sh certificate.sh ORIGINAL FOLDED [OPTION OF ptfold check...]
#
# for example with --data IMAGES.  Leaves certificate.txt, to be read, and
# certificate.xml, a JUnit report in which each layer is a test.  Exit status 0
# only when the certificate holds; what cannot be decided or read is no pass.
#
# SPDX-License-Identifier: Apache-2.0
set -u
if [ $# -lt 2 ]; then
    echo "usage: certificate.sh ORIGINAL FOLDED [OPTION...]" >&2
    exit 2
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
