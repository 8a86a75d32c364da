"""What `microspot watch` does once its options are read.

check_seconds, check_outputs,
check_keep, check_arrows,
check_markers                     refuse what cannot be meant
opening_options                   how its sources are opened
files_of                          which sources documents may link to
build_sinks                       where records and pictures go
open_input                        where stimulus markers come from
openers_of                        how processes open their sources
watch_here or watch_in_processes  the run itself
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from microspot.engines.runtime.engine import EngineSet

from ..config import KEEP_DAYS, SECONDS, Settings
from ..errors import UsageError
from ..markers.open import open_markers
from ..markers.placement import MarkerInput
from ..processes.child import OpenSource
from ..processes.group import ProcessGroup
from ..sinks.base import Sink
from ..sinks.open import KEEPING, PICTURES, kind_of, open_sink
from ..sinks.terminal import LiveTable
from ..sources.address import parse
from ..sources.open import Source, UnopenedSource, open_among_others
from ..sources.options import SourceOptions
from ..supervision.reload import Reload
from ..watch import Outcome, follow, watch

LoadEngines = Callable[[], EngineSet]
BuildSinks = Callable[[], list[Sink]]
OpenInput = Callable[[], MarkerInput | None]


def check_seconds(seconds: float | None) -> None:
    """Raise UsageError for a stream time that nanoseconds in 64 bits cannot hold."""
    least, most = SECONDS
    if seconds is not None and not least <= seconds <= most:
        raise UsageError(f"--seconds {seconds}: give a number from {least:g} to {most:g}")


def check_outputs(uris: Sequence[str], outputs: Sequence[str]) -> None:
    """Raise UsageError where an output would be written over a source, or into its folder."""
    # os.path.exists raises no error for a name that is too long, which Path's method does.
    sources = [Path(uri) for uri in uris if os.path.exists(uri)]
    for output in outputs:
        if not os.path.exists(output):
            continue
        path = Path(output)
        folder = path.resolve().parent
        if any(path.samefile(source) or folder == source.resolve() for source in sources):
            raise UsageError(f"--out {output} is one of the sources: choose another file")


def check_keep(days: float | None, outputs: Sequence[str]) -> None:
    """Raise UsageError for a wrong number of days, and where nothing is kept that could go."""
    if days is None:
        return
    least, most = KEEP_DAYS
    if not least <= days <= most:
        raise UsageError(f"--keep {days:g}: give days, from {least:g} to {most:g}")
    if not any(kind_of(output) in KEEPING for output in outputs):
        raise UsageError("--keep deletes events of a database: add --out events.db")


def check_arrows(arrows: bool, outputs: Sequence[str]) -> None:
    """Raise UsageError where nothing draws."""
    if arrows and not any(kind_of(output) in PICTURES for output in outputs):
        raise UsageError("--arrows draws in pictures: add --show or --out overlay.mp4")


def check_markers(uri: str | None, opened: Sequence[Source]) -> None:
    """Raise UsageError where a source has no time of its own on which a marker could lie."""
    readable = [source for source in opened if not isinstance(source, UnopenedSource)]
    untimed = [source.name for source in readable if not source.pace]
    if uri is not None and untimed:
        raise UsageError(
            f"--markers {uri}: {untimed[0]} is played faster than it was recorded; add --pace"
        )


def opening_options(
    *,
    fps: float | None,
    size: str | None,
    pace: bool,
    wait: bool,
    rtsp_transport: str,
    open_timeout: float | None,
) -> dict[str, Any]:
    """The options of `open_sources`. Raises UsageError for a wrong time-out, transport or size."""
    options = _source_options(rtsp_transport, open_timeout)
    return {"fps": fps, "size": _size(size), "pace": pace, "wait": wait, "options": options}


def _source_options(rtsp_transport: str, open_timeout: float | None) -> SourceOptions:
    if open_timeout is None:
        return SourceOptions(rtsp_transport=rtsp_transport)
    if not 0 < open_timeout < float("inf"):
        raise UsageError(f"--open-timeout {open_timeout:g}: give seconds, more than 0")
    return SourceOptions(rtsp_transport=rtsp_transport, open_s=open_timeout, picture_s=open_timeout)


def _size(text: str | None) -> tuple[int, int] | None:
    """Width and height of a text such as 640x480."""
    if text is None:
        return None
    try:
        width, height = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise UsageError(f"--size {text!r}: write it as WIDTHxHEIGHT, such as 640x480") from None
    return width, height


def files_of(uris: Sequence[str], opened: Sequence[Source]) -> dict[str, Path]:
    """The sources that are files, by the names that records have of them."""
    addresses = [parse(uri) for uri in uris]
    return {
        source.name: Path(address.target)
        for address, source in zip(addresses, opened, strict=True)
        if address.kind == "file"
    }


def build_sinks(
    outputs: Sequence[str],
    as_json: bool,
    provisional: bool,
    keep_days: float | None,
    media: Mapping[str, Path],
    arrows: bool = False,
) -> list[Sink]:
    """Standard output, as JSON lines or the live table of a terminal, and every output named."""
    standard_output: Sink
    if as_json or not sys.stdout.isatty():
        standard_output = open_sink("-", provisional=provisional)
    else:
        standard_output = LiveTable()
    others = [
        open_sink(output, keep_days=keep_days, media=media, arrows=arrows) for output in outputs
    ]
    return [standard_output, *others]


def open_input(markers: str | None) -> MarkerInput | None:
    """Where stimulus markers come from, None where none are asked for."""
    return None if markers is None else open_markers(markers)


def watch_here(
    opened: Sequence[Source],
    load: LoadEngines,
    build: BuildSinks,
    settings: Settings,
    seconds: float | None,
    markers: OpenInput,
    reload: Reload,
) -> Outcome:
    """Run the sources in this process. Sinks are opened when the engines are loaded."""
    with load() as engines:
        sinks = build()
        return watch(
            opened, engines, sinks, settings, seconds=seconds, markers=markers(), reload=reload
        )


def openers_of(
    uris: Sequence[str], opened: Sequence[Source], opening: dict[str, Any]
) -> dict[str, OpenSource]:
    """By name, what opens each source again in a process of its own; `opened` are closed.

    uris: what they were opened from, with the options `opening`.
    """
    openers: dict[str, OpenSource] = {}
    for uri, source in zip(uris, opened, strict=True):
        source.close()
        openers[source.name] = partial(open_among_others, uri, **opening)
    return openers


def watch_in_processes(
    openers: dict[str, OpenSource],
    load: LoadEngines,
    build: BuildSinks,
    settings: Settings,
    count: int,
    seconds: float | None,
    markers: OpenInput,
    reload: Reload,
) -> Outcome:
    """Divide the sources among `count` processes. Sinks are opened when every one is ready."""
    with ProcessGroup(openers, load, settings, count, seconds=seconds) as group:
        return follow(group, build(), markers(), reload)
