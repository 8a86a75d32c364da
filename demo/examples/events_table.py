"""Recordings in, a table of their micro-expressions out: pandas takes it from there.

Run it: python demo/examples/events_table.py [VIDEO... RESULTS]
"""

import sys
from pathlib import Path

from microspot.realtime.analyze import analyze

SHOWN = ["video", "onset_s", "offset_s", "label", "score", "confounders_blink"]


def main(uris: list[str], out: Path) -> None:
    """Analyse recordings; print their events, and how many there are of each label."""
    results = analyze(uris, out)
    for error in results.errors.values():
        print(error, file=sys.stderr)
    longest = max(results.events, key=lambda event: event.offset_ns - event.onset_ns, default=None)
    table = results.to_pandas()
    print(table.reindex(columns=SHOWN).round(2).to_string(index=False))
    print(table.groupby(["video", "label"]).size().to_string())
    if longest is not None:
        print(f"the longest is in {longest.source}, frames {longest.onset_frame} on")


if __name__ == "__main__":  # other processes import this file: without it each would begin anew
    *videos, results = sys.argv[1:] or ["sample:synthetic:7", "results"]
    main(videos, Path(results))
