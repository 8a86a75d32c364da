"""The figures of a run as metrics of Prometheus, named after its rules and after Frigate's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from ...meter import Counts, Figures, SourceFigures

if TYPE_CHECKING:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

PREFIX = "microspot_"


class Numbers(NamedTuple):
    """A gauge or a counter. values: of a source, by the label beside `source`, "" where none is."""

    name: str
    words: str
    values: Callable[[SourceFigures], dict[str, float]]
    label: str = ""


class Times(NamedTuple):
    """A histogram of s. values: by its label."""

    name: str
    words: str
    label: str
    values: Callable[[Figures], dict[str, Counts]]


GAUGES = (
    Numbers("camera_fps", "Frames a second that the source gives.", lambda s: {"": s.camera_hz}),
    Numbers("process_fps", "Frames a second that are processed.", lambda s: {"": s.process_hz}),
    Numbers(
        "face_quality",
        "How well a face is seen now, 0 to 1.",
        lambda s: {str(face): quality for face, (quality, _) in s.faces.items()},
        "face",
    ),
    Numbers(
        "face_width_pixels",
        "Width of a face now, in pixels of the picture.",
        lambda s: {str(face): width for face, (_, width) in s.faces.items()},
        "face",
    ),
)
COUNTERS = (
    Numbers("frames", "Frames taken from the source.", lambda s: {"": s.frames}),
    Numbers("events", "Micro-expressions found: final events.", lambda s: {"": s.events}),
    Numbers("reconnects", "Connections after the first.", lambda s: {"": s.reconnects}),
    Numbers("dropped", "Frames and boundaries left out.", lambda s: {**s.drops}, "cause"),
    Numbers("rejected", "Frames whose face was not used.", lambda s: {**s.rejected}, "reason"),
    Numbers("gaps", "Times without evidence.", lambda s: {**s.gaps}, "reason"),
)
HISTOGRAMS = (
    Times(
        "stage_seconds",
        "What each stage takes; capture includes waiting for the source.",
        "stage",
        lambda figures: figures.stages,
    ),
    Times(
        "e2e_latency_seconds",
        "From the arrival of a frame until it is done with.",
        "source",
        lambda figures: {s.source: s.latency for s in figures.sources},
    ),
    Times(
        "decision_delay_seconds",
        "From the offset of a micro-expression to its final event, in stream time.",
        "source",
        lambda figures: {s.source: s.decision_delay for s in figures.sources},
    ),
)


class FiguresCollector:
    """Collects from `figures`, whenever it is asked: a collector of prometheus-client."""

    def __init__(self, figures: Callable[[], Figures]) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        """Every metric, of the figures of now."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        figures = self._figures()
        for numbers in GAUGES:
            yield _filled(GaugeMetricFamily, numbers, figures.sources)
        for numbers in COUNTERS:
            yield _filled(CounterMetricFamily, numbers, figures.sources)
        for times in HISTOGRAMS:
            yield _histogram(times, times.values(figures))


def _filled(
    kind: type[GaugeMetricFamily] | type[CounterMetricFamily],
    numbers: Numbers,
    sources: Iterable[SourceFigures],
) -> Metric:
    """A gauge or a counter with the values of all sources."""
    labels = ["source", *filter(None, [numbers.label])]
    family = kind(f"{PREFIX}{numbers.name}", numbers.words, labels=labels)
    for source in sources:
        for label, value in numbers.values(source).items():
            family.add_metric([source.source, *filter(None, [label])], value)
    return family


def _histogram(times: Times, values: dict[str, Counts]) -> Metric:
    """A histogram; Prometheus counts all values up to each bound."""
    from prometheus_client.core import HistogramMetricFamily
    from prometheus_client.utils import floatToGoString

    family = HistogramMetricFamily(f"{PREFIX}{times.name}", times.words, labels=[times.label])
    for label, counts in values.items():
        bounds = [*map(floatToGoString, counts.bounds), "+Inf"]
        up_to = map(float, accumulate(counts.counts))
        family.add_metric([label], list(zip(bounds, up_to, strict=True)), counts.total)
    return family
