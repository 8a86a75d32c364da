"""Landmarks that were asked for and have not come yet.

The landmarker takes ten times as long as all else that is done with a frame. So it looks at one
frame while the next ones are followed, and its answer takes effect a fixed number of frames later:
that many whatever the speed of the machine, so that the same frames give the same crops. Where the
answer is not there by then, the frame waits for it. Not from the papers.
"""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass

from .affine import Affine
from .landmarker import Mesh


@dataclass(eq=False)
class Request:
    """Landmarks of one frame, asked for at `asked_ns`.

    placed: where its landmarks had put each face in that frame, frame -> crop, by number;
    frames: until the answer takes effect.
    """

    answer: Future[list[Mesh]]
    asked_ns: int
    placed: dict[int, Affine]
    frames: int

    def due(self) -> bool:
        """Count one frame; whether the answer takes effect in it."""
        self.frames -= 1
        return self.frames <= 0
