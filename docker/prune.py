"""Take out of an environment what a container never uses: prune.py ENVIRONMENT

Tests of other packages, headers, stubs, import libraries; ONNX Runtime's tools, which no command of ours calls.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

# Not every folder called so may go: numpy.testing, for one, is imported by others.
TESTS = ("*/tests", "*/*/tests", "*/*/*/tests", "*/*/*/*/tests", "onnx/backend/test", "sqlalchemy/testing")
TESTS_KEPT = ("animal_classification",)
FILES = ("**/*.pyi", "**/*.h", "**/*.hpp", "**/*.pxd", "**/*.pyx", "**/*.a", "**/*.cmake", "**/*.lib")
# PyTorch compiles with its headers.
FILES_KEPT = ("torch", "triton", "nvidia")
TOOLS = (
    "onnxruntime/transformers",
    "onnxruntime/tools",
    "onnxruntime/datasets",
)


def main(environment: Path) -> int:
    site = next(environment.glob("lib/python3.*/site-packages"))
    before = size(environment)
    for pattern in TESTS:
        for folder in site.glob(pattern):
            if folder.is_dir() and folder.relative_to(site).parts[0] not in (*TESTS_KEPT, *FILES_KEPT):
                shutil.rmtree(folder)
    for pattern in FILES:
        for file in site.glob(pattern):
            if file.relative_to(site).parts[0] not in FILES_KEPT:
                file.unlink()
    for pattern in TOOLS:
        for path in site.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    print(f"prune: {before / 1e6:.0f} MB before, {size(environment) / 1e6:.0f} MB after")
    return 0


def size(folder: Path) -> int:
    """Bytes of the files below, links not followed."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir() or path.is_symlink())


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
