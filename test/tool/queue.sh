#!/bin/sh
# `pointsman queue`: its words, and queues that are not there. test/e2e/test_queue_tool.py
# has the ones that are.
# shellcheck source=test/tool/lib.sh
. "$top_srcdir/test/tool/lib.sh"

mkdir "$work/site"
printf '\nl\nhere.test\n' >"$work/site/pointsman.cnf"
printf 'QUEUE_DIRECTORY=queue\nCONTROL_SOCKET=control\n' >"$work/site/option.dat"

expect 'no command' 2 '' 'queue needs an argument' queue
expect 'an unknown command' 2 '' "there is no command 'lsit'; there are summarize, directory, list, show," queue lsit
expect 'list takes one channel' 2 '' 'queue list takes one CHANNEL at most' queue list x y
expect 'summarize takes no argument' 2 '' 'queue summarize takes no argument' queue summarize x
expect 'show takes an id' 2 '' 'queue show takes ID' queue show
for act in hold release retry return delete; do
    expect "$act of nothing that is said" 2 '' "queue $act: which messages?" queue $act
    expect "$act of all that is held wants --all" 2 '' 'all for everything that is held' \
        queue $act --held
    expect "$act of ids and a filter" 2 '' 'either ids, or options' queue $act 7F3K2 --from x
done
expect 'redirect to nowhere' 2 '' 'where to?' queue redirect 7F3K2
expect 'delete to somewhere' 2 '' 'queue delete does not take --to-host' \
    queue delete 7F3K2 --to-host mx.test
expect 'show of a filter' 2 '' 'queue show does not take --held' queue show 7F3K2 --held
expect 'a match of one' 2 '' 'match needs --from and --to' queue list --match or --from x
expect 'a match that is none' 2 '' "'and' or 'or', not 'xor'" \
    queue list --match xor --from x --to y
for age in 2 d 5y -3d 1.5h P 9999999d ''; do
    expect "no age: '$age'" 2 '' 'older is a time like' queue list --older "$age"
done
expect 'stop takes a channel' 2 '' 'queue stop takes CHANNEL' queue stop
expect 'no such entry' 2 '' 'entry is a number' queue read 7F3K2 --entry x
expect 'top by what it does not know' 2 '' "not by 'age'" queue top age --once
expect 'top without a terminal' 2 '' 'once is wanted' queue top
expect 'backup takes a folder' 2 '' 'queue backup takes DIR' queue backup
expect 'nothing to copy' 2 '' 'cannot open .*/site/queue/queue.db' \
    queue backup "$work/copy" -c "$work/site"
[ ! -e "$work/copy" ] && [ ! -e "$work/copy.partial" ]
ok $? 'and nothing is made'
expect 'no id' 2 '' "'7-3' is no id of a message" queue release 7-3 -c "$work/site"
expect 'nothing to look at' 2 '' "cannot open .*/site/queue/queue.db" queue list -c "$work/site"
expect 'nothing to release' 2 '' "there is no queue in .*/site/queue" \
    queue release 7F3K2 -c "$work/site"
mkdir "$work/site/queue"
expect 'an empty folder' 2 '' 'there is no queue in' queue release 7F3K2 -c "$work/site"
echo 'no database' >"$work/site/queue/queue.db"
expect 'no database' 2 '' 'queue list: ' queue list -c "$work/site"
[ "$(ls -A "$work/site/queue")" = queue.db ]
ok $? 'looking leaves nothing behind'
finish
