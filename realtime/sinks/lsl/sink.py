"""Events, scores and times of frames as streams of the Lab Streaming Layer: `--out lsl:NAME`.

NAME-events   text, a sample for each event that is provisional, final or withdrawn: its JSON line
NAME-scores   a sample a tick: the probability of each window length, the best refined score, the
              quality of the face; not a number where there is none
NAME-frames   a sample a frame: its index, since cameras drop frames

Every sample is stamped with the time at which the camera took its frame: an event's is its onset, a
score's the last tick of its windows. Streams of further sources are called NAME-scores-2 and so on,
those of further faces NAME-scores-face2.
"""

from __future__ import annotations

import json
import math
import socket
import time
from typing import Any

from ..base import JsonRecord, Sink
from .clock import LslClock, load_library, stream_name
from .score_outlet import ScoreOutlet

DELIVER_S = 0.5  # that readers get for the last samples before the streams end
EVENTS, SCORES, FRAMES = "Markers", "MicroExpressionScores", "FrameTimes"  # types of the streams
PROBABILITY = "probability"


class LslSink(Sink):
    """Sends streams to the network of the lab.

    Raises UsageError where pylsl is missing, or the name is one that readers could not ask for.
    """

    wants_provisional = True
    wants_frames = True
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
        self._frames: dict[str, Any] = {}
        self._scores: dict[tuple[str, int], ScoreOutlet] = {}

    def write(self, record: JsonRecord) -> None:
        """Send an event, scores or the time of a frame; open the streams when a run begins."""
        if record["type"] == "start":
            self._open(record)
        elif record["type"] == "frame":
            self._send_frame(record)
        elif record["type"] == "scores":
            self._send_scores(record)
        elif record["type"] == "event":
            onset_s = self._zero_s[record["source"]] + record["onset_s"]
            self._events.push_sample([json.dumps(record, allow_nan=False)], onset_s)

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
            self._frames[source] = self._outlet(suffix, FRAMES, channels, form, source=source)
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
        made = ScoreOutlet(outlet, self._grid_hz, len(self._channels))
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

    def _send_frame(self, record: JsonRecord) -> None:
        source = record["source"]
        at_s = self._clock.stamp(record["host_s"])
        self._zero_s[source] = at_s - record["at_s"]
        self._frames[source].push_sample([record["frame"]], at_s)
        for (name, _), outlet in self._scores.items():
            if name == source:
                outlet.idle(at_s)

    def _send_scores(self, record: JsonRecord) -> None:
        source = record["source"]
        face = record["face"]
        outlet = self._scores.get((source, face)) or self._open_scores(source, face)
        found = [*record["scores"], record["refined"], record["quality"]]
        values = [math.nan if value is None else value for value in found]
        outlet.push(values, self._zero_s[source] + record["at_s"])
