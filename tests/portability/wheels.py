"""Which dependency has a wheel for which system and Python.

    python -m tests.portability.wheels

prints a table in Markdown, as it stands in engines/system/README.md. pip chooses the files as it
would on each system, one call for each, and installs nothing; the dependencies of dependencies are
not looked at, but for those in INDIRECT.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"
PYTHONS = ("3.11", "3.12")
GLIBC = ("5", "12", "17", "24", "26", "27", "28", "31", "34", "35")
SYSTEMS = {
    "Linux x86-64": [
        *(f"manylinux_2_{minor}_x86_64" for minor in GLIBC),
        "manylinux2014_x86_64",
        "manylinux1_x86_64",
    ],
    "Windows x64": ["win_amd64"],
    "macOS arm64": ["macosx_14_0_arm64"],
    "macOS Intel": ["macosx_14_0_x86_64"],
}
INDIRECT = {"pyobjc-framework-AVFoundation": "cv2-enumerate-cameras on macOS"}
# Extras whose packages are listed; those of NVIDIA are in engines/tensorrt/README.md.
EXTRAS = ("demo", "coding", "mqtt", "metrics", "lsl", "train")
MISSING = re.compile(r"No matching distribution found for ([A-Za-z0-9_.-]+)")


def requirements() -> dict[str, str]:
    """What this project asks for directly, without markers, and the extra it belongs to."""
    project: dict[str, Any] = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    found = dict.fromkeys(project["dependencies"], "")
    for extra in EXTRAS:
        found |= dict.fromkeys(project["optional-dependencies"][extra], extra)
    found |= INDIRECT
    return {asked.partition(";")[0].strip(): why for asked, why in found.items()}


def name_of(requirement: str) -> str:
    """The name of a package, as pip compares names."""
    return re.sub(r"[-_.]+", "-", re.split(r"[<>=~ \[]", requirement)[0]).lower()


def chosen(wanted: list[str], platforms: list[str], python: str) -> dict[str, str]:
    """The version of each package that has a wheel, by name."""
    left = wanted
    while True:
        with tempfile.TemporaryDirectory() as folder:
            command = [
                sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--no-deps",
                "--ignore-installed", "--disable-pip-version-check", "--only-binary=:all:",
                "--target", folder, "--report", "-", "--python-version", python,
                *(part for platform in platforms for part in ("--platform", platform)),
                *left,
            ]  # fmt: skip
            done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode == 0:
            items = [item["metadata"] for item in json.loads(done.stdout)["install"]]
            return {name_of(item["name"]): item["version"] for item in items}
        missing = MISSING.search(done.stderr)
        if missing is None:
            raise SystemExit(done.stderr)
        left = [one for one in left if name_of(one) != name_of(missing[1])]


def main() -> None:
    """Print the table."""
    asked = requirements()
    columns = [(system, python) for system in SYSTEMS for python in PYTHONS]
    found = {
        (system, python): chosen(list(asked), SYSTEMS[system], python) for system, python in columns
    }
    print("| package | for |", " | ".join(f"{system}, {python}" for system, python in columns), "|")
    print("|---|---|" + "---|" * len(columns))
    for requirement, why in asked.items():
        cells = [found[column].get(name_of(requirement), "**none**") for column in columns]
        print(f"| {requirement.replace('|', '')} | {why} |", " | ".join(cells), "|")


if __name__ == "__main__":
    main()
