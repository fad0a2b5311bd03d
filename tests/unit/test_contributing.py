"""A contributor's first hour: hooks on every system, nothing installed unasked, forms that say what we need."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path, PureWindowsPath
from types import ModuleType
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
HOOKS = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
needs_make = pytest.mark.skipif(
    sys.platform == "win32" or shutil.which("make") is None, reason="needs make and a POSIX shell"
)
PACKAGES = {
    "browser": "chromium",
    "postgres": "postgresql pgbouncer",
    "prometheus": "prometheus prometheus-alertmanager",
}


def tool(name: str) -> ModuleType:
    """A script of tools/, imported."""
    path = ROOT / "tools" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("hook", HOOKS, ids=[hook["id"] for hook in HOOKS])
def test_hooks_start_on_windows_too(hook: dict[str, Any]) -> None:
    """Nothing but `python`, which pre-commit's own environment has on every system, is looked for by name."""
    words = hook["entry"].split()
    assert hook["language"] == "python"
    assert words[0] == "python"
    assert not re.search(r"\bbin/|Scripts|\\|\.venv|\.exe", hook["entry"])
    if words[1] != "-c":
        assert words[1] == "tools/hook.py"
        assert shutil.which(words[2], path=str(Path(sys.executable).parent)), f"{words[2]} is not installed"


def test_the_launcher_knows_both_layouts() -> None:
    hook = tool("hook")
    assert hook.program("ruff", Path(".venv-dev"), windows=False) == Path(".venv-dev/bin/ruff")
    assert hook.program("ruff", PureWindowsPath(".venv-dev"), windows=True) == PureWindowsPath(
        ".venv-dev\\Scripts\\ruff.exe"
    )


def test_the_launcher_passes_words_and_exit_code_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hook = tool("hook")
    monkeypatch.setattr(hook, "program", lambda name: Path(sys.executable))
    assert hook.main(["python", "-c", "import sys; sys.exit(len(sys.argv))", "a b", "c"]) == 3


def test_a_missing_tool_is_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    hook = tool("hook")
    monkeypatch.setattr(hook, "program", lambda name: Path("nowhere") / name)
    assert hook.main(["ruff"]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "make dev" in err


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """An environment in which one is root, apt-get writes down what it is asked, and nothing else is installed."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("make", "sh", "ls", "mkdir", "echo"):
        found = shutil.which(name)
        assert found is not None
        (programs / name).symlink_to(found)
    for name, text in {"id": "echo 0", "apt-get": f'echo "$@" >> "{tmp_path}/asked"'}.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        (programs / name).chmod(0o755)
    return {"PATH": str(programs)}


def make(words: list[str], environment: dict[str, str], folder: Path = ROOT) -> str:
    """What make says."""
    program = [shutil.which("make") or "make", *words]
    done = subprocess.run(program, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def elsewhere(environment: dict[str, str]) -> Path:
    """A folder with a Makefile like ours, except that Debian's own folders are not this machine's."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    there = Path(environment["PATH"]).parent
    for place in ("/usr/lib/postgresql", "/usr/sbin/pgbouncer", "/etc/postgresql-common"):
        assert place in text
        text = text.replace(place, f"{there}{place}")
    (there / "Makefile").write_text(text, encoding="utf-8")
    return there


@needs_make
@pytest.mark.parametrize("target", PACKAGES)
def test_debian_packages_are_installed_where_that_was_asked_for(bare: dict[str, str], target: str) -> None:
    there = elsewhere(bare)
    asked = there / "asked"
    for words, environment in (([target], bare), ([target, "APT=yes"], bare), ([target], {**bare, "CI": "true"})):
        make(words, environment, there)
        last = asked.read_text(encoding="utf-8").splitlines()[-1]
        assert last.endswith(f"--no-install-recommends {PACKAGES[target]}")
        asked.unlink()
    said = make([target, "APT=no"], bare, there)
    assert not asked.exists()
    assert f"make {target}" in said
    assert "skipped" in said


@needs_make
def test_the_whole_suite_installs_no_debian_package_unasked(bare: dict[str, str]) -> None:
    """What `make test` would run says no; what CI runs says yes."""
    planned = make(["-n", "test"], bare)
    assert planned.count('[ "no" != yes ]') == len(PACKAGES)
    assert '[ "yes" != yes ]' not in planned
    for words, environment in ((["APT=yes"], bare), ([], {**bare, "CI": "true"})):
        assert make(["-n", "test", *words], environment).count('[ "yes" != yes ]') == len(PACKAGES)
    assert "exec make test APT=yes" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


@needs_make
def test_the_quick_suite_needs_one_environment(bare: dict[str, str]) -> None:
    planned = make(["-n", "quick"], bare)
    assert set(re.findall(r"\.venv[a-z-]*", planned)) == {".venv-dev"}
    assert not re.search(r"apt-get|\bnpm\b|torch", planned)
    assert "tests/unit" in planned


def test_contributors_find_what_they_need() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert text.index("make quick") < text.index("make test")
    for page in re.findall(r"\]\(([A-Za-z/.-]+)\)", text):
        assert (ROOT / page).is_file(), page
    policy = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    assert "Report a vulnerability" in policy
    assert not re.search(r"\S+@\S+\.\S+", policy), "an address that nobody reads"


def test_the_sample_photos_are_laid_out_like_the_test_data(tmp_path: Path) -> None:
    samples = tool("sample_photos")
    missing = samples.make(tmp_path, views=2)
    expected = {photo.target for photo in samples.PHOTOS if samples.find(photo)}
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("*_animals/*")} == {
        target for target in expected if "_animals/" in target
    }
    assert len(missing) == len(samples.PHOTOS) - len(expected)
    assert len(list((tmp_path / "animals22").glob("*/*.jpg"))) >= 2 * 2  # those of the page at least
    assert (tmp_path / samples.MARK).read_text(encoding="utf-8").count("CC") >= 2


def test_sample_photos_replace_no_other_folder(tmp_path: Path) -> None:
    (tmp_path / "mine.jpg").write_bytes(b"x")
    words = [sys.executable, str(ROOT / "tools" / "sample_photos.py"), "--output", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=dict(os.environ))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert (tmp_path / "mine.jpg").read_bytes() == b"x"
