"""The documentation's site in build/site: pages put together, references generated, built strictly, links checked.

Nothing is fetched: what the pages need is served with them.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import accessible
import links
import pages
import reference

ROOT = Path(__file__).parents[2]
DOCS, SITE = ROOT / "build/docs", ROOT / "build/site"


def main() -> int:
    shutil.rmtree(DOCS, ignore_errors=True)
    shutil.rmtree(SITE, ignore_errors=True)
    pages.assemble(ROOT, DOCS)
    reference.write_all(DOCS / "reference")
    words = [
        sys.executable,
        "-m",
        "zensical",
        "build",
        "--strict",
        "--clean",
        "--config-file",
        str(ROOT / "zensical.toml"),
    ]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    if done.returncode or "warning" in said.lower():
        print(said, file=sys.stderr)
        return 1
    accessible.improve(SITE)
    broken = links.check(SITE)
    for link in broken:
        print(link, file=sys.stderr)
    count = len(list(SITE.rglob("*.html")))
    print(f"docs: {count} pages in {SITE.relative_to(ROOT)}, {len(broken) or 'no'} broken links")
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
