"""Environments with the newest or the oldest versions that pyproject.toml allows.

That is of packages that have native code or serve.


An exact lower bound is what is installed for "oldest": a bound that cannot be installed is no
bound.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
EXTRAS = ("demo", "lsl", "metrics", "train")
PACKAGES = (
    "mediapipe",
    "gradio",
    "torch",
    "numba",
    "scipy",
    "av",
    "opencv-contrib-python",
    "onnxruntime",
    "onnx",
    "numpy",
)
ALONE = {
    "PYTHONPATH": ""
}  # nothing of the checkout, or of this Python, comes before what is installed there
ASK = (
    "import importlib.metadata as m, json, sys; "
    "print(json.dumps({n: m.version(n) for n in sys.argv[1:]}))"
)


def requirements() -> dict[str, Requirement]:
    """What the base install and EXTRAS ask for, by name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [
        *project["dependencies"],
        *(line for extra in EXTRAS for line in project["optional-dependencies"][extra]),
    ]
    return {found.name: found for found in map(Requirement, lines)}


def lowest(requirement: Requirement) -> str:
    """`name==bound` of its lower bound. Raises StopIteration where it has none."""
    bound = next(part.version for part in requirement.specifier if part.operator == ">=")
    return f"{requirement.name}=={bound}"


def make(folder: Path, *, oldest: bool, free: Collection[str] = ()) -> str:
    """Install the checkout there; returns the path of its Python.

    Packages in `free` get the version that pip chooses.
    """
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = str(folder / "bin" / "python")
    wanted = requirements()
    pinned = [lowest(wanted[name]) for name in PACKAGES if oldest and name not in free]
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*command, f"{ROOT}[{','.join(EXTRAS)}]", *pinned], check=True, env=os.environ | ALONE
    )
    return python


def overlay(folder: Path, package: str) -> dict[str, str]:
    """Install the oldest version of a package there; returns the variables that select it."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
    ]
    subprocess.run([*command, "--target", str(folder), lowest(requirements()[package])], check=True)
    return {
        "PYTHONPATH": os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH", "")]))
    }


def versions(python: str, more: Mapping[str, str]) -> dict[str, str]:
    """What an environment has of PACKAGES."""
    command = [python, "-c", ASK, *PACKAGES]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env=os.environ | dict(more)
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found
