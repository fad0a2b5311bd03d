"""What importing the package and calling for help costs, each measured in a process of its own with warm byte code."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

ENGINES = {"onnx", "onnxruntime", "openvino"}
PAGE = {"fastapi", "gradio", "starlette", "uvicorn"}
TABLES = {"duckdb", "pandas"}
TRAINING = {"lightning", "timm", "torch", "torchvision"}
HEAVY = ENGINES | PAGE | TABLES | TRAINING | {"numpy", "PIL", "pydantic", "rich.progress"}

IMPORT_SECONDS = 0.3
HELP_SECONDS = 0.7
TRIES = 5  # the best counts: other tests share the cores

HELP = "from animal_classification.cli.main import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass"

COMMANDS_HELP = (
    "from animal_classification.cli.main import main\n"
    "for name in ('cards', 'convert', 'data', 'evaluate', 'export', 'keys', 'models', 'monitor', 'predict'):\n"
    "    assert main([name, '--help']) == 0"
)


@pytest.mark.parametrize(
    ("code", "unwanted"),
    [
        ("import animal_classification", HEAVY),
        ("import animal_classification.errors", HEAVY),
        ("import animal_classification.cli.main", HEAVY),
        (HELP, HEAVY),
        (COMMANDS_HELP, HEAVY | {"sqlalchemy", "mlflow"}),
    ],
    ids=["package", "errors", "cli", "help", "help of commands"],
)
def test_nothing_heavy_is_loaded(code: str, unwanted: set[str]) -> None:
    loaded = _python(f"{code}\nimport sys\nprint('LOADED', *sys.modules)").partition("LOADED")[2].split()
    assert "animal_classification" in loaded
    assert not unwanted & set(loaded)


@pytest.mark.parametrize("room", ["imaging", "bundle", "inference", "serving"])
def test_no_room_loads_torch(room: str) -> None:
    tried = _python(
        "import sys, builtins\n"
        "real, tried = builtins.__import__, set()\n"
        "def watch(name, globals=None, *rest, **more):\n"
        "    importer = str((globals or {}).get('__name__'))\n"
        "    if importer.startswith('animal_classification'):\n"
        "        tried.add(name.partition('.')[0])\n"
        "    return real(name, globals, *rest, **more)\n"
        "builtins.__import__ = watch\n"
        f"import animal_classification.{room}\n"
        "print('TRIED', *tried)"
    )
    names = set(tried.partition("TRIED")[2].split())
    assert names, "nothing was watched"
    assert not TRAINING & names


def test_importing_is_quick() -> None:
    code = "import time\nstart = time.perf_counter()\nimport animal_classification\nprint(time.perf_counter() - start)"
    assert min(float(_python(code)) for _ in range(TRIES)) < IMPORT_SECONDS


def test_help_is_quick() -> None:
    assert min(_seconds("-m", "animal_classification.cli", "--help") for _ in range(TRIES)) < HELP_SECONDS


def _seconds(*arguments: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], env=_environment(), check=True, capture_output=True)
    return time.perf_counter() - start


def _python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], env=_environment(), check=True, capture_output=True, encoding="utf-8"
    )
    return done.stdout


def _environment() -> dict[str, str]:
    """This process's environment, in which byte code is written and coverage does not count (it costs time)."""
    unwanted = ("COVERAGE_", "COV_CORE_", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
