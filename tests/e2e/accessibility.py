"""axe-core in a page: what keeps people who see, hear or point differently from using it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

AXE = Path(__file__).parents[2] / "tools/axe/node_modules/axe-core/axe.min.js"
# Every screen that pages are looked at on: width and colour scheme.
SCREENS = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]
RUN = """async () => (await axe.run(document, {resultTypes: ['violations']})).violations.flatMap(rule =>
  rule.nodes.map(node => `${rule.id} (${rule.impact}): ${node.target.join(' ')}: ${node.html.slice(0, 160)}`))"""


def violations(page: Page) -> list[str]:
    """What axe finds on a page as it is now, one line for each element."""
    if not AXE.is_file():
        pytest.skip("needs axe-core: make axe")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found: Any = page.evaluate(RUN)
    return [str(line) for line in found]
