# A job: from labelled photos to a model, with PyTorch, on the CPU or a GPU.
#
#     docker run --user "$(id -u):$(id -g)" -v "$PWD:/data" TRAIN data.path=photos recipe=finetune optim.lr=1e-3
#
# With --read-only it wants --tmpfs /tmp. Runs, models and checkpoints go to /data. A key such as WANDB_API_KEY comes from
# the environment or a mounted secret at run time; none is needed to build.
#
# BASE names, by digest, a Debian-like image with Python 3.11 to 3.13, its venv module and ca-certificates. CUDA's libraries
# come with PyTorch; the machine needs the driver alone.
ARG BASE

FROM ${BASE} AS build
WORKDIR /source
COPY requirements/uv.txt requirements/build.txt requirements/image-train.txt requirements/image-data.txt \
     requirements/image-sbom.txt requirements/
COPY docker/install.sh docker/prune.py docker/compile.py docker/
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY src src
RUN docker/install.sh requirements/image-train.txt

FROM ${BASE}
ARG VERSION=0
ARG REVISION=unknown
ARG SOURCE=
LABEL org.opencontainers.image.title="animals: train" \
      org.opencontainers.image.description="From labelled photos to a model" \
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
# It ends by itself, and its exit code is its health.
HEALTHCHECK NONE
ENTRYPOINT ["animals", "train"]
