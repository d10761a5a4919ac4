#!/bin/sh
# docs/options.md says what the rows of parser/options.def say: each table there is compared
# with the output of `pointsman options`. UPDATE_GOLDEN=1 rewrites the tables.
list=options
. "${top_srcdir:-.}/test/meta/tables.sh"
page=$top/docs/options.md

# The rows of one file and status as Markdown. What the page calls channel_option is
# <channel>_option in the rows.
table()
{
    in_file=$(echo "$1" | sed 's/^channel_/<channel>_/')
    printf '| Option | %s |\n|---|---|\n' "$3"
    rows_for_table | sed -n \
        -e 's/^{"name":"\(.*\)","file":"'"$in_file"'","status":"'"$2"'","text":"\(.*\)"}$/| `\1` | \2 |/p'
}

for file in option.dat channel_option pipe_option dispatcher.cnf job_controller.cnf tls.cnf; do
    table $file honoured Meaning >"$work/$file honoured"
    table $file no-effect 'Why it does nothing here' >"$work/$file no-effect"
    table $file later 'What happens instead' >"$work/$file later"
    table $file restricts 'What would be allowed' >"$work/$file restricts"
done

echo 1..3
report_page
report_manual
exit $failed
