#!/bin/sh
# Build the images with buildah, without a Docker engine and without rights beyond this user's: build.sh NAME…
#
# BASE     what they stand on; where it is empty, a small Debian is made with debootstrap (that step needs root)
# PREFIX   what comes before the names: `registry/project/animals-` in a workflow, `localhost/animals-` here
# TAG      by default the project's version
# SBOMS    a folder for what is in each image, as CycloneDX
set -eu
cd "$(dirname "$0")/../.."
: "${PREFIX:=localhost/animals-}" "${SUITE:=bookworm}" "${SBOMS:=build/sbom}" "${BASE:=}" "${MIRROR:=}"
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' src/animal_classification/__init__.py)
: "${TAG:=$version}"
export STORAGE_DRIVER="${STORAGE_DRIVER:-vfs}" BUILDAH_ISOLATION="${BUILDAH_ISOLATION:-chroot}"

debian_base() {
    BASE=localhost/animals-base:$SUITE
    if buildah inspect --type image "$BASE" >/dev/null 2>&1; then return; fi
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    echo "images: making $BASE with debootstrap"
    # MIRROR is empty for debootstrap's own choice.
    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates "$SUITE" "$work/root" ${MIRROR:+"$MIRROR"} >"$work/log" 2>&1 \
        || { tail -5 "$work/log" >&2; exit 1; }
    rm -rf "$work"/root/var/cache/apt/archives/*.deb "$work"/root/var/lib/apt/lists/* "$work"/root/dev/* "$work"/root/var/log/*
    container=$(buildah from scratch)
    buildah add --quiet "$container" "$work/root" / >/dev/null
    buildah config --cmd python3 "$container"
    buildah commit --quiet --rm --format docker "$container" "$BASE" >/dev/null
}

[ -n "$BASE" ] || debian_base
mkdir -p "$SBOMS"
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
for name in "$@"; do
    echo "images: building $PREFIX$name:$TAG on $BASE"
    # The host's certificates are seen by the build alone. Docker's format, because OCI's has no health check.
    buildah bud --quiet --format docker --network host --volume /etc/ssl/certs:/etc/ssl/certs:ro --file "docker/$name.Dockerfile" \
        --build-arg BASE="$BASE" --build-arg VERSION="$version" --build-arg REVISION="$revision" --build-arg SOURCE="${SOURCE:-}" \
        --ignorefile .containerignore --tag "$PREFIX$name:$TAG" . >/dev/null
    container=$(buildah from --pull-never "$PREFIX$name:$TAG")
    buildah run "$container" -- cat /opt/animals/sbom.cdx.json >"$SBOMS/$name.cdx.json"
    buildah rm "$container" >/dev/null
done
