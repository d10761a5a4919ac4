#!/bin/sh
# Every header compiles alone: it includes what it needs.
: "${CC:=cc}" "${top_srcdir:=.}" "${top_builddir:=.}"
. "$top_srcdir/test/meta/report.sh"

headers=$(cd "$top_srcdir" && find base parser tables router channels tools test -name '*.h' \
    ! -name grammar.h ! -name lexer.h | sort)
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT

set -- $headers
echo "1..$#"
for header in "$@"; do
    printf '#include "%s"\n#include "%s"\n' "$header" "$header" >"$scratch/one.c"
    # shellcheck disable=SC2086 # both hold several words
    report "$header" "$($CC $TEST_CPPFLAGS -I"$top_srcdir" -I"$top_builddir" -Wall -Wextra \
        -Werror -fsyntax-only "$scratch/one.c" 2>&1 || echo "it does not compile")"
done
exit $failed
