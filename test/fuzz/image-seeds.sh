#!/bin/sh
# Makes the seeds of fuzz_image anew, in test/fuzz/corpus/image: images of configurations of
# other tests. To be run when the format of images has changed. They are all images of the
# folder /srv/pointsman, which the fuzzer's loader pretends to have: it is mounted for this
# script alone, so only root (in a container, too) may run it.
#
#   test/fuzz/image-seeds.sh path/to/pointsman
set -e
tool=$(realpath "${1:?which pointsman?}")
cd "$(dirname "$0")/../.."
if [ "$SEEDS_MOUNTED" != yes ]; then
    SEEDS_MOUNTED=yes exec unshare -m "$0" "$tool"
fi
mount -t tmpfs none /srv
folder=/srv/pointsman

# name, then what is to be in the folder; the first file is the main one
seed()
{
    name=$1 main=$2
    shift 2
    rm -rf "$folder"
    mkdir "$folder"
    cp "$main" "$folder/pointsman.cnf"
    [ $# = 0 ] || cp -r "$@" "$folder"
    find "$folder" -type f -exec touch -d '2026-01-01 UTC' {} +
    "$tool" compile --allow-unhonoured -c "$folder" 2>/dev/null
    cp "$folder/pointsman.image" "test/fuzz/corpus/image/$name"
}

language=test/route/language
for name in callouts controls tags; do
    seed "$name" "$language/$name.cnf" "$language/general" "$language/mappings" \
        "$language/localdomains"
done
good=test/config/good
seed minimal "$good/minimal.cnf"
for name in services include mapping-tables options-access option-files alias-file pools; do
    seed "$name" "$good/$name/pointsman.cnf" "$good/$name/."
done
