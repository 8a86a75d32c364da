"""What a face does in real video, by rules on its mesh.

The rules were set by eye on the first 25 s of the sample webcam clip: a lid that falls well below
its own running level is a blink; parted or moving lips are speech; a segment without either, where
brows and head do not move either, is quiet. They serve statistics over many seconds and are no
ground truth frame by frame. Not from the papers.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...clips import SECOND_NS
from ...data.footage import Footage, FrameRange

LIDS = ((159, 145, 33, 133), (386, 374, 263, 362))  # upper, lower, outer corner, inner corner
LIPS = (13, 14)  # inner edges
CORNERS = (61, 291)  # of the mouth
BROWS = (105, 334)
BRIDGE = 168

LEVEL_S = 0.8  # before and after, over which the open level of the lids is taken
LEVEL_QUANTILE = 0.75
SHUT = 0.68  # of the open level: below it somewhere, a blink
CLOSING = 0.88  # of the open level: a blink reaches to where the lids rise above it
LEAST_BLINK_S = 0.06  # from first to last frame; what is shorter is an error of the mesh
CLOSING_S = 0.16  # that a blink may extend to either side of where the lids are shut
PARTED = 0.07  # of the distance between the eyes: inner lips further apart are an open mouth
MOVING_S = 0.4  # over which movements are measured
LIPS_MOVE = 0.025  # of the distance between the eyes within MOVING_S
CORNERS_MOVE = 0.06
BROWS_MOVE = 0.05
LIDS_MOVE = 0.3  # of their open level
HEAD_MOVES = 0.15
BLINK_CLEAR_S = 0.1  # before and after a blink, in which it still pulls at the brows
BRIDGED_S = 0.3  # shorter breaks in speech, or between two movements, are not quiet

Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Annotation:
    """What the face does in each aligned frame, all (N,) bool.

    Blinks and mouth movements (speech) may overlap; quiet is neither. upper_quiet: lids, brows and
    head are still, whatever the mouth does, and no blink is within BLINK_CLEAR_S.
    """

    blink: Flags
    mouth: Flags
    quiet: Flags
    upper_quiet: Flags = field(default_factory=lambda: np.zeros(0, bool))


def annotate(footage: Footage) -> Annotation:
    """Annotate footage by the rules of this module, segment by segment."""
    blink, mouth, still, upper = (np.zeros(len(footage.aligned), bool) for _ in range(4))
    for first, stop in footage.segments():
        rows = slice(first, stop)
        at = footage.at_ns[first:stop] / SECOND_NS
        mesh = footage.landmarks[rows]
        affines = footage.affines[rows]
        eyes = float(np.median(np.hypot(*(mesh[:, LIDS[0][2]] - mesh[:, LIDS[1][2]]).T)))
        blink[rows] = _blinks(mesh, at)
        mouth[rows] = _joined(_mouth(mesh, at), at)
        moves = _moves(mesh, affines, at, eyes)
        still[rows] = ~_joined(blink[rows] | mouth[rows] | moves, at)
        upper[rows] = ~_joined(_near(blink[rows], at, BLINK_CLEAR_S) | moves, at)
    return Annotation(blink, mouth, still, upper)


def runs(flags: Flags, rows: FrameRange) -> list[FrameRange]:
    """Maximal [first, stop) within `rows` where the flags are set."""
    edges = np.flatnonzero(np.diff(np.pad(flags[slice(*rows)], 1).astype(np.int8))) + rows[0]
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def _gap(mesh: NDArray[np.float64], pair: tuple[int, int]) -> NDArray[np.float64]:
    """(N,) distance between two points of the mesh."""
    return np.asarray(np.hypot(*(mesh[:, pair[0]] - mesh[:, pair[1]]).T))


def openness(mesh: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) mean opening of both eyes, as a share of their level before and after each frame.

    The opening is lid distance over eye width. The lower of the two levels counts: lids that come
    back from wide open have not blinked. at: times of the frames in s.
    """
    ratio = np.mean([_gap(mesh, lids[:2]) / _gap(mesh, lids[2:]) for lids in LIDS], axis=0)
    levels = []
    for t in at:
        before = ratio[(t - at >= 0) & (t - at <= LEVEL_S)]
        after = ratio[(at - t >= 0) & (at - t <= LEVEL_S)]
        levels.append(min(np.quantile(side, LEVEL_QUANTILE) for side in (before, after)))
    return np.asarray(ratio / np.maximum(levels, 1e-6))


def _blinks(mesh: NDArray[np.float64], at: NDArray[np.float64]) -> Flags:
    """Frames around shut lids, out to where the lids are open again."""
    share = openness(mesh, at)
    shut = share < SHUT
    closing = share < CLOSING
    found = np.zeros(len(at), bool)
    for first, stop in runs(closing, (0, len(at))):
        times = at[first:stop]
        core = times[shut[first:stop]]
        if len(core):
            near = (times >= core[0] - CLOSING_S) & (times <= core[-1] + CLOSING_S)
            found[first:stop] = near & (np.ptp(times[near]) >= LEAST_BLINK_S)
    return found


def _mouth(mesh: NDArray[np.float64], at: NDArray[np.float64]) -> Flags:
    """Where the lips are parted, or they or the corners of the mouth move."""
    eyes = _gap(mesh, (LIDS[0][2], LIDS[1][2]))
    lips = _gap(mesh, LIPS) / eyes
    corners = _gap(mesh, CORNERS) / eyes
    return (lips > PARTED) | (_range(lips, at) > LIPS_MOVE) | (_range(corners, at) > CORNERS_MOVE)


def _moves(
    mesh: NDArray[np.float64], affines: NDArray[np.float64], at: NDArray[np.float64], eyes: float
) -> Flags:
    """Where the lids or brows rise or fall, or the head moves or turns."""
    moves = _range(openness(mesh, at), at) > LIDS_MOVE
    for brow, lids in zip(BROWS, LIDS, strict=True):
        height = np.hypot(*(mesh[:, brow] - mesh[:, lids[2:]].mean(1)).T) / eyes
        moves |= _range(height, at) > BROWS_MOVE
    for place in (*mesh[:, BRIDGE].T / eyes, np.arctan2(affines[:, 1, 0], affines[:, 0, 0])):
        moves |= _range(place, at) > HEAD_MOVES
    return moves


def _range(values: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) largest less smallest within MOVING_S around each frame."""
    near = [values[np.abs(at - t) <= MOVING_S / 2] for t in at]
    return np.array([v.max() - v.min() for v in near])


def _near(flags: Flags, at: NDArray[np.float64], reach_s: float) -> Flags:
    """Where a flag is set, or one within `reach_s`."""
    away = np.abs(at[:, None] - at[flags][None, :])
    return np.asarray(away.min(1, initial=np.inf) <= reach_s)


def _joined(flags: Flags, at: NDArray[np.float64]) -> Flags:
    """The flags with breaks shorter than BRIDGED_S filled."""
    joined = flags.copy()
    for first, stop in runs(~flags, (0, len(flags))):
        if first > 0 and stop < len(flags) and at[stop - 1] - at[first] < BRIDGED_S:
            joined[first:stop] = True
    return joined
