"""Many videos: by all cores, going on where an earlier run ended, and a page over all of them."""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from microspot.engines.loading import load_engines
from microspot.engines.magnification.magnify import Magnification
from microspot.engines.system.locks import hold
from microspot.engines.text.redaction import printable

from ..config import Settings
from ..errors import DataError, MicrospotError, SourceError, UsageError
from ..markers.recorded import TimedMarker
from ..pipeline import memory_of
from ..records import Event
from ..sinks.atomic_file import replace_file
from ..sinks.base import reason
from ..sources.open import open_source
from ..sources.video_file import VideoFile
from .conditions import Conditions, read_conditions
from .found_events import events_of, table
from .index_page import page
from .one_video import Analysis, Job, earlier_analysis
from .progress_note import noted_s
from .session_report.trials import WINDOW_S
from .videos import Video, VideoNames, find_videos
from .workers import LoadEngines, OpenWorkers, Outcome, open_workers

if TYPE_CHECKING:
    import pandas

INDEX = "index.html"
LOOK_S = 0.5  # between two looks at how far the videos have come
LOCKED = (errno.EAGAIN, errno.EACCES)  # errors of a lock that somebody else holds
LEAST_SECONDS = 1.0  # that a video of unknown length counts for

Progress = Callable[[float, float], None]  # seconds of video done, and in all
Say = Callable[[str], None]


@dataclass(frozen=True)
class AnalyzeOptions:
    """How videos are analysed.

    fps, overlay, arrows, stills, window_s: as of a Job; workers: processes, None for as many as
    there are cores; cluster: the address of a Ray cluster that works instead, or auto; conditions:
    a table of whose the videos are (see `conditions`); markers: of all videos.
    """

    settings: Settings = field(default_factory=Settings)
    fps: float | None = None
    overlay: bool = False
    arrows: bool = False
    workers: int | None = None
    stills: Magnification | None = None
    conditions: Path | None = None
    markers: tuple[TimedMarker, ...] = ()
    window_s: float = WINDOW_S
    cluster: str | None = None


@dataclass(frozen=True)
class Results:
    """Analyses in the order of the videos, and by name the errors of those that failed.

    index: the page over all, in the folder of the results.
    """

    analyses: tuple[Analysis, ...]
    errors: dict[str, MicrospotError]
    index: Path

    @property
    def events(self) -> list[Event]:
        """The final events of all videos, in order of the videos and by onset.

        `source` is the name of the video, times are exact to the microsecond. Raises DataError
        where results were removed.
        """
        return events_of(self.analyses, self.index.parent)

    def to_pandas(self) -> pandas.DataFrame:
        """A table with a row for each of `events`.

        Columns: COLUMNS of `found_events`, then what else the events' records have, such as
        label_scores_negative, confounders_blink and region_name; None or NaN where nothing is told.
        condition and latency_s say which marker an event answers to, and how late. Raises
        UsageError where pandas is not installed, DataError where results were removed.
        """
        return table(self.analyses, self.index.parent)


def analyze(
    uris: Sequence[str],
    out: Path,
    load: LoadEngines = load_engines,
    options: AnalyzeOptions | None = None,
    *,
    progress: Progress = lambda done, total: None,
    say: Say = lambda line: None,
) -> Results:
    """Analyse recordings; one folder in `out` for each, and a page over all, `index.html`.

    uris: files, folders of images, folders of videos and samples. load: loads the engines, by
    default those that are packaged; it must be picklable, since other processes work, and so the
    program that calls this must be guarded by `if __name__ == "__main__"`. What an earlier run of
    the same settings has done is kept. A video that fails does not keep the others from being
    analysed. Raises UsageError for sources that never end and markers of other videos, DataError
    where `out` cannot be written or the table of conditions is wrong, EngineError where no cluster
    answers, KeyboardInterrupt after a signal.
    """
    options = options or AnalyzeOptions()
    videos = find_videos(uris)
    conditions = read_conditions(options.conditions, videos, options.settings.subject)
    if conditions.unknown:
        first = printable(conditions.unknown[0])
        say(f"{options.conditions}: {len(conditions.unknown)} videos are not here, first {first}")
    markers, elsewhere = _by_folder(options.markers, videos)
    if elsewhere:
        say(f"{len(elsewhere)} markers are of videos that are not here, first {elsewhere[0]}")
    jobs = [_job(video, out, options, markers[video.folder]) for video in videos]
    with held(out):
        workers = partial(open_workers, options.workers, options.cluster)
        return analyze_jobs(jobs, out, load, workers, progress, say, conditions)


