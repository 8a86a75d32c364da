"""Settings and credentials read anew while a run goes on.

It is asked for by SIGHUP, where no terminal could have sent it by closing, and by a change of a
file. What is open goes on: a threshold holds from the next tick on.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..config import Settings
from ..errors import MicrospotError
from ..sinks.network.secret import FILE

EVERY_S = 2.0  # between two looks at the files
LIVE = ("threshold", "proposal_threshold", "label_floor")  # settings that a run takes up

LoadSettings = Callable[[], Settings]


class Reload:
    """Reads settings anew when they are asked for.

    load: gives them as they are now; files: whose change asks for them, beside those that secrets
    stand in.
    """

    def __init__(self, load: LoadSettings, files: tuple[Path, ...] = ()) -> None:
        self._load = load
        self._files = (*files, *_files_of_secrets(os.environ))
        self._read = self._states()  # of the files when they were last read
        self._seen = self._read  # and when they were last looked at
        self._looked_s = time.monotonic()
        self._asked = False

    def ask(self) -> None:
        """Let the next `due` be true; may be called from a signal handler."""
        self._asked = True

    def due(self) -> bool:
        """Whether it was asked for since the last call.

        A file that has changed is read when two looks have found it the same: it may be half
        written before.
        """
        asked = self._asked
        self._asked = False
        now_s = time.monotonic()
        if now_s - self._looked_s >= EVERY_S:
            self._looked_s = now_s
            states = self._states()
            asked = asked or states == self._seen != self._read
            self._seen = states
        if asked:
            self._read = self._states()
        return asked

    def read(self, now: Settings) -> tuple[Settings, str]:
        """The settings from now on, and what a person should know of that.

        now: those of the run until here. Where the new ones cannot be read these stay, and the
        words say why.
        """
        try:
            wanted = self._load()
        except MicrospotError as error:
            return now, f"settings stay as they were: {error}"
        changed = {
            name: value
            for name, value in wanted.model_dump().items()
            if value != getattr(now, name)
        }
        live = {name: value for name, value in changed.items() if name in LIVE}
        words = [f"{name} {_shown(value)}" for name, value in live.items()]
        said = f"read anew: {', '.join(words) or 'nothing else'}"
        later = sorted(set(changed) - set(live))
        if later:
            said += f"; {', '.join(later)} change with the next start"
        return now.model_copy(update=live), said

    def _states(self) -> tuple[Any, ...]:
        return tuple(state_of(path) for path in self._files)


def has_terminal() -> bool:
    """Whether a terminal controls this process, whose closing sends SIGHUP.

    Windows, which has no SIGHUP, has no such terminal either.
    """
    name = getattr(os, "ctermid", None)
    if name is None:
        return False
    try:
        os.close(os.open(name(), os.O_RDONLY | getattr(os, "O_NOCTTY", 0)))
    except OSError:
        return False
    return True


def _files_of_secrets(environment: Mapping[str, str]) -> list[Path]:
    """The files that variables of ours name."""
    return [
        Path(value)
        for name, value in sorted(environment.items())
        if name.startswith("MICROSPOT_") and name.endswith(FILE) and value
    ]


def state_of(path: Path) -> tuple[int, int, int] | None:
    """What changes with a file's content; None where it cannot be found."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _shown(value: Any) -> str:
    return "as the weights have it" if value is None else str(value)
