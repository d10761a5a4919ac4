#!/bin/sh
# Every slug a message has is a row of base/slugs.def, every row is the slug of some
# message, and each has a case: in bad/, or a unit test, a test of the tool or an
# integration test that names it. Every case in bad/ is named after a slug.
# (test/unit/test_slugs.c compares the rows with docs/diagnostics.md.)
top=${top_srcdir:-.}
n=0
failed=0
result() { # GOOD TEXT
    n=$((n + 1))
    if [ "$1" = yes ]; then
        echo "ok $n - $2"
    else
        echo "not ok $n - $2"
        failed=1
    fi
}

sources()
{
    find "$top/base" "$top/parser" "$top/tables" "$top/router" "$top/channels" \
        "$top/tools" -name '*.[cly]' | sort
}

rows=$(sed -n 's/^SLUG("\([^"]*\)".*/\1/p' "$top/base/slugs.def")
# The slug is the first string of a call, when it has no blank and no '%'.
slugs=$(sources | xargs cat | tr '\n' ' ' |
    grep -oE '(diag_error|diag_warning|parse_error|parser_error|bad_argument|channel_resolve|shown_error|tls_error|tls_warning)[ ]*\([^;"]*"[a-z]+(-[a-z]+)*"' |
    sed 's/.*"\([a-z-]*\)"$/\1/' | sort -u)
[ -n "$slugs" ] && result yes "slugs are found in the sources" ||
    result no "slugs are found in the sources"

for slug in $slugs; do
    echo "$rows" | grep -qx -- "$slug" || result no "$slug is no row of base/slugs.def"
done
for slug in $rows; do
    sources | xargs grep -qF "\"$slug\"" || result no "no message has the slug $slug"
    if ls "$top/test/config/bad/$slug".err "$top/test/config/bad/$slug"--*.err \
        2>/dev/null | grep -q . ||
        grep -qF -e "\"$slug\"" -e "[$slug" "$top"/test/unit/test_*.c \
            "$top"/test/tool/*.sh "$top"/test/e2e/*.py; then
        result yes "$slug has a case"
    else
        result no "$slug has a case"
    fi
done
for case in "$top"/test/config/bad/*.err; do
    slug=${case##*/}
    slug=${slug%.err}
    slug=${slug%.allow}
    slug=${slug%%--*}
    echo "$rows" | grep -qx -- "$slug" || result no "${case##*/} is named after a slug"
done
echo "1..$n"
exit $failed
