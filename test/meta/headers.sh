#!/bin/sh
# Every header compiles alone: it includes what it needs.
: "${CC:=cc}" "${top_srcdir:=.}" "${top_builddir:=.}"

headers=$(cd "$top_srcdir" && find base parser tables router channels tools test -name '*.h' \
    ! -name grammar.h ! -name lexer.h | sort)
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT

set -- $headers
echo "1..$#"
number=0
failed=0
for header in "$@"; do
    number=$((number + 1))
    printf '#include "%s"\n#include "%s"\n' "$header" "$header" >"$scratch/one.c"
    # shellcheck disable=SC2086 # both hold several words
    if $CC $TEST_CPPFLAGS -I"$top_srcdir" -I"$top_builddir" -Wall -Wextra -Werror \
        -fsyntax-only "$scratch/one.c" 2>"$scratch/said"; then
        echo "ok $number - $header"
    else
        failed=1
        echo "not ok $number - $header"
        sed 's/^/# /' "$scratch/said"
    fi
done
exit $failed
