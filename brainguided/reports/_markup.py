"""Pieces of HTML in which text from files shows just that, and nothing is fetched."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from typing import Any

from brainguided.engines.output import escape_controls

_SCALE = 0.62  # of the pixels of an image, which has 200 an inch: 7 points are 12 pixels of a page
_HARMLESS = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028",
             "\u2029": "\\u2029"}  # fmt: skip


def plain(text: Any) -> str:
    """Return text from a file as HTML that shows just that."""
    return escape(escape_controls(str(text)))


def breakable(name: str) -> str:
    """Return a dotted name as HTML that is broken after dots and underscores alone."""
    return plain(name).replace(".", ".<wbr>").replace("_", "_<wbr>")


def table(
    heads: Sequence[str], rows: Iterable[Sequence[Any]], *, label: str, names: bool = False
) -> str:
    """Return a table whose first column names its rows.

    Parameters
    ----------
    heads : sequence of str
        All empty for a table without heads.
    rows : iterable of sequence
        Of text or numbers.
    label : str
        What it is, for those who hear the page.
    names : bool, optional
        Whether the first column holds dotted names, which are not to be broken inside a word.
    """
    head = ""
    if any(heads):
        cells = (f'<th scope="col">{plain(t)}</th>' if t else "<td></td>" for t in heads)
        head = f"<thead><tr>{''.join(cells)}</tr></thead>"
    lines = []
    for first, *rest in rows:
        name = breakable(str(first)) if names else plain(first)
        cells = (f"<td>{plain(cell)}</td>" for cell in rest)
        lines.append(f'<tr><th scope="row">{name}</th>{"".join(cells)}</tr>')
    kinds = ["names"] * names + ["pairs"] * (len(heads) == 2)
    kind = f' class="{" ".join(kinds)}"' if kinds else ""
    return (
        f'<div class="wide" role="region" tabindex="0" aria-label="{plain(label)}">'
        f"<table{kind}>{head}<tbody>{''.join(lines)}</tbody></table></div>"
    )


def figure(png: bytes, caption: str) -> str:
    """Return an image with its caption, which is read in its place as well.

    It is shown at a size at which its text is no larger than that of the page.
    """
    data = base64.b64encode(png).decode("ascii")
    width, height = (round(_SCALE * side) for side in struct.unpack(">II", png[16:24]))
    return (
        f'<figure><img alt="{plain(caption)}" width="{width}" height="{height}" '
        f'src="data:image/png;base64,{data}">'
        f"<figcaption>{plain(caption)}</figcaption></figure>"
    )


def to_json(data: Any) -> str:
    """Return JSON that can stand inside a script element: nothing in it ends the element."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character, harmless in _HARMLESS.items():
        text = text.replace(character, harmless)
    return text


def document(title: str, body: str, data: Any, *, live: bool = False) -> str:
    """Return a whole page with its style, its script and its data.

    Parameters
    ----------
    title : str
    body : str
        HTML.
    data : object
        Plain data, from which the script draws the table and the charts.
    live : bool, optional
        Whether the page may ask the server it came from for more; it asks nobody else.
    """
    style, script = _read("page.css"), _read("charts.js") + _read("page.js")
    policy = (
        f"default-src 'none'; img-src data: blob:; style-src {_hash(style)}; "
        f"script-src {_hash(script)}; connect-src {chr(39)}{'self' if live else 'none'}{chr(39)}; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="referrer" content="no-referrer"><link rel="icon" href="data:,">'
        f"<title>{plain(title)}</title><style>{style}</style></head>\n<body>\n{body}\n"
        f'<script type="application/json" id="data">{to_json(data)}</script>\n'
        f"<script>{script}</script>\n</body></html>\n"
    )


def _read(name: str) -> str:
    return (files("brainguided.reports") / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
