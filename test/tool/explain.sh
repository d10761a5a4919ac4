#!/bin/sh
# `pointsman explain`: service, switches, relay rule, route, delivery; text and JSON.
# shellcheck source=test/tool/lib.sh
. "$top_srcdir/test/tool/lib.sh"
site=$top_srcdir/test/tool/site

# explains NAME CODE ARGUMENT...: against explain/NAME.out
explains()
{
    case=$1 code=$2
    shift 2
    golden "$case" "$code" "explain/$case.out" explain -c "$site" "$@"
}

explains refused-relay 1 u@elsewhere.test --from-ip 203.0.113.7
explains trusted 0 u@elsewhere.test --from-ip 10.1.2.3
explains tls-switch 0 u@partner.test --from-ip 203.0.113.7 --tls
explains trusted-and-tls 0 u@hub.test --from-ip 10.1.2.3 --tls
explains proper-name 0 u@gate.partner.test --from-ip 203.0.113.7
explains target-closed 0 postmaster --from-ip 192.0.2.9
explains local 0 '<ann@here.test>' --from-ip 203.0.113.7 --auth ann --sender bob@x.test
explains bitbucket 0 ann@void.test --from-ip 203.0.113.7
explains must-tls 1 ann@here.test --from-ip ::1 --service six
explains must-tls-met 0 ann@here.test --from-ip ::1 --service six --tls
explains implicit-tls 0 u@hub.test --from-ip 203.0.113.7 --service SUBMIT
explains not-offered 0 u@hub.test --from-ip 10.1.2.3 --service CLEAR --tls
site=$top_srcdir/test/tool/site-tls
explains tls-verify 0 u@partner.test --from-ip 203.0.113.7 --tls
explains tls-peer-clear 1 u@here.test --from-ip 203.0.113.7 --service STRICT
explains tls-peer 0 u@here.test --from-ip 203.0.113.7 --service STRICT --tls
site=$top_srcdir/test/tool/site-tls-access
explains tls-access 1 u@partner.test --from-ip 192.0.2.5 --handshake subject=CN=relay1.partner
explains tls-access-refused 1 u@here.test --from-ip 192.0.2.66 --tls
explains tls-access-peer 0 u@here.test --from-ip 192.0.2.5 --handshake subject=CN=boss,O=Here \
    --handshake issuer=CN=ca --handshake sni=x --handshake spki=sha256:ac
explains tls-access-version 1 u@here.test --from-ip 192.0.2.5 --handshake version=TLSv1.2 --handshake cipher=X
explains tls-access-blocked 0 u@here.test --from-ip 192.0.2.77 --service SMTPS
explains tls-access-fault 1 u@here.test --from-ip 192.0.2.5 --handshake sni=nobody.here.test --json
explains tls-access-inside 0 u@partner.test --from-ip 10.0.0.1 --handshake group=x
expect 'no part of a handshake' 2 '' "of --handshake cannot be used: 'name=x'" \
    explain -c "$site" u@here.test --from-ip 192.0.2.5 --handshake name=x
site=$top_srcdir/test/tool/site
explains name-not-given 0 u@hub.test --from-ip 203.0.113.7
explains name-switch 0 u@hub.test --from-ip 203.0.113.7 --from-name a.clients.test
explains name-stays 0 u@hub.test --from-ip 203.0.113.7 --from-name elsewhere.test
explains name-does-not-count 0 u@hub.test --from-ip 10.1.2.3 --from-name a.clients.test
explains no-route 1 u@nobody.test --from-ip 203.0.113.7
explains loop 1 u@stuck.test --from-ip 203.0.113.7
explains json-accepted 0 u@partner.test --from-ip 203.0.113.7 --tls --json
explains json-refused 1 u@elsewhere.test --from-ip 203.0.113.7 --json
explains json-no-route 1 u@nobody.test --from-ip 203.0.113.7 --json
explains json-early 1 u@here.test --from-ip ::1 --service SIX --json

# What is not honoured is said: keywords of the channels it goes through, and tables.
cp -r "$site" "$work/later"
sed -i 's/^tcp_local smtp/& saslswitchchannel tcp_tls/; s/^tcp_must smtp/& ipbackoff PT1H/' \
    "$work/later/pointsman.cnf"
expect 'a keyword of its channel that is not honoured' 0 \
    "^NOT HONOURED pointsman.cnf:19:16: 'saslswitchchannel' is not honoured yet" '' \
    explain -c "$work/later" ann@here.test --from-ip 203.0.113.7
! grep -q "'ipbackoff'" "$work/out"
ok $? 'not one of a channel it does not touch'

printf 'CONVERSIONS\n\n  * $Y\n\nETRN_ACCESS\n\n  * $N\n' >"$work/later/mappings"
expect 'tables that are not looked at' 0 "^NOT HONOURED mappings:1:1: table CONVERSIONS is not honoured yet" '' \
    explain -c "$work/later" ann@here.test --from-ip 203.0.113.7 --allow-unhonoured
grep -q "^NOT HONOURED mappings:5:1: table ETRN_ACCESS is not honoured yet" "$work/out"
ok $? 'access tables that are not looked at'
expect 'access tables are an error otherwise' 2 '' 'table ETRN_ACCESS is not honoured yet' \
    explain -c "$work/later" ann@here.test --from-ip 203.0.113.7

cp -r "$site" "$work/reversed"
printf 'REVERSE\n\n  *@x.test $Y$0@shown.test\n  *@bad.test $Y\n' >"$work/reversed/mappings"
expect 'a sender that is reversed' 0 '^sender       u@shown.test$' '' \
    explain -c "$work/reversed" u@partner.test --from-ip 203.0.113.7 --sender u@x.test
