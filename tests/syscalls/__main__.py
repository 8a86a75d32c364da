"""`python -m tests.syscalls`: a table of what each command did.

The exit code is 1 where any did what it must not.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from tests.syscalls import environments
from tests.syscalls.commands import COMMANDS, FAILED, Report, watch_command
from tests.syscalls.rules import FOREIGN, LEFT, LOOKUP

KINDS = (LOOKUP, FOREIGN, LEFT, FAILED)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.syscalls", description=__doc__)
    parser.add_argument(
        "commands", nargs="*", metavar="COMMAND", help=f"of {', '.join(COMMANDS)}; default: all"
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--newest", action="store_true", help="in an environment of the newest versions allowed"
    )
    which.add_argument("--oldest", action="store_true", help="in one of the oldest")
    which.add_argument(
        "--oldest-of", metavar="PACKAGE", help="with what is here, but for the oldest of this one"
    )
    parser.add_argument(
        "--free", nargs="*", default=[], metavar="PACKAGE", help="leave its version to pip"
    )
    given = parser.parse_args()
    if unknown := set(given.commands) - set(COMMANDS):
        parser.error(f"{', '.join(sorted(unknown))}: choose from {', '.join(COMMANDS)}")
    if shutil.which("strace") is None:
        parser.error("strace is missing: apt-get install strace")
    with tempfile.TemporaryDirectory(prefix="syscalls-") as folder:
        place = Path(folder)
        python = sys.executable
        more: dict[str, str] = {}
        if given.newest or given.oldest:
            python = environments.make(place / "environment", oldest=given.oldest, free=given.free)
            more = environments.ALONE
        if given.oldest_of:
            more = environments.overlay(place / "overlay", given.oldest_of)
        found = environments.versions(python, more)
        print(" ".join(f"{name} {version}" for name, version in found.items()), flush=True)
        reports = [_watched(name, place, python, more) for name in given.commands or COMMANDS]
    bad = [report.name for report in reports if report.findings]
    print(f"{len(reports)} commands watched; {', '.join(bad) or 'none'} did what it must not")
    return bool(bad)


def _watched(name: str, place: Path, python: str, more: dict[str, str]) -> Report:
    report = watch_command(name, COMMANDS[name], place, python, more)
    counts = "  ".join(f"{kind} {report.count(kind)}" for kind in KINDS)
    print(f"{name:18} {report.seconds:4.0f} s  {counts}", flush=True)
    for finding in report.findings:
        print(f"    {finding.kind}: {finding.text}")
    if report.names:
        print(f"    asked for: {', '.join(report.names)}", flush=True)
    return report


if __name__ == "__main__":
    sys.exit(main())
