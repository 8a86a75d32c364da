"""Pieces of HTML that make up the page, the login and the overlay, kept in static/fragments/."""

from __future__ import annotations

from importlib import resources


def fragment(name: str) -> str:
    """The text of static/fragments/`name`.html, with its placeholders."""
    folder = resources.files(__package__) / "static" / "fragments"
    return (folder / f"{name}.html").read_text(encoding="utf-8")
