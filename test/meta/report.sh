# shellcheck shell=sh disable=SC2034 # the scripts use it
# Sourced by the scripts here: results as TAP. The script ends with `exit $failed`.
number=0
failed=0
# report NAME FINDINGS: good when nothing was found.
report()
{
    number=$((number + 1))
    if [ -z "$2" ]; then
        echo "ok $number - $1"
    else
        failed=1
        echo "not ok $number - $1"
        printf '%s\n' "$2" | sed 's/^/# /'
    fi
}
