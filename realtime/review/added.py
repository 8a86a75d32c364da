"""Events that the spotter missed and a coder added, and which of two coders' are the same.

An added event is known by an id of its own in the coder's trail, and stands there like any other.
Two coders' added events are the same where both are accepted and their intervals are matched by the
rule `one_to_one` of `engines.evaluation.metrics.matching` at its IoU of HIT_IOU. One that only one
coder has counts as rejected by the other, once the other has decided every spotted event of that
video: who is not done may yet add it. Neither is from the papers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from microspot.engines.evaluation.metrics.matching import HIT_IOU, one_to_one
from microspot.engines.intervals import iou

from ..sinks.base import JsonRecord
from .decisions import ACCEPTED, REJECTED, UNDECIDED, UNTOUCHED, Decision
from .results import EventKey, NotThereError, VideoResults

ID = re.compile(r"added-[0-9a-f]{16}")
SCORE = 1.0  # of the record: as probable as a label that a coder set
NOT_ADDED = Decision(REJECTED, note="not added")  # what whoever did not add it says of an event

Events = dict[EventKey, JsonRecord]
Decisions = Mapping[EventKey, Decision]


def added_event(video: VideoResults, key: EventKey, decision: Decision) -> JsonRecord:
    """The `event` record of an added event with the points that its coder set.

    Apex and offset are None until they are set. face: 0; the subject is that of the video's events
    where they have one. Raises NotThereError for an event that was not added.
    """
    if decision.added is None:
        raise NotThereError(key.event)
    onset = decision.onset or decision.added
    apex = decision.apex
    offset = decision.offset
    subjects = {event.get("subject") for event in video.events.values()}
    return {
        "type": "event",
        "id": key.event,
        "source": video.name,
        "face": 0,
        "subject": subjects.pop() if len(subjects) == 1 else None,
        "status": "final",
        "onset_s": onset.at_s,
        "apex_s": None if apex is None else apex.at_s,
        "offset_s": None if offset is None else offset.at_s,
        "onset_frame": onset.frame,
        "apex_frame": None if apex is None else apex.frame,
        "offset_frame": None if offset is None else offset.frame,
        "score": SCORE,
        "label": None,
        "label_scores": None,
        "intensity": None,
        "confounders": None,
        "emitted_s": (offset or onset).at_s,
    }


def with_added(videos: Iterable[VideoResults], decisions: Decisions) -> Events:
    """The events of all videos and those that a coder added, by video in order of time."""
    events: Events = {}
    for video in videos:
        own = added_to(video, decisions)
        found = sorted((video.events | own).items(), key=lambda item: item[1]["onset_frame"])
        events.update(found)
    return events


def added_to(video: VideoResults, decisions: Decisions) -> Events:
    """The events that a coder added to a video, whatever became of them."""
    return {
        key: added_event(video, key, decision)
        for key, decision in decisions.items()
        if key.video == video.folder and decision.added is not None
    }


def side_by_side(
    videos: Sequence[VideoResults], first: Decisions, second: Decisions
) -> tuple[Events, tuple[Decisions, Decisions]]:
    """All events of two coders, and what each decided of each of them.

    An event that both added has the key that the first coder gave it. Added events that are not
    accepted are left out.
    """
    ours = _spotted(first)
    theirs = _spotted(second)
    added: dict[EventKey, Decision] = {}
    for video in videos:
        mine = _accepted(video, first)
        others = _accepted(video, second)
        same = _same(mine, others)
        for key, decision in mine.items():
            ours[key] = decision
            theirs[key] = others.pop(same[key]) if key in same else _absent(video, second)
        for key, decision in others.items():
            ours[key] = _absent(video, first)
            theirs[key] = decision
        added.update(others | mine)
    # what one of them set is not what the other found
    added = {key: replace(decision, apex=None) for key, decision in added.items()}
    return with_added(videos, added), (ours, theirs)


def _spotted(decisions: Decisions) -> dict[EventKey, Decision]:
    """What a coder decided of events that the spotter found."""
    return {key: decision for key, decision in decisions.items() if decision.added is None}


def _accepted(video: VideoResults, decisions: Decisions) -> dict[EventKey, Decision]:
    """The added events of a video that a coder accepted, with their onset written out."""
    return {
        key: replace(decisions[key], onset=decisions[key].onset or decisions[key].added)
        for key in added_to(video, decisions)
        if decisions[key].verdict == ACCEPTED and decisions[key].offset is not None
    }


def _same(first: Decisions, second: Decisions) -> dict[EventKey, EventKey]:
    """Which of the second coder's events is the same as which of the first's."""
    if not first or not second:
        return {}
    a = _spans(first)
    b = _spans(second)
    overlap = iou(a[:, :1], a[:, 1:], b[:, 0], b[:, 1])  # (first, second)
    mine = list(first)
    others = list(second)
    return {mine[i]: others[j] for i, j in one_to_one(overlap, HIT_IOU)}


def _spans(decisions: Decisions) -> NDArray[np.float64]:
    """(N, 2) the onset and the frame after the offset of accepted events."""
    made = decisions.values()
    spans = [(d.onset.frame, d.offset.frame + 1) for d in made if d.onset and d.offset]
    return np.array(spans, np.float64)


def _absent(video: VideoResults, decisions: Decisions) -> Decision:
    """What a coder says of an event that only the other has."""
    left = any(decisions.get(key, UNTOUCHED).verdict == UNDECIDED for key in video.events)
    return UNTOUCHED if left else NOT_ADDED
