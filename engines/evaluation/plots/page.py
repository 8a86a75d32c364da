"""All figures in one HTML page that needs nothing else: light or dark as the reader's system is."""

from __future__ import annotations

import html
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass

from ...text.redaction import printable
from .plot import LeftOut, Plot
from .theme import DARK, LIGHT

TITLE = "microspot: figures"
# The page may show its own pictures and style, and ask for nothing.
IN_THE_DARK = "prefers-color-scheme:dark"
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:960px;margin:2rem auto;padding:0 1rem;"
    f"color-scheme:light dark;background:{LIGHT.background};color:{LIGHT.ink}}}"
    "figure{margin:2.5rem 0}img{max-width:100%;height:auto}"
    "figcaption{font-size:.9rem}"
    f"@media({IN_THE_DARK}){{body{{background:{DARK.background};color:{DARK.ink}}}}}"
)


@dataclass(frozen=True)
class Drawn:
    """A figure as PNG in both themes."""

    plot: Plot
    light: bytes
    dark: bytes


def page(figures: Sequence[Drawn], left_out: Sequence[LeftOut]) -> str:
    """The page of figures, and of those that are left out."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{TITLE}</title><style>{STYLE}</style></head><body><h1>{TITLE}</h1>"
        f"{''.join(map(_figure, figures))}{_list(left_out)}</body></html>\n"
    )


def _figure(drawn: Drawn) -> str:
    """A figure in both themes, and what it says in words, which can be unfolded."""
    plot = drawn.plot
    alt = _text(f"{plot.title}. {plot.alt}")
    words = "".join(
        f"<p>{_text(part)}</p>" for part in (plot.alt, plot.protocol, plot.note) if part
    )
    return (
        f'<figure id="{plot.name}"><picture>'
        f'<source media="({IN_THE_DARK})" srcset="{_data(drawn.dark)}">'
        f'<img src="{_data(drawn.light)}" alt="{alt}"></picture><figcaption><details>'
        f"<summary>Numbers and protocol</summary>{words}</details></figcaption></figure>"
    )


def _list(left_out: Sequence[LeftOut]) -> str:
    if not left_out:
        return ""
    items = "".join(f"<li>{_text(str(each))}</li>" for each in left_out)
    return f"<h2>Left out</h2><ul>{items}</ul>"


def _data(picture: bytes) -> str:
    return f"data:image/png;base64,{b64encode(picture).decode()}"


def _text(text: str) -> str:
    return html.escape(printable(text))
