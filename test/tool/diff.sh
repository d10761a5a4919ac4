#!/bin/sh
# `pointsman diff`: every kind of change, routes before and after, exit codes.
# shellcheck source=test/tool/lib.sh
. "$top_srcdir/test/tool/lib.sh"
site=$top_srcdir/test/tool/site

# fresh NAME: a copy of the site, to be changed
fresh()
{
    rm -rf "$work/$1"
    mkdir "$work/$1"
    cp "$site"/* "$work/$1/"
    chmod -R u+w "$work/$1"
}

# changed NAME SED-SCRIPT FILE: the site with one file edited, against diff/NAME.out
changed()
{
    fresh "$1"
    sed "$2" "$site/$3" >"$work/$1/$3"
    golden "$1" 1 "diff/$1.out" diff "$site" "$work/$1"
}

fresh same
expect 'no change' 0 '^no change in meaning$' '' diff "$site" "$work/same"
sed -i 's/^! .*/! another comment/; s/  */ /g; s/^\.partner/! moved, with more space\
  &/; s/musttlsclient port 2525/port 2525 musttlsclient/; s/maytls switch/maytlsclient maytlsserver switch/' \
    "$work/same/pointsman.cnf"
expect 'not in meaning: comments, blanks, order of words, spelled otherwise' 0 \
    '^no change in meaning$' '' diff "$site" "$work/same"
sed -i '/^hub\.test/d; 2s/^/hub.test $U%$D@hub.inner.test\
/' "$work/same/pointsman.cnf"
expect 'not in meaning: order of different patterns' 0 '^no change in meaning$' '' \
    diff "$site" "$work/same"

changed rules-removed '/^hub\.test/d' pointsman.cnf
changed rules-changed 's/@tcp-partner$/@hub.inner.test/' pointsman.cnf
changed rules-equal-added 's/^hub\.test.*/&\
hub.test $E$U%$D@void/' pointsman.cnf
changed defaults 's/^defaults .*/defaults musttlsserver/' pointsman.cnf
changed keywords 's/ port 2525 musttlsclient/ port 2526 maytlsclient logging/' pointsman.cnf
changed hosts 's/^tcp-closed/tcp-shut us.closed.test/; s/^gate\.partner.*/gate.partner.test\
new.partner.test/; s/^tcp-partner.*/tcp-partner/' pointsman.cnf
changed channels 's/^tcp_closed/tcp_shut/' pointsman.cnf
changed services 's/2525,2526/2525/; s/^PORT=2530/PORT=2540/; s/^TLS_PORT/PORT/' dispatcher.cnf
changed sessions 's/^PORT=2530/&\
MAX_CONNS=20\
MAX_PROCS=5/' dispatcher.cnf
changed options 's/=2$/=3/; s/^QUEUE.*/LOG_FORMAT=5/' option.dat
changed localdomains 's/^partner\.test/new.test/; $d' localdomains

# Option files of channels: by option, whatever the way it was written.
for side in options-old options-new; do
    fresh "$side"
done
printf 'COMMAND_RECEIVE_TIME=1\nDATA_RECEIVE_TIME=2\nCHECK_SOURCE=0\n' \
    >"$work/options-old/tcp_local_option"
printf 'data_receive_time=PT2M\n! comment\ncommand_receive_time=0.5\nBANNER_HOST=mx.here.test\n' \
    >"$work/options-new/tcp_local_option"
printf 'ALLOW_TRANSACTIONS_PER_SESSION=16%%A\n' >"$work/options-new/tcp_must_option"
golden 'option files' 1 diff/option-files.out diff "$work/options-old" "$work/options-new"
golden 'option files, JSON' 1 diff/option-files.json diff --json "$work/options-old" \
    "$work/options-new"

# The general database: by key.
for side in base-old base-new; do
    fresh "$side"
done
printf 'one   a.test\ntwo   b.test@tcp-out\n' >"$work/base-old/general"
printf 'two   c.test@tcp-out\nthree d.test\n' >"$work/base-new/general"
golden 'general database' 1 diff/general.out diff "$work/base-old" "$work/base-new"

# Mapping tables: entries are compared in their order.
table()
{
    mkdir -p "$work/$1"
    cp "$site"/*.* "$work/$1/"
    shift
    printf 'OUR_NETS\n\n'
    printf '  %s\n' "$@"
}
table nets-old '10.* $Y' '192.0.2.* $Y' '* $N' >"$work/mappings"
mv "$work/mappings" "$work/nets-old/mappings"
table nets-new '192.0.2.* $Y' '10.* $Y' '198.51.100.* $Y' '* $N' >"$work/mappings"
printf '\nTHEIR_NETS\n\n  * $Y\n' >>"$work/mappings"
mv "$work/mappings" "$work/nets-new/mappings"
golden 'mapping tables' 1 diff/mappings.out diff "$work/nets-old" "$work/nets-new"

# The order of equal patterns has a meaning.
for side in first second; do
    fresh "$side"
done
sed -i '2s/^/here.test $E$B$U%$D@void\
here.test $F$U%$D@tcp-tls\
/' "$work/first/pointsman.cnf"
sed -i '2s/^/here.test $F$U%$D@tcp-tls\
here.test $E$B$U%$D@void\
/' "$work/second/pointsman.cnf"
golden 'order of equal patterns' 1 diff/order.out diff "$work/first" "$work/second"

# Many channels with one change are told in one line.
for side in old new; do
    mkdir "$work/many-$side"
    {
        printf '\nl\nhere.test\n\ndefaults %s\n' "$([ $side = old ] && echo mx || echo nomx)"
        for i in 1 2 3 4 5 6 7 8 9; do
            printf '\ntcp_%s smtp\nhost%s\n' $i $i
        done
    } >"$work/many-$side/pointsman.cnf"
done
expect 'one change of many channels' 1 \
    '^9 channels: tcp_1, tcp_2, tcp_3, tcp_4, tcp_5, tcp_6, \.\.\.  - mx   + nomx$' '' \
    diff "$work/many-old" "$work/many-new"
[ "$(wc -l <"$work/out")" = 2 ]
ok $? 'one change of many channels, in one line'

# Routes.
cat >"$work/addresses" <<'END'
! whom we must not lose
u@partner.test
u@hub.test

<ann@here.test>
u@gate.partner.test
u@nobody.test
u@elsewhere.test
END
fresh routes
sed -i '/^hub\.test/d; s/^nobody.test.*/nobody.test $U%$D@tcp-out/; /^\.  /d
    s/@tcp-partner$/@hub.inner.test/; s/mx\.partner\.test/mx2.partner.test/' "$work/routes/pointsman.cnf"
golden 'routes' 1 diff/routes.out diff "$site" "$work/routes" --addresses "$work/addresses"
golden 'routes, JSON' 1 diff/routes.json diff "$site" "$work/routes" --json --addresses "$work/addresses"
python3 -c '
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
assert lines[-1] == {"changes": len(lines) - 1 - lines[-1]["rerouted"], "addresses": 6, "rerouted": 5}, lines[-1]
' "$work/out" 2>"$work/err"
ok $? 'JSON is JSON, and counts what it says' || sed 's/^/# /' "$work/err"
fresh equal
expect 'no route changes' 0 '^0 of 6 addresses change route$' '' \
    diff "$site" "$work/equal" --addresses "$work/addresses"
fresh inside
sed -i 's/^hub\.test.*/&$Mtcp_inside/' "$work/inside/pointsman.cnf"
expect 'routes from a channel' 1 '^0 of 6 addresses change route$' '' \
    diff "$site" "$work/inside" --source-channel tcp_inside --addresses "$work/addresses"
expect 'routes from the local channel' 1 '^1 of 6 addresses changes route$' '' \
    diff "$site" "$work/inside" --addresses "$work/addresses"
input=$work/addresses
expect 'addresses from standard input' 0 '^0 of 6 addresses' '' diff "$site" "$work/equal" --addresses -
input=
echo 'a@' >"$work/wrong"
expect 'what is no address is told' 0 '^0 of 0 addresses' "the address 'a@' has no domain" \
    diff "$site" "$work/equal" --addresses "$work/wrong"

expect 'no file of addresses' 2 '^rule hub.test' 'none: No such file' \
    diff "$site" "$work/inside" --addresses "$work/none"
expect 'an unknown channel' 2 '' "did you mean 'tcp_local'" \
    diff "$site" "$work/equal" --source-channel tcp_locl --addresses "$work/addresses"
sed 's/^tcp_tls smtp/& mustlsclient/' "$site/pointsman.cnf" >"$work/inside/pointsman.cnf"
expect 'the new one cannot be used' 2 '' 'inside: the configuration cannot be used' \
    diff "$site" "$work/inside"
expect 'the old one cannot be used' 2 '' 'none: the configuration cannot be used' \
    diff "$work/none" "$site"
expect 'one argument' 2 '' 'needs an argument: OLD NEW' diff "$site"
finish
