"""What is installed: one name at the top, every package of the checkout and its files."""

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("demo", "engines", "realtime")
SETUP = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]


def test_the_list_of_packages_is_that_of_the_folders() -> None:
    homes = {path.parent.relative_to(ROOT) for f in FOLDERS for path in (ROOT / f).rglob("*.py")}
    homes = {home for home in homes if "examples" not in home.parts}
    assert all((ROOT / home / "__init__.py").is_file() for home in homes)
    assert SETUP["packages"] == sorted(f"microspot.{'.'.join(home.parts)}" for home in homes)


def test_no_pattern_of_package_data_matches_nothing() -> None:
    for package, patterns in SETUP["package-data"].items():
        home = ROOT.joinpath(*package.split(".")[1:])
        for pattern in patterns:
            assert list(home.glob(pattern)), (package, pattern)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The names in a wheel of a clean copy: what an older build left must not get in."""
    copy = tmp_path_factory.mktemp("clean") / "microspot"
    copy.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "-q",
    ]
    done = subprocess.run(
        [*command, "-w", str(copy / "out"), str(copy)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (path,) = (copy / "out").iterdir()
    with zipfile.ZipFile(path) as file:
        return file.namelist()


def test_a_wheel_brings_one_name_of_ours_and_nothing_else(wheel: list[str]) -> None:
    tops = {name.split("/")[0] for name in wheel}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"microspot"}


def test_a_wheel_holds_every_file_of_the_packages(wheel: list[str]) -> None:
    ours = {
        f"microspot/{path.relative_to(ROOT).as_posix()}"
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".md"
    }
    left_out = {name for name in ours if "/examples/" in name}
    assert ours - left_out <= set(wheel)
    assert not left_out & set(wheel)
