"""What all pages share: one offline HTML document, light or dark as the reader has it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

PAGE_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1300px; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.5em; } h2 { font-size: 1.2em; margin-top: 2em; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
th, td { padding: .25em .9em .25em 0; text-align: left; vertical-align: top; }
th { border-bottom: 1px solid; } tr + tr td { border-top: 1px solid #8884; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.pass { color: #1a7f37; } .warn { color: #b06d00; } .fail { color: #d1242f; font-weight: 600; }
img, svg { max-width: 100%; height: auto; background: white; display: block; margin: .5em 0; }
.advice { opacity: .8; }
"""


def html_page(
    title: str, parts: Sequence[str], style: str = PAGE_STYLE, *, policy: str = ""
) -> str:
    """Return a whole document.

    Parameters
    ----------
    title
        Plain text.
    parts
        HTML, every text in it escaped.
    policy
        Content security policy.
    """
    guard = "<meta http-equiv='Content-Security-Policy' content=\"" + escape(policy) + '">\n'
    return (
        "<!doctype html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n"
        + (guard if policy else "")
        + "<meta name='viewport' content='width=device-width, initial-scale=1'>\n"
        f"<title>{escape(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body>\n</html>\n"
    )
