# One command per intention; CI calls these and nothing else. `make` alone lists them.
#
# Everything lands in this folder: .tools (uv), .venv (what `make up` runs), .venv-dev (tests and linters),
# .venv-ship (the same, and what images, pipelines and clouds need), .venv-docs (the documentation's site),
# .venv-train (the same as .venv-dev and PyTorch), .venv-model (PyTorch, only to rebuild the built-in model), .venv-bench (PyTorch, only
# to be compared with). A stamp in each says that it is current, so that a second `make up` installs nothing. Python 3.11
# to 3.13 is all that has to be there: pick one with `make PYTHON=python3.12 …`.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.SUFFIXES:

# Byte code is written even where the machine says not to: without it every start compiles a thousand modules.
unexport PYTHONDONTWRITEBYTECODE
# The Python that is there is the one to use; uv must not look for another on the network.
export UV_PYTHON_DOWNLOADS := never
export UV_NO_PROGRESS := 1
# An environment that happens to be active is not ours to write to.
unexport VIRTUAL_ENV

ifeq ($(OS),Windows_NT)
BIN := Scripts
EXE := .exe
else
BIN := bin
EXE :=
endif

FITS = -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))'
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do $$p $(FITS) 2>/dev/null && echo $$p && break; done)
UV ?= .tools/$(BIN)/uv$(EXE)
APP := .venv/$(BIN)
DEV := .venv-dev/$(BIN)
TRAIN := .venv-train/$(BIN)
SHIP := .venv-ship/$(BIN)
DOCS := .venv-docs/$(BIN)
CORE := .venv-core/$(BIN)
MODEL := .venv-model/$(BIN)
# Whatever builds this project is locked as well.
BUILD := --build-constraints requirements/build.txt --require-build-hashes --preview-features build-dependency-hashes
ARGS ?=
COUNT ?= 100000
MINUTES ?= 20
PHOTOS ?= $(if $(ANIMALS_TEST_DATA),$(ANIMALS_TEST_DATA),$(wildcard ../shared/data))
CODE := src tests tools benchmarks docker
IMAGES ?= api batch evaluate train

# ------------------------------------------------------------------------------------------------------------ people

.PHONY: help
help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile

.PHONY: up
up: .venv/.installed  ## the page and the API on http://localhost:8080 (ARGS="--port 9000")
	@echo "animals: for folders of photos, in another terminal: $(abspath $(APP))/animals predict FOLDER"
	@exec $(APP)/animals up $(ARGS)

.PHONY: install
install: .venv/.installed  ## install what `make up` runs, and do not start it
	@echo "installed: $(APP)/animals"

# -------------------------------------------------------------------------------------------------------- developers

.PHONY: test
test: check browser axe postgres prometheus docs pytest ship  ## everything that must pass: linters, types, import contracts, tests, coverage

# What a change needs before it is worth a longer look: no PyTorch, no browser, no Debian package, and no network. (The hooks
# look for secrets in what is committed; `make check` looks everywhere.)
.PHONY: quick
quick: lint types contracts  ## linters, types and the unit tests that take no time: under three minutes
	$(DEV)/pytest tests/unit -q -m "unit and not nightly and not slow" -n 2

.PHONY: check
check: lint types contracts secrets  ## linters, types, import contracts, secret scan

# Tests share two cores: unit tests one by one, whatever starts servers and browsers file by file; what counts how much a
# server does has both.
.PHONY: pytest
pytest: .venv-dev/.installed .venv-train/.installed  ## the tests with coverage, without the linters
	$(DEV)/python -m compileall -q src
	rm -f .coverage .coverage.*
	$(DEV)/coverage run -m pytest tests --ignore=tests/torch --ignore=tests/ship -m "unit and not nightly" -n 2
	$(DEV)/coverage run -m pytest tests --ignore=tests/torch --ignore=tests/ship --ignore=tests/hostile -m "not unit and not nightly" -n 2 --dist loadfile
	$(DEV)/coverage run -m pytest tests/hostile -m "not nightly"
	$(TRAIN)/coverage run -m pytest tests/torch -m "not nightly"
	@$(DEV)/python -c "$$DROP_BROKEN_COVERAGE"
	$(DEV)/coverage combine --quiet
	$(DEV)/coverage report

