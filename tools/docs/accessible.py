"""The built pages without what keeps people who listen to them from following: links and fields that have no name."""

from __future__ import annotations

import re
from pathlib import Path

# An empty link before each line of code; nothing points there.
_LINE = re.compile(r'<a id="__codelineno-[^"]*" name="__codelineno-[^"]*" href="[^"]*"></a>')
# The empty corner of a table is no heading.
_CORNER = re.compile(r"<th((?: style=\"[^\"]*\")?)></th>")
# What opens the menu and the search. Its labels are what people use.
_TOGGLE = re.compile(r'<input class="md-toggle"')


def improve(site: Path) -> None:
    """Rewrite every page of a built site."""
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        text = _CORNER.sub(r"<td\1></td>", text)
        text = _TOGGLE.sub('<input aria-hidden="true" tabindex="-1" class="md-toggle"', _LINE.sub("", text))
        page.write_text(text, encoding="utf-8")
