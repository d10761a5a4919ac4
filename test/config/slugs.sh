#!/bin/sh
# Every slug of a message about the configuration has a case in bad/, or a unit test
# that names it; and every case is named after a slug that exists.
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

# The slug is the first string of a call, when it has no blank and no '%'.
slugs=$(cat "$top"/parser/*.[cly] "$top"/tables/*.c | tr '\n' ' ' |
    grep -oE '(diag_error|diag_warning|parse_error|parser_error|bad_argument|channel_resolve|shown_error)[ ]*\([^;"]*"[a-z]+(-[a-z]+)*"' |
    sed 's/.*"\([a-z-]*\)"$/\1/' | sort -u)
[ -n "$slugs" ] && result yes "slugs are found in the sources" ||
    result no "slugs are found in the sources"

for slug in $slugs; do
    if ls "$top/test/config/bad/$slug".err "$top/test/config/bad/$slug"--*.err \
        2>/dev/null | grep -q . || grep -q "\"$slug\"" "$top"/test/unit/*.c; then
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
    echo "$slugs" | grep -qx -- "$slug" || result no "${case##*/} is named after a slug"
done
echo "1..$n"
exit $failed
