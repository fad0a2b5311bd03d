"""Small pages of our own for when the real one is not there: getting ready, not installed, switched off."""

from __future__ import annotations

from string import Template

from fastapi.responses import HTMLResponse

_PAGE = Template("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
$refresh
<title>$title</title>
<link rel="icon" href="favicon.ico">
<style>
  :root { color-scheme: light dark; --paper: #f7f4ec; --ink: #1e2b23; --leaf: #2c6a4b; }
  @media (prefers-color-scheme: dark) { :root { --paper: #131a16; --ink: #edf0e6; --leaf: #8fcba6; } }
  body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--paper); color: var(--ink);
         font: 1.25rem/1.6 ui-sans-serif, system-ui, sans-serif; }
  main { max-width: 36rem; padding: 2rem; }
  h1 { font: 500 2.5rem/1.2 ui-serif, Georgia, serif; margin: 0 0 1rem; }
  a { color: var(--leaf); }
  code { font-size: .9em; overflow-wrap: anywhere; }
</style>
</head>
<body><main><h1>$title</h1><p>$text</p></main></body>
</html>
""")


def plain_page(title: str, text: str, *, refresh: int | None = None, status: int = 200) -> HTMLResponse:
    """A page of one heading and one paragraph.

    Args:
        title: Heading, as HTML.
        text: Paragraph, as HTML.
        refresh: Seconds after which a browser asks again.
        status: The HTTP status.
    """
    again = f'<meta http-equiv="refresh" content="{refresh}">' if refresh is not None else ""
    html = _PAGE.substitute(title=title, text=text, refresh=again)
    return HTMLResponse(html, status_code=status, headers={"Cache-Control": "no-store"})
