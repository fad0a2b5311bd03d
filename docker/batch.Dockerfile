# A job: names for photos by the million, on Cloud Run Jobs, Kubernetes, Vertex AI, and as head and workers of a Ray cluster
# (KubeRay). No PyTorch.
#
#     docker run --read-only --tmpfs /tmp --user "$(id -u):$(id -g)" -v "$PWD:/data" BATCH run /data/batch --workers 2
#
# BASE names, by digest, a Debian-like image with Python 3.11 to 3.13, its venv module and ca-certificates.
ARG BASE

FROM ${BASE} AS build
WORKDIR /source
COPY requirements/uv.txt requirements/build.txt requirements/image-batch.txt requirements/image-sbom.txt requirements/
COPY docker/install.sh docker/prune.py docker/compile.py docker/
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY src src
RUN docker/install.sh requirements/image-batch.txt

FROM ${BASE}
ARG VERSION=0
ARG REVISION=unknown
ARG SOURCE=
LABEL org.opencontainers.image.title="animals: batch" \
      org.opencontainers.image.description="Names for photos by the million, with Ray" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}"
# KubeRay asks a pod with wget whether it lives.
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends wget >/dev/null \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*
COPY --from=build /opt/animals /opt/animals
RUN echo "animals:x:65532:65532:animals:/tmp:/usr/sbin/nologin" >> /etc/passwd \
    && echo "animals:x:65532:" >> /etc/group \
    && mkdir /data && chown 65532:65532 /data
# KubeRay before 1.4 starts Ray in a login shell, and those set a PATH of their own.
RUN echo 'PATH=/opt/animals/bin:$PATH' > /etc/profile.d/animals.sh
ENV PATH=/opt/animals/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/tmp \
    XDG_CACHE_HOME=/tmp/cache \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    RAY_USAGE_STATS_ENABLED=0
WORKDIR /data
USER 65532:65532
# It ends by itself, and its exit code is its health.
HEALTHCHECK NONE
ENTRYPOINT ["animals", "batch"]
