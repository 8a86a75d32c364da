"""`sample:synthetic[:SEED]`: a rendered video whose every movement is known, from one still of the sample clip.

It goes through the real aligner like any file, so demonstrations, tests and `evaluate` have truth
without a data set.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import cast

import av

from microspot.engines.alignment.aligner import MediaPipeAligner
from microspot.engines.data.synthetic import render_video
from microspot.engines.data.timeline import Movement

from ..errors import SourceError
from ..records import Pixels
from .options import SourceOptions
from .recorded import Recorded, Shot

NEUTRAL = 1140  # frame of the sample clip: mouth closed, eyes open, facing the camera
HZ = 30


class SyntheticClip(Recorded):
    """Rendered when first asked for frames or for `truth`; the same seed gives the same frames."""

    def __init__(
        self, clip: Path, seed: int, name: str, options: SourceOptions, pace: bool = False
    ) -> None:
        super().__init__(name, options, pace)
        self._clip, self.seed, self.rate_hz = clip, seed, float(HZ)

    @property
    def truth(self) -> tuple[Movement, ...]:
        """Every movement in the video. Raises EngineError where MediaPipe cannot be loaded."""
        return tuple(self._rendered[0])

    @cached_property
    def _rendered(self) -> tuple[list[Movement], Iterator[tuple[int, Pixels]]]:
        image = still(self._clip, NEUTRAL)
        with MediaPipeAligner() as aligner:
            faces = aligner.landmarks(image)
        if not faces:
            raise SourceError(f"{self.name}: no face found in the sample; reinstall the package")
        return render_video(image, faces[0], self.seed, self.options.synthetic_s, HZ)

    def _shots(self) -> Iterator[Shot]:
        for at_ns, image in self._rendered[1]:
            yield Shot(at_ns, image)


def still(clip: Path, pts: int) -> Pixels:
    """HxWx3 BGR of the frame shown at `pts` (time base of the clip). Raises SourceError past its end."""
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        container.seek(pts, stream=stream)
        for frame in container.decode(stream):
            if frame.pts is not None and frame.pts >= pts:
                return cast(Pixels, frame.to_ndarray(format="bgr24"))
    raise SourceError(f"{clip.name} ends before frame {pts}; reinstall the package")
