#!/bin/sh
# Push what build.sh built, and tag it `latest` as well: push.sh NAME… (PREFIX and TAG as there). TOKEN is an access token, from
# the environment so that no list of processes shows it.
set -eu
: "${PREFIX:?HOST/PROJECT/REPOSITORY/animals-}" "${TAG:?what to call them}" "${TOKEN:?an access token}"
export STORAGE_DRIVER="${STORAGE_DRIVER:-vfs}" BUILDAH_ISOLATION="${BUILDAH_ISOLATION:-chroot}"
REGISTRY_AUTH_FILE=$(mktemp)
export REGISTRY_AUTH_FILE
trap 'rm -f "$REGISTRY_AUTH_FILE"' EXIT
echo '{}' >"$REGISTRY_AUTH_FILE"
printf %s "$TOKEN" | buildah login --username oauth2accesstoken --password-stdin "${PREFIX%%/*}"
for name in "$@"; do
    buildah push --quiet "$PREFIX$name:$TAG"
    buildah push --quiet "$PREFIX$name:$TAG" "docker://$PREFIX$name:latest"
done
