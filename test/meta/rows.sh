#!/bin/sh
# docs/keywords.md says what the rows of parser/keywords.def say: each table there is
# compared with the output of `pointsman keywords`. UPDATE_GOLDEN=1 rewrites the tables.
LC_ALL=C
export LC_ALL
top=${top_srcdir:-.}
tool=${top_builddir:-.}/pointsman
page=$top/docs/keywords.md
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

# The rows of one status as Markdown.
table()
{
    printf '| Keyword | Arguments | Group | %s |\n|---|---|---|---|\n' "$2"
    "$tool" keywords --json | sed -n \
        -e 's/\\"/"/g' -e 's/|/\\|/g' \
        -e 's/^{"name":"\(.*\)","arguments":"\(.*\)","status":"'"$1"'","group":"\(.*\)","default":true,"text":"\(.*\)"}$/| `\1` (default) | \2 | \3 | \4 |/p' \
        -e 's/^{"name":"\(.*\)","arguments":"\(.*\)","status":"'"$1"'","group":"\(.*\)","default":false,"text":"\(.*\)"}$/| `\1` | \2 | \3 | \4 |/p'
}

table honoured Meaning >"$work/honoured"
table no-effect 'Why it does nothing here' >"$work/no-effect"
table later 'What happens instead' >"$work/later"
table restricts 'What would be allowed' >"$work/restricts"

# The page with its tables replaced by those of the program.
awk -v work="$work" '
    /^<!-- begin / { print; file = work "/" $3
        while ((getline line < file) > 0) print line
        skip = 1; next }
    /^<!-- end / { skip = 0 }
    !skip { print }' "$page" >"$work/page"

echo 1..4
rows=$("$tool" keywords --json | wc -l)
told=$(grep -c '^| `' "$work/page")
if [ "$rows" -gt 0 ] && [ "$rows" -eq "$told" ]; then
    echo "ok 1 - every keyword has a status with a table in docs/keywords.md"
else
    echo "not ok 1 - $rows keywords, $told in the tables"
fi

if cmp -s "$page" "$work/page"; then
    echo "ok 2 - docs/keywords.md is up to date"
elif [ -n "$UPDATE_GOLDEN" ]; then
    cat "$work/page" >"$page"
    echo "ok 2 - docs/keywords.md was rewritten"
else
    echo "not ok 2 - docs/keywords.md differs: make golden"
    diff "$page" "$work/page" | sed 's/^/# /'
fi

sed 's/\\f[BIR]/ /g' "$top/docs/pointsman.cnf.5" >"$work/manual"

# What is honoured stands in the manual page, too.
missing=$("$tool" keywords --json | sed -n 's/^{"name":"\([^"]*\)".*"status":"honoured".*/\1/p' |
    while read -r name; do
        grep -qw -e "$name" "$work/manual" || echo "$name"
    done)
if [ -z "$missing" ]; then
    echo "ok 3 - pointsman.cnf.5 names every honoured keyword"
else
    echo "not ok 3 - pointsman.cnf.5 does not name: $missing"
fi

# The meanings in its table of keywords are those of the rows.
sed -n '/^\.SS Keywords/,/^\.TE/p' "$top/docs/pointsman.cnf.5" | sed -e 's/\\-/-/g' \
    -e "s/\\\\(aq/'/g" -e 's/\\e/\\/g' | awk '
    /^\\fB[a-z_0-9]*\\fR.*\|T\{$/ { name = $0; sub(/^\\fB/, "", name)
        sub(/\\fR.*/, "", name); text = ""; inside = 1; next }
    inside && /^T\}$/ { print name "|" text; inside = 0 }
    inside { text = text (text == "" ? "" : " ") $0 }' | sort >"$work/told"
"$tool" keywords --json | sed -n -e 's/\\"/"/g' \
    -e 's/^{"name":"\([^"]*\)".*"status":"honoured".*,"text":"\(.*\)"}$/\1|\2/p' |
    sort >"$work/rows"
wrong=$(comm -23 "$work/told" "$work/rows")
if [ -s "$work/told" ] && [ -z "$wrong" ]; then
    echo "ok 4 - pointsman.cnf.5 gives their meanings"
else
    echo "not ok 4 - pointsman.cnf.5 gives other meanings"
    printf '%s\n' "$wrong" | sed 's/^/# /'
fi