grep -q '^  reversed   mappings:3:3   \*@x.test   $Y$0@shown.test$' "$work/out"
ok $? 'the line that reverses'
expect 'a sender that stays' 0 '^sender       u@y.test$' '' \
    explain -c "$work/reversed" u@partner.test --from-ip 203.0.113.7 --sender u@y.test
expect 'an answer that is no address' 0 \
    '^  not reversed: the answer is no whole address   mappings:4:3$' '' \
    explain -c "$work/reversed" u@partner.test --from-ip 203.0.113.7 --sender u@bad.test
expect 'a sender, JSON' 0 '"sender":{"shown":"u@shown.test","reversed":{"file":"mappings","line":3},"problem":null,"problem_at":null}' \
    '' explain -c "$work/reversed" u@partner.test --from-ip 203.0.113.7 --sender u@x.test --json
expect 'no sender of a recipient that is refused' 1 '"sender":null' '' \
    explain -c "$work/reversed" u@elsewhere.test --from-ip 203.0.113.7 --sender u@x.test --json
# Access tables: what each was asked, and said.
access=$top_srcdir/test/tool/explain-access
denied()
{
    case=$1 code=$2
    shift 2
    golden "access: $case" "$code" "explain-access/$case.out" explain -c "$access" "$@"
}
denied port 1 ann@here.test --from-ip 203.0.113.9
denied port-lines 1 ann@here.test --from-ip 203.0.113.10 --server-ip 192.0.2.1
denied port-json 1 ann@here.test --from-ip 203.0.113.9 --json
denied sender 1 ann@here.test --from-ip 203.0.113.7 --sender bad@example.com --helo x.test
denied sender-later 1 ann@here.test --from-ip 203.0.113.7 --sender later@example.com --tls
denied sender-new 0 ann@here.test --from-ip 203.0.113.7 --sender new@example.com
denied sender-fault 1 ann@here.test --from-ip 203.0.113.7 --sender odd@example.com
denied relay-open 0 u@open.test --from-ip 203.0.113.7 --sender a@b.test
denied relay-text 1 u@elsewhere.test --from-ip 203.0.113.7 --sender a@b.test
denied relay-silent 1 u@silent.test --from-ip 203.0.113.7 --sender a@b.test
denied relay-send 0 u@late.test --from-ip 203.0.113.7 --sender a@b.test
denied held 0 held@here.test --from-ip 203.0.113.7 --sender a@b.test
denied discarded 0 bin@here.test --from-ip 203.0.113.7 --sender a@b.test
denied all 0 all@here.test --from-ip 203.0.113.7 --sender a@b.test --json
denied slow 0 slow@here.test --from-ip 203.0.113.7 --sender a@b.test
denied next-hop 0 u@fixed.test --from-ip 10.1.2.3 --sender a@b.test --helo x
denied next-hop-json 0 u@open.test --from-ip 10.1.2.3 --sender a@b.test --helo x --json
denied six 1 ann@here.test --from-ip 2001:db8::7 --sender a@b.test
expect 'no server IP' 2 '' "'here' is no IP address" \
    explain -c "$access" ann@here.test --from-ip 203.0.113.7 --server-ip here

expect 'no client' 2 '' 'explain needs --from-ip' explain -c "$site" u@here.test
expect 'no IP' 2 '' "'10.1' is no IP address" explain -c "$site" u@here.test --from-ip 10.1
expect 'no name' 2 '' "'a b' is no host name" \
    explain -c "$site" u@here.test --from-ip 10.1.2.3 --from-name 'a b'
expect 'no address' 2 '' "the address 'a@' has no domain" explain -c "$site" a@ --from-ip 10.1.2.3
expect 'no sender' 2 '' "the sender 'a@' has no domain" \
    explain -c "$site" u@here.test --from-ip 10.1.2.3 --sender a@
expect 'the empty sender' 0 '^verdict  *accepted' '' \
    explain -c "$site" u@here.test --from-ip 10.1.2.3 --sender '<>'
expect 'an unknown service' 2 '' "there is no service 'OTHER'$" \
    explain -c "$site" u@here.test --from-ip 10.1.2.3 --service OTHER
expect 'a service by nearly its name' 2 '' "there is no service 'SUMBIT'; did you mean 'SUBMIT'?" \
    explain -c "$site" u@here.test --from-ip 10.1.2.3 --service SUMBIT
expect 'a service of another address family' 2 '' 'no service SUBMIT takes a connection from ::1' \
    explain -c "$site" u@here.test --from-ip ::1 --service SUBMIT
expect 'two addresses' 2 '' "too many arguments: 'b'" explain -c "$site" a b --from-ip 10.1.2.3
sed '/^tlsswitch/d; s/mustt*ls/mustls/' "$site/pointsman.cnf" >"$work/bad.cnf"
expect 'bad configuration' 2 '' 'cannot be used' explain -c "$work/bad.cnf" u@here.test --from-ip ::1
mkdir "$work/quiet"
printf '\nl\nhere.test\n' >"$work/quiet/pointsman.cnf"
expect 'no service at all' 2 '' 'there is no service in dispatcher.cnf' \
    explain -c "$work/quiet" u@here.test --from-ip 10.1.2.3

"$tool" explain -c "$site" u@partner.test --from-ip 203.0.113.7 --json | python3 -m json.tool >/dev/null
ok $? 'JSON is JSON'
finish
