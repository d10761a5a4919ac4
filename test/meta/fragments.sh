#!/bin/sh
# Every source file is named in a Makefile fragment: what is not is missing from the
# distribution, headers and .def files included.
cd "${top_srcdir:-.}" || exit 1
. test/meta/report.sh

folders='base parser tables router channels tools test bench'
# Written by flex and bison in an in-tree build.
files=$(find $folders \( -name '*.[chyl]' -o -name '*.def' \) \
    ! -path parser/grammar.c ! -path parser/grammar.h ! -path parser/lexer.c | sort)
listed=$(sed 's|#.*||' Makefile.am ./*/Makefile.inc | tr -s ' \t\\' '\n')

echo 1..2
report "every source file is in a fragment" "$(for file in $files; do
    printf '%s\n' "$listed" | grep -qxF "$file" || echo "$file"
done)"
report "every test script is in a fragment" "$(find test -name '*.sh' -perm -100 | sort |
    while read -r file; do
        printf '%s\n' "$listed" | grep -qxF "$file" || echo "$file"
    done)"
exit $failed