.PHONY: pytest-nightly
pytest-nightly: .venv-dev/.installed .venv-train/.installed docs axe  ## the tests that take minutes
	$(DEV)/pytest tests --ignore=tests/torch --ignore=tests/ship -m nightly --timeout 3600
	$(TRAIN)/pytest tests/torch -m nightly --timeout 900

# Some tests kill processes, or let them run into a full disk; what such a process leaves cannot be combined.
define DROP_BROKEN_COVERAGE
import contextlib, glob, os, sqlite3
for path in glob.glob(".coverage.*"):
    whole = False
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(path)) as file:
        whole = file.execute("PRAGMA quick_check").fetchone() == ("ok",)
    whole or os.remove(path)
endef
export DROP_BROKEN_COVERAGE

.PHONY: lint
lint: .venv-dev/.installed  ## ruff: rules and format
	$(DEV)/ruff check $(CODE)
	$(DEV)/ruff format --check $(CODE)

.PHONY: types
types: .venv-dev/.installed  ## mypy, strict
	$(DEV)/mypy

.PHONY: contracts
contracts: .venv-dev/.installed  ## import-linter: who may import whom, and nothing here imports torch
	$(DEV)/lint-imports

.PHONY: secrets
secrets: .venv-dev/.installed  ## detect-secrets over every tracked file
	@if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then \
	    git ls-files -z --cached --others --exclude-standard | xargs -0 $(DEV)/detect-secrets-hook --baseline .secrets.baseline \
	    && echo "secrets: none found"; \
	else echo "secrets: not a git checkout, nothing scanned"; fi

.PHONY: fmt
fmt: .venv-dev/.installed  ## rewrite the code as ruff would have it
	$(DEV)/ruff check --fix $(CODE)
	$(DEV)/ruff format $(CODE)

.PHONY: dev
dev: .venv-dev/.installed  ## install what tests and linters need
	@echo "installed: $(DEV)"

.PHONY: hooks
hooks: .venv-dev/.installed  ## check every commit with the linters of .venv-dev (pre-commit)
	$(DEV)/pre-commit install --install-hooks

.PHONY: train-env
train-env: .venv-train/.installed  ## install what the recipes with PyTorch and their tests need (6 GB)
	@echo "installed: $(TRAIN)"

.PHONY: sample-photos
sample-photos: .venv-dev/.installed  ## photos for tests that want real ones, from packages that are installed anyway
	$(DEV)/python tools/sample_photos.py $(ARGS)

# What needs no PyTorch: on every system and Python that we support.
.PHONY: pytest-light
pytest-light: .venv-dev/.installed  ## the tests that need no PyTorch, without coverage
	$(DEV)/pytest tests --ignore=tests/torch --ignore=tests/ship -m "unit and not nightly" -n 2
	$(DEV)/pytest tests --ignore=tests/torch --ignore=tests/ship --ignore=tests/hostile -m "not unit and not nightly" -n 2 --dist loadfile
	$(DEV)/pytest tests/hostile -m "not nightly"

# Debian's packages are installed only where somebody asked for it: the target by its name, CI, or APT=yes.
APT ?= $(if $(CI)$(filter browser postgres prometheus,$(MAKECMDGOALS)),yes,no)

# $(call debian,target,packages,first): install Debian's packages as root; where that was not asked for, say what is missing.
define debian
if [ "$(APT)" != yes ] || ! command -v apt-get >/dev/null || [ "$$(id -u)" != 0 ]; then \
	    echo "WARNING: $(2) not found: tests that need it are skipped; on Debian, as root: make $(1)"; \
	else echo "installing with apt-get: $(2)"; \
	    { apt-get update -qq $(3) && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(2) >/dev/null; } \
	    || echo "WARNING: $(2) could not be installed: tests that need it are skipped"; fi
endef

.PHONY: browser
browser:  ## Chromium for the browser tests: found, or installed with apt-get
	@command -v chromium || command -v chromium-browser || command -v google-chrome || { $(call debian,browser,chromium); }

.PHONY: axe
axe:  ## axe-core for the tests of accessibility, from npm: exactly what its lock file says
	@if command -v npm >/dev/null; then npm ci --silent --ignore-scripts --prefix tools/axe \
	    || echo "WARNING: axe-core could not be installed: the tests of accessibility will be skipped"; \
	else echo "WARNING: no npm here: the tests of accessibility will be skipped"; fi

