"""Run what `make images` built, and measure it: check.py [--tag TAG] [--photo FILE] [--json FILE].

Every image as its own user, without rights, on a read-only root. Trains on silhouettes with arguments passed through,
evaluates what came out, serves, and names a real photo. Looks at sizes, at PyTorch where it does not belong, and for
secrets in any layer. Exit code 1 where anything is not as it must be.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from run import configuration, mounted
from secrets_in_layers import scan

RUN = Path(__file__).with_name("run.py")
NAMES = ("api", "batch", "evaluate", "train")
API_MB = 450
START_SECONDS = 60


class Failure(Exception):  # noqa: N818 - what a check ends with
    """Something is not as it must be."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prefix", default="localhost/animals-")
    parser.add_argument("--tag", default=version())
    parser.add_argument("--photo", type=Path, help="A photo whose animal is in its name: n02510455_giant_panda.JPEG.")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    images = {name: f"{asked.prefix}{name}:{asked.tag}" for name in NAMES}
    facts: dict[str, object] = {}
    try:
        for name, image in images.items():
            facts[name] = look(name, image)
            print(f"{name}: {facts[name]}", flush=True)
        facts["train"] = {**facts["train"], **train_and_evaluate(images)}  # type: ignore[dict-item]
        print(f"train, evaluate: {facts['train']}", flush=True)
        facts["batch"] = {**facts["batch"], **batch(images["batch"])}  # type: ignore[dict-item]
        print(f"batch: {facts['batch']}", flush=True)
        facts["api"] = {**facts["api"], **serve(images["api"], asked.photo)}  # type: ignore[dict-item]
        print(f"api: {facts['api']}", flush=True)
    except Failure as failure:
        print(f"images: {failure}", file=sys.stderr)
        return 1
    if asked.json:
        asked.json.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return 0


def version() -> str:
    """The project's own."""
    text = (Path(__file__).parents[2] / "src/animal_classification/__init__.py").read_text(encoding="utf-8")
    return text.partition('__version__ = "')[2].partition('"')[0]


def look(name: str, image: str) -> dict[str, object]:
    """What the image is, before anything runs."""
    config = configuration(image)
    if config["User"] != "65532:65532":
        raise Failure(f"{name} runs as {config['User'] or 'root'}")
    if config["Entrypoint"] != ["animals", {"api": "serve"}.get(name, name)]:
        raise Failure(f"{name}'s entry point is {config['Entrypoint']}")
    if not config["Healthcheck"]["Test"] or not config["Labels"]["org.opencontainers.image.revision"]:
        raise Failure(f"{name} has no health check or no labels")
    with mounted(image) as root:
        tree = root / "opt/animals"
        megabytes = sum(file.lstat().st_size for file in tree.rglob("*") if file.is_file() or file.is_symlink()) / 1e6
        site = next(tree.glob("lib/python3.*/site-packages"))
        torch = (site / "torch").exists()
        if not (tree / "sbom.cdx.json").is_file():
            raise Failure(f"{name} has no list of what is in it")
        writable = [path for path in ("opt/animals", "usr", "etc") if (root / path).stat().st_uid != 0]
    if torch is not (name == "train"):
        raise Failure(f"{name} {'holds' if torch else 'lacks'} PyTorch")
    if name == "api" and megabytes > API_MB:
        raise Failure(f"{name} adds {megabytes:.0f} MB to its base; {API_MB} are allowed")
    if writable:
        raise Failure(f"{name}: {writable} belong to somebody else than root")
    return {"added_mb": round(megabytes), "torch": torch, "secrets": secrets(name, image)}


def secrets(name: str, image: str) -> int:
    """How many secrets are in the image's layers; none is the only number that passes."""
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "image.tar"
        subprocess.run(
            ["buildah", "push", "--quiet", image, f"docker-archive:{archive}"], check=True, capture_output=True
        )
        found = scan(archive)
    if found:
        raise Failure(f"{name}: " + "; ".join(f"{item.where}: {item.what}" for item in found))
    return len(found)


