"""A piece of footage with MEs warped in, aligned anew by the live aligner, and spotted.

Only the piece around an ME is aligned again. Frames that nothing moves keep the mesh that they had.
Not from the papers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ....alignment.landmarker import Mesh
from ....alignment.registration import Pixels
from ....clips import SECOND_NS
from ....data.footage import Footage, GivenMeshes
from ....data.generator.motion import strengths_at
from ....data.generator.timeline import Action
from ....runtime.engine import EngineSet
from ..movement import MovementResult, movement_of_hit
from ..recognition import clip_of
from ..recordings import Recording, SpottingResult
from ..segments import examine_segments, segments
from .warp import Warp

BEFORE_S = 2.0  # of footage before an ME, where there is as much: beyond the longest lag
AFTER_S = 1.5  # after it
PIECE_S = 3.0  # of footage that is one cluster


@dataclass(frozen=True, eq=False)
class Play:
    """One ME in one piece of footage.

    part: of the face (brow, mouth, upper or other). course_px: how far a slow course under it
    moves over the longest lag, reference px. results: of the segments of the piece. moved: what
    the recogniser says moved in the hits, () where the weights do not say.
    """

    person: str
    seen_before: bool
    part: str
    course_px: float
    results: tuple[SpottingResult, ...]
    moved: tuple[MovementResult, ...] = ()

    @property
    def hit(self) -> bool:
        """Whether its ME was found."""
        return any(result.hits for result in self.results)

    @property
    def cluster(self) -> str:
        """The footage that it lies on."""
        return self.results[0].recording.cluster


class _PieceAligner(GivenMeshes):
    """The live aligner, which is given the mesh of a frame that was seen before."""

    given: Mesh | None = None

    def landmarks(self, image_bgr: Pixels) -> list[Mesh]:
        """The given mesh, else what MediaPipe finds."""
        return super().landmarks(image_bgr) if self.given is None else [self.given]


def cluster_of(person: str, footage: Footage, at_ns: int) -> str:
    """The name of the PIECE_S of footage around a time."""
    return f"{person}:{footage.name}:{int(at_ns / SECOND_NS // PIECE_S)}"


def played(
    footage: Footage, warp: Warp, actions: Sequence[Action], person: str, sham: bool = False
) -> Recording:
    """The piece around the first action, an ME, with all the actions warped in.

    Where fewer than two frames are aligned it is as long as the piece, without crops. sham: what is
    moved is moved back at once, so that only the filter's blur is left.
    """
    micro = actions[0].movement
    first, stop = _piece(footage, micro.onset_ns, micro.offset_ns)
    affines = dict(zip(footage.aligned.tolist(), footage.affines, strict=True))
    times: list[int] = []
    crops: list[NDArray[np.uint8]] = []
    side = footage.crops.shape[-1]
    with _PieceAligner(side=side, options=footage.options) as aligner:
        for i in range(first, stop):
            at_ns = int(footage.times_ns[i])
            image = footage.frames[i]
            strengths = strengths_at(list(actions), at_ns / SECOND_NS)
            if strengths and i in affines:
                move = warp.there_and_back if sham else warp.apply
                image = move(image, affines[i], strengths)
            aligner.given = footage.meshes[i] if image is footage.frames[i] else None
            for face in aligner(image, at_ns).faces[:1]:
                times.append(at_ns)
                crops.append(face.pixels)
    if len(times) < 2:
        times, crops = footage.times_ns[[first, stop - 1]].tolist(), []
    return Recording(
        name=f"{footage.name}:{micro.onset_ns / SECOND_NS:.2f}s",
        times_ns=np.array(times, np.int64),
        crops=np.array(crops, np.uint8).reshape(-1, 3, side, side),
        movements=(micro,),
        cluster=cluster_of(person, footage, micro.apex_ns),
    )


def spotted(recording: Recording, engines: EngineSet) -> tuple[SpottingResult, ...]:
    """The results of the piece's segments; an ME in no segment counts as missed."""
    return tuple(examine_segments(recording, engines))


def told(
    recording: Recording, results: Sequence[SpottingResult], engines: EngineSet
) -> tuple[MovementResult, ...]:
    """What the recogniser says moved in the hits of a piece; () where the weights do not say.

    results: of `spotted`.
    """
    spec = engines.recognizer_spec
    if spec is None or not spec.units or any(result.lost for result in results):
        return ()
    found = []
    for part, result in zip(segments(recording), results, strict=True):
        seen = replace(result, recording=part)  # with its pixels
        for index, truth in result.hits:
            _, clip = clip_of(seen, index, engines)
            outputs = engines.engine("recognizer")(clip=clip[None])
            found.append(movement_of_hit(seen, truth, clip, outputs, spec))
    return tuple(found)


def _piece(footage: Footage, onset_ns: int, offset_ns: int) -> tuple[int, int]:
    """Frames [first, stop) of the piece around an ME, within its segment."""
    at = footage.at_ns
    for a, b in footage.segments():
        if at[a] <= onset_ns <= at[b - 1]:
            low = int(np.searchsorted(at[a:b], onset_ns - BEFORE_S * SECOND_NS)) + a
            high = int(np.searchsorted(at[a:b], offset_ns + AFTER_S * SECOND_NS)) + a
            return int(footage.aligned[low]), int(footage.aligned[min(high, b - 1)]) + 1
    raise AssertionError("an ME lies in a segment")
