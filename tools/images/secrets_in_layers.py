"""Look for secrets in every layer of an image, its environment and history: secrets_in_layers.py ARCHIVE | --text FILE.

ARCHIVE is what ``buildah push IMAGE docker-archive:FILE`` writes. A layer keeps what a later one deletes, so each is
looked through by itself. Random strings, which look like keys, are everywhere in installed packages; this looks for
what is one: the files that hold credentials, the marks of known issuers, private keys with their bodies.
"""

from __future__ import annotations

import json
import re
import sys
import tarfile
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES = 20_000_000  # a credential lies in a small file; a network does not hold text
FILES = re.compile(
    r"(^|/)(\.netrc|_netrc|\.git-credentials|\.pypirc|\.npmrc|\.env|\.dockercfg|kaggle\.json|id_(rsa|dsa|ecdsa|ed25519)"
    r"|application_default_credentials\.json|\.docker/config\.json|\.aws/credentials|\.config/wandb/settings|wandb/settings"
    r"|\.huggingface/token|huggingface/token|\.git/config|access_tokens\.db|credentials\.db)$"
)
MARKS = {
    "private key": rb"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----(?:\\n|\s)+[A-Za-z0-9+/]{40,}",
    "key of a Google service account": rb'"private_key_id"\s*:\s*"[0-9a-f]{40}"',
    "key of Google": rb"\bAIza[0-9A-Za-z_-]{35}\b",
    "key of AWS": rb"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "token of GitHub": rb"\b(?:gh[pousr]_[0-9A-Za-z]{36}|github_pat_[0-9A-Za-z_]{60,})\b",
    "token of PyPI": rb"\bpypi-AgEI[0-9A-Za-z_-]{50,}",
    "token of Hugging Face": rb"\bhf_[A-Za-z]{34}\b",
    "token of Slack": rb"\bxox[abprs]-[0-9]{10,}-[0-9A-Za-z-]{20,}",
    "key of Weights & Biases": rb"(?i)\b(?:wandb_api_key|api\.wandb\.ai)\W{1,20}(?:login\W+user\W+password\W+)?"
    rb"(?:wandb_v1_\w{40,}|[0-9a-f]{40})\b",
    "key of this server": rb"\banimals_[0-9a-f]{64}\b",
}
_MARKS = {name: re.compile(pattern) for name, pattern in MARKS.items()}
_NAMES = re.compile(r"(?i)(^|_)(key|token|secret|password|passwd|credentials?)(_|$)")
# Published examples, in the documentation of the packages named.
KNOWN = {b"AKIA" + b"IOSFODNN7EXAMPLE"}


class Finding(NamedTuple):
    """What was found, and where; never the secret itself."""

    where: str
    what: str


def scan(archive: Path) -> list[Finding]:
    """Everything that looks like a secret in an archive of an image."""
    found: list[Finding] = []
    with tarfile.open(archive) as outer:
        manifest = json.loads(_read(outer, "manifest.json"))[0]
        found += _scan_config(json.loads(_read(outer, manifest["Config"])))
        for number, layer in enumerate(manifest["Layers"], 1):
            member = outer.extractfile(layer)
            assert member is not None
            with tarfile.open(fileobj=member, mode="r|*") as inner:
                found += _scan_layer(inner, f"layer {number}")
    return found


def scan_text(file: Path) -> list[Finding]:
    """Everything that looks like a secret in a file of lines, such as git's log."""
    found: list[Finding] = []
    last: deque[bytes] = deque(maxlen=3)  # a key goes over some lines
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            last.append(line.removeprefix(b"+"))
            text = b"".join(last)
            old = len(text) - len(last[-1])
            found += [
                Finding(f"line {number}", name)
                for name, mark in _MARKS.items()
                if any(hit.end() > old and hit.group() not in KNOWN for hit in mark.finditer(text))
            ]
    return found


def _scan_config(config: dict[str, object]) -> Iterator[Finding]:
    inner = config.get("config")
    assert isinstance(inner, dict)
    for pair in inner.get("Env") or []:
        name, _, value = pair.partition("=")
        if value and _NAMES.search(name):
            yield Finding(f"environment: {name}", "a value that is called a secret")
    text = json.dumps(config).encode()
    yield from (Finding("configuration or history", name) for name, mark in _MARKS.items() if _hits(mark, text))


def _scan_layer(layer: tarfile.TarFile, where: str) -> Iterator[Finding]:
    for member in layer:
        if FILES.search(member.name) and member.size:
            yield Finding(f"{where}: {member.name}", "a file that holds credentials")
        if not member.isfile() or member.size > MAX_BYTES:
            continue
        file = layer.extractfile(member)
        data = file.read() if file else b""
        if data.startswith(b"\x7fELF"):
            continue  # libraries of cryptography carry keys to test themselves with
        for name, mark in _MARKS.items():
            if _hits(mark, data):
                yield Finding(f"{where}: {member.name}", name)


def _hits(mark: re.Pattern[bytes], data: bytes) -> bool:
    return any(match.group() not in KNOWN for match in mark.finditer(data))


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file is not None, name
    return file.read()


if __name__ == "__main__":
    *text, name = sys.argv[1:]
    findings = scan_text(Path(name)) if text == ["--text"] else scan(Path(name))
    for finding in findings:
        print(f"{finding.where}: {finding.what}")
    print(f"secrets: {len(findings) or 'none'} found in {name}")
    sys.exit(bool(findings))
