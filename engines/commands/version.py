"""Which microspot this is, for commands, records and logs."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def installed_version() -> str:
    """The version of the installed package; "not installed" for a bare checkout."""
    try:
        return version("microspot")
    except PackageNotFoundError:
        return "not installed"
