#!/bin/sh
# The commands of `pointsman`: exit codes, what goes to standard output and what to
# standard error, option forms. Configurations are written here.
tool=${top_builddir:-.}/pointsman
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
number=0
failed=0

# expect NAME CODE STDOUT-PATTERN STDERR-PATTERN ARGUMENT...: runs the tool and compares.
# A pattern is a basic regular expression for some line; '' for: nothing at all.
expect()
{
    name=$1 code=$2 out=$3 err=$4
    shift 4
    "$tool" "$@" >"$work/out" 2>"$work/err" </dev/null
    got=$?
    number=$((number + 1))
    if [ $got -eq "$code" ] && matches "$out" "$work/out" && matches "$err" "$work/err"; then
        echo "ok $number - $name"
    else
        failed=1
        echo "not ok $number - $name"
        echo "# exit $got, expected $code; '$out' and '$err' were expected in:"
        sed 's/^/# out: /' "$work/out"
        sed 's/^/# err: /' "$work/err"
    fi
}

matches()
{
    if [ -z "$1" ]; then
        [ ! -s "$2" ]
    else
        grep -q -e "$1" "$2"
    fi
}

mkdir "$work/good" "$work/warn" "$work/bad" "$work/two" "$work/empty" "$work/cert"
cat >"$work/good/pointsman.cnf" <<'END'
ours.test  $U%$D@tcp-inner
loop.test  $E$U%pool.test
pool.test  $E$U%loop.test
in.test    $U%$D@tcp-inner$Mtcp_local

l
here.test

tcp_local smtp
tcp-local

tcp_inner smtp nomx daemon 127.0.0.1
tcp-inner
END
sed 's/tcp-inner$/tcp-iner/' "$work/good/pointsman.cnf" |
    sed 's/^tcp-iner$/tcp-inner/' >"$work/warn/pmdf.cnf"
sed 's/^tcp_local smtp$/tcp_local smtp mustlsclient/' "$work/good/pointsman.cnf" \
    >"$work/bad/imta.cnf"
cp "$work/good/pointsman.cnf" "$work/two/"
cp "$work/good/pointsman.cnf" "$work/two/pmdf.cnf"
sed 's/^tcp_local smtp$/tcp_local smtp maytlsserver/' "$work/good/pointsman.cnf" \
    >"$work/cert/pointsman.cnf"
printf '[*]\nserver_cert=missing.pem\n' >"$work/cert/tls.cnf"
printf '[SERVICE=SMTP]\nPORT=2525\nPARAMETER=CHANNEL=tcp_local\n' >"$work/cert/dispatcher.cnf"
mkdir "$work/anchor" "$work/nonsense"
cp "$work/good/pointsman.cnf" "$work/anchor/"
cp "$work/good/pointsman.cnf" "$work/nonsense/"
echo 'DNSSEC_ANCHOR=nowhere.key' >"$work/anchor/option.dat"
echo 'DNSSEC_ANCHOR=root.key' >"$work/nonsense/option.dat"
echo 'nonsense here' >"$work/nonsense/root.key"
cp "$work/good/pointsman.cnf" "$work/site.txt"
cat >"$work/no-ciphers.cnf" <<'END'
openssl_conf = main
[main]
providers = providers
[providers]
base = base
[base]
activate = 1
END
good=$work/good

echo 1..53
# check
expect 'check, clean' 0 '^0 errors, 0 warnings in 1 file (4 rules, 3 channels)$' '' \
    check -c "$good"
expect 'check, -c before the command' 0 '^0 errors' '' -c "$good" check
expect 'check, --config=' 0 '^0 errors' '' "--config=$good" check
expect 'check, -cDIR' 0 '^0 errors' '' check "-c$good"
expect 'check, a file of any name' 0 '^0 errors' '' check -c "$work/site.txt"
expect 'check, warnings' 0 'warnings\{0,1\} in 1 file' '' check -c "$work/warn"
expect 'check, warnings show file, line and column' 0 \
    '^pmdf\.cnf:1:[0-9]*: warning: .*\[unknown-routing-host\]$' '' check -c "$work/warn"
expect 'check, did you mean' 0 "did you mean 'tcp-inner'" '' check -c "$work/warn"
expect 'check, warnings, strict' 1 'warnings\{0,1\} in 1 file' '' check --strict -c "$work/warn"
expect 'check, clean, strict' 0 '^0 errors' '' check --strict -c "$good"
expect 'check, errors' 1 '^1 error, 0 warnings in 1 file (4 rules, 3 channels)$' '' \
    check -c "$work/bad"
expect 'check, an error shows the place' 1 \
    "^imta\.cnf:9:16: error: .*did you mean 'musttlsclient'" '' check -c "$work/bad"
expect 'check, several main files' 2 'error: both' '' check -c "$work/two"
expect 'check, no main file' 2 'error: there is no' '' check -c "$work/empty"
expect 'check, nothing there' 2 'error: there is no file or folder' '' check -c "$work/none"
expect 'check, certificate missing' 1 'missing\.pem.*No such file' '' check -c "$work/cert"
expect 'check, trust anchor missing' 1 \
    '^option\.dat:1:1: error: .*nowhere\.key: No such file.*\[dnssec-anchor\]$' '' check -c "$work/anchor"
expect 'check, trust anchor that is none' 1 \
    '^option\.dat:1:1: error: .*root\.key' '' check -c "$work/nonsense"
