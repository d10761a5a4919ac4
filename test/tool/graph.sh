#!/bin/sh
# `pointsman graph`: what it draws, and that it is dot, whatever stands in the files.
# shellcheck source=test/tool/lib.sh
. "$top_srcdir/test/tool/lib.sh"
site=$top_srcdir/test/tool/site

# Reads dot as strictly as we write it: statements end with ';', each node is declared,
# and ids are quoted. Graphviz itself looks at it where it is there.
is_dot()
{
    python3 -B "$top_srcdir/test/tool/dot.py" <"$1" 2>"$work/err" || return 1
    if command -v dot >/dev/null; then
        dot -Tsvg "$1" >/dev/null 2>"$work/err"
    fi
}

golden 'the site' 0 graph/site.dot graph -c "$site"
is_dot "$work/out"
ok $? 'it is dot' || sed 's/^/# /' "$work/err"

# Names of files, hosts and services with all that could end a string.
mkdir "$work/odd"
{
    printf '<we"ird\\.cnf\n'
    for i in 1 2 3 4 5 6 7 8 9 10 11; do
        echo "d$i.test  \$U%\$D@tcp-out"
    done
    printf '\nl\nhere.test\n\nconversion\nconversion-daemon\n\ntcp_out smtp daemon [IPv6:::1]\ntcp-out\n'
} >"$work/odd/pointsman.cnf"
echo 'odd.test $U%$D@tcp-out' >"$work/odd/we\"ird\\.cnf"
printf '[SERVICE=o"d\\d]\nPORT=2525\nPARAMETER=CHANNEL=tcp_out\n' >"$work/odd/dispatcher.cnf"
expect 'long lists are cut' 0 '\\land 4 more\\l"\]' '' graph -c "$work/odd"
is_dot "$work/out"
ok $? 'odd names are quoted' || sed 's/^/# /' "$work/err"
grep -q 'we\\"ird\\\\.cnf:1' "$work/out"
ok $? 'and shown'
grep -q '"channel conversion" \[shape=octagon, style=dashed' "$work/out"
ok $? 'a kind that is not served looks different'
expect 'a channel that knows where to' 0 'to \[IPv6:::1\], port 25' '' graph -c "$work/odd"
expect 'bad configuration' 2 '' 'cannot be used' graph -c "$work/none"
expect 'an argument' 2 '' "too many arguments: 'x'" graph -c "$site" x
finish
