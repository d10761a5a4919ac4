#!/bin/sh
# `pointsman compile`: the image, what uses it, and what becomes of one that is stale or
# damaged.
# shellcheck source=test/tool/lib.sh
. "$top_srcdir/test/tool/lib.sh"

site=$work/site
image=$site/pointsman.image
mkdir "$site"
cat >"$site/pointsman.cnf" <<'END'
<more
. $U%$H@tcp-out

l
here.test

tcp_out smtp
tcp-out
END
echo 'ours.test  $U%$D@tcp-out' >"$site/more"
chmod 640 "$site/pointsman.cnf"

expect 'written' 0 "^$image: 2 rules, 2 channels, .* MiB, .* s$" '' compile -c "$site"
[ "$(stat -c %a "$image")" = 640 ]
ok $? 'as many may read it as the main file'
chmod 600 "$site/more"
expect 'a source that is only for its owner' 0 '2 rules' '' compile -c "$site"
[ "$(stat -c %a "$image")" = 600 ]
ok $? 'nobody else reads it in the image'
chmod 644 "$site/more"
expect 'as before' 0 '2 rules' '' compile -c "$site"
[ "$(ls "$site" | wc -l)" = 3 ]
ok $? 'nothing else is left in the folder'
expect 'check tells that it is fresh' 0 "^image $image is fresh$" '' check -c "$site"
expect 'used' 0 'channel tcp_out' '' rewrite -c "$site" u@ours.test
[ ! -s "$work/err" ]
ok $? 'used without a word'
expect 'it tells places like the sources' 0 '^  by more:1   ours' '' \
    rewrite -c "$site" u@ours.test

cp -p "$image" "$work/copy"
printf 'X' | dd of="$image" bs=1 seek=200 conv=notrunc 2>/dev/null
expect 'damaged: the sources are used' 0 'channel tcp_out' \
    "^pointsman: the image $image is not used: its header is damaged$" \
    rewrite -c "$site" u@ours.test
expect 'check tells that it is damaged' 0 "^image $image is bad and will not be used: " '' \
    check -c "$site"
dd if="$work/copy" of="$image" bs=100 count=10 2>/dev/null
expect 'cut off' 0 'channel tcp_out' ' is not used: it is cut off$' \
    rewrite -c "$site" u@ours.test
cp -p "$work/copy" "$image"
chmod 666 "$image"
expect 'open to all' 0 'channel tcp_out' ' is not used: more users may write it' \
    rewrite -c "$site" u@ours.test
chmod 640 "$image"
touch "$site/more"
expect 'a source with another time and the same text' 0 'is fresh$' '' check -c "$site"
echo 'ours.test  $U%other.test@tcp-out' >"$site/more"
expect 'stale: the sources are used' 0 'u@other.test' \
    "^pointsman: the image $image is not used: 'more' has changed since$" \
    rewrite -c "$site" u@ours.test
expect 'check tells that it is stale' 0 \
    "^image $image is stale and will not be used: 'more' has changed since$" '' \
    check -c "$site"
touch -d '1 hour ago' "$site/more" "$site/pointsman.cnf" # the next image is to be the same
expect 'made again' 0 '2 rules' '' compile -c "$site"
expect 'and used' 0 'u@other.test' '' rewrite -c "$site" u@ours.test
[ ! -s "$work/err" ]
ok $? 'and used without a word'

expect 'in another place' 0 "^it is used when it stands at $image$" '' \
    compile -c "$site" -o "$work/elsewhere.image"
cmp -s "$work/elsewhere.image" "$image"
ok $? 'the same image'
echo 'bad.test' >>"$site/more"
before=$(stat -c %Y.%i "$image")
expect 'errors: no image' 1 '' 'missing-template' compile -c "$site"
[ "$before" = "$(stat -c %Y.%i "$image")" ]
ok $? 'and the old one stays'
echo 'ours.test  $U%$D@tcp-uot' >"$site/more"
expect 'warnings fail under --strict' 1 '' 'unknown-routing-host' compile --strict -c "$site"
expect 'but not else' 0 '2 rules' 'unknown-routing-host' compile -c "$site"
expect 'no such folder to write to' 2 '' 'cannot write' \
    compile -c "$site" -o "$work/none/x.image"
expect 'no configuration' 2 '' 'no-configuration' compile -c "$work/none"
finish