.PHONY: postgres
postgres:  ## PostgreSQL and PgBouncer for the tests that need them, in the same way; never started as a service
	@{ { command -v initdb || ls /usr/lib/postgresql/*/bin/initdb; } 2>/dev/null && ls "$$(command -v pgbouncer || echo /usr/sbin/pgbouncer)" 2>/dev/null; } \
	|| { $(call debian,postgres,postgresql pgbouncer,&& mkdir -p /etc/postgresql-common && echo "create_main_cluster = false" > /etc/postgresql-common/createcluster.conf); }

.PHONY: prometheus
prometheus:  ## Prometheus for the tests of metrics and alerts, in the same way; never started as a service
	@{ command -v prometheus && command -v promtool && command -v prometheus-alertmanager; } \
	|| { $(call debian,prometheus,prometheus prometheus-alertmanager); }

.PHONY: compile-check
compile-check: .venv-train/.installed  ## trainer.compile for real, on this CPU (needs a C++ compiler; a minute)
	$(TRAIN)/python -m pytest -q tests/torch/compile_check.py

.PHONY: bench
bench: .venv-dev/.installed .venv-bench/.installed  ## the benchmark behind the speed claims, both engines beside PyTorch (ARGS="--help")
	$(DEV)/animals bench predict $(ARGS)

.PHONY: bench-serve
bench-serve: .venv/.installed .venv-peers/.installed  ## the server under load beside FastAPI, LitServe and BentoML (ARGS="--help")
	$(APP)/animals bench serve --peers $(ARGS)

.PHONY: peers
peers: .venv-peers/.installed  ## install what the server is compared with (5 GB)
	@echo "installed: .venv-peers/$(BIN)"

.PHONY: fuzz
fuzz: .venv-dev/.installed  ## 100,000 broken photos through imaging (COUNT=1000 for a short one)
	$(DEV)/python tests/fuzz/fuzz_imaging.py --count $(COUNT)

.PHONY: fuzz-serve
fuzz-serve: .venv-dev/.installed  ## 200,000 broken requests to a real server (COUNT=1000 for a short one)
	$(DEV)/python tests/fuzz/fuzz_serving.py $(if $(filter command line environment,$(origin COUNT)),--count $(COUNT))

.PHONY: hostile
hostile: .venv-dev/.installed  ## the server among 2,000 hostile clients for five minutes, with honest ones beside them (ARGS="--minutes 1")
	$(DEV)/python -m tests.hostile.run $(ARGS)

.PHONY: soak
soak: .venv-dev/.installed  ## the server at full load for 20 minutes: it must not grow (MINUTES=2 for a short one)
	$(DEV)/python -m benchmarks.serve.soak $(PHOTOS)/imagenet_animals --minutes $(MINUTES)

.PHONY: locust
locust: .venv-dev/.installed  ## Locust's page on port 8089, for a server at ARGS="--host http://localhost:8080"
	$(if $(PHOTOS),ANIMALS_PHOTOS=$(PHOTOS)/imagenet_animals) $(DEV)/locust -f benchmarks/serve/locustfile.py $(ARGS)

.PHONY: soak-models
soak-models: .venv-dev/.installed  ## 50 promotions and rollbacks under load, with damaged files and a stop (ARGS="--changes 10")
	PYTHONPATH=. $(DEV)/python tests/soak/promotions.py $(ARGS)

.PHONY: photos-model
photos-model: .venv-model/.installed  ## rebuild the built-in model from its published weights (PyTorch, 5 GB)
	$(MODEL)/python tools/photos_model/build.py --output src/animal_classification/models/photos $(if $(PHOTOS),--photos $(PHOTOS)) $(ARGS)

.PHONY: detector
detector: .venv-dev/.installed  ## rebuild the built-in detector from the weights in zamba's wheel (no PyTorch)
	$(DEV)/python -m tools.detector.build --output src/animal_classification/models/lite $(ARGS)

# ---------------------------------------------------------------------------------------------------------- shipping

.PHONY: ship-env
ship-env: .venv-ship/.installed  ## install what checks images, workflows, pipelines and clouds
	@echo "installed: $(SHIP)"

.PHONY: ship
ship: .venv-ship/.installed  ## workflows, manifests, alerts and cloud documents against their schemas
	$(SHIP)/pytest tests/ship -m "not nightly" -n 2 --dist loadfile

.PHONY: ship-nightly
ship-nightly: .venv-ship/.installed  ## the same, the DVC pipeline and every command of the docs: some minutes
	$(SHIP)/pytest tests/ship

.PHONY: images
images:  ## the images, with buildah (BASE=…@sha256:…, or one made with debootstrap); IMAGES="api" for some
	tools/images/build.sh $(IMAGES)

.PHONY: images-check
images-check:  ## run what `make images` built: train, evaluate, serve, sizes, secrets
	$(PYTHON) tools/images/check.py $(if $(PHOTOS),--photo "$(PHOTOS)/imagenet_animals/n02510455_giant_panda.JPEG") $(ARGS)

.PHONY: images-clean
images-clean:  ## remove what `make images` built, and buildah's store with it
	buildah rm --all
	buildah rmi --all --force

.PHONY: docs
docs: .venv-docs/.installed  ## the documentation's site in build/site, without a warning
	$(DOCS)/python tools/docs/build.py

.PHONY: package
package: $(UV)  ## wheel and source archive in dist/
	rm -rf dist
	$(UV) build --python "$(PYTHON)" $(BUILD) --sdist --wheel --out-dir dist .

# The wheel alone in an environment of its own, without any extra: small, and enough to name animals and train a probe.
.PHONY: core
core: package  ## try the wheel with the core's requirements only: its size, a prediction, a probe
	$(UV) venv --quiet --clear --no-project --python "$(PYTHON)" .venv-core
	$(UV) pip sync --quiet --python .venv-core --require-hashes requirements/core.txt
	$(UV) pip install --quiet --python .venv-core --no-deps dist/*.whl
	$(UV) pip check --python .venv-core
	$(CORE)/python tools/ci/try_core.py

.PHONY: first-hour
first-hour:  ## README and tutorials replayed from an empty folder, as a new user would
	"$(PYTHON)" tools/ci/first_hour.py $(if $(PHOTOS),--photos $(PHOTOS))

.PHONY: lock
lock: $(UV)  ## renew requirements/ after a change of pyproject.toml (ARGS=--upgrade for newer versions)
	$(LOCK) --extra all --extra train --extra mlflow-ui --group dev pyproject.toml -o requirements/train.txt
	$(LOCK) --extra all --group dev -c requirements/train.txt pyproject.toml -o requirements/dev.txt
	$(LOCK) --extra app -c requirements/dev.txt pyproject.toml -o requirements/app.txt
	$(LOCK) -c requirements/dev.txt pyproject.toml -o requirements/core.txt
	$(LOCK) --extra all --extra gcp --extra dvc --extra scale --group dev --group ship -c requirements/dev.txt pyproject.toml -o requirements/ship.txt
	$(LOCK) --extra app --group docs -c requirements/ship.txt pyproject.toml -o requirements/docs.txt
	$(LOCK) --extra serve --extra mlflow --extra gcs --extra postgres --extra telemetry $(API_WITHOUT) -c requirements/train.txt pyproject.toml -o requirements/image-api.txt
	$(LOCK) --extra evaluate --extra mlflow --extra gcs -c requirements/train.txt pyproject.toml -o requirements/image-evaluate.txt
	$(LOCK) --extra gcs --extra s3 --extra mlflow --extra scale --group pyproject.toml:cluster -c requirements/ship.txt pyproject.toml -o requirements/image-batch.txt
	$(LOCK) --extra train --extra evaluate --extra data --extra sweep --extra mlflow --extra wandb --extra tensorboard --extra gcs -c requirements/train.txt pyproject.toml -o requirements/image-train.txt
	$(LOCK) --extra mlflow-ui --extra postgres --extra gcs -c requirements/train.txt pyproject.toml -o requirements/image-mlflow.txt
	$(LOCK) --group pyproject.toml:sbom -o requirements/image-sbom.txt
	$(LOCK) --group pyproject.toml:build -o requirements/build.txt
	$(LOCK) --group pyproject.toml:uv -o requirements/uv.txt

# What a server never imports: Parquet is for tables, Hydra for training.
API_WITHOUT := --no-emit-package duckdb --no-emit-package hydra-core --no-emit-package omegaconf --no-emit-package antlr4-python3-runtime

# One file for all platforms and for Python 3.11 to 3.13; wheels only, so that installing compiles nothing. (Hydra needs
# one package that has no wheel; it is plain Python.)
LOCK = $(UV) pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --only-binary :all: --no-binary antlr4-python3-runtime --generate-hashes \
    --no-annotate --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(ARGS)

.PHONY: clean
clean:  ## remove environments, caches and reports
	rm -rf .tools .venv .venv-core .venv-dev .venv-train .venv-ship .venv-docs .venv-model .venv-bench .venv-peers .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	rm -rf .coverage .coverage.* htmlcov build dist
	find src tests tools benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# ------------------------------------------------------------------------------------------------------ environments

# uv from PyPI, in an environment of its own. `make UV=uv …` takes the one on the path instead.
.tools/$(BIN)/uv$(EXE): requirements/uv.txt
	$(python-or-fail)
	@echo ".tools: installing uv"
	@rm -rf .tools
	@"$(PYTHON)" -m venv .tools
	@.tools/$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes -r requirements/uv.txt
	@touch $@

define python-or-fail
	@if [ -z "$(PYTHON)" ]; then \
	    echo "Python 3.11, 3.12 or 3.13 is needed and none is on the path; name one with: make PYTHON=/path/to/python3.12 …" >&2; exit 1; fi
endef

# $(call environment,folder,requirement files): exactly what the files say, verified by hash, with byte code; then this
# project itself, editable, so that a change of its source needs no second install.
define environment
	$(python-or-fail)
	@[ "$(UV)" != ".tools/$(BIN)/uv$(EXE)" ] || $(MAKE) --no-print-directory -s $(UV)
	@echo "$(1): installing (once; half a minute to a minute)"
	@[ -x $(1)/$(BIN)/python ] || $(UV) venv --quiet --clear --no-project --python "$(PYTHON)" $(1)
	@$(UV) pip sync --quiet --python $(1) --compile-bytecode --require-hashes $(2)
	@$(UV) pip install --quiet --python $(1) --no-deps $(BUILD) --editable .
	@$(1)/$(BIN)/python -m compileall -q src
	@touch $@
endef

# What an installed project says of itself comes from these.
ABOUT := pyproject.toml src/animal_classification/__init__.py

.venv/.installed: requirements/app.txt requirements/build.txt $(ABOUT)
	$(call environment,.venv,requirements/app.txt)

.venv-dev/.installed: requirements/dev.txt requirements/build.txt $(ABOUT)
	$(call environment,.venv-dev,requirements/dev.txt)

.venv-train/.installed: requirements/train.txt requirements/build.txt $(ABOUT)
	$(call environment,.venv-train,requirements/train.txt)

.venv-ship/.installed: requirements/ship.txt requirements/build.txt $(ABOUT)
	$(call environment,.venv-ship,requirements/ship.txt)

.venv-docs/.installed: requirements/docs.txt requirements/build.txt $(ABOUT)
	$(call environment,.venv-docs,requirements/docs.txt)

# PyTorch's own requirements are pinned but not hashed: nobody who runs the product installs them.
.venv-model/.installed: requirements/core.txt requirements/build.txt tools/photos_model/requirements.txt $(ABOUT)
	$(call environment,.venv-model,requirements/core.txt)
	@rm $@
	@$(UV) pip install --quiet --python .venv-model -c requirements/core.txt -r tools/photos_model/requirements.txt
	@touch $@

.venv-bench/.installed: benchmarks/predict/requirements.txt
	$(python-or-fail)
	@[ "$(UV)" != ".tools/$(BIN)/uv$(EXE)" ] || $(MAKE) --no-print-directory -s $(UV)
	@echo ".venv-bench: installing"
	@[ -x .venv-bench/$(BIN)/python ] || $(UV) venv --quiet --clear --no-project --python "$(PYTHON)" .venv-bench
	@$(UV) pip install --quiet --python .venv-bench --compile-bytecode -c requirements/core.txt -r benchmarks/predict/requirements.txt
	@touch $@

.venv-peers/.installed: benchmarks/serve/requirements.txt
	$(python-or-fail)
	@[ "$(UV)" != ".tools/$(BIN)/uv$(EXE)" ] || $(MAKE) --no-print-directory -s $(UV)
	@echo ".venv-peers: installing"
	@[ -x .venv-peers/$(BIN)/python ] || $(UV) venv --quiet --clear --no-project --python "$(PYTHON)" .venv-peers
	@$(UV) pip install --quiet --python .venv-peers --compile-bytecode -r benchmarks/serve/requirements.txt
	@touch $@
