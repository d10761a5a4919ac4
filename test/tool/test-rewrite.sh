#!/bin/sh
# `pointsman test -rewrite`: PMDF's labels and PMDF's words.
# shellcheck source=test/tool/lib.sh
. "$top_srcdir/test/tool/lib.sh"
site=$top_srcdir/test/tool/site

printf 'words.test  $U%%$D@words\n\nl\nhere.test\n\ntcp_words smtp staff\nwords\n' >"$work/words.cnf"

# classic NAME CODE ARGUMENT...: against test-rewrite/NAME.out
classic()
{
    case=$1 code=$2
    shift 2
    golden "$case" "$code" "test-rewrite/$case.out" test -rewrite "-configuration_file=$site" "$@"
}

classic local 0 ann@here.test
classic partner 0 u@partner.test
classic no-route 1 u@nobody.test
classic several 0 u@hub.test '<u@gate.partner.test>'
classic nochannel 0 -nochannel u@partner.test
classic debug 0 -debug -source_channel=tcp_local u@partner.test
classic backward 0 -nochannel 'x@[10.1.2.3]'
printf 'ann@here.test\nu@nobody.test\n' >"$work/addresses"
input=$work/addresses
classic from-standard-input 1 -nochannel
classic json 1 -json
classic json-debug 0 -json -debug u@partner.test
input=

here='^envelope To: address   = ann@here.test (route (router.here.test,router.here.test))$'
expect 'two dashes, a blank for =' 0 "$here" '' \
    test --rewrite --configuration-file "$site" --source-channel tcp_tls ann@here.test
expect 'capitals, shortened' 0 "$here" '' \
    test -REWR "-CONF=$site" -Sou=tcp_tls -NOCHAN ann@here.test
expect '-c behind' 0 "$here" '' test -rewrite -c "$site" ann@here.test
expect '-c in front' 0 "$here" '' -c "$site" test -rewrite ann@here.test
expect 'what is always done' 0 "$here" '' test -rewrite "-conf=$site" -noimage_file \
    -nofilter -nocheck_expansions -nodelivery_receipt -noread_receipt -noreprocessing \
    -norestricted -nodebug ann@here.test
expect 'an address that begins with a dash' 0 '^mbox  *= -ann$' '' \
    test -rewrite "-conf=$site" -- -ann@here.test
expect '-from is said to decide nothing' 0 "$here" '-from decides nothing here' \
    test -rewrite "-conf=$site" -from=ann@here.test ann@here.test
expect 'no address' 1 "^\*\*\* the address 'a@' has no domain" '' test -rewrite "-conf=$site" a@
expect 'an unknown word on the channel line' 0 "^\*\*\* words.cnf:6:16: 'staff' is not a keyword" '' \
    test -rewrite "-conf=$work/words.cnf" u@words.test
expect 'destination channel' 0 "$here" '' \
    test -rewrite "-conf=$site" -destination_channel=tcp_hub ann@here.test
expect 'help' 0 '^Usage: pointsman test' '' test --help
expect 'not asked what to test' 2 '' "the tests are -rewrite, -mapping and -match" test ann@here.test
expect 'another test' 2 '' "'-url' is not supported yet; the tests are" test -url
expect 'not there yet' 2 '' "'-alias_file=x' is not supported yet; aliases" \
    test -rewrite -alias_file=x ann@here.test
expect 'the image' 2 '' "'-image_file' is not supported yet; this command always reads the text" \
    test -rewrite -image_file ann@here.test
expect 'an unknown option' 2 '' "did you mean '-source_channel'" \
    test -rewrite -source_chanel=l ann@here.test
expect 'nothing like an option' 2 '' "'-zzzzzzzz' is no option" test -rewrite -zzzzzzzz u@here.test
expect 'too short' 2 '' "'-d' can mean several options" test -rewrite -d ann@here.test
expect 'a value too many' 2 '' "'-debug=1' takes no value" test -rewrite -debug=1 ann@here.test
expect 'a value missing' 2 '' "'-source_channel' needs a value" \
    test -rewrite -source_channel ann@here.test
expect 'a value that cannot be undone' 2 '' "cannot be undone" \
    test -rewrite -nosource_channel ann@here.test
expect 'an unknown channel' 2 '' "did you mean 'tcp_local'" \
    test -rewrite "-conf=$site" -source_channel=tcp_locl ann@here.test
expect 'bad configuration' 2 '' 'cannot be used' test -rewrite "-conf=$work/none" ann@here.test
finish
