"""The clip that comes with the package, and `sample:synthetic[:SEED]` made from a still of it.

That is a rendered video whose every movement is known. It goes through the real aligner like any
file, so demonstrations, tests and `evaluate` have ground truth without a data set.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import cast

import av

from microspot.engines.alignment.aligner import MediaPipeAligner
from microspot.engines.data.faces import FaceAsset
from microspot.engines.data.generator.timeline import Movement
from microspot.engines.data.generator.video_scene import render_video

from ..errors import SourceError
from ..records import Pixels
from .options import SourceOptions
from .recorded import DecodedFrame, RecordedSource

SAMPLE_HZ = 25  # frame rate of the sample clip
NEUTRAL_FRAME = 1140  # of the sample clip: mouth closed, eyes open, facing the camera
RENDERED_HZ = 30


def sample_clip() -> Path:
    """The clip of a talking face that comes with the package."""
    return Path(str(resources.files("microspot.realtime") / "sample" / "webcam.mp4"))


class SyntheticClip(RecordedSource):
    """Rendered when first asked for frames or for `truth`; the same seed gives the same frames."""

    def __init__(
        self, clip: Path, seed: int, name: str, options: SourceOptions, pace: bool = False
    ) -> None:
        super().__init__(name, options, pace)
        self._clip = clip
        self.seed = seed
        self.rate_hz = float(RENDERED_HZ)

    @property
    def truth(self) -> tuple[Movement, ...]:
        """Every movement in the video. Raises EngineError where MediaPipe cannot be loaded."""
        return tuple(self._rendered[0])

    @cached_property
    def _rendered(self) -> tuple[list[Movement], Iterator[tuple[int, Pixels]]]:
        face = neutral_face(self._clip)
        return render_video(
            face.image, face.landmarks, self.seed, self.options.synthetic_s, RENDERED_HZ
        )

    def _decode(self) -> Iterator[DecodedFrame]:
        for at_ns, image in self._rendered[1]:
            yield DecodedFrame(at_ns, image)


def neutral_face(clip: Path) -> FaceAsset:
    """The face of the clip's neutral frame.

    Raises SourceError where none is found, EngineError where MediaPipe cannot be loaded.
    """
    image = still(clip, NEUTRAL_FRAME)
    with MediaPipeAligner() as aligner:
        faces = aligner.landmarks(image)
    if not faces:
        raise SourceError(f"{clip.name}: no face found in the sample; reinstall the package")
    return FaceAsset(clip.name, "train", image, faces[0])


def still(clip: Path, pts: int) -> Pixels:
    """HxWx3 BGR of the frame shown at `pts` (time base of the clip).

    Raises SourceError past the end of the clip.
    """
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        container.seek(pts, stream=stream)
        for frame in container.decode(stream):
            if frame.pts is not None and frame.pts >= pts:
                return cast(Pixels, frame.to_ndarray(format="bgr24"))
    raise SourceError(f"{clip.name} ends before frame {pts}; reinstall the package")
