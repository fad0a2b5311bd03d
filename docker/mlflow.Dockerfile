# MLflow: runs and the model registry, with its page on port 5000; for compose.yaml.
#
# MLFLOW_BACKEND_STORE_URI says where runs and models are written down; artefacts go to /data.
# BASE names, by digest, a Debian-like image with Python 3.11 to 3.13, its venv module and ca-certificates.
ARG BASE

FROM ${BASE} AS build
WORKDIR /source
COPY requirements/uv.txt requirements/build.txt requirements/image-mlflow.txt \
     requirements/image-sbom.txt requirements/
COPY docker/install.sh docker/prune.py docker/compile.py docker/
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY src src
RUN docker/install.sh requirements/image-mlflow.txt

FROM ${BASE}
ARG VERSION=0
ARG REVISION=unknown
ARG SOURCE=
LABEL org.opencontainers.image.title="animals: MLflow" \
      org.opencontainers.image.description="Runs and the model registry" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}"
COPY --from=build /opt/animals /opt/animals
RUN echo "animals:x:65532:65532:animals:/tmp:/usr/sbin/nologin" >> /etc/passwd \
    && echo "animals:x:65532:" >> /etc/group \
    && mkdir /data && chown 65532:65532 /data
ENV PATH=/opt/animals/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/tmp \
    XDG_CACHE_HOME=/tmp/cache \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /data
USER 65532:65532
EXPOSE 5000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=6 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:5000/health', timeout=4)"]
ENTRYPOINT ["mlflow", "server", "--host", "0.0.0.0", "--artifacts-destination", "/data/artifacts"]
