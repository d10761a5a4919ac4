# demo.sh: "./bootstrap run": the demonstration of etc/demo/. Sourced by ../../bootstrap.

demo_pid=

# When root runs this, the daemon drops to the user 'pointsman'; where that user cannot
# reach this folder (a clone in a private home), a reachable stage takes its place and
# ./var links to it.
demo_stage() {
    stage=$top
    is_root || return 0
    runuser -u pointsman -- test -x "$top/etc/demo" 2>/dev/null && return 0
    stage=/var/tmp/pointsman-demo-$(printf '%s' "$top" | cksum | cut -d' ' -f1)
    mkdir -p "$stage/etc"
    chmod 755 "$stage" "$stage/etc"
    rm -rf "$stage/etc/demo"
    cp -r "$top/etc/demo" "$stage/etc/demo"
    chmod -R a+rX "$stage/etc"
    mkdir -p "$stage/var" "$top/var"
    ln -sfn "$stage/var/demo" "$top/var/demo"
    say note "the user 'pointsman' cannot reach $top: state lies in $stage/var/demo"
}

demo_state() {
    local d=$stage/var/demo
    mkdir -p "$stage/var" "$d" "$d/tls" "$d/mail" "$d/mail/ann" "$d/run"
    chmod 755 "$stage/var" "$d"
    if [ ! -e "$d/tls/server-pub.pem" ]; then
        say certificate "self-signed, for router.demo.test: var/demo/tls/server-pub.pem"
        (umask 077 && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
            -days 3650 -subj /CN=router.demo.test \
            -addext 'subjectAltName=DNS:router.demo.test,DNS:localhost,IP:127.0.0.1' \
            -keyout "$d/tls/server-priv.pem" -out "$d/tls/server-pub.pem" 2>/dev/null)
    fi
    if is_root; then
        chown -R pointsman: "$d/tls" "$d/mail" "$d/run"
        [ ! -d "$d/queue" ] || chown -R pointsman: "$d/queue"
    fi
}

demo_stop() {
    trap - EXIT INT TERM
    if [ -n "$demo_pid" ] && kill -TERM "$demo_pid" 2>/dev/null; then
        wait "$demo_pid" 2>/dev/null || true
        say stopped "the queue and the mail stay under var/demo/"
    fi
}

# field LINE KEY -> the value of KEY= in a log line, without quotes. A line without it ends
# the demonstration: it would show less than it says. (Called in a subshell.)
field() {
    local value key=${2//./\\.}
    value=$(printf '%s\n' "$1" | sed -n "s/.* $key=\"\([^\"]*\)\".*/\1/p; t; s/.* $key=\([^ ]*\).*/\1/p")
    if [ -z "$value" ]; then
        echo "bootstrap: the log has no field '$2' in: $1" >&2
        kill -TERM $$
    fi
    printf '%s\n' "$value"
}
# Waits until a log line after line number $from matches all patterns; sets $line.
await() { # PATTERN...
    local p lines
    while [ "$SECONDS" -lt "$deadline" ]; do
        # whole lines only: the last one may be in the middle of being written
        lines=$(head -n "$(wc -l <"$log")" "$log" | tail -n "+$from")
        for p in "$@"; do lines=$(printf '%s\n' "$lines" | grep -- "$p" || true); done
        line=$(printf '%s\n' "$lines" | head -n 1)
        [ -z "$line" ] || return 0
        kill -0 "$demo_pid" 2>/dev/null || { tail -n 20 "$log" >&2; die "pointsmand has ended"; }
        sleep 0.05
    done
    tail -n 20 "$log" >&2
    return 1
}

demo_start() {
    log=$stage/var/demo/log
    touch "$log"
    from=$(($(wc -l <"$log") + 1))
    "$top/var/build/pointsmand" -c "$stage/etc/demo" 2>>"$log" &
    demo_pid=$!
    trap demo_stop EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    await ' event=start ' || die "pointsmand did not start within 60 s"
    say listening "smtp 127.0.0.1:2525 (tcp_local), 127.0.0.1:2526 (tcp_inner), submissions 127.0.0.1:2465 (tcp_tls)"
}

demo_send() {
    local session id id2 path
    from=$(($(wc -l <"$log") + 1))
    swaks --server 127.0.0.1:2525 --tls --from you@here.test --to ann@demo.test \
        --header 'Subject: a message through the router' \
        --body 'This message came in over STARTTLS and went on over STARTTLS.' \
        >"$stage/var/demo/swaks.log" 2>&1 ||
        { tail -n 15 "$stage/var/demo/swaks.log" >&2; die "swaks could not send the message"; }
    await ' event=tls ' ' side=server' ' channel=tcp_local' || return 1
    session=$(field "$line" session)
    say sent "swaks -> 127.0.0.1:2525, STARTTLS $(field "$line" version)"
    await ' event=switch ' "session=$session " || return 1
    say switched "$(field "$line" from) -> $(field "$line" to) after STARTTLS        etc/demo/$(field "$line" rule)"
    await ' event=route ' "session=$session " || return 1
    say routed "$(field "$line" to) -> $(field "$line" channel)                 etc/demo/$(field "$line" rule)"
    await ' event=enqueue ' "session=$session " || return 1
    id=$(field "$line" id)
    say queued "$id, committed in $(field "$line" ms) ms"
    await ' event=deliver ' " id=$id " ' outcome=delivered' || return 1
    id2=$(field "$line" text | sed -n 's/.*queued as \([0-9A-Z]*\).*/\1/p')
    say 'sent on' "$(field "$line" peer) over $(field "$line" tls.version) $(field "$line" tls.cipher) (musttlsclient)"
    await ' event=deliver ' " id=$id2 " ' channel=l ' ' outcome=delivered' || return 1
    path=var/demo/mail/$(field "$line" peer)
    say delivered "$path"
    sed -n '/^$/q; /^Received:/,/^[^ \tR]/{/^Received:/p; /^[ \t]/p}' "$stage/$path" | sed 's/^/               /'
}

demo_main() {
    local once=
    case "${1:-}" in
    --once) once=1 ;;
    '') ;;
    *) die "unknown option '$1' (./bootstrap run [--once])" ;;
    esac
    packages_install "${packages_build[@]}" "${packages_run[@]}"
    build_all "$top/var/build"
    user_ensure
    demo_stage
    demo_state
    deadline=$((SECONDS + 60))
    demo_start
    demo_send || die "the message has not arrived within 60 s; the log is var/demo/log"
    [ -z "$once" ] || exit 0
    echo "Try it:  swaks --server 127.0.0.1:2525 --tls --from you@here.test --to ann@demo.test"
    echo "Look:    var/build/pointsman -c etc/demo rewrite ann@demo.test;  tail -f var/demo/log"
    echo "Stop with Ctrl-C."
    wait "$demo_pid"
}
