"""What a synthetic face does and when: the recipe, movements with truth, strengths over time.

Durations, apex positions and rates follow published interval tables of spontaneous micro-expression
sets; the shapes of the curves are our own. Nothing here is from the papers.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field

from .actions import Field, Geometry

Unit = tuple[str, str]  # (action unit, side)
Curve = Callable[[float], float]


class Source(ABC):
    """A motion field that is no unit of the basis; hashable, and the same on every face."""

    @abstractmethod
    def field(self, geometry: Geometry) -> Field:
        """(H, W, 2) displacement in px on a face at full strength."""


Strengths = dict[Unit | Source, float]

SETTLE_S = 0.2  # time constant of an expression that settles below its first peak


@dataclass(frozen=True)
class Families:
    """Shares of the motion fields' families; by default the units of the basis alone.

    regions: shares of the regions among local and measured fields, in the order of REGIONS. even:
    share of the MEs whose units are drawn evenly, whatever the others are.
    """

    usual: float = 1.0
    local: float = 0.0
    measured: float = 0.0
    regions: tuple[float, ...] = (0.20, 0.07, 0.12, 0.24, 0.23, 0.14)
    free: float = 0.2  # share of local fields of any direction, whose unit is unknown
    even: float = 0.0


@dataclass(frozen=True)
class Courses:
    """Shares of the courses in time of MEs; by default all rise and fall."""

    plain: float = 1.0
    returning: float = 0.0  # fast onset, slow or incomplete return
    two_phase: float = 0.0  # a return in two steps
    held_apex: float = 0.0  # a brief hold at the apex
    brief: float = 0.0  # 4 to 6 frames at 30 Hz
    trembling: float = 0.0
    second_site: float = 0.0  # share of MEs with a second, weaker site
    second_me: float = 0.0  # share of MEs that another one overlaps


@dataclass(frozen=True)
class Slow:
    """Slow local expressions; by default none."""

    under: float = 0.0  # share of MEs that lie on one
    per_min: float = 0.0  # others
    after_speech: float = 0.0  # share of bouts of speech after which lips or chin settle
    px: tuple[float, float] = (0.3, 4.0)  # log-uniform
    seconds: tuple[float, float] = (1.0, 4.0)


@dataclass(frozen=True)
class Looks:
    """Shares of clips with an appearance or a picture of some kind; by default none."""

    wrinkles: float = 0.0
    glasses: float = 0.0
    stubble: float = 0.0
    dark_skin: float = 0.0
    dark_room: float = 0.0
    small: float = 0.0  # faces of few px
    small_shrink: tuple[float, float] = (0.35, 0.7)  # their picture px per crop px, log-uniform


@dataclass(frozen=True)
class Recipe:
    """Rates per minute, strengths and noise of a synthetic clip."""

    micro_per_min: float = 20.0
    macro_per_min: float = 4.0
    blink_per_min: float = 18.0
    speech_per_min: float = 5.0
    gaze_per_min: float = 10.0
    swallow_per_min: float = 1.5
    turn_per_min: float = 5.0
    # expressions that begin as an ME does and stay; training has many
    sustained_per_min: float = 0.0
    micro_s: tuple[float, float, float, float] = (0.36, 0.10, 0.13, 0.50)  # mean, sd, least, most
    apex: tuple[float, float, float, float] = (0.48, 0.14, 0.20, 0.80)
    macro_s: tuple[float, float, float] = (1.15, 0.55, 4.0)  # median, least, most
    micro_px: tuple[float, float] = (0.35, 2.4)  # peak displacement at 112 px, log-uniform
    macro_px: tuple[float, float] = (0.6, 6.0)  # log-uniform; weak ones: an ME is brief, not small
    sustained_px: tuple[float, float] = (0.35, 9.0)  # log-uniform
    sustained_s: tuple[float, float] = (0.5, 2.5)  # between rise and fall
    sustained_level: tuple[float, float] = (0.6, 1.0)  # what stays of the first peak
    sustained_open_mouth: float = 0.3  # share with an open mouth, as in surprise and laughter
    blink_pull: float = 1.0  # how far brows and cheeks go along with a blink
    turn: tuple[float, float] = (0.02, 0.25)  # radians, log-uniform
    margin_s: float = 0.25  # between two MEs, and between an ME and a macro-expression
    tries: int = 12  # draws of an expression until it is left out for lack of a place
    # what the usual family lacks; all off by default
    families: Families = Families()
    courses: Courses = Courses()
    slow: Slow = Slow()
    looks: Looks = Looks()
    overlapping: float = 0.0  # of expressions that stay or are long: share that may overlap MEs
    nod_per_min: float = 0.0
    shift_per_min: float = 0.0  # quick shifts of the head
    tongue_per_min: float = 0.0
    grimace_per_min: float = 0.0
    tremor_per_min: float = 0.0
    head_px_per_rad: float = 0.0  # crop px that a turn shifts the head in the picture
    pure_backgrounds: float = 0.0  # share of clips of real footage without a movement warped in
    # the head and the skin, all the time: RMS of a clip, log-uniform
    sway_rad: tuple[float, float] = (0.004, 0.06)  # yaw and pitch
    sway_px: tuple[float, float] = (0.5, 8.0)  # of the head in the picture, in crop px
    warp_px: tuple[float, float] = (0.02, 0.30)  # non-rigid warps: smooth random deformation
    # the camera
    hz: tuple[float, ...] = (30.0, 30.0, 30.0, 25.0, 25.0, 25.0, 20.0, 15.0, 60.0)
    time_jitter: float = 0.06  # of a frame, sd
    lost_frames: float = 0.01
    repeated_frames: float = 0.02
    smears: float = 0.4  # share of clips with long exposure or temporal denoising
    smear: tuple[float, float] = (0.05, 0.4)  # share of the last picture that stays
    noise: tuple[float, float] = (0.5, 5.0)  # grey levels, log-uniform
    light: float = 0.06
    flicker: float = 0.4  # share of clips
    shrink: tuple[float, float] = (0.6, 1.25)  # picture pixels per crop pixel, log-uniform
    codecs: tuple[float, float, float] = (0.6, 0.3, 0.1)  # shares of H.264, JPEG, none
    crf: tuple[int, int] = (16, 33)
    jpeg: tuple[int, int] = (45, 95)
    # the aligner
    jitter_px: tuple[float, float] = (0.02, 0.12)  # white
    drift_px: float = 0.3
    place_px: float = 2.0  # from clip to clip; as much in turn and growth
    # whether a seed draws the same head, light, noise and codec at every frame rate
    rate_free: bool = False


@dataclass(frozen=True)
class Movement:
    """One movement with truth.

    Times in ns; `peak_px` at crop resolution; labels None but for MEs. units: () where they are
    not known. family, region and side ("L", "R", "" for both or the middle) of an expression's
    motion field; "" where it has none. levels: the course of an ME (`truth.levels_of`); () for
    others. unit_px: the peak of each unit alone. second: the region of a weaker second site, whose
    unit `units` does not hold; "" without one.
    """

    kind: str
    onset_ns: int
    apex_ns: int
    offset_ns: int
    units: tuple[str, ...]
    label3: str | None = None
    label5: str | None = None
    peak_px: float = 0.0
    family: str = ""
    region: str = ""
    side: str = ""
    levels: tuple[float, ...] = ()
    unit_px: tuple[float, ...] = ()
    second: str = ""

    def label(self, classes: int) -> str | None:
        """Its label in the set of 3 or of 5 classes."""
        return self.label3 if classes == 3 else self.label5


@dataclass(frozen=True)
class Action:
    """A movement and how strong each of its units is at time t (s).

    also: strengths and curve of a second site. reversible: it may be played backward.
    """

    movement: Movement
    strengths: Strengths
    curve: Curve = field(repr=False)
    also: tuple[tuple[Strengths, Curve], ...] = field(default=(), repr=False)
    reversible: bool = True


def rise_and_fall(
    onset: float, apex: float, offset: float, up: float, down: float, hold: float = 0.0
) -> Curve:
    """A smooth curve: 0 at onset and offset, 1 at apex and for `hold` seconds after it.

    `up` and `down` bend the flanks.
    """

    def curve(t: float) -> float:
        if not onset < t < offset:
            return 0.0
        if t < apex:
            return float((0.5 - 0.5 * math.cos(math.pi * (t - onset) / (apex - onset))) ** up)
        top = min(apex + hold, offset - 1e-3)
        if t <= top:
            return 1.0
        return float((0.5 + 0.5 * math.cos(math.pi * (t - top) / (offset - top))) ** down)

    return curve


def rise_and_stay(
    onset: float, apex: float, offset: float, up: float, fall: float, level: float
) -> Curve:
    """A curve: 0 at onset, 1 at apex, then near `level`, down to 0 in the last `fall` seconds."""
    rise = rise_and_fall(onset, apex, offset, up, 1.0)

    def curve(t: float) -> float:
        if t < apex or t >= offset:
            return rise(t)
        settled = level + (1 - level) * math.exp((apex - t) / SETTLE_S)
        left = min((offset - t) / fall, 1.0)
        return settled * (0.5 - 0.5 * math.cos(math.pi * left))

    return curve
