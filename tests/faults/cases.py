"""Damaged files on disk, each made from (seed, number), and what is done with them.

That is here or by the real commands.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from tests.faults.damage import damage
from tests.faults.seeds import Seed

SHARES = {
    "clip": 62,
    "folder": 14,
    "settings": 8,
    "table": 8,
    "manifest": 8,
}  # of the files, in percent
IMAGES = 4
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Case:
    """A damaged file: `path` is given to the program. way: how it was damaged."""

    number: int
    kind: str
    ending: str
    way: str
    path: str

    @property
    def arguments(self) -> list[str]:
        """Module and arguments of the command that a user would run on it."""
        if self.kind == "table":
            return [
                "microspot.engines",
                "score",
                "--truth",
                self.path,
                "--pred",
                self.path,
                "--json",
            ]
        watch = ["microspot.realtime", "watch"]
        if self.kind == "settings":
            return [*watch, "sample", "--seconds", "0.2", "--json", "--config", self.path]
        if self.kind == "manifest":
            return [*watch, "sample", "--seconds", "0.2", "--json", "--engines", self.path]
        return [*watch, self.path, "--json"]


def make(seeds: list[Seed], run: int, number: int, folder: Path) -> Case:
    """The case `number` of the run seeded with `run`, written below `folder`."""
    rng = random.Random(f"{run} {number}")
    kind = rng.choices(list(SHARES), list(SHARES.values()))[0]
    seed = rng.choice([seed for seed in seeds if seed.kind == kind])
    way, data = damage(rng, seed)
    path = folder / f"{number}.{seed.ending}"
    if kind == "folder":
        path = _images(rng, seed, data, folder / str(number))
    elif kind == "manifest":
        path = _weights(data, folder / str(number))
    else:
        path.write_bytes(data)
    return Case(number, kind, seed.ending, way, str(path))


def _images(rng: random.Random, seed: Seed, data: bytes, folder: Path) -> Path:
    """A folder of images of which at least one is damaged."""
    folder.mkdir()
    first = rng.randrange(IMAGES)
    for i in range(IMAGES):
        bad = i == first or rng.random() < 0.3
        (folder / f"img{i}.{seed.ending}").write_bytes(data if bad else seed.data)
    return folder


def _weights(data: bytes, folder: Path) -> Path:
    """A folder of the shipped weights with a damaged manifest."""
    folder.mkdir()
    for file in Path(str(resources.files("microspot.engines") / "weights")).iterdir():
        if file.name != MANIFEST:
            (folder / file.name).symlink_to(file)
    (folder / MANIFEST).write_bytes(data)
    return folder
