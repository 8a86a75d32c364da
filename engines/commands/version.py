"""Which microspot this is, for commands, records and logs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version


def installed_version() -> str:
    """The version of the installed package; "not installed" for a bare checkout."""
    try:
        return version("microspot")
    except PackageNotFoundError:
        return "not installed"


def package_versions(packages: Sequence[str]) -> dict[str, str]:
    """The versions of those of the packages that are installed."""
    found = {}
    for package in packages:
        # a checkout that is not installed, or an extra left out
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found
