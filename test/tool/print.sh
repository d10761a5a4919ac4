#!/bin/sh
# `pointsman print`: what it prints, put into files again, prints the same: for every
# configuration that comes with the sources.
# shellcheck source=test/tool/lib.sh
. "$top_srcdir/test/tool/lib.sh"

# again FOLDER: prints, makes files of what was printed, prints these.
again()
{
    rm -rf "$work/again"
    mkdir "$work/again"
    "$tool" print -c "$1" >"$work/first" || return 1
    (cd "$work/again" && awk '/^!== / { file = $2; next } { print > file }' ../first) || return 1
    "$tool" print -c "$work/again" >"$work/second" || return 1
    cmp "$work/first" "$work/second"
}

for main in "$top_srcdir"/etc/*/*.cnf "$top_srcdir"/etc/examples/*/*.cnf \
    "$top_srcdir"/test/tool/*/*.cnf; do
    case ${main##*/} in
    pointsman.cnf | pmdf.cnf | imta.cnf)
        again "${main%/*}" >"$work/why" 2>&1
        ok $? "${main#"$top_srcdir"/}" || sed 's/^/# /' "$work/why"
        ;;
    esac
done
[ $number -ge 2 ]
ok $? 'there are such configurations'
expect 'the name of every file stands above its part' 0 '^!== pointsman.cnf$' '' \
    print -c "$top_srcdir/test/tool/site"
expect 'bad configuration' 2 '' 'cannot be used' print -c "$work/none"
finish
