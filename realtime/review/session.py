"""One coder's review: what the page shows, and what becomes of a key that is pressed."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from microspot.engines.magnification.magnify import GAINS, Magnification
from microspot.engines.specs import RecognizerSpec

from ..analyze.pictures.event_pictures import SLOWED
from ..errors import UsageError
from ..overlay.event_text import caption, confounder_words, movement_words, whose
from ..sinks.base import JsonRecord
from .added import ID, added_event, with_added
from .agreement import Decisions
from .decisions import (
    ADDED,
    FRAMES,
    POINTS,
    UNTOUCHED,
    Decision,
    check_order,
    check_whole,
    checked_text,
    decided,
    frame_of,
    with_value,
)
from .faces import Box, Faces, NewAligner, new_aligner
from .frames import Frames
from .merge import words
from .replay import Replays
from .results import EventKey, NotThereError, VideoResults
from .store import Store

MOST_LABELS = 9  # keys 1 to 9
GAIN = Magnification.gain  # of a replay, before the coder asks for another


class Review:
    """The events of `videos` and the coder of `store`; for several threads.

    labels: names that keys 1 to 9 give, where they are not those of the weights; opinions: what
    others decided, by name, which only who merges them is shown; new: what finds faces. Raises
    UsageError for too many labels.
    """

    def __init__(
        self,
        videos: Sequence[VideoResults],
        store: Store,
        frames: Frames,
        labels: Sequence[str] = (),
        opinions: Mapping[str, Decisions] | None = None,
        new: NewAligner = new_aligner,
    ) -> None:
        self._videos = {video.folder: video for video in videos}
        self._store = store
        self._frames = frames
        self._faces = Faces(frames, new)
        self._replays = Replays(frames, new)
        self._opinions = dict(opinions or {})
        self._lock = threading.Lock()  # a change is checked against what stands when it is written
        self._labels = tuple(dict.fromkeys(labels)) or _labels(videos)
        if len(self._labels) > MOST_LABELS:
            raise UsageError(f"{len(self._labels)} labels: keys 1 to {MOST_LABELS} hold no more")
        for label in self._labels:
            checked_text("label", label)

    def state(self) -> dict[str, Any]:
        """Everything that the page shows but the pictures."""
        decisions = self._store.decisions()
        return {
            "coder": self._store.coder,
            "labels": list(self._labels),
            "replay": {"least": GAINS[0], "most": GAINS[1], "gain": GAIN, "slowed": SLOWED},
            "videos": [_shown(video) for video in self._videos.values()],
            "events": [
                self._entry(key, event, decisions.get(key, UNTOUCHED))
                for key, event in with_added(self._videos.values(), decisions).items()
            ],
        }

    def change(self, key: EventKey, field: str, value: object) -> dict[str, Any]:
        """The event's entry after a change, which is on the disk.

        value: a frame for a point, a text of units, a text for the other fields; None for as it was
        spotted. The field `added` makes an event of the frame, under an id that is new. Raises
        UsageError for a value that cannot be, NotThereError for an event that is not there,
        SourceError for a frame that cannot be read.
        """
        taken = self._taken(key, field, value)
        with self._lock:
            decision = with_value(self._store.decision(key), field, taken)
            event = self._event(key, decision)
            check_order(event, decision)
            check_whole(event, decision)
            self._store.change(key, field, taken)
        return self._entry(key, event, decision)

    def undo(self) -> dict[str, Any] | None:
        """The entry of the event whose last change was taken back; None where there is none."""
        with self._lock:
            change = self._store.undo()
            if change is None:
                return None
            decision = self._store.decision(change.key)
            try:
                event = self._event(change.key, decision)
            except NotThereError:  # it is no longer added, or the video was analysed anew since
                return {"video": change.key.video, "event": change.key.event}
            return self._entry(change.key, event, decision)

    def pictures(self, video: str, first: int, stop: int) -> list[tuple[int, bytes]]:
        """Indices and JPEGs of frames. Raises SourceError, NotThereError for no such video.

        first, stop: cut to the frames that the video has.
        """
        last = self._video(video).frames
        return self._frames.pictures(video, max(0, first), min(stop, last))

    def face(self, key: EventKey) -> Box:
        """Where the face of an event is. Raises NotThereError, SourceError for no face."""
        return self._faces.box(self._video(key.video), self._left(key))

    def replay(self, key: EventKey, gain: int) -> bytes | None:
        """The event with movement magnified: see `Replays.loop`. Raises NotThereError too."""
        return self._replays.loop(self._video(key.video), self._left(key), gain)

    def stop_replay(self) -> None:
        """Give up the replay that is being made."""
        self._replays.stop()

    def close(self) -> None:
        """Free what finds faces."""
        self._replays.close()
        self._faces.close()

    def _left(self, key: EventKey) -> JsonRecord:
        """The record of an event as the coder left it."""
        decision = self._store.decision(key)
        return decided(self._event(key, decision), decision, self._store.coder)

    def _taken(self, key: EventKey, field: str, value: object) -> Any:
        """A value as JSON is to hold it. Raises UsageError, SourceError."""
        if field not in FRAMES:
            return checked_text(field, value)
        if value is None:
            return None
        if field == ADDED and not ID.fullmatch(key.event):
            raise UsageError(f"{key.event}: no id of an event that is added")
        frames = self._video(key.video).frames
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < frames:
            raise UsageError(f"{field}: expected a frame from 0 to {frames - 1}")
        return [value, self._frames.time_s(key.video, value)]

    def _video(self, folder: str) -> VideoResults:
        """A video by the folder of its results. Raises NotThereError."""
        if folder not in self._videos:
            raise NotThereError(folder)
        return self._videos[folder]

    def _event(self, key: EventKey, decision: Decision) -> JsonRecord:
        """The record of an event, spotted or added. Raises NotThereError."""
        video = self._video(key.video)
        return video.events.get(key) or added_event(video, key, decision)

    def _entry(self, key: EventKey, event: JsonRecord, decision: Decision) -> dict[str, Any]:
        """An event as the page has it."""
        coders = [
            f"{name}: {words(event, decisions.get(key, UNTOUCHED))}"
            for name, decisions in self._opinions.items()
        ]
        return _entry(key, event, decision) | {"coders": coders}


def _labels(videos: Sequence[VideoResults]) -> tuple[str, ...]:
    """The labels of the weights that the videos were analysed with."""
    found = [label for video in videos for label in video.start["labels"] or ()]
    return tuple(dict.fromkeys(found))[:MOST_LABELS] or RecognizerSpec().labels


def _shown(video: VideoResults) -> dict[str, Any]:
    """A video as the page has it."""
    return {
        "folder": video.folder,
        "name": video.name,
        "frames": video.frames,
        "rate_hz": video.rate_hz,
    }


def _entry(key: EventKey, event: JsonRecord, decision: Decision) -> dict[str, Any]:
    """What a coder may know of an event."""
    now = decided(event, decision, "")
    added = decision.added is not None
    units = decision.action_units
    return {
        "video": key.video,
        "event": key.event,
        "whose": whose(event),
        "verdict": decision.verdict,
        "points": {
            name: {
                "frame": frame_of(event, decision, name),
                "spotted": None if added else event[f"{name}_frame"],
                "at_s": now[f"{name}_s"],
            }
            for name in POINTS
        },
        "label": now["label"],
        "spotted_label": event["label"],
        "units": None if units is None else list(units),
        "note": decision.note,
        "said": [] if added else _said(event),
        "added": added,
        "changed": any(
            getattr(decision, name) is not None for name in (*POINTS, "label", "action_units")
        ),
    }


def _said(event: Mapping[str, Any]) -> list[str]:
    """What the spotter says of an event, line by line."""
    beside = confounder_words(event)
    lines = [
        f"score {event['score']:.2f}",
        "" if event["label"] is None else caption(event),
        movement_words(event),
        f"with {beside}" if beside else "",
    ]
    return [line for line in lines if line]
