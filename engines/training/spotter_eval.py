"""Validation of the spotter: whole clips through CPN, CRN and NMS, F1 at IoU 0.5 over a grid of thresholds.

Each window is scored once; the thresholds T_CPN and T_CRN are then swept over the stored scores.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ..clips import resample, window_bounds, window_mask
from ..intervals import Intervals, decode, iou, nms
from ..networks.mesnet import MESNet, RefinerStep
from ..specs import SpotterSpec
from .spotter_data import Clip, Pixels, cut, stretch_features

IOU = 0.5  # T_eval [S1 M12]
T_CPN_GRID = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95)
T_CRN_GRID = (0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
LOWEST = min(T_CPN_GRID)

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Candidates:
    """Every window of one clip with CPN score >= LOWEST: window, CPN score and CRN output; the truths; its length."""

    start: Floats
    stop: Floats
    proposal: Floats
    score: Floats
    offsets: Floats
    onset: Floats
    offset: Floats
    ticks: int


def candidates(network: MESNet, clip: Clip, crops: Pixels) -> Candidates:
    """Run one clip as one stretch. The network must be in evaluation mode."""
    spec = network.spec
    stretch = cut(clip, spec)
    features = stretch_features(network, stretch, crops)
    n = features.shape[1]
    with torch.no_grad():
        scores = network(features[None], torch.ones(1, n)).sigmoid()[0].numpy()
        chosen = (scores >= LOWEST) & window_mask(spec, n)
        start, stop = (bound[chosen].astype(np.float64) for bound in window_bounds(spec, n))
        clips = torch.from_numpy(resample(features.numpy(), start, stop, spec.refine_length))
        classes, offsets = RefinerStep(network)(clips)
    score, moves = (x.numpy().astype(np.float64) for x in (classes[:, 1], offsets))
    found = scores[chosen].astype(np.float64)
    return Candidates(start, stop, found, score, moves, stretch.onset, stretch.offset, n)


def intervals_of(found: Candidates, spec: SpotterSpec) -> Intervals:
    """The offline decision rule [S1 M32, M37] at the spec's thresholds."""
    keep = (found.proposal >= spec.t_cpn) & (found.score >= spec.t_crn)
    start, stop = decode(found.start[keep], found.stop[keep], found.offsets[keep])
    stop = np.minimum(stop, found.ticks)
    long = (stop - start >= spec.min_ticks) & (stop - start <= spec.max_ticks)
    refined = Intervals(start[long], stop[long], found.score[keep][long])
    best, _ = nms(refined, spec.t_nms, "greedy" if spec.nms_rule == "soft" else spec.nms_rule)
    return refined[best]


def matches(spotted: Intervals, onset: Floats, offset: Floats) -> int:
    """Truths found, each at most once, by intervals in order of score."""
    free = np.ones(len(onset), bool)
    overlaps = iou(spotted.start[:, None], spotted.stop[:, None], onset[None], offset[None])
    for row in overlaps:
        row = np.where(free, row, 0)
        if len(row) and row.max() >= IOU:
            free[row.argmax()] = False
    return int((~free).sum())


def score(found: Sequence[Candidates], spec: SpotterSpec) -> dict[str, float]:
    """Precision, recall, F1 over all clips together, and false alarms per minute."""
    hits = spots = truths = ticks = 0
    for one in found:
        spotted = intervals_of(one, spec)
        hits += matches(spotted, one.onset, one.offset)
        spots, truths, ticks = spots + len(spotted), truths + len(one.onset), ticks + one.ticks
    minutes = ticks / spec.grid_hz / 60
    return {
        "f1": 2 * hits / max(spots + truths, 1), "precision": hits / max(spots, 1), "recall": hits / max(truths, 1),
        "false_alarms_per_min": (spots - hits) / minutes, "truths": truths,
    }  # fmt: skip


def validate(network: MESNet, clips: Sequence[Clip], crops: Pixels) -> tuple[SpotterSpec, dict[str, float]]:
    """The spec with the thresholds of the best F1 on `clips`, and its scores; ties go to the higher thresholds."""
    was_training = network.training
    network.eval()
    found = [candidates(network, clip, crops) for clip in clips]
    network.train(was_training)
    trials = []
    for t_cpn in T_CPN_GRID:
        for t_crn in T_CRN_GRID:
            spec = dataclasses.replace(network.spec, t_cpn=t_cpn, t_crn=t_crn)
            result = score(found, spec)
            trials.append((result["f1"], t_crn, t_cpn, spec, result))
    best = max(trials, key=lambda trial: trial[:3])
    return best[3], best[4]
