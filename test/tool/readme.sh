#!/bin/sh
# The configuration that README.md explains has fifteen lines and compiles.
echo 1..3
dir=$(mktemp -d) || exit 99
trap 'rm -rf "$dir"' EXIT
sed -n '/^`pointsman.cnf`:$/,/^| Line/s/^ *\([0-9][0-9]*\)\( \{2\}\(.*\)\)\{0,1\}$/\3/p' \
    "$top_srcdir/README.md" >"$dir/pointsman.cnf"
ok() { # STATUS NUMBER NAME
    if [ "$1" = 0 ]; then echo "ok $2 - $3"; else echo "not ok $2 - $3"; fi
}
[ "$(wc -l <"$dir/pointsman.cnf")" = 15 ]
ok $? 1 "fifteen lines"
"$top_builddir/pointsman" -c "$dir" check --strict
ok $? 2 "it compiles without a warning"
"$top_builddir/pointsman" -c "$dir" rewrite x@partner.test | grep -q 'channel tcp_tls'
ok $? 3 "line 1 does what the table says"
