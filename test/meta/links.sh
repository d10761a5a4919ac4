#!/bin/sh
# The documents name files that exist: every `path/name.ext` in backticks in README.md
# and docs/*.md, when its first folder is one of ours, and every relative Markdown link.
cd "${top_srcdir:-.}" || exit 1
. test/meta/report.sh

# Files that exist only after building or running, or are patterns and placeholders.
is_generated()
{
    case "$1" in
    var/* | parser/grammar.[ch] | parser/lexer.c | *[*\<\>{}\$]* | *...*) return 0 ;;
    esac
    return 1
}

names_in()
{
    grep -oE '`[^` ]+`' "$1" | tr -d '`' | sed -e 's/:[0-9a-z_].*$//' -e 's/^\.\///' |
        grep -E '^(\.ci|base|parser|tables|router|channels|tools|test|docs|etc|bench)/.|^[A-Za-z_.-]+\.(md|ac|am)$'
}

links_in()
{
    grep -oE '\]\([^)# ]+' "$1" | sed 's/^](//' | grep -vE '^[a-z]+:' |
        while read -r target; do
            case "$target" in
            /*) echo "$target" ;;
            *) echo "$(dirname "$1")/$target" ;;
            esac
        done
}

set --
for doc in README.md docs/*.md; do
    [ -f "$doc" ] && set -- "$@" "$doc"
done
if [ $# -eq 0 ]; then
    echo "Bail out! there are no documents"
    exit 1
fi

echo "1..$#"
for doc in "$@"; do
    report "$doc" "$({ names_in "$doc"; links_in "$doc"; } | sort -u | while read -r name; do
        is_generated "$name" || [ -e "$name" ] || [ -e "docs/$name" ] || {
            # "base/diag" stands for base/diag.c and base/diag.h
            [ -e "$name.h" ] || [ -e "$name.c" ] || echo "does not exist: $name"
        }
    done)"
done
exit $failed
