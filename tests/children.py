"""The child processes of a process, by what Linux knows."""

import os
from contextlib import suppress
from pathlib import Path

TOLD = Path("/proc/self/task").exists()  # whether this system tells


def children_of(pid: int) -> set[int]:
    """Of all its threads, and no grandchildren; none where the system does not tell."""
    found = set[int]()
    if not TOLD:
        return found
    for task in os.listdir(f"/proc/{pid}/task"):
        with suppress(OSError):  # a thread that has just ended
            found |= {
                int(child)
                for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split()
            }
    return found
