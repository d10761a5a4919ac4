# What the tests of the commands share. A script sets nothing, reads this, calls expect,
# and ends with finish: the plan comes last, so a script that dies is a failure.
# shellcheck shell=sh
tool=${top_builddir:-.}/pointsman
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
number=0
failed=0

# expect NAME CODE STDOUT-PATTERN STDERR-PATTERN ARGUMENT...: runs the tool and compares.
# A pattern is a basic regular expression for some line; '' for: nothing at all.
expect()
{
    name=$1 code=$2 out=$3 err=$4
    shift 4
    "$tool" "$@" >"$work/out" 2>"$work/err" <"${input:-/dev/null}"
    got=$?
    [ $got -eq "$code" ] && matches "$out" "$work/out" && matches "$err" "$work/err"
    ok $? "$name" && return
    echo "# exit $got, expected $code; '$out' and '$err' were expected in:"
    sed 's/^/# out: /' "$work/out"
    sed 's/^/# err: /' "$work/err"
}

# ok STATUS NAME: one case, good when STATUS is 0. Returns STATUS.
ok()
{
    number=$((number + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $number - $2"
        return 0
    fi
    failed=1
    echo "not ok $number - $2"
    return 1
}

# golden NAME CODE FILE ARGUMENT...: runs the tool; standard output is compared with FILE
# below test/tool, which UPDATE_GOLDEN=1 rewrites; standard error must be empty.
golden()
{
    name=$1 code=$2 file=$top_srcdir/test/tool/$3
    shift 3
    "$tool" "$@" >"$work/out" 2>"$work/err" <"${input:-/dev/null}"
    got=$?
    if [ -n "$UPDATE_GOLDEN" ]; then
        cp "$work/out" "$file"
    fi
    [ $got -eq "$code" ] && [ ! -s "$work/err" ] && cmp -s "$file" "$work/out"
    ok $? "$name" && return
    echo "# exit $got, expected $code; against $3:"
    diff "$file" "$work/out" | sed 's/^/# /'
    sed 's/^/# err: /' "$work/err"
}

finish()
{
    echo "1..$number"
    exit $failed
}

matches()
{
    if [ -z "$1" ]; then
        [ ! -s "$2" ]
    else
        grep -q -e "$1" "$2"
    fi
}
