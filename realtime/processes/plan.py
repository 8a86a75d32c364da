"""Over how many processes cameras are divided."""

from __future__ import annotations

import math

from microspot.engines.alignment.landmarker import available_cores
from microspot.engines.loading import CPU, choose_backend

from ..config import Settings
from ..errors import UsageError


def how_many(
    cameras: int, settings: Settings, backend: str, asked: int | None = None, *,
    paced: bool = True, pictures: bool = False,
) -> int:  # fmt: skip
    """Processes for so many cameras: as `asked`, else one for every `settings.process_cameras`, at most one a core.

    One, unless more are asked for, on a GPU, which computes all cameras in one batch, and for files alone (`paced`
    says whether any source has a pace of its own), whose records then keep their order. pictures: whether a sink draws
    on images, which do not leave their process: raises UsageError where several are asked for.
    """
    if asked is not None:
        if asked > 1 and pictures:
            raise UsageError(
                f"--processes {asked}: a window shows pictures of one process; leave out one of the two"
            )
        return min(asked, cameras)
    if pictures or not paced or choose_backend(backend)[0] != CPU:
        return 1
    return min(available_cores(), math.ceil(cameras / settings.process_cameras))