def train_and_evaluate(images: dict[str, str]) -> dict[str, object]:
    """Train with arguments, with and without PyTorch, and evaluate what came out."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        work.chmod(0o777)
        trained = _json(images["train"], work, "seed=3", "name=silhouettes", "tracking=none", "--json", "--quiet")
        cnn = ["recipe=cnn", "recipe.epochs=1", "optim.lr=1e-3", "name=cnn", "tracking=none", "--json", "--quiet"]
        network = _json(images["train"], work, *cnn)
        evaluated = _json(images["evaluate"], work, str(trained["bundle"]), "animal-mnist", "--json", "--quiet")
    if abs(float(trained["accuracy"]) - float(evaluated["accuracy"])) > 0.002 or float(evaluated["accuracy"]) < 0.95:  # type: ignore[arg-type]
        raise Failure(f"training says {trained['accuracy']}, evaluation {evaluated['accuracy']}")
    keys = ("accuracy", "seconds")
    return {
        "probe": [trained[key] for key in keys],
        "cnn": [network[key] for key in keys],
        "evaluated": evaluated["accuracy"],
    }


def batch(image: str) -> dict[str, object]:
    """Plan, run and merge a batch of drawn photos, on processes and on a Ray cluster of its own."""
    runs = {}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        (work / "photos").mkdir()
        for number in range(8):
            (work / "photos" / f"{number}.ppm").write_bytes(b"P6 8 8 255 " + bytes([30 * number]) * 192)
        work.chmod(0o777)
        for runner in ("local", "ray"):
            _json(image, work, "plan", "photos", "--output", runner, "--shard", "4", "--json")
            done = _json(image, work, "run", runner, "--runner", runner, "--workers", "2", "--json")
            merged = _json(image, work, "merge", runner, "--output", f"{runner}.parquet", "--json")
            runs[runner] = (done["rows"], merged["rows"], merged["errors"])
    if set(runs.values()) != {(8, 8, 0)}:
        raise Failure(f"a batch of eight photos: {runs}")
    return {"rows": runs}


def _json(image: str, work: Path, *arguments: str) -> dict[str, object]:
    words = [sys.executable, str(RUN), "--volume", str(work), image, *arguments]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    if done.returncode:
        raise Failure(f"{image} {' '.join(arguments)}: exit code {done.returncode}: {done.stderr.strip()[-500:]}")
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def serve(image: str, photo: Path | None) -> dict[str, object]:
    """Start the server, see that it has no rights, and ask it about a photo."""
    with socket.socket() as free:  # another server there would answer in this one's place
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, str(RUN), "--env", f"ANIMALS_PORT={port}", "--env", "ANIMALS_HOST=127.0.0.1", image]
    begun = time.monotonic()
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2)
                break
            except OSError:
                if server.poll() is not None or time.monotonic() - begun > START_SECONDS:
                    raise Failure(f"the server did not start: {server.stderr and server.stderr.read()}") from None
                time.sleep(0.02)
        ready = time.monotonic() - begun
        facts = {"ready_seconds": round(ready, 2), **rights()}
        if photo is not None:
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}/v1/predict", data=photo.read_bytes(), headers={"Content-Type": "image/jpeg"}
            )
            answer = json.load(urllib.request.urlopen(request, timeout=30))["predictions"][0]
            if answer["label"] != photo.stem.partition("_")[2].replace("_", " "):
                raise Failure(f"the server says that {photo.name} is a {answer['label']}")
            facts["photo"] = [answer["label"], answer["probability"]]
        return facts
    finally:
        server.terminate()
        server.wait(20)


def rights() -> dict[str, object]:
    """User, capabilities and root of the server, as the kernel sees them."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            status = dict(
                line.split(":\t", 1) for line in (folder / "status").read_text().splitlines() if ":\t" in line
            )
            mounts = (folder / "mounts").read_text()
        except OSError:
            continue
        if not (b"serve" in words and words[0].startswith(b"/opt/animals/bin")):
            continue
        uid, capabilities = status["Uid"].split()[0], int(status["CapEff"], 16)
        # The process is in a chroot: its own mounts are listed as it sees them.
        root_read_only = any(
            line.split()[1] == "/" and "ro" in line.split()[3].split(",") for line in mounts.splitlines()
        )
        if uid == "0" or capabilities or not root_read_only:
            raise Failure(f"the server has uid {uid}, capabilities {capabilities:x}, read-only root: {root_read_only}")
        return {"uid": int(uid), "capabilities": capabilities, "read_only_root": root_read_only}
    raise Failure("the server's process is not to be seen")


if __name__ == "__main__":
    os.environ.setdefault("STORAGE_DRIVER", "vfs")
    os.environ.setdefault("BUILDAH_ISOLATION", "chroot")
    sys.exit(main())
