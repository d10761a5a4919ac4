#!/bin/sh
# Includes point down only (docs/architecture.md): base <- parser <- tables <- router <-
# channels, tools. Foreign libraries appear only in the files named here.
cd "${top_srcdir:-.}" || exit 1
. test/meta/report.sh

# Prints "file:line: include" for every quoted include in folder $1 that does not match
# the extended regular expression $2, except in the files matching $3.
wrong_includes()
{
    find "$1" -name '*.[chyl]' -o -name '*.def' -path "$1/*" | sort | while read -r file; do
        case "$file" in
        $3) continue ;;
        esac
        grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' "$file" |
            grep -vE "\"($2)\"" | sed "s|^|$file:|"
    done
}

# Prints the uses of header $1 outside the files matching $2 (an extended expression).
foreign_includes()
{
    grep -rnE "^[[:space:]]*#[[:space:]]*include[[:space:]]*[<\"]$1" --include='*.[chyl]' \
        base parser tables router channels tools | grep -vE "^($2)\.[ch]:"
}

echo 1..11
report "base includes base" \
    "$(wrong_includes base 'config\.h|base/[a-z0-9_]+\.(h|def)' '')"
report "parser includes parser and below" \
    "$(wrong_includes parser 'config\.h|(base|parser)/[a-z0-9_]+\.(h|def)' '')"
report "tables includes tables and below" \
    "$(wrong_includes tables 'config\.h|(base|parser|tables)/[a-z0-9_]+\.(h|def)' '')"
report "router includes router and below, but for main.c" \
    "$(wrong_includes router 'config\.h|(base|parser|tables|router)/[a-z0-9_]+\.(h|def)' \
        router/main.c)"
report "channels includes channels and below" \
    "$(wrong_includes channels \
        'config\.h|(base|parser|tables|router|channels)/[a-z0-9_]+\.(h|def)' '')"
report "nobody includes tools, tools includes any layer" \
    "$(wrong_includes tools \
        'config\.h|(base|parser|tables|router|channels|tools)/[a-z0-9_]+\.(h|def)' '')"
report "tools sees router and channels only in queue, control, TLS, DNS, replies and refusals" \
    "$(wrong_includes tools 'config\.h|(base|parser|tables|tools)/[a-z0-9_]+\.(h|def)' \
        'tools/pointsman.c' | grep -vE '"(channels/(tls|smtp_reply)|router/(queue_sqlite|control|dns|refusal))')"

U_ROUTER='router/(main|loop|reload|renewal|service|queue|enqueue|dispatch|dns|control|worker|body)'
U_CHANNELS='channels/(stream|tcp|local|pipe|bitbucket)'
report "uv.h" "$(foreign_includes uv '('"$U_ROUTER|$U_CHANNELS"')(_[a-z0-9_]+)?')"
report "openssl/" "$(foreign_includes openssl/ 'channels/tls(_[a-z0-9_]+)?')"
report "sqlite3.h" "$(foreign_includes sqlite3 'router/queue_sqlite(_[a-z0-9_]+)?')"
report "unbound.h" "$(foreign_includes unbound 'router/dns(_[a-z0-9_]+)?')"
exit $failed
