"""A source of your own: any class that yields frames. This one mirrors another, as selfies are.

Run it: python demo/examples/own_source.py [SOURCE]
"""

import sys
from collections.abc import Iterator
from typing import Self

from microspot.engines import load_engines
from microspot.realtime import Event, Frame, Pipeline, open_source


class Mirrored:
    """Frames with left and right exchanged. `Source` in realtime/sources/open.py says more."""

    live = pace = False  # a recording: nothing is lost while nobody fetches
    epoch = 0
    started_utc: str | None = None

    def __init__(self, uri: str) -> None:
        self.source = open_source(uri)
        self.name = f"mirrored {self.source.name}"
        self.rate_hz = self.source.rate_hz
        self.drops: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Frame]:
        for frame in self.source:
            if isinstance(frame, Frame):
                image = frame.image[:, ::-1].copy()  # HxWx3 uint8 BGR
                yield Frame(self.name, frame.index, frame.captured_ns, image, frame.host_ns)

    def close(self) -> None:
        """End the iteration; may come from another thread."""
        self.source.close()


if __name__ == "__main__":
    mine = Mirrored(sys.argv[1] if len(sys.argv) > 1 else "sample:synthetic:7")
    with load_engines() as engines, Pipeline([mine], engines) as pipeline:
        for record in pipeline.run():
            if isinstance(record, Event) and record.status == "final":
                print(record.source, record.onset_frame, record.offset_frame, record.label)
