#!/bin/sh
# `pointsman tls explain`, `tls audit` and the words of `tls probe`: where each field comes from,
# and the weakest that mail can get, on a site made to hide it.
# shellcheck source=test/tool/lib.sh
. "$top_srcdir/test/tool/lib.sh"
site=$top_srcdir/test/tool/tls/site

# tls NAME CODE COMMAND ARGUMENT...: against tls/NAME.out
tls()
{
    case=$1 code=$2 command=$3
    shift 3
    golden "$case" "$code" "tls/$case.out" tls "$command" -c "$site" "$@"
}

tls explain 0 explain x@sure.example
tls explain-json 0 explain --json x@sure.example
tls explain-alias 0 explain desk@club.example
tls explain-local 0 explain bob@here.test
tls explain-channel 0 explain --channel tcp_relay
tls explain-channel-json 0 explain --json --channel tcp_relay
tls explain-raised 0 explain ann@here.test --mx mx.good.test --ip 192.0.2.1
tls explain-not-lowered 0 explain x@strict.test --mx mx.weak.test --ip 192.0.2.1
tls explain-source 0 explain x@mixed.example --source-channel tcp_local
tls explain-fault 1 explain x@fault.test

site=$top_srcdir/test/tool/site-tls-access
tls explain-clients 0 explain --channel tcp_in
tls explain-clients-json 0 explain --json --channel tcp_partner
tls explain-clients-switches 0 explain --json --channel tcp_in
# mail can come from a channel that only a table leads to
tls audit-switched 1 audit --require host --destination partner.test
site=$top_srcdir/test/tool/tls/site

tls audit 0 audit
tls audit-json 0 audit --json
tls audit-require 1 audit --require host

# Mail for a partner, by traps.
for domain in old mixed called data user made club moved may legacy weak first plain post other-name; do
    name=$domain.example
    [ $domain = legacy ] && name=legacy.bank.test
    tls "audit-$domain" 1 audit --require host --destination $name
done
for domain in bank.example relay.example strict.test sure.example; do
    tls "audit-$domain" 0 audit --require host --destination $domain
done
tls audit-destination-json 1 audit --json --require host --destination club.example
tls audit-stays 0 audit --require pinned --destination silent.test
expect 'a level for each outcome' 0 '^0 of 1 below tls' '' \
    tls audit -c "$site" --require tls --destination legacy.bank.test
expect 'clear is always reached' 0 '^0 of .* below clear' '' tls audit -c "$site" --require clear

# What fallback is, and entries with more than one outcome.
mkdir "$work/site"
cat >"$work/site/pointsman.cnf" <<'END'
calm.test   $U%$D@tcp-calm
.           $U%$H@tcp-brave

l
here.test

tcp_calm smtp mx maytlsclient tlsverifyhost notlsfallback
tcp-calm

tcp_brave smtp mx musttlsclient tlsverifyhost
tcp-brave
END
cat >"$work/site/mappings" <<'END'
TLS_CLIENT_POLICY

  tcp_brave|falls.test|*|*|*|*   $Yfallback=yes,lower
  tcp_brave|dice.test|*|*|*|*    $?1?$Ylevel=may,lower
  tcp_brave|ends.test|*|*|*|*    $Yverify=host$E
  tcp_brave|*.test|*|*|*|*       $Yverify=ca,lower
  tcp_brave|ends.test|*|*|*|*    $Ylevel=no,lower
END
for case in calm:clear falls:ca dice:clear ends:host others:ca; do
    expect "the least of ${case%:*}.test" 0 "^  tcp_.* ${case%:*}.test  *${case#*:}[* ]" '' \
        tls audit -c "$work/site" --destination "${case%:*}.test"
done

expect 'no such command' 2 '' "there is no command 'explane'; there are audit, contexts, explain, probe and reload" \
    tls explane
expect 'neither address nor channel' 2 '' 'takes an address, or --channel' tls explain -c "$site"
expect 'both' 2 '' 'takes an address, or --channel' tls explain -c "$site" a@b --channel tcp_out
expect 'no address' 2 '' "the address 'a@@b' " tls explain -c "$site" a@@b
expect 'no channel' 2 '' "'tcp_ot'" tls explain -c "$site" --channel tcp_ot
expect 'a host alone' 2 '' '--mx needs --ip' tls explain -c "$site" a@b.test --mx mx
expect 'no route' 1 '' "mail to 'x@closed.test' is refused: this domain is closed" \
    tls explain -c "$site" x@closed.test
expect 'no level' 2 '' "'most' is none of clear" tls audit -c "$site" --require most
expect 'no domain' 2 '' "'a b' is no domain" tls audit -c "$site" --destination 'a b'
expect 'an argument' 2 '' 'takes no argument' tls audit -c "$site" x

# What a live host offers is asked in test/e2e/test_tls_probe.py; here the questions.
expect 'probe: no host' 2 '' 'takes a host' tls probe
for host in '' :25 'a b' a/b a@b.test '[::1' '[::1]x' '[]'; do
    expect "probe: no host is '$host'" 2 '' "this is no host: '" tls probe -- "$host"
done
for host in mx: mx:0 mx:65536 mx:x '[::1]:' '[::1]:x'; do
    expect "probe: no port in '$host'" 2 '' 'a port is a number from 1 to 65535' tls probe "$host"
done
expect 'probe: no such level' 2 '' 'no level of clear, tls, ca, host, pinned' \
    tls probe 127.0.0.1:1 --require most
expect 'probe: no such time' 2 '' "value of --timeout cannot be used: '0'" \
    tls probe 127.0.0.1:1 --timeout 0
expect 'probe: options of the others' 2 '' 'tls probe takes --channel' tls probe 127.0.0.1:1 --mx a
expect 'probe: a domain without a channel' 2 '' 'tls probe takes --channel' \
    tls probe 127.0.0.1:1 --destination a.test
expect 'probe: no channel' 2 '' "'tcp_ot'" tls probe 127.0.0.1:1 -c "$site" --channel tcp_ot
expect 'probe: a channel that sends nothing' 2 '' 'nothing leaves by the channel' \
    tls probe 127.0.0.1:1 -c "$site" --channel l
expect 'probe: not what the channel does' 2 '' 'TLS from the first byte is not' \
    tls probe 127.0.0.1:1 -c "$site" --channel tcp_relay --implicit
expect 'probe: nobody there' 2 'Connection refused' '' tls probe '[127.0.0.1]:1'
expect 'probe: no configuration is needed' 2 'Connection refused' '' \
    tls probe -c "$work/none" 127.0.0.1:1
for arguments in 'audit' 'audit --destination club.example' 'explain desk@club.example'; do
    # shellcheck disable=SC2086
    "$tool" tls $arguments -c "$site" --json | while read -r line; do
        echo "$line" | python3 -m json.tool >/dev/null || exit 1
    done
    ok $? "JSON is JSON: $arguments"
done
finish
