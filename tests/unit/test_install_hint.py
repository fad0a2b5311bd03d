"""A hint names what works where it is read."""

from __future__ import annotations

import json
import shlex
from importlib import metadata
from pathlib import Path

import pytest

from animal_classification.errors import MissingExtraError
from animal_classification.install_hint import DISTRIBUTION, pip_install

ROOT = Path(__file__).parents[2]


def noted(monkeypatch: pytest.MonkeyPatch, text: str | None) -> None:
    """As if an installer had left this note."""

    class Distribution:
        def read_text(self, name: str) -> str | None:
            assert name == "direct_url.json"
            return text

    monkeypatch.setattr(metadata, "distribution", lambda name: {DISTRIBUTION: Distribution()}[name])


def test_in_a_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    noted(monkeypatch, json.dumps({"url": ROOT.as_uri(), "dir_info": {"editable": True}}))
    monkeypatch.chdir(ROOT)
    assert pip_install("heic") == 'pip install ".[heic]"'
    assert pip_install() == 'pip install "."'


def test_installed_from_a_checkout_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source = tmp_path / "my photos" / "animals"
    source.mkdir(parents=True)
    (source / "pyproject.toml").touch()
    noted(monkeypatch, json.dumps({"url": source.as_uri(), "dir_info": {}}))
    assert shlex.split(pip_install("heic")) == ["pip", "install", f"{source}[heic]"]


@pytest.mark.parametrize(
    "note", [None, '{"url": "file:///gone/animals", "dir_info": {}}', '{"url": "https://a.example"}']
)
def test_installed_from_an_index(monkeypatch: pytest.MonkeyPatch, note: str | None) -> None:
    noted(monkeypatch, note)
    assert pip_install("heic") == f'pip install "{DISTRIBUTION}[heic]"'
    assert pip_install() == f'pip install --upgrade "{DISTRIBUTION}"'


def test_not_installed_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> metadata.Distribution:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", missing)
    assert pip_install("app") == f'pip install "{DISTRIBUTION}[app]"'


def test_the_error_names_the_extra() -> None:
    assert str(MissingExtraError("animals up", "app")) == f"animals up needs an extra: {pip_install('app')}"


def test_nobody_is_sent_to_another_project() -> None:
    """The name `animal-classification` is somebody else's on PyPI."""
    texts = [*ROOT.glob("src/**/*.py"), *ROOT.glob("docs/**/*.md"), ROOT / "README.md", ROOT / "pyproject.toml"]
    wrong = [path.name for path in texts if "animal-classification[" in path.read_text(encoding="utf-8")]
    assert wrong == []
