# shellcheck shell=sh
# Sourced by rows.sh and options.sh: pages whose tables are those of `pointsman keywords`
# and `pointsman options` ($list). They set $page, and write each table into the file of
# $work that its marker names: `<!-- begin honoured -->` stands for "$work/honoured".
LC_ALL=C
export LC_ALL
top=${top_srcdir:-.}
tool=${top_builddir:-.}/pointsman
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
. "$top/test/meta/report.sh"

# The rows, what is in their texts as a table wants it.
rows_for_table()
{
    "$tool" "$list" --json | sed -e 's/\\"/"/g' -e 's/|/\\|/g'
}

# Two tests: the page has all rows, and its tables are the program's. UPDATE_GOLDEN=1
# rewrites them.
report_page()
{
    awk -v work="$work" '
        /^<!-- begin / { print; file = $0
            gsub(/^<!-- begin | -->$/, "", file)
            while ((getline line < (work "/" file)) > 0) print line
            skip = 1; next }
        /^<!-- end / { skip = 0 }
        !skip { print }' "$page" >"$work/page"
    rows=$("$tool" "$list" --json | wc -l)
    told=$(grep -c '^| `' "$work/page")
    report "every row has a table in $(basename "$page")" "$(
        [ "$rows" -gt 0 ] && [ "$rows" -eq "$told" ] || echo "$rows rows, $told in the tables")"
    if [ -n "$UPDATE_GOLDEN" ] && ! cmp -s "$page" "$work/page"; then
        cat "$work/page" >"$page"
    fi
    report "$(basename "$page") is up to date (make golden)" "$(diff "$page" "$work/page")"
}

# A test: what is honoured stands in the manual page, too.
report_manual()
{
    sed -e 's/\\f[BIR]/ /g' -e 's/\\//g' "$top/docs/pointsman.cnf.5" >"$work/manual"
    "$tool" "$list" --json >"$work/rows"
    sed -n 's/^{"name":"\([^"]*\)".*"status":"honoured".*/\1/p' "$work/rows" >"$work/honoured names"
    report "pointsman.cnf.5 names all that is honoured" "$(
        [ -s "$work/honoured names" ] || echo "nothing is honoured"
        while read -r name; do
            grep -qw -e "$name" "$work/manual" || echo "$name"
        done <"$work/honoured names")"
}
