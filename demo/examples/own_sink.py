"""A sink of your own: one class, and one line that names it. This one writes a sentence per event.

Run it: python demo/examples/own_sink.py [SOURCE [events.txt]]
"""

import sys
from pathlib import Path
from typing import Any

from microspot.engines import load_engines
from microspot.realtime import Settings, open_sink, open_source
from microspot.realtime.sinks.base import Sink
from microspot.realtime.sinks.open import SINKS
from microspot.realtime.watch import watch


class Sentences(Sink):
    """One line of text for each final event: only a sink that asks is given others."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("w", encoding="utf-8")

    def write(self, record: dict[str, Any]) -> None:
        """Take a record, as the JSON lines of `microspot watch` have it."""
        if record["type"] == "event":
            when = f"{record['onset_s']:.2f} to {record['offset_s']:.2f} s"
            self.file.write(f"{record['label']} from {when}\n")

    def close(self) -> None:
        """Finish the file."""
        self.file.close()


SINKS[".txt"] = lambda uri, options: Sentences(Path(uri))  # the one line

if __name__ == "__main__":
    source = sys.argv[1] if len(sys.argv) > 1 else "sample:synthetic:7"
    out = sys.argv[2] if len(sys.argv) > 2 else "events.txt"
    with load_engines() as engines:
        outcome = watch([open_source(source)], engines, [open_sink(out)], Settings())
    print(*outcome.warnings, f"see {out}", sep="\n")
    sys.exit(outcome.code)
