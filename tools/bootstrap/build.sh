# build.sh: configure and make, out of tree. Sourced by ../../bootstrap and ../../.ci/run.

run_logged() { # LOG COMMAND...: the output goes to LOG; its end is shown on failure
    local log=$1
    shift
    if ! "$@" >"$log" 2>&1; then
        tail -n 40 "$log" >&2
        die "'$*' failed, see $log"
    fi
}

build_configure() { # DIR [CONFIGURE-OPTION...]
    local dir=$1
    shift
    mkdir -p "$dir"
    if [ ! -x "$top/configure" ] || [ "$top/configure.ac" -nt "$top/configure" ]; then
        say preparing "autoreconf"
        (cd "$top" && run_logged "$dir/autoreconf.log" autoreconf -fi)
    fi
    if [ ! -e "$dir/config.status" ]; then
        say configuring "in ${dir#"$top"/}"
        (cd "$dir" && run_logged "$dir/configure.log" "$top/configure" "$@")
    fi
}

build_all() { # DIR [CONFIGURE-OPTION...]
    local dir=$1
    build_configure "$@"
    say building "in ${dir#"$top"/}"
    run_logged "$dir/make.log" make -C "$dir" -j "$(nproc)"
}
