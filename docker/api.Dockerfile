# The API and its pages: answers photos on port 8080. No PyTorch.
#
#     docker run --read-only --tmpfs /tmp -p 8080:8080 API [--model gs://ours/zoo/3 …]
#
# BASE names, by digest, a Debian-like image with Python 3.11 to 3.13, its venv module and ca-certificates. Secrets come
# at run time, from the environment or a mounted file; none is needed to build.
ARG BASE

FROM ${BASE} AS build
WORKDIR /source
COPY requirements/uv.txt requirements/build.txt requirements/image-api.txt requirements/image-sbom.txt requirements/
COPY docker/install.sh docker/prune.py docker/compile.py docker/
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY src src
RUN docker/install.sh requirements/image-api.txt animal_classification.cli.main animal_classification.serving.process.server \
    animal_classification.serving.app animal_classification.inference.onnxruntime_engine onnxruntime \
    uvicorn.protocols.http.httptools_impl gcsfs

FROM ${BASE}
ARG VERSION=0
ARG REVISION=unknown
ARG SOURCE=
LABEL org.opencontainers.image.title="animals: the API" \
      org.opencontainers.image.description="Names for the animals in photos, over HTTP" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}"
COPY --from=build /opt/animals /opt/animals
RUN echo "animals:x:65532:65532:animals:/tmp:/usr/sbin/nologin" >> /etc/passwd \
    && echo "animals:x:65532:" >> /etc/group \
    && mkdir /data && chown 65532:65532 /data
# Whatever is written goes to /tmp: the root may be read-only.
ENV PATH=/opt/animals/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/tmp \
    XDG_CACHE_HOME=/tmp/cache \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ANIMALS_HOST=0.0.0.0 \
    ANIMALS_PORT=8080 \
    ANIMALS_PAGE=0 \
    ANIMALS_ACCESS_LOG=1
WORKDIR /data
USER 65532:65532
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=3s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"ANIMALS_PORT\"]}/healthz', timeout=2)"]
ENTRYPOINT ["animals", "serve"]
