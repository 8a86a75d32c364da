"""Events, scores and times of frames as streams of the Lab Streaming Layer: `--out lsl:NAME`.

NAME-events   text, a sample for each event that is provisional, final or withdrawn: its JSON line
NAME-scores   a sample a tick: the probability of each window length, the best refined score, the
              quality of the face; not a number where there is none
NAME-frames   a sample a frame: its index, since cameras drop frames

Every sample is stamped with the time at which the camera took its frame: an event's is its onset, a
score's the last tick of its windows. Scores and frames of a batch are pushed at once, each with its
own time. Streams of further sources are called NAME-scores-2 and so on, those of further faces
NAME-scores-face2.
"""

from __future__ import annotations

import socket
import time
from typing import Any

from ...records import FrameTime, TickScores
from ..base import FrameBatch, JsonRecord, Sink, json_line
from .clock import LslClock, load_library, stream_name
from .score_outlet import ScoreOutlet
from .waiting_outlet import WaitingOutlet

DELIVER_S = 0.5  # that readers get for the last samples before the streams end
EVENTS, SCORES, FRAMES = "Markers", "MicroExpressionScores", "FrameTimes"  # types of the streams
PROBABILITY = "probability"


class LslSink(Sink):
    """Sends streams to the network of the lab.

    Raises UsageError where pylsl is missing, or the name is one that readers could not ask for.
    """

    wants_provisional = True
    wants_frames = ("frame", "scores")
    tells = True

    def __init__(self, uri: str) -> None:
        self._name = stream_name(uri, "--out")
        self._pylsl = load_library("--out lsl:NAME")
        self._clock = LslClock(self._pylsl)
        self.note = f"sending events and scores to the network by LSL, as {self._name}"
        self.notes = (self.note,)
        self._grid_hz = 0
        self._channels: list[tuple[str, str]] = []  # labels and units of scores
        self._sources: list[str] = []
        self._zero_s: dict[str, float] = {}  # by source, LSL's time of its stream time 0
        self._events: Any = None
        self._frames: dict[str, WaitingOutlet] = {}
        self._scores: dict[tuple[str, int], ScoreOutlet] = {}

    def write(self, record: JsonRecord) -> None:
        """Send an event; open the streams when a run begins."""
        if record["type"] == "start":
            self._open(record)
        elif record["type"] == "event":
            onset_s = self._zero_s[record["source"]] + record["onset_s"]
            self._events.push_sample([json_line(record)], onset_s)

    def take_frames(self, batch: FrameBatch) -> None:
        """Send the scores and the times of frames of a batch: each stream's at once."""
        for record in batch.records:
            if isinstance(record, FrameTime):
                self._add_frame(record)
            elif isinstance(record, TickScores):
                self._add_scores(record)
        for frames in self._frames.values():
            frames.flush()
        for scores in self._scores.values():
            scores.flush()

    def close(self) -> None:
        """End the streams, once readers have had a moment for the last samples."""
        if self._events is None:
            return
        time.sleep(DELIVER_S)
        self._events = None
        self._frames.clear()
        self._scores.clear()

    def _open(self, start: JsonRecord) -> None:
        """The streams of every source and its first face, so that a recorder can choose them."""
        self._grid_hz = start["grid_hz"]
        for window in start["windows"]:
            label = f"window {1000 * window / self._grid_hz:.0f} ms"
            self._channels.append((label, PROBABILITY))
        self._channels += [("refined", PROBABILITY), ("quality", "0 to 1")]
        self._sources = [entry["source"] for entry in start["sources"]]
        self._events = self._outlet("events", EVENTS, [("event", "JSON")], self._pylsl.cf_string)
        for source in self._sources:
            suffix = self._suffix("frames", source)
            channels = [("frame", "index")]
            form = self._pylsl.cf_double64
            outlet = self._outlet(suffix, FRAMES, channels, form, source=source)
            self._frames[source] = WaitingOutlet(outlet)
            self._open_scores(source, 0)

    def _open_scores(self, source: str, face: int) -> ScoreOutlet:
        outlet = self._outlet(
            self._suffix("scores", source, face),
            SCORES,
            self._channels,
            self._pylsl.cf_float32,
            hz=self._grid_hz,
            source=source,
            face=str(face),
        )
        made = ScoreOutlet(WaitingOutlet(outlet), self._grid_hz, len(self._channels))
        self._scores[source, face] = made
        return made

    def _suffix(self, kind: str, source: str, face: int = 0) -> str:
        number = self._sources.index(source) + 1
        parts = [kind, str(number) if number > 1 else "", f"face{face + 1}" if face else ""]
        return "-".join(filter(None, parts))

    def _outlet(
        self,
        suffix: str,
        kind: str,
        channels: list[tuple[str, str]],
        form: int,
        *,
        hz: int = 0,
        **described: str,
    ) -> Any:
        """A stream of NAME-suffix. hz: 0 for none; described: of what, for readers."""
        name = f"{self._name}-{suffix}"
        # By this name a reader finds the stream again after a new start.
        identity = f"microspot {socket.gethostname()} {name}"
        info = self._pylsl.StreamInfo(name, kind, len(channels), hz, form, identity)
        info.set_channel_labels([label for label, _ in channels])
        info.set_channel_units([unit for _, unit in channels])
        description = info.desc()
        for key, value in {"manufacturer": "microspot", **described}.items():
            description.append_child_value(key, value)
        return self._pylsl.StreamOutlet(info)

    def _add_frame(self, frame: FrameTime) -> None:
        source = frame.source
        at_s = self._clock.stamp(frame.host_ns / 1e9)
        self._zero_s[source] = at_s - frame.captured_ns / 1e9
        self._frames[source].add([frame.index], at_s)
        for (name, _), outlet in self._scores.items():
            if name == source:
                outlet.idle(at_s)

    def _add_scores(self, tick: TickScores) -> None:
        of = (tick.source, tick.face)
        outlet = self._scores.get(of) or self._open_scores(*of)
        values = [*tick.scores.tolist(), tick.refined, tick.quality]
        outlet.add(values, self._zero_s[tick.source] + tick.at_ns / 1e9)
