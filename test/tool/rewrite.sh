#!/bin/sh
# `pointsman rewrite`: routes and refusals, as text and as JSON, with and without trace.
# shellcheck source=test/tool/lib.sh
. "$top_srcdir/test/tool/lib.sh"

mkdir "$work/good" "$work/good/rules" "$work/bad"
cat >"$work/good/pointsman.cnf" <<'END'
ours.test  $U%$D@tcp-inner
loop.test  $E$U%pool.test
pool.test  $E$U%loop.test
in.test    $U%$D@tcp-inner$Mtcp_local
to.test    $U%$D@tcp-inner$Qtcp_local
<rules/more.cnf

l
here.test

tcp_local smtp
tcp-local

tcp_inner smtp nomx daemon 127.0.0.1
tcp-inner
END
echo 'inc.test  $U%$D@tcp-inner' >"$work/good/rules/more.cnf"
sed 's/^tcp_local smtp$/tcp_local smtp mustlsclient/' "$work/good/pointsman.cnf" \
    >"$work/bad/imta.cnf"
good=$work/good

expect 'a route' 0 '^  -> u@ours\.test  *channel tcp_inner$' '' \
    rewrite -c "$good" u@ours.test
expect 'the deciding rule' 0 '^  by pointsman.cnf:1   ours\.test   \$U%\$D@tcp-inner$' \
    '' rewrite -c "$good" u@ours.test
expect 'by the host table' 0 '^  by pointsman.cnf:9   host table: here.test$' '' \
    rewrite -c "$good" '<u@here.test>'
expect 'no route' 1 '^  -> no route: 5\.1\.2 illegal host' '' \
    rewrite -c "$good" u@elsewhere.test
expect 'loop' 1 '^  -> no route: 5\.4\.6 ' '' rewrite -c "$good" u@loop.test
expect 'source channel' 0 'channel tcp_inner' '' \
    rewrite --source-channel=tcp_local -c "$good" u@in.test
expect 'from the local channel' 1 'no route' '' rewrite -c "$good" u@in.test
expect 'unknown source channel' 2 '' "did you mean 'tcp_local'" \
    rewrite -c "$good" --source-channel tcp_locl u@in.test
expect 'one of two has no route' 1 'no route' '' \
    rewrite -c "$good" u@ours.test u@elsewhere.test
expect 'trace' 0 '^  probe \.test  *-  *no rule$' '' \
    rewrite -c "$good" --trace u@here.test
expect 'header' 1 'no route: 5\.1\.2' '' rewrite -c "$good" --header u@loop.test
expect 'JSON' 0 '^{"address":"u@ours.test","form":"envelope","direction":"forward","source_channel":"l","rewritten":"u@ours.test","channel":"tcp_inner","routing_host":"tcp-inner","error":null,"rule":{"file":"pointsman.cnf","line":1}}$' \
    '' rewrite --json -c "$good" u@ours.test
expect 'JSON of an error' 1 '"channel":null,"routing_host":null,"error":{"status":"5.1.2","text":"illegal host/domain specified: .elsewhere.test."},"rule":null}$' \
    '' rewrite --json -c "$good" u@elsewhere.test
expect 'JSON of the host table' 0 '"routing_host":"here.test","error":null,"rule":null}$' \
    '' rewrite --json -c "$good" u@here.test
expect 'JSON, a file of a subfolder' 0 '"rule":{"file":"rules/more.cnf","line":1}}$' '' \
    rewrite --json -c "$good" u@inc.test
expect 'JSON, the options' 0 '^{"address":"<u@here.test>","form":"header","direction":"backward","source_channel":"tcp_local","rewritten":"u@here.test",' '' \
    rewrite --json -c "$good" --header --backward --source-channel tcp_local '<u@here.test>'
expect 'JSON, trace' 1 '"rule":null,"trace":\[{"probe":"in.test","file":"pointsman.cnf","line":4,"template":"$U%$D@tcp-inner$Mtcp_local","outcome":"failed: $Mtcp_local"},{"probe":.*{"probe":"\.","file":null,"line":null,"template":null,"outcome":"no rule"}\]}$' '' \
    rewrite --json --trace -c "$good" u@in.test
expect 'JSON, trace of a repeat' 1 '"template":"$E$U%pool.test","outcome":"repeat"},' '' \
    rewrite --json --trace -c "$good" u@loop.test
expect 'no address' 1 '^  -> no route: 5\.1\.3 the address ' '' rewrite -c "$good" 'a b@here.test'
expect 'the empty address' 1 '^  -> no route: 5\.1\.3 the address is empty$' '' rewrite -c "$good" ''
expect 'JSON, no address' 1 '^{"address":"a\\u0001b@x","form":"envelope","direction":"forward","source_channel":"l","rewritten":null,"channel":null,"routing_host":null,"error":{"status":"5.1.3","text":"the address [^"]*"},"rule":null,"trace":\[\]}$' \
    '' rewrite --json --trace -c "$good" "$(printf 'a\001b@x')"
expect 'control bytes reach no terminal' 1 '^a?b@x$' '' rewrite -c "$good" "$(printf 'a\033b@x')"
printf 'u@ours.test\r\n\n! nobody\n!u@ours.test\nu@here.test' >"$work/addresses"
input=$work/addresses
expect 'from standard input' 0 '^u@here.test$' '' rewrite -c "$good" -
[ "$(grep -c '^  ->' "$work/out")" = 3 ]
ok $? 'from standard input, comments and blank lines are none'
expect 'one of standard input has no route' 1 'no route' '' rewrite -c "$good" - u@elsewhere.test
input=
"$tool" rewrite -c "$good" - <"$work" >"$work/out" 2>"$work/err"
[ $? -eq 2 ] && grep -q 'standard input: Is a directory' "$work/err"
ok $? 'standard input that cannot be read'
expect 'unknown destination channel' 2 '' "did you mean 'tcp_inner'" \
    rewrite -c "$good" --destination-channel tcp_inne u@ours.test
expect 'a destination channel' 0 'channel tcp_inner' '' \
    rewrite -c "$good" --header --destination-channel tcp_local u@to.test
expect 'another destination channel' 1 'no route' '' \
    rewrite -c "$good" --header --destination-channel tcp_inner u@to.test
expect 'no destination channel, so no test of it' 0 'channel tcp_inner' '' \
    rewrite -c "$good" --header u@to.test
expect 'an envelope recipient has no destination yet' 0 'channel tcp_inner' '' \
    rewrite -c "$good" --destination-channel tcp_inner u@to.test
expect 'address missing' 2 '' 'needs an argument' rewrite -c "$good"
expect 'bad configuration' 2 '' 'cannot be used' rewrite -c "$work/bad" u@ours.test
# Exactly these members, in every line, and nothing but JSON.
"$tool" rewrite --json --trace -c "$good" u@ours.test u@loop.test u@elsewhere.test u@here.test 'a b' |
    python3 -c '
import json, sys
members = "address form direction source_channel rewritten channel routing_host error rule trace"
steps = "probe file line template outcome"
lines = [json.loads(line) for line in sys.stdin]
assert len(lines) == 5
for line in lines:
    assert " ".join(line) == members, line
    assert (line["error"] is None) == (line["rewritten"] is not None) == (line["channel"] is not None)
    for step in line["trace"]:
        assert " ".join(step) == steps, step
        assert (step["file"] is None) == (step["line"] is None) == (step["template"] is None) == (step["outcome"] == "no rule")
' 2>"$work/err"
ok $? 'JSON, the members' || sed 's/^/# /' "$work/err"
finish
