"""One face held still over one segment: registered to a reference, led by landmarks, followed where there are none.

Registration drifts from the landmarks as the head turns, and crops must not lose the face: they return, slowly as long
as they are near. What a turning head leaves beyond the leash was once given up at once: on the sample clip 200 of 1205
crops jumped by more than 0.1 px, 68 by more than 1. Given up within `give_s` the squares of the steps sum to 250
instead of 650 px2, at 3.1 px RMS from the landmarks instead of 2.2. Not from the papers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .face_template import Affine, bounds, compose, farthest, inverse
from .registration import (
    BOX_SLACK,
    REACH_PX,
    Pixels,
    PyramidView,
    Reference,
    RegisterOptions,
    box_phase,
    box_width,
)


@dataclass(frozen=True, eq=False)
class Placed:
    """Where one frame's face is: `affine` (2, 3) frame -> crop, its `pixels` (S, S, 3) BGR, `correlation` -1..1.

    `by_landmarks` (2, 3) is where the landmarks, or the last ones moved along, would have put the crop.
    """

    affine: Affine
    by_landmarks: Affine
    pixels: Pixels
    correlation: float


class FaceStabilizer:
    """One face over one segment: the reference, and how far registered crops are from where landmarks put them."""

    def __init__(self, side: int, options: RegisterOptions) -> None:
        self.side, self.options = side, options
        self._reference: Reference | None = None
        self._last: Placed | None = None
        self._last_ns = 0
        self._after = np.eye(2, 3)  # reference crop -> output crop
        self._best = 1.0
        self._box = 1

    def place(self, image: Pixels, by_landmarks: Affine, captured_ns: int) -> Placed | None:
        """The steadied crop, or None when registration fails (the reference is kept; drop the object to start anew)."""
        if self._reference is None:
            self._box = box_width(by_landmarks)
            view = PyramidView(image, by_landmarks, self.side, self._box)
            self._take(view, by_landmarks)
            return self._placed(view, by_landmarks, by_landmarks, 1.0, captured_ns)
        view = PyramidView(image, by_landmarks, self.side, self._box)
        found, correlation = self._reference.register(
            view, compose(inverse(self._after), by_landmarks)
        )
        affine = compose(self._after, found)
        self._best = max(self._best, correlation)
        away = farthest(compose(by_landmarks, inverse(affine)), self.side)
        if correlation < self.options.lost_below * self._best or away > self.options.lost_px:
            return None
        affine = self._return(affine, by_landmarks, captured_ns)
        if self._outgrown(affine):
            self._box = box_width(affine)
            view = PyramidView(image, affine, self.side, self._box)
            self._take(view, affine)
        elif self._unlike(correlation):
            self._take(view, affine)
        return self._placed(view, affine, by_landmarks, correlation, captured_ns)

    def follow(self, image: Pixels, captured_ns: int) -> Placed | None:
        """The steadied crop, found from the last one alone; None where landmarks have to be asked.

        That is: the face leapt further than REACH_PX, or nears the edge of the picture, or looks other than its
        reference by as much as would renew it, or came so near or went so far that another box is due.
        """
        last = self._last
        if self._reference is None or last is None or not self._within(image, last.affine):
            return None
        view = PyramidView(image, last.affine, self.side, self._box)
        start = compose(inverse(self._after), last.affine)
        found, correlation = self._reference.register(view, start)
        if self._doubtful(correlation):
            found, correlation = self._reference.register(view, self._reference.leap(view, start))
        affine = compose(self._after, found)
        leapt = farthest(compose(affine, inverse(last.affine)), self.side) > REACH_PX
        if (
            leapt
            or self._doubtful(correlation)
            or self._outgrown(affine)
            or not self._within(image, affine)
        ):
            return None
        self._best = max(self._best, correlation)
        by_landmarks = compose(compose(last.by_landmarks, inverse(last.affine)), affine)
        affine = self._return(affine, by_landmarks, captured_ns)
        return self._placed(view, affine, by_landmarks, correlation, captured_ns)

    def _placed(
        self,
        view: PyramidView,
        affine: Affine,
        by_landmarks: Affine,
        correlation: float,
        captured_ns: int,
    ) -> Placed:
        self._last = Placed(affine, by_landmarks, view.crop(affine), correlation)
        self._last_ns = captured_ns
        return self._last

    def _take(self, view: PyramidView, affine: Affine) -> None:
        """A new reference whose pose is believed as it is, so that no step appears."""
        self._reference = Reference(view, affine, self.options)
        self._after = np.eye(2, 3)
        self._best = 0.0

    def _unlike(self, correlation: float) -> bool:
        return correlation < self.options.renew_below * self._best

    def _doubtful(self, correlation: float) -> bool:
        """Too unlike to go without landmarks; right after a reference was taken nothing better is known to compare."""
        return self._unlike(correlation) or correlation < self.options.lost_below

    def _within(self, image: Pixels, affine: Affine) -> bool:
        """The crop lies in the picture."""
        left, top, right, bottom = bounds(affine, self.side)
        return left >= 0 and top >= 0 and right < image.shape[1] and bottom < image.shape[0]

    def _outgrown(self, affine: Affine) -> bool:
        """The head came so much nearer or went so far that another box is due; not at every sway about its limit."""
        off = box_phase(affine) - self._box // 2
        return box_width(affine) != self._box and not -BOX_SLACK <= off <= 1 + BOX_SLACK

    def _return(self, affine: Affine, by_landmarks: Affine, captured_ns: int) -> Affine:
        """`affine` nearer to the landmarks: slowly within the leash, soon beyond it; the reference goes along."""
        options, elapsed = self.options, max(0.0, (captured_ns - self._last_ns) / 1e9)
        way = compose(by_landmarks, inverse(affine))
        away = farthest(way, self.side)
        beyond = max(0.0, away - options.leash_px)
        slow = min(away / options.pull_s, options.pull_px_per_s) * elapsed
        fast = max(beyond * min(1.0, elapsed / options.give_s), away - options.tether_px)
        step = np.eye(2, 3) + min(1.0, max(slow, fast) / max(away, 1e-9)) * (way - np.eye(2, 3))
        self._after = compose(step, self._after)
        return compose(step, affine)
