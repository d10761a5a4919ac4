#!/bin/sh
# docs/log.md describes every row of LOG_EVENTS (base/log.h) and no other, in the same
# order, and names every field the code writes.
cd "${top_srcdir:-.}" || exit 1
. test/meta/report.sh

rows=$(sed -n '/^#define LOG_EVENTS/,/^$/s/^ *X([A-Z_]*, "\([a-z_]*\)".*/\1/p' base/log.h)
headings=$(sed -n 's/^## //p' docs/log.md)
# The fields under each heading, and `ts`, `event`, `cut` from the head of the document.
described=$(grep -oE '`[a-z_]+`' docs/log.md | tr -d '`' | sort -u)
written=$(cat base/log.c router/*.c channels/*.c |
    grep -oE 'log_(str|cstr|int|fmt)\([^,"]*, "[a-z_0-9]+"' | sed 's/.*"\(.*\)"/\1/' | sort -u)

echo 1..4

report "the rows and the fields were found" "$(
    [ "$(echo "$rows" | wc -l)" -ge 10 ] || echo "few rows: $rows"
    [ "$(echo "$written" | wc -l)" -ge 10 ] || echo "few fields: $written")"
report "every event has a heading, in the order of the rows" "$(
    [ "$rows" = "$headings" ] || printf 'rows: %s\nheadings: %s\n' \
        "$(echo "$rows" | tr '\n' ' ')" "$(echo "$headings" | tr '\n' ' ')")"
report "every heading has a description and its fields" "$(
    awk '/^## / { if (name != "" && !(text && fields)) print name
                  name = $2; text = fields = 0; next }
         /^- `/ { fields = 1; next }
         /[a-z]/ { text = 1 }
         END { if (!(text && fields)) print name }' docs/log.md)"
report "every field the code writes is described" "$(
    for field in $written; do
        printf '%s\n' "$described" | grep -qx "$field" || echo "$field"
    done)"
exit $failed
