"""How many processes cameras are divided among."""

from __future__ import annotations

import math

from microspot.engines.loading import CPU, choose_backend
from microspot.engines.system.processes import available_cores

from ..config import Settings
from ..errors import UsageError


def process_count(
    cameras: int,
    settings: Settings,
    backend: str,
    asked: int | None = None,
    *,
    paced: bool = True,
    pictures: bool = False,
) -> int:
    """The number of processes for so many cameras.

    As `asked`, at most one a camera; else one for every `settings.process_cameras`, at most one a
    core. But one, unless more are asked for, on a GPU, which computes all cameras in one batch, and
    for files alone, whose records then keep their order.

    paced: whether any source has a pace of its own. pictures: whether a sink draws on images, which
    do not leave their process: raises UsageError where several processes are asked for.
    """
    if asked is not None:
        if asked > 1 and pictures:
            raise UsageError(
                f"--processes {asked}: a window shows pictures of one process; "
                "leave out one of the two"
            )
        return min(asked, cameras)
    if pictures or not paced or choose_backend(backend)[0] != CPU:
        return 1
    return min(available_cores(), math.ceil(cameras / settings.process_cameras))
