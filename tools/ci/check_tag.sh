#!/bin/sh
# A release's tag must be the package's version, and CHANGELOG.md must have a section for it: check_tag.sh v1.2.3
set -eu
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' src/animal_classification/__init__.py)
if [ "$1" != "v$version" ]; then
    echo "the tag is $1 and the package's version $version" >&2
    exit 1
fi
if ! grep -q "^## $version ([0-9]" CHANGELOG.md; then
    echo "CHANGELOG.md has no dated section '## $version (…)'" >&2
    exit 1
fi
echo "releasing $version"
