"""What a network says of a recording, by the reference path: a segment whole, as the stream would.

Spotted once at low thresholds, so that others can be chosen afterwards.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ... import reference
from ...clips import SECOND_NS, nearest_frames, thin
from ...data.aligned.recordings import AlignedRecording
from ...evaluation.calibration import clip_features
from ...evaluation.stored_scores import KEPT_T_CPN, KEPT_T_CRN, SegmentScores, VideoScores
from ...runtime.engine import EngineSet
from ...specs import SpotterSpec
from ..crops import Indices, Pixels
from ..threshold_folds import SubjectVideo
from .sets import crops_of


def lowered(spec: SpotterSpec) -> SpotterSpec:
    """The spec at the low thresholds that scores are kept for."""
    return replace(spec, t_cpn=min(KEPT_T_CPN, spec.t_cpn), t_crn=min(KEPT_T_CRN, spec.t_crn))


def scored(recording: AlignedRecording, engines: EngineSet) -> SubjectVideo:
    """The scores of a recording with its true MEs. Raises DataError where crops do not fit."""
    low = replace(engines, spotter=lowered(engines.spotter))
    crops = crops_of(recording, low.spotter.side) if recording.segments else np.empty(0, np.uint8)
    segments = [
        _segment(
            recording,
            np.asarray(crops[each.start : each.start + len(each.times_ns)]),
            each.times_ns,
            low,
        )
        for each in recording.segments
    ]
    scores = VideoScores(
        low.spotter.grid_hz, recording.frame_index, recording.frame_ns, tuple(segments)
    )
    micros = tuple(row for row in recording.truth if row.type == "micro")
    return SubjectVideo(recording.video, scores, micros)


def _segment(
    recording: AlignedRecording, crops: Pixels, times_ns: Indices, low: EngineSet
) -> SegmentScores:
    features = clip_features(crops, times_ns, low)
    scores = reference.propose(features, low)
    windows = reference.refine(features, scores, low)
    kept = times_ns[thin(times_ns, low.spotter.grid_hz)]
    ticks_ns = times_ns[0] + np.arange(scores.shape[1]) * SECOND_NS // low.spotter.grid_hz
    nearest_ns = kept[nearest_frames(kept, ticks_ns)]
    frames = recording.frame_index[np.searchsorted(recording.frame_ns, nearest_ns)]
    return SegmentScores(
        int(times_ns[0]), frames.astype(np.int32), np.ascontiguousarray(scores.T), tuple(windows)
    )
