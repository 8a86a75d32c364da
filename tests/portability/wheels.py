"""Which dependency has a wheel for which system and Python.

    pip install uv && python -m tests.portability.wheels

prints a table in Markdown, as it stands in engines/system/README.md. uv chooses versions as an
installer would on each system, one call for each, reads what the index says of them and loads no
package; the dependencies of dependencies are not looked at, but for those in INDIRECT.
"""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"
PYTHONS = ("3.11", "3.12")
SYSTEMS = {  # as uv calls them
    "Linux x86-64": "x86_64-manylinux_2_28",
    "Windows x64": "x86_64-pc-windows-msvc",
    "macOS arm64": "aarch64-apple-darwin",
    "macOS Intel": "x86_64-apple-darwin",
}
OLDEST_MACOS = "14.0"  # whose wheels count
INDIRECT = {"pyobjc-framework-AVFoundation": "cv2-enumerate-cameras on macOS"}
# Extras whose packages are listed; those of NVIDIA are in engines/tensorrt/README.md.
EXTRAS = (
    "demo", "coding", "datasets", "plots", "table", "mqtt", "metrics", "lsl", "fleet", "train"
)  # fmt: skip
WITHOUT_WHEEL = re.compile(r"Because (?:only |all versions of )?([A-Za-z0-9_.-]+)")


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


def chosen(wanted: list[str], system: str, python: str) -> dict[str, str]:
    """The newest version of each package that has a wheel, by name."""
    command = [
        "uv", "pip", "compile", "--no-deps", "--only-binary", ":all:", "--no-header",
        "--no-annotate", "--python-platform", SYSTEMS[system], "--python-version", python, "-",
    ]  # fmt: skip
    left = wanted
    while True:
        done = subprocess.run(
            command,
            input="\n".join(left),
            capture_output=True,
            text=True,
            env=os.environ | {"MACOSX_DEPLOYMENT_TARGET": OLDEST_MACOS},
        )
        if done.returncode == 0:
            pins = [line.split("==") for line in done.stdout.splitlines() if "==" in line]
            return {name_of(name): version for name, version in pins}
        missing = WITHOUT_WHEEL.search(done.stderr)
        fewer = [one for one in left if missing and name_of(one) != name_of(missing[1])]
        if len(fewer) != len(left) - 1:
            raise SystemExit(done.stderr)
        left = fewer


def main() -> None:
    """Print the table: the version for each Python, once where all have the same."""
    asked = requirements()
    print("| package | for |", " | ".join(SYSTEMS), "|")
    print("|---|---|" + "---|" * len(SYSTEMS))
    found = {
        system: [chosen(list(asked), system, python) for python in PYTHONS] for system in SYSTEMS
    }
    for requirement, why in asked.items():
        cells = []
        for system in SYSTEMS:
            told = [versions.get(name_of(requirement), "**none**") for versions in found[system]]
            cells.append(", ".join(dict.fromkeys(told)))
        print(f"| {requirement} | {why} |", " | ".join(cells), "|")


if __name__ == "__main__":
    main()