def _by_folder(
    markers: Sequence[TimedMarker], videos: Sequence[Video]
) -> tuple[dict[str, list[TimedMarker]], list[str]]:
    """The markers of each video by its folder, and the names of videos that are not here.

    Raises UsageError for a name that several videos have, and where no marker is of any video.
    """
    names = VideoNames(videos, Path())
    found: dict[str, list[TimedMarker]] = {video.folder: [] for video in videos}
    elsewhere = []
    for marker in markers:
        meant = names.meant_by(marker.video) if marker.video else list(videos)
        if marker.video and len(meant) > 1:
            raise UsageError(
                f"markers: several videos are called {marker.video}: name them by their paths"
            )
        if not meant:
            elsewhere.append(marker.video)
        for video in meant:
            found[video.folder].append(marker)
    if markers and len(elsewhere) == len(markers):
        raise UsageError(
            f"the markers are of other videos, such as {elsewhere[0]}: name them as "
            "the videos are called, or leave the column video empty"
        )
    return found, elsewhere


def _job(video: Video, out: Path, options: AnalyzeOptions, markers: Sequence[TimedMarker]) -> Job:
    return Job(
        video,
        out,
        options.settings,
        options.fps,
        options.overlay,
        options.arrows,
        stills=options.stills,
        markers=tuple(markers),
        window_s=options.window_s,
    )


@contextmanager
def held(out: Path) -> Iterator[None]:
    """Make a folder of results, and lock it until the block ends: no other run may write there.

    Raises DataError where it cannot be made, and where another run writes there.
    """
    new = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot write {out}: {reason(error)}") from error
    with ExitStack() as stack:
        try:
            stack.callback(os.close, hold(out, new=new))
        except OSError as error:
            if error.errno in LOCKED:
                raise DataError(f"cannot write {out}: another run does") from error
            # a file system without locks
        yield


def analyze_jobs(
    jobs: Sequence[Job],
    out: Path,
    load: LoadEngines,
    open_workers: OpenWorkers,
    progress: Progress,
    say: Say,
    conditions: Conditions | None = None,
) -> Results:
    """`analyze` of videos that are known, in a folder that is `held`."""
    with load() as engines:
        for job in jobs[:1]:
            memory_of(job.settings, engines)  # raises before any video is looked at
        earlier = {job: earlier_analysis(job, engines) for job in jobs}
    found = {job: analysis for job, analysis in earlier.items() if analysis is not None}
    errors: dict[str, MicrospotError] = {}
    if found:
        say(f"{len(found)} of {len(jobs)} are analysed already")
    wanted = [job for job in jobs if job not in found]
    for job, done in _done(wanted, load, open_workers, progress):
        if isinstance(done, Analysis):
            found[job] = done
        else:
            errors[job.video.uri] = done
            say(f"{job.video.uri}: {done}")
    index = out / INDEX
    analyses = tuple(found[job] for job in jobs if job in found)
    replace_file(index, page(analyses, conditions).encode("utf-8", "backslashreplace"))
    return Results(analyses, errors, index)


def _done(
    jobs: Sequence[Job], load: LoadEngines, open_workers: OpenWorkers, progress: Progress
) -> Iterator[tuple[Job, Outcome]]:
    """The jobs as they are done, with what came of them."""
    if not jobs:
        return
    lengths = {job: _length_s(job) for job in jobs}
    total = sum(lengths.values())
    finished = 0.0
    waiting = deque(jobs)
    futures: dict[Future[Outcome], Job] = {}
    with open_workers(len(jobs)) as workers:
        while waiting or futures:
            # no more than are at work: what is handed over is analysed even after a signal
            while waiting and len(futures) < workers.count:
                job = waiting.popleft()
                futures[workers.submit(job, load)] = job
            ready, _ = wait(futures, LOOK_S, FIRST_COMPLETED)
            for future in ready:
                job = futures.pop(future)
                finished += lengths[job]
                yield job, workers.outcome(future)
            under_way = sum(min(noted_s(job.part), lengths[job]) for job in futures.values())
            progress(finished + under_way, total)


def _length_s(job: Job) -> float:
    """How long a video is said to be; LEAST_SECONDS where nothing says it."""
    with suppress(SourceError), open_source(job.video.uri, fps=job.fps) as source:
        if isinstance(source, VideoFile):
            return max(source.duration_s, LEAST_SECONDS)
        files = getattr(source, "files", ())
        return max(len(files) / (source.rate_hz or 1.0), LEAST_SECONDS)
    return LEAST_SECONDS
