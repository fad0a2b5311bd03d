"""The Dockerfiles keep their promises as far as reading can tell, and the scan of layers finds what it is for."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILES = sorted((ROOT / "docker").glob("*.Dockerfile"))
SCAN = ROOT / "tools/images/secrets_in_layers.py"
# Put together here, so that no scanner takes this file for a leak.
WANDB = "machine api.wandb.ai\n  login user\n  password " + "0123456789abcdef" * 2 + "01234567"
GITHUB = "token = " + "ghp_" + "a1B2" * 9
KEY = "-----BEGIN RSA PRIVATE " + "KEY-----\n" + "MIIEpAIBAAKCAQEA7v" * 4


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_dockerfiles(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    name = path.name.removesuffix(".Dockerfile")
    assert len(re.findall(r"^FROM ", text, re.MULTILINE)) == 2
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"${BASE}"}
    last = text.rpartition("FROM ${BASE}")[2]
    assert re.search(r"^USER 65532:65532$", last, re.MULTILINE)
    assert "HEALTHCHECK" in last
    assert "org.opencontainers.image.revision" in last
    entry = json.loads(re.search(r"^ENTRYPOINT (\[.*\])$", last, re.MULTILINE).group(1))
    assert entry[:2] == {"api": ["animals", "serve"], "mlflow": ["mlflow", "server"]}.get(name, ["animals", name])
    for copied in re.findall(r"requirements/[\w-]+\.txt", text):
        assert (ROOT / copied).is_file()


def test_a_login_shell_of_the_batch_image_finds_ray() -> None:
    """KubeRay before 1.4 starts Ray in one, and Debian's /etc/profile sets a PATH without it."""
    text = (ROOT / "docker/batch.Dockerfile").read_text(encoding="utf-8")
    assert "echo 'PATH=/opt/animals/bin:$PATH' > /etc/profile.d/animals.sh" in text.rpartition("FROM ${BASE}")[2]


def test_the_api_holds_no_torch() -> None:
    lock = (ROOT / "requirements/image-api.txt").read_text(encoding="utf-8")
    assert not re.search(r"^(torch|nvidia|triton|lightning|timm|gradio|duckdb)", lock, re.MULTILINE)


def test_nothing_but_what_is_copied_is_sent_to_the_builder() -> None:
    assert (ROOT / ".containerignore").read_bytes() == (ROOT / ".dockerignore").read_bytes()
    assert (ROOT / ".containerignore").read_text(encoding="utf-8").splitlines()[1] == "*"


def archive(path: Path, files: dict[str, str], environment: list[str]) -> Path:
    """An image of one layer, as docker-archive writes it."""

    def add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
        entry = tarfile.TarInfo(name)
        entry.size = len(data)
        tar.addfile(entry, io.BytesIO(data))

    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        for name, text in files.items():
            add(tar, name, text.encode())
    with tarfile.open(path, "w") as outer:
        add(outer, "layer.tar", layer.getvalue())
        add(outer, "config.json", json.dumps({"config": {"Env": environment}, "history": []}).encode())
        add(outer, "manifest.json", json.dumps([{"Config": "config.json", "Layers": ["layer.tar"]}]).encode())
    return path


@pytest.mark.parametrize(
    ("files", "environment", "found"),
    [
        ({"opt/animals/lib/a.py": "key = 1\n"}, ["PATH=/bin"], ""),
        ({"root/.netrc": WANDB}, [], "a file that holds credentials"),
        ({"app/notes.txt": WANDB}, [], "key of Weights & Biases"),
        ({"app/config.toml": GITHUB}, [], "token of GitHub"),
        ({"app/key.txt": KEY}, [], "private key"),
        ({}, ["WANDB_API_KEY=abc"], "environment: WANDB_API_KEY"),
    ],
)
def test_secrets_in_layers(tmp_path: Path, files: dict[str, str], environment: list[str], found: str) -> None:
    image = archive(tmp_path / "image.tar", files, environment)
    done = subprocess.run([sys.executable, str(SCAN), str(image)], capture_output=True, text=True, check=False)
    assert done.returncode == bool(found), done.stdout
    assert found in done.stdout
    assert "0123456789abcdef" not in done.stdout


def test_secrets_in_text(tmp_path: Path) -> None:
    log = tmp_path / "log"
    key = "".join(f"+{line}\n" for line in KEY.splitlines())
    log.write_text(f"+nothing\n+{GITHUB}\n{key}", encoding="utf-8")
    done = subprocess.run([sys.executable, str(SCAN), "--text", str(log)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "line 2: token of GitHub" in done.stdout
    assert "line 4: " in done.stdout, "a key that goes over two lines"
