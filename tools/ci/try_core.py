"""The core alone, in the environment that runs this: its size, a prediction, and a probe of three classes.

.venv-core/bin/python tools/ci/try_core.py
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from PIL import Image

EXTRAS = ("alembic", "fastapi", "gradio", "mlflow", "openvino", "sqlalchemy", "torch")
MOST_MB = 400
COLOURS = {"cat": (200, 60, 40), "dog": (40, 180, 60), "fox": (50, 70, 200)}


def main() -> int:
    found = [name for name in EXTRAS if find_spec(name)]
    assert not found, f"the core has {', '.join(found)}"
    megabytes = size(Path(sys.prefix))
    print(f"core: {megabytes:.0f} MB without byte code, at most {MOST_MB}", flush=True)
    assert megabytes <= MOST_MB
    with tempfile.TemporaryDirectory(prefix="animals-core-") as name:
        folder = Path(name)
        draw(folder / "photos")
        photo = "photos/cat/0.png"
        named = json.loads(run(folder, "predict", photo, "--json"))
        assert named["predictions"][0]["error"] is None, named
        print(f"core: photos says of a drawn photo: {named['predictions'][0]['answer']}", flush=True)
        run(folder, "train", "data.path=photos", "recipe=probe")
        [bundle] = folder.glob("runs/*/bundle")
        named = json.loads(run(folder, "predict", photo, "--json", "--model", str(bundle)))
        assert named["predictions"][0]["label"] == "cat", named
        print("core: a probe of three classes is trained, and knows them", flush=True)
    return 0


def size(folder: Path) -> float:
    """MB (10^6 bytes) of an environment, links not followed, as it was installed: byte code comes later."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink() and path.suffix != ".pyc")
    return sum(path.stat().st_size for path in files) / 1e6


def draw(folder: Path) -> None:
    """Twelve plain photos of each class, each of another shade."""
    shade = random.Random(0)
    for label, colour in COLOURS.items():
        (folder / label).mkdir(parents=True)
        for number in range(12):
            shaded = tuple(channel + shade.randint(-30, 30) for channel in colour)
            Image.new("RGB", (96, 96), shaded).save(folder / label / f"{number}.png")


def run(folder: Path, *words: str) -> str:
    """What a command prints."""
    animals = shutil.which("animals", path=str(Path(sys.executable).parent))
    assert animals is not None, "the wheel has no command"
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
    done = subprocess.run([animals, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
