"""What is known of a face: its crop, how it stands, its scores, its threshold."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from microspot.engines.alignment.head import EyesOpen, HeadPose
from microspot.engines.intervals import Candidate

from .source import FrameTime, Pixels
from .values import expect, in_seconds, rounded_shares, score_or_none

KEPT_FORMS = 128  # of lines of scores: one for each face


@dataclass(frozen=True, eq=False)
class Crop:
    """One aligned face.

    pixels: 3xSxS RGB; affine: 2x3, from frame to crop pixels; outline: Nx2 frame pixels; width_px:
    the face's width in the frame, 0 where it is not known; mesh, landmarks_ns: as of an aligner's
    Face.
    """

    source: str
    face: int
    index: int
    captured_ns: int
    pixels: Pixels
    affine: NDArray[np.float64]
    quality: float
    outline: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 2), np.float32))
    width_px: float = 0.0
    mesh: NDArray[np.float64] | None = None
    landmarks_ns: int | None = None

    def __post_init__(self) -> None:
        expect("Crop.pixels", self.pixels, np.uint8, (3, None, None))
        expect("Crop.affine", self.affine, np.float64, (2, 3))
        _, rows, columns = self.pixels.shape
        if rows != columns:
            raise ValueError(f"Crop.pixels: expected a square, got {rows}x{columns}")


@dataclass(frozen=True)
class PersonalState:
    """The threshold of one face at `at_ns`, moved so that about `alarms_per_min` alarms come.

    threshold: T_CRN as it is now; seen_s: how long the face was seen; peaks: how many peaks of its
    scores count; learning: whether it is too early to move the threshold.
    """

    source: str
    face: int
    at_ns: int
    threshold: float
    alarms_per_min: float
    seen_s: float
    peaks: int
    learning: bool

    def to_json(self) -> dict[str, Any]:
        """The `threshold` JSON line of the command contract."""
        return {
            "type": "threshold",
            "source": self.source,
            "face": self.face,
            "at_s": in_seconds(self.at_ns),
            "threshold": round(self.threshold, 4),
            "alarms_per_min": self.alarms_per_min,
            "seen_s": round(self.seen_s, 3),
            "peaks": self.peaks,
            "learning": self.learning,
        }


@dataclass(frozen=True)
class KeptTick:
    """What thresholds that are chosen later need of a tick; it is in no JSON line.

    tick: of its segment, counted from 0; frame: index of the captured frame that is nearest in
    time; windows: those that end at it and pass lower thresholds, refined.
    """

    tick: int
    frame: int
    windows: tuple[Candidate, ...]


@dataclass(frozen=True)
class FaceMeasures:
    """How one face stands in one frame in which it was used.

    width_px: of the face in the frame; pose: by the mesh, None without one. Between two runs of the
    landmarker the mesh is moved along in the picture, so that roll follows the head while yaw and
    pitch stay; eyes_open is None then. The landmarker may answer some frames later: eyes_ns is the
    time of the frame that the eyes are of.
    """

    kind: ClassVar[str] = "face"

    source: str
    face: int
    index: int
    captured_ns: int
    quality: float
    width_px: float
    pose: HeadPose | None = None
    eyes_open: EyesOpen | None = None
    eyes_ns: int | None = None

    def to_json(self) -> dict[str, Any]:
        """The `face` record, which only sinks get that name it in `wants_frames`; degrees."""
        pose = self.pose
        eyes = self.eyes_open
        return {
            "type": self.kind,
            "source": self.source,
            "face": self.face,
            "frame": self.index,
            "at_s": in_seconds(self.captured_ns),
            "quality": score_or_none(self.quality),
            "width_px": round(self.width_px, 1),
            "yaw": None if pose is None else round(pose.yaw, 1),
            "pitch": None if pose is None else round(pose.pitch, 1),
            "roll": None if pose is None else round(pose.roll, 1),
            "eyes_open": None if eyes is None else [round(eyes.left, 3), round(eyes.right, 3)],
            "eyes_at_s": None if self.eyes_ns is None else in_seconds(self.eyes_ns),
        }


@dataclass(frozen=True, eq=False)
class TickScores:
    """The scores of one face at one tick.

    at_ns: when the frame of the tick was taken, or the tick's own time between two frames;
    scores (M,): probabilities of the windows whose last tick it is, refined: the best refined score
    of these, NaN where there is none; quality: of the face, 0 to 1; kept: what is kept of the tick
    for thresholds that are chosen later, None where nothing is; confounders: how probable it is
    that something else moves at this tick, by name, None where the weights do not say.
    """

    kind: ClassVar[str] = "scores"

    source: str
    face: int
    at_ns: int
    scores: NDArray[np.float32]
    refined: float
    quality: float
    kept: KeptTick | None = None
    confounders: dict[str, float] | None = None

    def to_json(self) -> dict[str, Any]:
        """The `scores` record, for who names it in `wants_frames`; null where no score is."""
        return {
            "type": self.kind,
            "source": self.source,
            "face": self.face,
            "at_s": in_seconds(self.at_ns),
            "scores": [score_or_none(value) for value in self.scores.tolist()],
            "refined": score_or_none(self.refined),
            "quality": score_or_none(self.quality),
            "confounders": rounded_shares(self.confounders),
        }

    def json_line(self) -> str:
        """The same as JSON, without an end of line: quicker, since it is made for every tick."""
        values = (*self.scores.tolist(), self.refined, self.quality)
        texts = ("%.4f " * len(values) % values).replace("nan", "null").split()
        shares = self.confounders
        names = None if shares is None else tuple(shares)
        form = _scores_form(self.source, self.face, len(self.scores), names)
        return form % (self.at_ns / 1e9, *texts, *(shares or {}).values())


@lru_cache(maxsize=KEPT_FORMS)
def _scores_form(source: str, face: int, count: int, confounders: tuple[str, ...] | None) -> str:
    """The line of a tick with places for its time, its texts and what its confounders share."""
    shares = "null"
    if confounders is not None:
        places = [f'"{name}": %.4f' for name in confounders]
        shares = f"{{{', '.join(places)}}}"
    named = json.dumps(source).replace("%", "%%")
    return (
        f'{{"type": "{TickScores.kind}", "source": {named}, "face": {face}, "at_s": %.6f, '
        f'"scores": [{", ".join(["%s"] * count)}], "refined": %s, "quality": %s, '
        f'"confounders": {shares}}}'
    )


# What comes with every frame, for those who ask by `wants_frames`.
FrameRecord = FrameTime | FaceMeasures | TickScores
