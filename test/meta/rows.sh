#!/bin/sh
# docs/keywords.md says what the rows of parser/keywords.def say: each table there is
# compared with the output of `pointsman keywords`. UPDATE_GOLDEN=1 rewrites the tables.
list=keywords
. "${top_srcdir:-.}/test/meta/tables.sh"
page=$top/docs/keywords.md

# The rows of one status as Markdown.
table()
{
    printf '| Keyword | Arguments | Group | %s |\n|---|---|---|---|\n' "$2"
    rows_for_table | sed -n \
        -e 's/^{"name":"\(.*\)","arguments":"\(.*\)","status":"'"$1"'","group":"\(.*\)","default":true,"text":"\(.*\)"}$/| `\1` (default) | \2 | \3 | \4 |/p' \
        -e 's/^{"name":"\(.*\)","arguments":"\(.*\)","status":"'"$1"'","group":"\(.*\)","default":false,"text":"\(.*\)"}$/| `\1` | \2 | \3 | \4 |/p'
}

table honoured Meaning >"$work/honoured"
table no-effect 'Why it does nothing here' >"$work/no-effect"
table later 'What happens instead' >"$work/later"
table restricts 'What would be allowed' >"$work/restricts"

echo 1..4
report_page
report_manual

# The meanings in its table of keywords are those of the rows.
sed -n '/^\.SS Keywords/,/^\.TE/p' "$top/docs/pointsman.cnf.5" | sed -e 's/\\-/-/g' \
    -e "s/\\\\(aq/'/g" -e 's/\\e/\\/g' | awk '
    /^\\fB[a-z_0-9]*\\fR.*\|T\{$/ { name = $0; sub(/^\\fB/, "", name)
        sub(/\\fR.*/, "", name); text = ""; inside = 1; next }
    inside && /^T\}$/ { print name "|" text; inside = 0 }
    inside { text = text (text == "" ? "" : " ") $0 }' | sort >"$work/told"
"$tool" keywords --json | sed -n -e 's/\\"/"/g' \
    -e 's/^{"name":"\([^"]*\)".*"status":"honoured".*,"text":"\(.*\)"}$/\1|\2/p' |
    sort >"$work/meanings"
report "pointsman.cnf.5 gives their meanings" "$(
    [ -s "$work/told" ] || echo "no table was found"
    comm -23 "$work/told" "$work/meanings")"
exit $failed
