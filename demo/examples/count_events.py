"""How many micro-expressions, and of which kind: the shortest use of the pipeline.

Run it: python demo/examples/count_events.py [SOURCE]...
"""

import sys
from collections import Counter

from microspot.engines import load_engines
from microspot.realtime import Event, Pipeline
from microspot.realtime.pipeline import SourceEnd
from microspot.realtime.sources.open import open_sources


def main(uris: list[str]) -> None:
    """Print a line for each source, when it ends."""
    labels: dict[str, Counter[str]] = {}
    with load_engines() as engines, Pipeline(open_sources(uris), engines) as pipeline:
        for record in pipeline.run():
            if isinstance(record, Event) and record.status == "final":
                labels.setdefault(record.source, Counter())[record.label or "unnamed"] += 1
            elif isinstance(record, SourceEnd):
                found = labels.get(record.source, Counter())
                kinds = ", ".join(f"{count} {label}" for label, count in found.most_common())
                print(f"{record.source}: {found.total()} in {record.frames} frames ({kinds})")


if __name__ == "__main__":
    main(sys.argv[1:] or ["sample:synthetic:7"])
