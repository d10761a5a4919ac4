#!/bin/sh
# `pointsman queue`: its words, and queues that are not there. test/e2e/test_queue_tool.py
# has the ones that are.
# shellcheck source=test/tool/lib.sh
. "$top_srcdir/test/tool/lib.sh"

mkdir "$work/site"
printf '\nl\nhere.test\n' >"$work/site/pointsman.cnf"
printf 'QUEUE_DIRECTORY=queue\nCONTROL_SOCKET=control\n' >"$work/site/option.dat"

expect 'no command' 2 '' 'queue needs an argument' queue
expect 'an unknown command' 2 '' "there is no command 'lsit'; there are list, release, backup, check" queue lsit
expect 'list takes no argument' 2 '' 'queue list takes no argument' queue list x
expect 'release takes an id' 2 '' 'queue release takes ID' queue release
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
