#!/bin/sh
# `pointsman map` and `match`, and their classic forms `test -mapping`, `test -match`.
# shellcheck source=test/tool/lib.sh
. "$top_srcdir/test/tool/lib.sh"
site=$top_srcdir/test/tool/map/site

# maps NAME CODE ARGUMENT...: against map/NAME.out
maps()
{
    case=$1 code=$2
    shift 2
    golden "$case" "$code" "map/$case.out" map -c "$site" "$@"
}

# classic NAME CODE ARGUMENT...: against map/NAME.out
classic()
{
    case=$1 code=$2
    shift 2
    golden "$case" "$code" "map/$case.out" test -mapping "-configuration_file=$site" "$@"
}

maps networks 0 NETWORKS 10.20.3.4 2001:db8::7 127.0.0.1 127.0.0.2
maps case-of-the-name 0 networks ''
maps no-match 1 SENDERS nothing 'a|b'
maps call 0 SENDERS '10.20.0.1|ann@partner.test'
maps call-trace 0 SENDERS --trace '192.0.2.1|ann@partner.test' 'a|ann@data.test' 'a|x@data.test'
maps flags-clear 0 SENDERS 'a|u@flag.test'
maps flags-set 0 SENDERS --flags EB 'a|u@flag.test'
maps flags-list 0 SENDERS --flags '(e, b)' 'a|u@flag.test'
maps restart 0 SENDERS --trace 'a|u@loop.test'
maps json 1 SENDERS --json '10.20.0.1|ann@partner.test' nothing 'a|b' 'a|u@flag.test'
maps json-trace 0 SENDERS --json --trace '10.20.0.1|ann@partner.test'
maps control 0 NETWORKS "$(printf 'a\033[1mb')"
printf ' 127.0.0.1\n127.0.0.1\n\n! 10.20.0.1\r\n' >"$work/strings"
input=$work/strings
maps input 0 NETWORKS --json
maps input-dash 0 NETWORKS --json 10.20.0.1 - 10.20.0.2
input=

expect 'a run that is given up' 2 '-> given up: mapping tables call each other too deeply' \
    'map: mapping tables call each other too deeply; this is neither a match nor none' \
    map -c "$site" ENDLESS x
expect 'a run that is given up, JSON' 2 \
    '"matched":false,"output":null,"flags":\[\],"entry":null,"fault":"mapping tables call' \
    'too deeply' map -c "$site" --json ENDLESS x
awk 'BEGIN { for (i = 0; i < 17000; i++) printf "a" }' >"$work/strings"
input=$work/strings
expect 'a string that is too long' 2 'given up: the string to be mapped is too long' 'too long' \
    map -c "$site" NETWORKS
input=
expect 'an unknown table' 2 '' "there is no table 'NETWORK'; did you mean 'NETWORKS'?" \
    map -c "$site" NETWORK x
expect 'nothing like a table' 2 '' "there is no table 'PORT_ACCESS'$" map -c "$site" PORT_ACCESS x
expect 'a wrong flag' 2 '' "'1' is no flag in 'A1'" map -c "$site" NETWORKS --flags A1 x
expect 'no table' 2 '' 'map needs an argument' map -c "$site"
expect 'bad configuration' 2 '' 'cannot be used' map -c "$work/none" NETWORKS x
"$tool" map -c "$site" --trace --json SENDERS 'a|b' 'a|u@loop.test' |
    while read -r line; do echo "$line" | python3 -m json.tool >/dev/null || exit 1; done
ok $? 'JSON is JSON'

# match NAME CODE PATTERN TARGET: against map/match-NAME.out
matches_as()
{
    case=$1 code=$2
    shift 2
    golden "match $case" "$code" "map/match-$case.out" match "$@"
}

matches_as lazy 0 '$D*-$_*.%*' 12-ab.cd.e
matches_as sets 0 '$[a-cx\-]%$@*$0*$ |$$' 'Xabc-x |$'
matches_as ip 0 'TCP|$(10.1.2.3/8)|$<192.0.2.1/8>|${2001:db8::/32}' \
    'tcp|10.9.8.7|192.0.2.9|IPv6:2001:db8::9'
matches_as none 1 'a*b' abc
matches_as blanks 0 'a b*' 'A b c'
matches_as json 0 --json '$_*@*' 'ann@here.test'
expect 'match, JSON, none' 1 '"target":"abc","matched":false,"saved":\[\]}$' '' match --json 'a*b' abc
expect 'match, no pattern' 2 '' "^pattern:1:2: error: .*\[mapping-pattern\]" match 'a$[b' abc
expect 'match, a doubtful pattern' 0 '^Match.$' "^pattern:1:2: warning: '\$#' has no meaning" \
    match 'a$#' 'a#'
expect 'match, given up' 2 '^\[ 9S\]' 'match: the match took too many steps' \
    match 'a*%*%*%*%*$0*$1*$2*$3*b*c' "$(head -c 2000 /dev/zero | tr '\0' a)c"
expect 'match, no target' 2 '' 'match needs an argument: PATTERN TARGET' match a

classic test-mapping 0 -table=networks 10.20.0.1 127.0.0.2
classic test-mapping-none 1 -table=SENDERS nothing
classic test-mapping-flags 0 '-flags=(B,E)' -tab=senders 'a|u@flag.test'
classic test-mapping-debug 0 -debug -table=senders '10.20.0.1|ann@partner.test'
printf 'NETWORKS\n10.20.0.1\nx\n' >"$work/strings"
input=$work/strings
classic test-mapping-input 0
input=
classic test-mapping-json 1 -json -debug -table=SENDERS nothing
golden 'test -match' 0 map/test-match.out test -match '$[ax1]*@*.xyz.com' xx11aa@sys1.xyz.com
printf 'a*\nabc\nb\nabc\n' >"$work/strings"
input=$work/strings
golden 'test -match, from standard input' 1 map/test-match-input.out test -match
input=
golden 'test -match, JSON' 0 map/test-match-json.out test -match -json 'a*' abc
expect 'test -mapping, given up' 2 '^\*\*\* mapping tables call each other' '' \
    test -mapping "-conf=$site" -table=ENDLESS x
expect 'test -mapping, no table' 2 '' '-table= is needed' test -mapping "-conf=$site"
expect 'test -mapping, an unknown table' 2 '' "did you mean 'NETWORKS'" \
    test -mapping "-conf=$site" -table=NETWRKS x
expect 'test -mapping, a wrong flag' 2 '' "'?' is no flag" \
    test -mapping "-conf=$site" '-flags=?' -table=NETWORKS x
expect 'a word of another test' 2 '' "'-source_channel=l' does not belong to this test" \
    test -mapping "-conf=$site" -source_channel=l -table=NETWORKS x
expect 'a word that test -match does not have' 2 '' "'-debug' does not belong to this test" \
    test -match -debug a b
expect 'two tests' 2 '' 'test needs to know what' test -mapping -rewrite x
expect 'test -match, one word' 2 '' 'takes a pattern and a target' test -match a
finish
