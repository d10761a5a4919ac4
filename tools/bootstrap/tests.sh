# tests.sh: "./bootstrap test": unit and golden tests (make check), then integration and
# crash tests against the real daemon. Sourced by ../../bootstrap and ../../.ci/run.

# Peers written elsewhere, unpacked under var/peers/ and started by the tests.
peers_prepare() {
    peer_unpack postfix postfix $(packages_missing libicu72 libnsl2 libtirpc3 libsasl2-2 libdb5.3)
    peer_unpack aiosmtpd python3-aiosmtpd python3-public python3-attr python3-typing-extensions \
        python3-pkg-resources
    peer_unpack nsd nsd $(packages_missing libevent-2.1-7 libfstrm0 libprotobuf-c1)
    peer_unpack dovecot dovecot-core dovecot-lmtpd $(packages_missing libapparmor1 libbz2-1.0 \
        libcap2 libexttextcat-2.0-0 libicu72 liblua5.4-0 liblz4-1 libpam0g libsodium23 \
        libstemmer0d libsystemd0 libtirpc3 libunwind8 libwrap0 libzstd1)
    peer_unpack opensmtpd opensmtpd $(packages_missing libdb5.3 libevent-2.1-7 libpam0g)
    peer_unpack exim exim4-daemon-light $(packages_missing libdb5.3 libgnutls-dane0 libgnutls30 \
        libidn12 libidn2-0 libnsl2 libpam0g libpcre2-8-0 libtirpc3 libunbound8)
    peer_unpack mails libpython3.11-testsuite
}

# Adds the counts of automake's summary in a log to $passed, $failed, $skipped.
count_check() { # LOG
    local kind n
    while read -r kind n; do
        case $kind in
        PASS | XFAIL) passed=$((passed + n)) ;;
        SKIP) skipped=$((skipped + n)) ;;
        *) failed=$((failed + n)) ;;
        esac
    done < <(sed -n 's/^# \(PASS\|XFAIL\|SKIP\|FAIL\|XPASS\|ERROR\): *\([0-9]*\)$/\1 \2/p' "$1")
}

# Adds the closing line "N passed, N failed, N skipped" of the integration tests.
count_e2e() { # LOG
    local p f s
    read -r p f s < <(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\1 \2 \3/p' "$1" | tail -n 1) ||
        { failed=$((failed + 1)); return; }
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
}

check_run() { # BUILD-DIR
    local log=$1/check.log
    say testing "make check in ${1#"$top"/}"
    if ! POWER_CUTS=${POWER_CUTS:-1000} DISK_FAULTS=${DISK_FAULTS:-all} make -C "$1" -j "$(nproc)" check >"$log" 2>&1; then
        grep -E '^(FAIL|ERROR|XPASS)|error:' "$log" >&2 || tail -n 40 "$log" >&2
        [ ! -e "$1/test-suite.log" ] || tail -n 60 "$1/test-suite.log" >&2
        grep -q '^# TOTAL:' "$log" || failed=$((failed + 1))
    fi
    count_check "$log"
}

e2e_run() { # BUILD-DIR [TEST...]
    local dir=$1 log=$1/e2e.log
    shift
    say testing "integration tests with ${dir#"$top"/}/pointsmand"
    POINTSMAN_BUILD=$dir POINTSMAN_PEERS=$top/var/peers \
        /usr/bin/python3 -B "$top/test/e2e/run.py" "$@" 2>&1 | tee "$log" || true
    count_e2e "$log"
}

tests_prepare() {
    packages_install "${packages_build[@]}" "${packages_run[@]}" "${packages_test[@]}" "$@"
    user_ensure
    peers_prepare
}

tests_main() {
    passed=0 failed=0 skipped=0
    tests_prepare
    build_all "$top/var/build"
    check_run "$top/var/build"
    e2e_run "$top/var/build" "$@"
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" = 0 ] && [ "$passed" -gt 0 ]
}
