"""Check every link within the built site: pages, anchors, pictures."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.ids |= {value for name in ("id", "name") if (value := found.get(name))}
        for name in ("href", "src"):
            if (value := found.get(name)) and tag in {"a", "img", "script", "link"}:
                self.links.append(value)


def check(site: Path) -> list[str]:
    """What leads nowhere, and what would be fetched from elsewhere, a line each."""
    pages = {path: _read(path) for path in sorted(site.rglob("*.html"))}
    broken = []
    for path, page in pages.items():
        if path.name == "404.html":
            continue  # its links start at the site's address
        found = ((link, _problem(link, path, site, pages)) for link in page.links)
        broken += [f"{path.relative_to(site)}: {link}: {problem}" for link, problem in found if problem]
    return sorted(set(broken))


def _read(path: Path) -> _Page:
    page = _Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def _problem(link: str, path: Path, site: Path, pages: dict[Path, _Page]) -> str | None:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return (
            None if parts.scheme in {"https", "http", "mailto", "data", "javascript"} else "an unknown kind of address"
        )
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if target.is_dir():
        target /= "index.html"
    if not target.is_relative_to(site.resolve()) or not target.is_file():
        return "there is nothing"
    anchor = unquote(parts.fragment)
    if anchor and target in pages and anchor not in pages[target].ids:
        return "there is no such place on the page"
    return None
