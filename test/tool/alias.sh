#!/bin/sh
# `pointsman alias`: what it shows; and what other commands make of aliases: check, diff,
# print and compile.
# shellcheck source=test/tool/lib.sh
. "$top_srcdir/test/tool/lib.sh"

cp -r "$top_srcdir/test/route/expansion" "$work/site"
site=$work/site
chmod -R u+w "$site"

golden 'an alias' 0 alias/name.out alias -c "$site" ann.smith
golden 'a list with bad members' 0 alias/list.out alias -c "$site" news
golden 'a list of lists, and duplicates' 0 alias/nested.out alias -c "$site" nested twice
golden 'circles' 1 alias/circles.out alias -c "$site" a b deep0
golden 'FORWARD' 0 alias/forward.out alias -c "$site" fwd again heldhere
golden 'JSON' 1 alias/json.out alias -c "$site" --json nested gone
golden 'who may post' 1 alias/post.out alias -c "$site" ours --sender eve@far.test
expect 'who else may' 0 '= 1 address$' '' alias -c "$site" ours --sender sue@far.test
expect 'by channel' 0 '= 1 address$' '' alias -c "$site" inside --source-channel tcp_part
expect 'or not' 1 'refused: 550 5.7.2' '' alias -c "$site" inside --source-channel tcp_local
expect 'no such channel' 2 '' "channel 'nope' does not exist" \
    alias -c "$site" inside --source-channel nope
expect 'a sender that is none' 2 '' "the sender '@' " alias -c "$site" ours --sender @
expect 'no address' 1 'refused: 501 5.1.3 the address' '' alias -c "$site" 'a b'
expect 'without addresses' 2 '' 'alias' alias -c "$site"
printf 'ann.smith\nbob@here.test\n' >"$work/list"
input=$work/list
expect 'standard input' 0 '^bob@here.test$' '' alias -c "$site" -
input=
printf '[SERVICE=SMTP]\nPORT=2525\nPARAMETER=CHANNEL=tcp_local\n' >"$site/dispatcher.cnf"
expect 'explain shows the same' 0 '^  -> alias news   aliases:' '' \
    explain -c "$site" news --from-ip 192.0.2.1
expect 'and tells how many get it' 0 '^verdict      accepted, for 4 addresses$' '' \
    explain -c "$site" news --from-ip 192.0.2.1
expect 'or why nobody does' 1 '^verdict      refused: 550 5.7.2 you are not allowed' '' \
    explain -c "$site" ours --from-ip 192.0.2.1 --sender eve@far.test
expect 'one address: how it leaves, with the sender of the list' 0 '^sender       plain-owner@here.test$' '' \
    explain -c "$site" single --from-ip 192.0.2.1 --sender eve@far.test
expect 'held' 0 '^verdict      accepted, held for l until' '' \
    explain -c "$site" held --from-ip 192.0.2.1

# a change of a list file is a change
"$tool" compile -c "$site" >/dev/null 2>&1
expect 'an image' 0 'is fresh$' '' check -c "$site" --silence list-address,list-missing,list-closed,unsupported-callout
cp -r "$site" "$work/new"
rm "$work/new/pointsman.image"
echo 'eve@far.test' >>"$work/new/lists/staff"
sed -i 's/^ann.smith: ann$/ann.smith: ann, bob/; /^self:/d' "$work/new/aliases"
sed -i 's/ann@far.test$/anna@far.test/' "$work/new/forward"
golden 'diff' 1 alias/diff.out diff "$site" "$work/new"
echo 'eve@far.test' >>"$site/lists/staff"
"$tool" check -c "$site" >"$work/checked" 2>&1
grep -q "is stale and will not be used: 'lists/staff' has changed since$" "$work/checked"
ok $? 'a changed list file makes the image stale' || cat "$work/checked"
"$tool" compile -c "$site" >/dev/null 2>&1
echo 'ann' >"$site/lists/gone"
"$tool" check -c "$site" >"$work/checked" 2>&1
grep -q "is stale and will not be used: '.*lists/gone' is new$" "$work/checked"
ok $? 'so does one that was not there' || cat "$work/checked"

# what is printed reads back, list files included
"$tool" print -c "$site" -o "$work/printed" 2>"$work/err" && "$tool" diff "$site" "$work/printed"
ok $? 'print'
[ "$(grep -c . "$work/printed/lists/staff")" = 6 ]
ok $? 'the members too'
finish
