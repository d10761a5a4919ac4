#!/bin/sh
# `pointsman check --relay`: who may relay and why, and what is ours; text and JSON.
# shellcheck source=test/tool/lib.sh
. "$top_srcdir/test/tool/lib.sh"
site=$top_srcdir/test/tool/relay/site

# tells NAME FILE FIRST ARGUMENT...: what is printed from the line FIRST on is compared with
# FILE. (The certificate is missing, so the check itself fails.)
tells()
{
    name=$1 file=$top_srcdir/test/tool/relay/$2 first=$3
    shift 3
    "$tool" check --relay "$@" >"$work/all" 2>"$work/err"
    got=$?
    sed -n "/^$first/,\$p" "$work/all" >"$work/out"
    if [ -n "$UPDATE_GOLDEN" ]; then
        cp "$work/out" "$file"
    fi
    [ $got -eq 1 ] && [ ! -s "$work/err" ] && cmp -s "$file" "$work/out"
    ok $? "$name" && return
    echo "# exit $got; against $file:"
    diff "$file" "$work/out" | sed 's/^/# /'
    sed 's/^/# err: /' "$work/err"
}

tells 'each way and each kind of rule' site.out 'WHO MAY' -c "$site"
tells 'as JSON, nothing left out' site.json '{"channel"' -c "$site" --json
"$tool" check --relay --json -c "$site" |
    python3 -c 'import json, sys; [json.loads(line) for line in sys.stdin]' 2>/dev/null
ok $? 'JSON is JSON'

# Sessions come by tables about TLS, too.
tells 'tables about TLS' tls.out 'WHO MAY' -c "$top_srcdir/test/tool/site-tls-access"
tells 'tables about TLS as JSON' tls.json '{"channel"' -c "$top_srcdir/test/tool/site-tls-access" --json

# Access tables decide before the relay rule does.
cp -r "$site" "$work/access"
cat >"$work/access/mappings.more" <<'END'

ORIG_SEND_ACCESS

  tcp_local|*|tcp_out|*       $N
  tcp_local|*|tcp_partner|*   $Y
  tcp_*|boss@*|*|*            $Y
  tcp_lo|*|*|*                $Y
  tcp_second|*|*|*            $NNo$ relaying
  $%%%_local|*|*|*            $F
  tcp_local|*|*|spam@*        $B
  tcp_local|*|*|*             $D100
  tcp_local|*|*|*             $H

MAIL_ACCESS

  TCP|*|25|10.*|*             $Y
END
cat "$work/access/mappings.more" >>"$work/access/mappings"
rm "$work/access/mappings.more"
tells 'access tables' access.out 'WHO MAY' -c "$work/access"
tells 'access tables as JSON' access.json '{"channel"' -c "$work/access" --json

mkdir "$work/quiet"
printf '\nl\nhere.test\n' >"$work/quiet/pointsman.cnf"
expect 'no service' 0 '^no session comes to any channel: there is no service$' '' \
    check --relay -c "$work/quiet"
expect 'nothing is listed' 0 '^  the domains in localdomains: 0$' '' check --relay -c "$work/quiet"
printf '\nl port 70000\nhere.test\n' >"$work/quiet/pointsman.cnf"
expect 'errors, no report' 1 "^1 error, 0 warnings" '' check --relay -c "$work/quiet"
! grep -q 'WHO MAY' "$work/out"
ok $? 'not a word of it'
expect 'not as SARIF' 2 '' 'as text or JSON, not as SARIF' \
    check --relay --format=sarif -c "$site"
finish
