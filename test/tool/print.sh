#!/bin/sh
# `pointsman print`: what it prints, put into files again, prints the same: for every
# configuration that comes with the sources.
# shellcheck source=test/tool/lib.sh
. "$top_srcdir/test/tool/lib.sh"

# again FOLDER: prints, writes the same as files, prints these.
again()
{
    rm -rf "$work/again"
    "$tool" print -c "$1" >"$work/first" || return 1
    "$tool" print -c "$1" -o "$work/again" || return 1
    "$tool" print -c "$work/again" >"$work/second" || return 1
    cmp "$work/first" "$work/second" && "$tool" diff "$1" "$work/again"
}

for main in "$top_srcdir"/etc/*/*.cnf "$top_srcdir"/etc/examples/*/*.cnf \
    "$top_srcdir"/test/tool/*/*.cnf "$top_srcdir"/test/config/good/*/*.cnf; do
    case ${main##*/} in
    pointsman.cnf | pmdf.cnf | imta.cnf)
        again "${main%/*}" >"$work/why" 2>&1
        ok $? "${main#"$top_srcdir"/}" || sed 's/^/# /' "$work/why"
        ;;
    esac
done
[ $number -ge 2 ]
ok $? 'there are such configurations'
texts=$top_srcdir/test/config/good/notification-texts
again "$texts" >"$work/why" 2>&1
sed 's/Ihre/Eure/' "$texts/languages/de/return_failed.txt" >"$work/again/languages/de/return_failed.txt"
expect 'another word of a notification is a difference' 1 '^languages/de/return_failed.txt' '' \
    diff "$texts" "$work/again"
expect 'the name of every file stands above its part' 0 '^!== pointsman.cnf$' '' \
    print -c "$top_srcdir/test/tool/site"
expect 'a folder that is there already' 2 '' "cannot make the folder '.*again': File exists" \
    print -c "$top_srcdir/test/tool/site" -o "$work/again"
expect 'bad configuration' 2 '' 'cannot be used' print -c "$work/none"
finish
