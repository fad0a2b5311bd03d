#!/bin/sh
# Look for secrets in every layer of the images: scan.sh NAME… (PREFIX and TAG as in build.sh)
set -eu
cd "$(dirname "$0")/../.."
: "${PREFIX:=localhost/animals-}" "${TAG:=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' src/animal_classification/__init__.py)}"
export STORAGE_DRIVER="${STORAGE_DRIVER:-vfs}" BUILDAH_ISOLATION="${BUILDAH_ISOLATION:-chroot}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for name in "$@"; do
    buildah push --quiet "$PREFIX$name:$TAG" "docker-archive:$work/$name.tar"
    python3 tools/images/secrets_in_layers.py "$work/$name.tar"
    rm "$work/$name.tar"
done
