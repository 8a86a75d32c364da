"""A file or folder moved over another whole, as `os.replace` does it.

Windows refuses that while somebody has the old file open, if only to read it or to look for
viruses. Such readers are quick, so it is tried again for a while. POSIX never refuses for that.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

# Errors of Windows: access denied, and a sharing violation.
HELD_OPEN = (5, 32)
# Not from the papers. Readers of a whole file take milliseconds, virus scanners up to a second.
TRIES = 40
PAUSE_S = 0.05


def replace(source: Path, target: Path) -> None:
    """Move `source` over `target`, on the same file system.

    Raises OSError; where somebody holds the target open, after TRIES.
    """
    for _ in range(TRIES - 1):
        try:
            os.replace(source, target)
        except PermissionError as error:
            if getattr(error, "winerror", None) not in HELD_OPEN:
                raise
            time.sleep(PAUSE_S)
        else:
            return
    os.replace(source, target)
