"""Where each system keeps what programs leave for their later runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

OURS = "microspot"


def cache_home() -> Path:
    """Our folder for what can be made again."""
    if sys.platform == "win32":
        return _local_data() / OURS / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / OURS
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / OURS


def state_home() -> Path:
    """Our folder for what must not be lost, such as events that wait to be sent."""
    if sys.platform == "win32":
        return _local_data() / OURS / "state"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / OURS
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / OURS


def _local_data() -> Path:
    return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
