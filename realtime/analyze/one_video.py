"""One video: the pipeline that runs live, and what is written of it.

Everything goes into a folder beside the final one, which is renamed when it is whole: a run that
was killed leaves no half results.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from microspot.engines.commands.entry_point import INTERRUPTED
from microspot.engines.commands.version import installed_version
from microspot.engines.evaluation.stored_scores import KEPT_T_CPN, KEPT_T_CRN, write_scores
from microspot.engines.magnification.magnify import Magnification
from microspot.engines.rejected_memory import save_vectors
from microspot.engines.runtime.engine import EngineSet
from microspot.engines.system.replacement import replace

from ..config import Settings
from ..crop_cache.aligner import CachedAlignment
from ..crop_cache.entry import CropCache, Entry
from ..errors import DataError, SourceError
from ..gaps import joined
from ..markers.recorded import RecordedMarkers, TimedMarker
from ..pipeline import MakeAligner, Pipeline, Record, mediapipe_aligner
from ..records import Event, Gap
from ..sinks.atomic_file import replace_file
from ..sinks.base import Sink, reason
from ..sinks.html_report import ReportSink
from ..sinks.open import open_sink
from ..sources.address import parse
from ..sources.open import Source, open_source
from ..watch import follow
from .final_overlay import FinalOverlaySink, longest_wait_ns
from .kept_scores import KeptScores
from .pictures.pictured_report import PicturedReport
from .progress_note import ProgressNote
from .scores_file import ScoresFile
from .session_report.sink import SessionSink
from .session_report.trials import WINDOW_S
from .videos import Video, state_of

SUMMARY = "analysis.json"
SCORES = "scores.npz"
KEPT = "kept_scores.npz"
REPORT = "report.html"
OVERLAY = "overlay.mp4"
MARKERS = "markers"  # the name of a stream of markers that a table gives
EVENTS = "events.jsonl"
VECTORS = "vectors.safetensors"  # what each event is remembered by, by its id
TABLES = (EVENTS, "events.csv", "events.eaf", "events.boris")
PART = ".part"  # ends the name of a folder that is not whole


@dataclass(frozen=True)
class Job:
    """What is asked of one video.

    out: the folder of all results; fps: of folders of images; overlay: whether its frames are
    stored too, in a video; arrows: as of a VideoSink; kept: whether the windows are kept that pass
    low thresholds, for others that are chosen later; stills: how the pictures of events are
    magnified, None for a report without any; markers: of this video; window_s: how long after one
    an event is a response to it; crops: where aligned crops are kept and read again, None for
    nowhere; the results are the same.
    """

    video: Video
    out: Path
    settings: Settings
    fps: float | None = None
    overlay: bool = False
    arrows: bool = False
    kept: bool = False
    stills: Magnification | None = None
    markers: tuple[TimedMarker, ...] = ()
    window_s: float = WINDOW_S
    crops: CropCache | None = None

    @property
    def folder(self) -> Path:
        """Where the results lie."""
        return self.out / self.video.folder

    @property
    def part(self) -> Path:
        """Where they are made."""
        return self.out / f".{self.video.folder}{PART}"

    def entry(self, engines: EngineSet) -> Entry | None:
        """Where its crops are kept. Raises SourceError where the video cannot be read."""
        if self.crops is None:
            return None
        path = Path(parse(self.video.uri).target)
        spec = self.settings.spotter(engines.spotter)
        try:
            return self.crops.entry(self.video.folder, path, self.fps, spec, self.settings)
        except OSError as error:
            raise SourceError(f"{path} cannot be read: {reason(error)}") from error


@dataclass(frozen=True)
class Analysis:
    """What was found in one video.

    events: how many MEs; seconds: its length; seen_s: how long faces were seen, all together;
    unseen_s: for how long the gaps lasted; warnings: what a person should know.
    """

    video: str
    folder: str
    group: str
    events: int
    frames: int
    seconds: float
    seen_s: float
    unseen_s: float
    warnings: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """The analysis that a summary holds."""
        return cls(**(values | {"warnings": tuple(values["warnings"])}))


class RunInterruptedError(Exception):
    """A signal ended the run: nothing is kept of this video."""


def earlier_analysis(job: Job, engines: EngineSet) -> Analysis | None:
    """The analysis of an earlier run; None where video, settings or weights are others now.

    And where its crops are to be kept and are not.
    """
    try:
        entry = job.entry(engines)
    except SourceError:
        return None
    if entry is not None and not entry.is_there:
        return None
    try:
        summary = json.loads((job.folder / SUMMARY).read_text(encoding="utf-8"))
        if summary["made_from"] == _made_from(job, engines):
            return Analysis.from_json(summary["analysis"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # there is none, or it is of another version
    return None


def analyze_video(job: Job, engines: EngineSet) -> Analysis:
    """Analyse a video, and put all files of it into its folder.

    Raises SourceError where it cannot be read, DataError where the results cannot be written,
    RunInterruptedError after a signal.
    """
    made_from = _made_from(job, engines)
    try:
        _remove(job.part)
        job.part.mkdir(parents=True)
    except OSError as error:
        raise DataError(f"cannot write {job.part}: {reason(error)}") from error
    try:
        analysis = _run(job, engines)
        address = job.video.address
        summary = {"made_from": made_from, "address": address, "analysis": asdict(analysis)}
        replace_file(job.part / SUMMARY, json.dumps(summary, indent=1).encode() + b"\n")
        _remove(job.folder)
        replace(job.part, job.folder)
    except OSError as error:
        raise DataError(f"cannot write {job.folder}: {reason(error)}") from error
    finally:
        with suppress(OSError):
            _remove(job.part)
    return analysis


class _TellingPipeline(Pipeline):
    """A pipeline that keeps its gaps and the vectors of its final events.

    It tells `overlay` of final events, and `kept` of scores.
    """

    overlay: FinalOverlaySink | None = None
    kept: KeptScores | None = None

    def keep_scores(self) -> None:
        """Keep what thresholds that are chosen later need."""
        self.kept_thresholds = (KEPT_T_CPN, KEPT_T_CRN)
        self.kept = KeptScores(self.engines.spotter.grid_hz)

    def run(self) -> Iterator[Record]:
        """Every record."""
        self.outages: list[Gap] = []
        self.vectors: dict[str, NDArray[np.float32]] = {}
        for record in super().run():
            if isinstance(record, Gap):
                self.outages.append(record)
            if self.kept is not None:
                self.kept.take(record)
            if isinstance(record, Event) and record.status == "final":
                self._know(record)
            yield record

    def _know(self, event: Event) -> None:
        """Take a final event."""
        if event.vector is not None:
            self.vectors[event.id] = event.vector
        if self.overlay is not None:
            self.overlay.know(event)


def _run(job: Job, engines: EngineSet) -> Analysis:
    """Run a video; its crops are kept once it has been seen to its end."""
    entry = job.entry(engines)
    if entry is None:
        return _follow(job, engines, mediapipe_aligner)
    cached = CachedAlignment(entry)
    try:
        analysis = _follow(job, engines, cached)
        cached.commit()
    finally:
        cached.discard()
    return analysis


def _follow(job: Job, engines: EngineSet, aligner: MakeAligner) -> Analysis:
    source = open_source(job.video.uri, fps=job.fps)
    scores = ScoresFile(job.part / SCORES)
    end = _End()
    session = SessionSink(job.part, job.window_s)
    sinks: list[Sink] = [scores, end, session, ProgressNote(job.part)]
    media = _media(job, source)
    sinks += [open_sink(str(job.part / name), media=media) for name in TABLES]
    wait_ns = longest_wait_ns(engines.spotter, job.settings)
    if job.stills is None:
        report = ReportSink(job.part / REPORT)
    else:
        report = PicturedReport(job.part / REPORT, wait_ns, job.stills)
    report.sections = (session.section,)
    sinks.append(report)
    with _TellingPipeline([source], engines, job.settings, aligner=aligner) as pipeline:
        if job.overlay:
            pipeline.overlay = FinalOverlaySink(job.part / OVERLAY, wait_ns, job.arrows)
            sinks.append(pipeline.overlay)
        if job.kept:
            pipeline.keep_scores()
        markers = RecordedMarkers(job.markers, MARKERS) if job.markers else None
        outcome = follow(pipeline, sinks, markers)
    if outcome.code == INTERRUPTED:
        raise RunInterruptedError
    if outcome.code:
        kind = DataError if outcome.code == DataError.exit_code else SourceError
        raise kind(outcome.warnings[-1])
    if pipeline.kept is not None:
        write_scores(job.part / KEPT, pipeline.kept.video())
    content = save_vectors(pipeline.vectors, engines.digest)
    replace_file(job.part / VECTORS, content)
    unseen_ns = sum(gap.stop_ns - gap.start_ns for gap in joined(pipeline.outages))
    return Analysis(
        video=source.name,
        folder=job.video.folder,
        group=job.video.group,
        events=end.record["events"],
        frames=end.record["frames"],
        seconds=scores.end_s,
        seen_s=round(scores.seen_s, 3),
        unseen_s=round(unseen_ns / 1e9, 3),
        warnings=outcome.warnings,
    )


class _End(Sink):
    """Keeps the `end` record."""

    def __init__(self) -> None:
        self.record: dict[str, Any] = {}

    def write(self, record: dict[str, Any]) -> None:
        if record["type"] == "end":
            self.record = record


def _media(job: Job, source: Source) -> dict[str, Path]:
    """The file that documents link to, where the source is one."""
    address = parse(job.video.uri)
    return {source.name: Path(address.target)} if address.kind == "file" else {}


def _made_from(job: Job, engines: EngineSet) -> dict[str, Any]:
    """What decides the results: where it is the same, they are."""
    recognizer = engines.recognizer_spec
    made_from = {
        "version": installed_version(),
        "uri": parse(job.video.uri).name,
        "file": state_of(job.video),
        "fps": job.fps,
        "overlay": job.overlay,
        "arrows": job.arrows,
        "kept": job.kept,
        "stills": None if job.stills is None else asdict(job.stills),
        "markers": [(marker.at_s, marker.value) for marker in job.markers],
        "window_s": job.window_s if job.markers else None,
        "settings": job.settings.model_dump(mode="json"),
        "memory": _digest_of(job.settings.memory),
        "engines": engines.digest,
        "backend": engines.backend,
        "labels": list(recognizer.labels) if recognizer and engines.emotions else None,
    }
    kept: dict[str, Any] = json.loads(json.dumps(made_from))
    return kept


def _digest_of(file: str | None) -> str | None:
    """What a file holds: events depend on a memory's content, not on its name."""
    return None if file is None else hashlib.sha256(Path(file).read_bytes()).hexdigest()


def _remove(folder: Path) -> None:
    """Remove a folder with all that is in it, if it is there."""
    if folder.exists():
        shutil.rmtree(folder)
