"""One face held still over one segment: registered to a reference, led by landmarks.

Registration drifts from the landmarks as the head turns, and crops must not lose the face: they
return, slowly while they are within a soft limit. What a turning head moves them beyond it was once
undone at once: on the sample clip 200 of 1205 crops jumped by more than 0.1 px, 68 by more than 1.
Undone within `soft_limit_s` the squares of the steps sum to 250 instead of 650 px2, at 3.1 px RMS
from the landmarks instead of 2.2. Not from the papers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from .affine import Affine
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
class Placement:
    """Where one frame's face is: `affine` frame -> crop, the crop's `pixels` (S, S, 3) BGR.

    `by_landmarks` is where the landmarks, or the last ones moved along, would have put the crop;
    `correlation` -1..1 is that with the reference.
    """

    affine: Affine
    by_landmarks: Affine
    pixels: Pixels
    correlation: float


class FaceStabilizer:
    """One face over one segment: its reference, and how it was moved since that was taken."""

    def __init__(self, side: int, options: RegisterOptions) -> None:
        self.side = side
        self.options = options
        self._reference: Reference | None = None
        self._last: Placement | None = None
        self._led = Affine.identity()  # frame -> crop when landmarks led last
        self._last_ns = 0
        self._to_output = Affine.identity()  # reference crop -> output crop
        self._best = 1.0  # correlation since the reference was taken
        self._box = 1

    def place(self, image: Pixels, by_landmarks: Affine, captured_ns: int) -> Placement | None:
        """The steady crop of a frame whose landmarks are known, or None where registration fails.

        The reference is kept then; a new object starts anew.
        """
        placement = self._placed(image, by_landmarks, captured_ns)
        if placement is not None:
            self._led = placement.affine
        return placement

    def _placed(self, image: Pixels, by_landmarks: Affine, captured_ns: int) -> Placement | None:
        """As `place`."""
        if self._reference is None:
            self._box = box_width(by_landmarks)
            view = PyramidView(image, by_landmarks, self.side, self._box)
            self._take_reference(view, by_landmarks)
            return self._placement(view, by_landmarks, by_landmarks, 1.0, captured_ns)
        view = PyramidView(image, by_landmarks, self.side, self._box)
        start = self._to_output.inverse() @ by_landmarks
        found, correlation = self._reference.register(view, start)
        affine = self._to_output @ found
        self._best = max(self._best, correlation)
        away = (by_landmarks @ affine.inverse()).farthest(self.side)
        if correlation < self.options.lost_below * self._best or away > self.options.lost_px:
            return None
        affine = self._returned(affine, by_landmarks, captured_ns)
        if self._outgrown(affine):
            self._box = box_width(affine)
            view = PyramidView(image, affine, self.side, self._box)
            self._take_reference(view, affine)
        elif self._unlike(correlation):
            self._take_reference(view, affine)
        return self._placement(view, affine, by_landmarks, correlation, captured_ns)

    def follow(self, image: Pixels, captured_ns: int) -> Placement | None:
        """The steady crop of a frame, found from the last one; None where landmarks are needed.

        They are where the face moved further than REACH_PX, nears the edge of the picture, looks so
        unlike its reference that it would be renewed, or came so near or went so far that the box
        of the blur must change. (A head that turns fast must be led by landmarks at every frame:
        renewed without, crops of the sample clip moved by 0.31 px RMS over 0.5 Hz against landmarks
        at every frame, instead of 0.08.)
        """
        last = self._last
        if self._reference is None or last is None or not self._inside(image, last.affine):
            return None
        view = PyramidView(image, last.affine, self.side, self._box)
        start = self._to_output.inverse() @ last.affine
        found, correlation = self._reference.register(view, start)
        if self._doubtful(correlation):
            near = self._reference.register_coarsely(view, start)
            found, correlation = self._reference.register(view, near)
        affine = self._to_output @ found
        moved = (affine @ last.affine.inverse()).farthest(self.side)
        if moved > REACH_PX or self._doubtful(correlation) or self._outgrown(affine):
            return None
        if not self._inside(image, affine):
            return None
        self._best = max(self._best, correlation)
        by_landmarks = last.by_landmarks @ last.affine.inverse() @ affine
        affine = self._returned(affine, by_landmarks, captured_ns)
        return self._placement(view, affine, by_landmarks, correlation, captured_ns)

    @property
    def changed(self) -> bool:
        """Whether the face has moved or changed so much since its landmarks that they are old."""
        last = self._last
        if last is None:
            return True
        moved = (last.affine @ self._led.inverse()).farthest(self.side)
        return moved > self.options.old_px or last.correlation < self.options.old_below * self._best

    def lead(self, by_landmarks: Affine) -> Placement | None:
        """Let landmarks lead the crop from the next frame on.

        They are those of the last frame given to `follow`, or of an earlier one and moved along.
        None where they say that registration has failed.
        """
        last = self._last
        if last is None:
            return None
        if (by_landmarks @ last.affine.inverse()).farthest(self.side) > self.options.lost_px:
            return None
        self._led = last.affine
        self._last = replace(last, by_landmarks=by_landmarks)
        return self._last

    def _placement(
        self,
        view: PyramidView,
        affine: Affine,
        by_landmarks: Affine,
        correlation: float,
        captured_ns: int,
    ) -> Placement:
        self._last = Placement(affine, by_landmarks, view.crop(affine), correlation)
        self._last_ns = captured_ns
        return self._last

    def _take_reference(self, view: PyramidView, affine: Affine) -> None:
        """Take a new reference in the pose `affine` as it is, so that no step appears."""
        self._reference = Reference(view, affine, self.options)
        self._to_output = Affine.identity()
        self._best = 0.0

    def _unlike(self, correlation: float) -> bool:
        return correlation < self.options.renew_below * self._best

    def _doubtful(self, correlation: float) -> bool:
        """Too unlike to go without landmarks.

        Right after a reference was taken no best correlation is known: then an absolute limit
        counts.
        """
        return self._unlike(correlation) or correlation < self.options.lost_below

    def _inside(self, image: Pixels, affine: Affine) -> bool:
        """Whether the crop lies in the picture."""
        left, top, right, bottom = affine.source_box(self.side)
        return left >= 0 and top >= 0 and right < image.shape[1] and bottom < image.shape[0]

    def _outgrown(self, affine: Affine) -> bool:
        """Whether the head came so near or went so far that the box must change.

        Not at every sway about the box's limit.
        """
        off = box_phase(affine) - self._box // 2
        return box_width(affine) != self._box and not -BOX_SLACK <= off <= 1 + BOX_SLACK

    def _returned(self, affine: Affine, by_landmarks: Affine, captured_ns: int) -> Affine:
        """`affine` nearer to the landmarks: slowly within the soft limit, soon beyond it.

        The way from the reference to the output changes along.
        """
        options = self.options
        elapsed = max(0.0, (captured_ns - self._last_ns) / 1e9)
        way = by_landmarks @ affine.inverse()
        away = way.farthest(self.side)
        beyond = max(0.0, away - options.soft_limit_px)
        slow = min(away / options.return_s, options.return_px_per_s) * elapsed
        fast = beyond * min(1.0, elapsed / options.soft_limit_s)
        least = away - options.hard_limit_px
        step = way.part(min(1.0, max(slow, fast, least) / max(away, 1e-9)))
        self._to_output = step @ self._to_output
        return step @ affine