OPENSSL_CONF=$work/no-ciphers.cnf
export OPENSSL_CONF
expect 'check, OpenSSL without ciphers' 1 '^error: OpenSSL .* \[tls-library\]$' '' \
    check -c "$good"
unset OPENSSL_CONF
expect 'check, an argument too many' 2 '' "too many arguments: 'x'" check -c "$good" x
# rewrite
expect 'rewrite, a route' 0 '^  -> u@ours\.test  *channel tcp_inner$' '' \
    rewrite -c "$good" u@ours.test
expect 'rewrite, the deciding rule' 0 '^  by pointsman.cnf:1   ours\.test   \$U%\$D@tcp-inner$' \
    '' rewrite -c "$good" u@ours.test
expect 'rewrite, by the host table' 0 '^  by pointsman.cnf:7   host table: here.test$' '' \
    rewrite -c "$good" '<u@here.test>'
expect 'rewrite, no route' 1 '^  -> no route: 5\.1\.2 unknown host' '' \
    rewrite -c "$good" u@elsewhere.test
expect 'rewrite, loop' 1 '^  -> no route: 5\.4\.6 ' '' rewrite -c "$good" u@loop.test
expect 'rewrite, source channel' 0 'channel tcp_inner' '' \
    rewrite --source-channel=tcp_local -c "$good" u@in.test
expect 'rewrite, from the local channel' 1 'no route' '' rewrite -c "$good" u@in.test
expect 'rewrite, unknown source channel' 2 '' "did you mean 'tcp_local'" \
    rewrite -c "$good" --source-channel tcp_locl u@in.test
expect 'rewrite, one of two has no route' 1 'no route' '' \
    rewrite -c "$good" u@ours.test u@elsewhere.test
expect 'rewrite, trace' 0 '^  probe \.test  *-  *no rule$' '' \
    rewrite -c "$good" --trace u@here.test
expect 'rewrite, header' 1 'no route: 5\.1\.2' '' rewrite -c "$good" --header u@loop.test
expect 'rewrite, JSON' 0 '^{"address":"u@ours.test","form":"envelope","direction":"forward","source_channel":"l","rewritten":"u@ours.test","channel":"tcp_inner","routing_host":"tcp-inner","error":null,"rule":{"file":"pointsman.cnf","line":1},"host":{"file":"pointsman.cnf","line":13}}$' \
    '' rewrite --json -c "$good" u@ours.test
expect 'rewrite, JSON of an error' 1 '"channel":null,"routing_host":null,"error":{"status":"5.1.2","text":"unknown host or domain .elsewhere.test."},"rule":null,"host":null}$' \
    '' rewrite --json -c "$good" u@elsewhere.test
expect 'rewrite, JSON of the host table' 0 '"rule":null,"host":{"file":"pointsman.cnf","line":7}}$' \
    '' rewrite --json -c "$good" u@here.test
expect 'rewrite, no address' 2 '' 'is no address' rewrite -c "$good" 'a b'
expect 'rewrite, address missing' 2 '' 'needs an argument' rewrite -c "$good"
expect 'rewrite, bad configuration' 2 '' 'cannot be used' rewrite -c "$work/bad" u@ours.test
# keywords
expect 'keywords' 0 '^tlsswitchchannel  *channel  *honoured  ' '' keywords
expect 'keywords, one, case-blind' 0 '^keyword    musttlsclient$' '' keywords MustTLSClient
expect 'keywords, JSON' 0 '^{"name":"port","arguments":"number","status":"honoured",' '' \
    keywords --json port
expect 'keywords, unknown' 1 '' "did you mean 'switchchannel'" keywords swichchannel
# print: what it prints says the same again
expect 'print' 0 '^tcp_inner .*daemon \[127\.0\.0\.1\]' '' print -c "$good"
expect 'print, bad configuration' 2 '' 'cannot be used' print -c "$work/bad"
# status, reload
expect 'status, no daemon' 2 '' 'daemon' status --socket "$work/none"
expect 'reload, no daemon, bad configuration' 2 '' 'daemon' reload -c "$work/bad" \
    --socket "$work/none"
# the rest
expect 'version' 0 '^pointsman [0-9]' '' version
expect '--version' 0 '^pointsman [0-9]' '' --version
expect '--version, not of a command' 2 '' "unknown option '--version'" check --version
expect 'help' 0 '^Usage: pointsman' '' --help
expect 'no command' 2 '' '^Usage: pointsman'
expect 'unknown command' 2 '' "did you mean 'check'" chekc
expect 'unknown option' 2 '' "did you mean '--strict'" check --stric

# Help fits a screen and ends with two examples.
long=$(for command in '' check rewrite keywords print status reload stop version; do
    # shellcheck disable=SC2086
    "$tool" $command --help >"$work/out" || echo "$command: exit $?"
    [ "$(wc -l <"$work/out")" -le 24 ] || echo "$command: more than 24 lines"
    # the default folder is as long as the installer made it
    [ "$(sed 's/(default [^)]*)//' "$work/out" | wc -L)" -le 90 ] || echo "$command: more than 90 columns"
    tail -3 "$work/out" | head -1 | grep -q 'Examples:$' || echo "$command: no examples"
    tail -2 "$work/out" | grep -vq '^  pointsman ' && echo "$command: examples"
done)
number=$((number + 1))
if [ -z "$long" ]; then
    echo "ok $number - help"
else
    failed=1
    echo "not ok $number - help"
    printf '%s\n' "$long" | sed 's/^/# /'
fi
[ $number -eq 53 ] || echo "Bail out! $number cases"
exit $failed
