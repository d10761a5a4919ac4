# packages.sh: which Debian packages are needed for what, and how they get here.
# Sourced by ../../bootstrap. Rules: nothing that provides a mail-transport-agent is ever
# installed (it would remove the administrator's own), no service is ever started,
# Recommends are never relied on.

packages_build=(gcc libc6-dev make autoconf automake pkg-config flex bison
    libuv1-dev libssl-dev libsqlite3-dev libunbound-dev libxxhash-dev libcmocka-dev)
# swaks speaks TLS through libnet-ssleay-perl, which it only recommends
packages_run=(openssl swaks libnet-ssleay-perl)
packages_test=(openssl swaks libnet-ssleay-perl curl python3 git gnutls-bin sslscan
    ca-certificates)
packages_ci=(clang llvm libclang-rt-14-dev)

say() { printf '%-14s %s\n' "$1" "$2"; }
die() { printf 'bootstrap: %s\n' "$*" >&2; exit 1; }

is_root() { [ "$(id -u)" = 0 ]; }
as_root() {
    if is_root; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else die "'$*' needs root: run this as root or install sudo"; fi
}

packages_missing() { # NAME... -> names that are not installed
    local p
    for p in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || echo "$p"
    done
}

# Every package that would come along must be free of mail-transport-agent.
packages_refuse_mta() {
    local plan name
    plan=$(apt-get -s -q --no-install-recommends install "$@" | sed -n 's/^Inst \([^ ]*\).*/\1/p')
    for name in $plan; do
        if apt-cache show --no-all-versions "$name" | grep -q '^Provides:.*mail-transport-agent'; then
            die "refusing: installing '$*' would bring the mail transport agent '$name'"
        fi
    done
}

packages_install() {
    local missing log="$top/var/apt.log" policy=/usr/sbin/policy-rc.d
    mapfile -t missing < <(packages_missing "$@")
    [ "${#missing[@]}" -gt 0 ] || return 0
    say installing "${missing[*]}"
    mkdir -p "$top/var"
    as_root apt-get -q update >"$log" 2>&1 || die "apt-get update failed, see $log"
    packages_refuse_mta "${missing[@]}"
    # A package's scripts ask this program before they start a service.
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
        trap 'as_root rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends \
        install "${missing[@]}" >>"$log" 2>&1; then
        tail -n 20 "$log" >&2
        die "could not install ${missing[*]}, see $log"
    fi
    if [ "$(trap -p EXIT)" ]; then
        as_root rm -f "$policy"
        trap - EXIT
    fi
}

# The user the daemon runs as when it is started as root.
user_ensure() {
    is_root || return 0
    id pointsman >/dev/null 2>&1 && return 0
    say user "creating the system user 'pointsman'"
    useradd --system --home-dir /nonexistent --no-create-home --shell /usr/sbin/nologin pointsman
}

# A peer server: downloaded and unpacked under var/peers/NAME, never installed.
peer_unpack() { # NAME PACKAGE...
    local name=$1 dir="$top/var/peers/$1" p
    shift
    [ -e "$dir/.complete" ] && return 0
    say peer "$name (unpacked under var/peers, not installed)"
    rm -rf "$dir"
    mkdir -p "$dir/debs"
    if ! (cd "$dir/debs" && apt-get -q -o APT::Sandbox::User=root download "$@" >"$dir/log" 2>&1); then
        as_root apt-get -q update >>"$dir/log" 2>&1 || true
        (cd "$dir/debs" && apt-get -q -o APT::Sandbox::User=root download "$@" >>"$dir/log" 2>&1) ||
            die "could not download $*, see $dir/log"
    fi
    for p in "$dir"/debs/*.deb; do dpkg-deb -x "$p" "$dir"; done
    touch "$dir/.complete"
}
