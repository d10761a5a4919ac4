#!/bin/sh
# docs/options.md says what the rows of parser/options.def say: each table there is compared
# with the output of `pointsman options`. UPDATE_GOLDEN=1 rewrites the tables.
LC_ALL=C
export LC_ALL
top=${top_srcdir:-.}
tool=${top_builddir:-.}/pointsman
page=$top/docs/options.md
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

# The rows of one file and status as Markdown. What the page calls channel_option is
# <channel>_option in the rows.
table()
{
    in_file=$(echo "$1" | sed 's/^channel_/<channel>_/')
    printf '| Option | %s |\n|---|---|\n' "$3"
    "$tool" options --json | sed -n -e 's/\\"/"/g' -e 's/|/\\|/g' \
        -e 's/^{"name":"\(.*\)","file":"'"$in_file"'","status":"'"$2"'","text":"\(.*\)"}$/| `\1` | \2 |/p'
}

for file in option.dat channel_option pipe_option dispatcher.cnf tls.cnf; do
    table $file honoured Meaning >"$work/$file honoured"
    table $file no-effect 'Why it does nothing here' >"$work/$file no-effect"
    table $file later 'What happens instead' >"$work/$file later"
    table $file restricts 'What would be allowed' >"$work/$file restricts"
done

# The page with its tables replaced by those of the program.
awk -v work="$work" '
    /^<!-- begin / { print; file = work "/" $3 " " $4
        while ((getline line < file) > 0) print line
        skip = 1; next }
    /^<!-- end / { skip = 0 }
    !skip { print }' "$page" >"$work/page"

echo 1..3
rows=$("$tool" options --json | wc -l)
told=$(grep -c '^| `' "$work/page")
if [ "$rows" -gt 0 ] && [ "$rows" -eq "$told" ]; then
    echo "ok 1 - every option has a table in docs/options.md"
else
    echo "not ok 1 - $rows options, $told in the tables"
fi

if cmp -s "$page" "$work/page"; then
    echo "ok 2 - docs/options.md is up to date"
elif [ -n "$UPDATE_GOLDEN" ]; then
    cat "$work/page" >"$page"
    echo "ok 2 - docs/options.md was rewritten"
else
    echo "not ok 2 - docs/options.md differs: make golden"
    diff "$page" "$work/page" | sed 's/^/# /'
fi

# What is honoured stands in the manual page, too.
sed -e 's/\\f[BIR]/ /g' -e 's/\\//g' "$top/docs/pointsman.cnf.5" >"$work/manual"
missing=$("$tool" options --json | sed -n 's/^{"name":"\([^"]*\)".*"status":"honoured".*/\1/p' |
    while read -r name; do
        grep -qw -e "$name" "$work/manual" || echo "$name"
    done)
if [ -z "$missing" ]; then
    echo "ok 3 - pointsman.cnf.5 names every honoured option"
else
    echo "not ok 3 - pointsman.cnf.5 does not name: $missing"
fi
