"""The page of a review: one document that asks nobody else for anything."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from typing import NamedTuple

# In this order
SCRIPTS = ("server.js", "pictures.js", "player.js", "events.js", "closer.js", "review.js")


class Page(NamedTuple):
    """The document, and the content security policy under which it runs."""

    html: str
    policy: str


def build_page(framed: bool = False) -> Page:
    """The page: its style and scripts are those of static/, and no others are allowed.

    framed: within another page of the same server.
    """
    style = _static("page.css")
    script = "\n".join(['"use strict";', *(_static(name) for name in SCRIPTS)])
    html = _static("page.html").replace("{style}", style).replace("{script}", script)
    html = html.replace("{closing}", "" if framed else " You may close this page.")
    ancestors = "'self'" if framed else "'none'"
    policy = (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; "
        f"img-src 'self' blob: data:; connect-src 'self'; frame-ancestors {ancestors}; "
        "base-uri 'none'; form-action 'none'"
    )
    return Page(html, policy)


def _static(name: str) -> str:
    folder = resources.files(__package__) / "static"
    return (folder / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """What a policy calls a script or style that stands in the document."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
