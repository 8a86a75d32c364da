"""The steps of `microspot review`."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import typer

from microspot.engines.errors import install

from ..errors import UsageError
from ..review.added import side_by_side, with_added
from ..review.agreement import Agreement, Decisions, agreement
from ..review.decisions import Decision
from ..review.frames import Frames
from ..review.merge import check_done, take_over
from ..review.results import EventKey, VideoResults, find_moved
from ..review.session import Review
from ..review.store import Store, coders
from ..sinks.network.http_server import listen

EXTRA = ("fastapi", "uvicorn")


def check_together(
    *, agreement: bool, export: bool, merge: bool, memory: bool, crops: bool, as_json: bool
) -> None:
    """Raise UsageError for options of which one would be passed over."""
    tasks = {
        "--agreement": agreement,
        "--export": export,
        "--merge": merge,
        "--memory": memory,
        "--crops": crops,
    }
    given = [name for name, is_given in tasks.items() if is_given]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)}: give one of them at a time")
    if as_json and not agreement:
        raise UsageError("--json is for --agreement A B")


def find_videos(found: Sequence[VideoResults], folder: Path | None) -> dict[str, str]:
    """Where each video lies, by the folder of its results. Raises UsageError for no folder."""
    if folder is None:
        return {video.folder: video.address for video in found}
    if not folder.is_dir():
        raise UsageError(f"--videos {folder}: no such folder")
    return find_moved(found, folder)


def decisions_of(path: Path, coder: str) -> dict[EventKey, Decision]:
    """What a coder decided. Raises UsageError for one who did not, DataError without a file."""
    with Store(path, coder, create=False) as store:
        decisions = store.decisions()
    if not decisions:
        known = ", ".join(coders(path)) or "nobody yet"
        raise UsageError(f"{coder} has decided nothing here; give a coder: {known}")
    return decisions


def print_agreement(
    found: Sequence[VideoResults],
    path: Path,
    names: tuple[str, str],
    tolerance: int,
    as_json: bool,
) -> None:
    """Print how far two coders agree, as JSON or as a table."""
    first, second = names
    events, decisions = side_by_side(found, decisions_of(path, first), decisions_of(path, second))
    report = agreement(events, names, decisions, tolerance)
    if as_json:
        typer.echo(json.dumps(report.to_json()))
        return
    for words, value in _lines(report):
        typer.echo(f"{words:<44}{value}")


def opinions_to_merge(
    found: Sequence[VideoResults],
    path: Path,
    store: Store,
    names: tuple[str, str],
    tolerance: int,
) -> dict[str, Decisions]:
    """What two coders decided, by name; what they agree on is taken over into `store`.

    Raises UsageError where one of them is not done, or is the coder of `store`.
    """
    if store.coder in names or names[0] == names[1]:
        raise UsageError("--merge A B: a third person decides, give --coder another name")
    said = {name: decisions_of(path, name) for name in names}
    for name, decisions in said.items():
        check_done(with_added(found, decisions), name, decisions)
    events, opinions = side_by_side(found, said[names[0]], said[names[1]])
    taken = take_over(store, events, *opinions, tolerance)
    typer.echo(f"microspot: {taken} of {len(events)} events taken over", err=True)
    return dict(zip(names, opinions, strict=True))


def serve(
    found: Sequence[VideoResults],
    store: Store,
    addresses: dict[str, str],
    labels: Sequence[str],
    port: int,
    opinions: dict[str, Decisions] | None = None,
) -> None:
    """Serve the page until a signal. Raises UsageError where the extra is missing."""
    if missing := [name for name in EXTRA if importlib.util.find_spec(name) is None]:
        raise UsageError(f"review needs {', '.join(missing)}: {install('demo')}")
    from ..review import server

    with (
        listen(f"--port {port}", server.HOST, port) as listening,
        Frames(found, addresses) as frames,
        closing(Review(found, store, frames, labels, opinions)) as review,
    ):
        port = listening.getsockname()[1]
        token = server.new_token()
        application = server.build(review, port, token)
        typer.echo(f"microspot: open {server.address(port, token)} in a browser; ctrl-C ends")
        server.serve(application, listening)


def _lines(report: Agreement) -> list[tuple[str, str]]:
    first, second = report.coders
    apart = report.tolerance
    return [
        ("events", str(report.events)),
        (f"judged by both {first} and {second}", str(report.judged)),
        ("accepted by both", str(report.accepted)),
        ("rejected by both", str(report.rejected)),
        (f"accepted by {first} alone", str(report.only_first)),
        (f"accepted by {second} alone", str(report.only_second)),
        ("same verdict", _figure(report.agreed)),
        ("Cohen's kappa of the verdicts", _figure(report.kappa)),
        ("mean IoU of intervals that both accepted", _figure(report.iou)),
        *(
            (f"{point} at most {apart} frame{'' if apart == 1 else 's'} apart", _figure(share))
            for point, share in report.near.items()
        ),
        ("same label", _figure(report.labels)),
        ("Cohen's kappa of the labels", _figure(report.label_kappa)),
    ]


def _figure(value: float | None) -> str:
    """A figure for a person; a dash where it cannot be told."""
    return "-" if value is None else f"{value:.3f}"
