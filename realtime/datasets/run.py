"""Every recording of a data set through the live pipeline, as `analyze` runs it, and the figures.

What was run is kept by `analyze` in a folder of its own, so that a run that was killed goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from microspot.engines.data.annotations.datasets import read_dataset
from microspot.engines.data.annotations.result import Annotations
from microspot.engines.data.layouts import Recording, Recordings, find_recordings
from microspot.engines.evaluation.metrics import HIT_IOU
from microspot.engines.evaluation.metrics.matching import check_rule
from microspot.engines.runtime.engine import EngineSet

from ..analyze.one_video import Job
from ..analyze.run import Progress, Results, Say, analyze_jobs, held
from ..analyze.videos import Video, free_name, safe_name
from ..analyze.workers import LoadEngines, open_workers
from ..config import Settings
from ..crop_cache.entry import CropCache
from ..errors import DataError, MicrospotError, SourceError, UsageError
from ..sources.options import FPS
from .compared import Compared
from .protocols import ZERO_SHOT, Found, check_protocol, find
from .report import figures, write_results
from .stored import read_stored
from .training_set import write_training_set
from .truth import LeftOut, truth_of


@dataclass(frozen=True)
class DatasetOptions:
    """How a data set is run and scored.

    videos: folder of the recordings, None where they lie beside the tables; fps: of folders of
    images, None for what the reader says; workers: processes, None for as many as there are cores;
    rule, iou: of a hit; protocol: of PROTOCOLS, says what may be chosen on the data set; cache:
    folder where aligned crops are kept for later runs and for training, None for nowhere: they are
    pictures of the people; cluster: the address of a Ray cluster that works instead, or auto.
    """

    settings: Settings
    videos: Path | None = None
    fps: float | None = None
    workers: int | None = None
    rule: str = "one_to_one"
    iou: float = HIT_IOU
    protocol: str = ZERO_SHOT
    cache: Path | None = None
    cluster: str | None = None


@dataclass(frozen=True)
class Evaluation:
    """The figures, what they are of, and why they are not of the whole data set.

    errors: each has its exit code.
    """

    report: dict[str, Any]
    compared: Compared
    found: Found
    errors: tuple[MicrospotError, ...]


def evaluate_dataset(
    name: str,
    data: Path,
    out: Path,
    load: LoadEngines,
    options: DatasetOptions,
    *,
    progress: Progress = lambda done, total: None,
    say: Say = lambda line: None,
) -> Evaluation:
    """Run and score a data set whose tables lie in `data`; the results are put into `out`.

    load: loads the engines; it must be picklable. What an earlier run of the same settings has done
    is kept. A recording that is missing or cannot be read is left out with its rows, and is an
    error of the evaluation; the others are scored. Raises UsageError for an unknown data set, rule,
    IoU or protocol and where no rate is known, DataError for tables that cannot be read, where no
    recording is there and where `out` cannot be written, SourceError where none can be read.
    """
    check_protocol(options.protocol, options.settings)
    check_rule(options.rule, options.iou)  # before any video runs
    annotations = read_dataset(name, data)
    fps = _fps(annotations) if options.fps is None else options.fps
    if not FPS[0] <= fps <= FPS[1]:
        raise UsageError(f"--fps {fps:g}: expected {FPS[0]:g} to {FPS[1]:g} images per second")
    folder = options.videos or (data if data.is_dir() else data.parent)
    recordings = find_recordings(name, folder, annotations.intervals)
    say(_found(recordings))
    crops = _cache(options, name)
    jobs = _jobs(recordings, out, options.settings, fps, crops)
    with held(out):
        workers = partial(open_workers, options.workers, options.cluster)
        results = analyze_jobs(list(jobs), out, load, workers, progress, say)
        compared = _compared(annotations, recordings, jobs, results, out, fps)
        with load() as engines:
            if crops is not None:
                write_training_set(compared, _entries(jobs, compared, engines))
            spec = options.settings.spotter(engines.spotter)
            found = find(options.protocol, compared, spec)
            report = figures(compared, found, engines, options.settings, options.rule, options.iou)
        write_results(out, report, compared.truth, found.intervals)
    not_scored = _not_scored(compared)
    for error in not_scored:
        say(str(error))
    return Evaluation(report, compared, found, (*results.errors.values(), *not_scored))


def _cache(options: DatasetOptions, dataset: str) -> CropCache | None:
    """Where crops are kept. Raises UsageError where several faces are followed, and DataError."""
    if options.cache is None:
        return None
    if options.settings.faces > 1:
        raise UsageError(
            f"--cache keeps one face a recording and faces is {options.settings.faces}: leave one "
            "of them out"
        )
    crops = CropCache(options.cache, dataset)
    crops.make()
    return crops


def _entries(
    jobs: dict[Job, Recording], compared: Compared, engines: EngineSet
) -> dict[Recording, Path]:
    """The folder of the crops of each recording that was run."""
    ran = {each.recording for each in compared.stored}
    entries = {recording: job.entry(engines) for job, recording in jobs.items() if recording in ran}
    return {recording: entry.folder for recording, entry in entries.items() if entry is not None}


def _fps(annotations: Annotations) -> float:
    """The rate of the set. Raises UsageError where its tables do not say it."""
    rates = {row.fps for row in annotations.intervals if row.fps}
    if len(rates) != 1:
        raise UsageError(f"{annotations.dataset}: its tables do not say the rate: give --fps")
    return rates.pop()


def _found(recordings: Recordings) -> str:
    said = f"{len(recordings.found)} recordings"
    return f"{said}, {len(recordings.missing)} are missing" if recordings.missing else said


def _jobs(
    recordings: Recordings, out: Path, settings: Settings, fps: float, crops: CropCache | None
) -> dict[Job, Recording]:
    """What is asked of each recording; its folder is called as the video."""
    jobs: dict[Job, Recording] = {}
    taken: set[str] = set()
    for recording in recordings.found:
        name = free_name(safe_name(recording.video), taken)
        taken.add(name.casefold())
        video = Video(str(recording.path.absolute()), name, recording.subject)
        rate = fps if recording.path.is_dir() else None
        jobs[Job(video, out, settings, rate, kept=True, crops=crops)] = recording
    return jobs


def _compared(
    annotations: Annotations,
    recordings: Recordings,
    jobs: dict[Job, Recording],
    results: Results,
    out: Path,
    fps: float,
) -> Compared:
    """The recordings that were run, with their rows. Raises SourceError where none was."""
    analyses = {analysis.folder: analysis for analysis in results.analyses}
    stored = [
        read_stored(recording, analyses[job.video.folder], out)
        for job, recording in jobs.items()
        if job.video.folder in analyses
    ]
    failed = {
        (recording.subject, recording.video): str(results.errors[job.video.uri])
        for job, recording in jobs.items()
        if job.video.uri in results.errors
    }
    if not stored:
        raise SourceError(f"no recording can be read: {next(iter(failed.values()))}")
    truth = []
    left_out: list[LeftOut] = []
    for each in stored:
        who = (each.recording.subject, each.recording.video)
        own = [row for row in annotations.intervals if (row.subject, row.video) == who]
        rate = fps if each.recording.path.is_dir() else None
        rows, outside = truth_of(each, own, annotations.numbering, rate)
        truth += rows
        left_out += outside
    return Compared(annotations, recordings, stored, truth, left_out, failed, fps)


def _not_scored(compared: Compared) -> list[MicrospotError]:
    """The recordings that are missing and the rows that were left out."""
    missing = [
        SourceError(f"{video}: no recording of it is there; its rows are not scored")
        for _, video in compared.recordings.missing
    ]
    outside = [
        DataError(f"{each.video} {each.onset}-{each.offset} is not scored: {each.reason}")
        for each in compared.left_out
    ]
    return [*missing, *outside]
