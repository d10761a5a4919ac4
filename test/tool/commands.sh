#!/bin/sh
# The commands of `pointsman`: exit codes, what goes to standard output and what to
# standard error, option forms, help. Configurations are written here; the commands with
# many cases have a script of their own.
# shellcheck source=test/tool/lib.sh
. "$top_srcdir/test/tool/lib.sh"

mkdir "$work/good" "$work/warn" "$work/bad" "$work/two" "$work/empty" "$work/cert"
cat >"$work/good/pointsman.cnf" <<'END'
ours.test  $U%$D@tcp-inner
loop.test  $E$U%pool.test
pool.test  $E$U%loop.test
in.test    $U%$D@tcp-inner$Mtcp_local

l
here.test

tcp_local smtp
tcp.local.test

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
truncate -s 1073741825 "$work/huge.cnf"
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
expect 'check, a file that is too large' 2 "cannot read .*larger than 1024 MiB" '' \
    check -c "$work/huge.cnf"
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
expect 'check, a value that is none' 2 '' "this value of --max-errors cannot be used: '0'$" \
    check --max-errors 0 -c "$good"
# keywords
expect 'keywords' 0 '^tlsswitchchannel  *channel  *honoured  ' '' keywords
expect 'keywords, one, case-blind' 0 '^keyword    musttlsclient$' '' keywords MustTLSClient
expect 'keywords, JSON' 0 '^{"name":"port","arguments":"number","status":"honoured",' '' \
    keywords --json port
expect 'options' 0 '^COMMAND_RECEIVE_TIME  *<channel>_option  honoured  ' '' options
expect 'options, one, case-blind' 0 '^BLOCK_SIZE  *option.dat' '' options Block_Size
expect 'options, one of several files' 0 '^USER  *dispatcher.cnf  *no-effect' '' options user
expect 'options, JSON' 0 '^{"name":"PORT","file":"dispatcher.cnf","status":"honoured",' '' \
    options --json port
expect 'options, unknown' 1 '' "did you mean 'BANNER_HOST'" options BANER_HOST
expect 'keywords, unknown' 1 '' "did you mean 'switchchannel'" keywords swichchannel
# print: what it prints says the same again
expect 'print' 0 '^tcp_inner .*daemon \[127\.0\.0\.1\]' '' print -c "$good"
expect 'print, bad configuration' 2 '' 'cannot be used' print -c "$work/bad"
sed 's/mustlsclient/& inner subdirs 20/' "$work/bad/imta.cnf" >"$work/both.cnf"
expect 'print, errors are told, warnings counted' 2 '' \
    "cannot be used ('pointsman check' tells 2 warnings, too)$" print -c "$work/both.cnf"
grep -q '\[security-slip\]$' "$work/err" && ! grep -q 'warning: ' "$work/err"
ok $? 'print, no warnings among the errors'
# status, reload
expect 'status, no daemon' 2 '' 'daemon' status --socket "$work/none"
expect 'reload, no daemon, bad configuration' 2 '' 'daemon' reload -c "$work/bad" \
    --socket "$work/none"
expect 'tls, no daemon' 2 '' 'daemon' tls contexts --socket "$work/none"
expect 'tls, unknown command' 2 '' "no command 'context'; there are audit, contexts" tls context
# the rest
expect 'version' 0 '^pointsman [0-9]' '' version
expect '--version' 0 '^pointsman [0-9]' '' --version
expect '--version, not of a command' 2 '' "unknown option '--version'" check --version
expect 'help' 0 '^Usage: pointsman' '' --help
expect 'help as a command' 0 '^Usage: pointsman \[-c' '' help
expect 'help for a command' 0 '^Usage: pointsman queue ' '' help queue
expect 'help for help' 0 '^Usage: pointsman help ' '' help help
expect 'help for no command' 2 '' "unknown command 'quue'; did you mean 'queue'" help quue
expect 'help for two' 2 '' "help: too many arguments: 'list'" help queue list
expect 'no command' 2 '' '^Usage: pointsman'
expect 'unknown command' 2 '' "did you mean 'check'" chekc
expect 'unknown option' 2 '' "did you mean '--strict'" check --stric

# Help fits a screen and ends with two examples.
long=$(for command in '' check rewrite map match queue qm test explain diff graph keywords options print status reload stop tls help version; do
    # shellcheck disable=SC2086
    "$tool" $command --help >"$work/out" || echo "$command: exit $?"
    [ "$(wc -l <"$work/out")" -le 24 ] || echo "$command: more than 24 lines"
    # the default folder is as long as the installer made it
    [ "$(sed 's/(default [^)]*)//' "$work/out" | wc -L)" -le 90 ] || echo "$command: more than 90 columns"
    tail -3 "$work/out" | head -1 | grep -q 'Examples:$' || echo "$command: no examples"
    tail -2 "$work/out" | grep -vq '^  pointsman ' && echo "$command: examples"
done)
[ -z "$long" ]
ok $? help || printf '%s\n' "$long" | sed 's/^/# /'
finish
