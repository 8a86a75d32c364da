"""Command `microspot review`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..review.agreement import TOLERANCE
from .options import Json


def review(
    results: Annotated[Path, typer.Argument(help="folder that `analyze --out` wrote")],
    coder: Annotated[
        str | None, typer.Option(help="whose decisions; default: the name of the user")
    ] = None,
    videos: Annotated[
        Path | None, typer.Option(help="folder of videos that are no longer where they were")
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            help="name that a key gives, 1 for the first; repeatable; default: as spotted"
        ),
    ] = None,
    port: Annotated[int, typer.Option(help="0 takes a free one", min=0, max=65535)] = 0,
    export: Annotated[
        list[str] | None,
        typer.Option(
            help="write the accepted events and end: events.csv | .jsonl | .eaf | .boris | "
            ".boris.tsv | .observer.txt | .datavyu.csv | .TextGrid | .db | .html; repeatable"
        ),
    ] = None,
    agreement: Annotated[
        tuple[str, str] | None, typer.Option(help="two coders: print how far they agree, and end")
    ] = None,
    merge: Annotated[
        tuple[str, str] | None,
        typer.Option(help="two coders who are done: --coder sees both, decides where they differ"),
    ] = None,
    memory: Annotated[
        Path | None,
        typer.Option(help="write what rejected events look like, for watch and analyze, and end"),
    ] = None,
    crops: Annotated[
        Path | None,
        typer.Option(help="write the faces around decided events, to train on, and end"),
    ] = None,
    tolerance: Annotated[
        int, typer.Option(min=0, help="frames by which onset, apex and offset may differ")
    ] = TOLERANCE,
    as_json: Json = False,
) -> None:
    """Check the events of `analyze` one by one: accept, reject, move, label. Keys are enough.

    Serves a page on this machine alone until ctrl-C. Decisions are in DIR/review.db at once.
    """
    from ..review.export import check_export
    from ..review.export import export as write
    from ..review.learned.crops import write_crops
    from ..review.learned.memory import remember
    from ..review.results import read_results
    from ..review.store import FILE, Store
    from ..sinks.run_log import user
    from . import review_steps as steps

    steps.check_together(
        agreement=agreement is not None,
        export=bool(export),
        merge=merge is not None,
        memory=memory is not None,
        crops=crops is not None,
        as_json=as_json,
    )
    for file in export or ():
        check_export(file)
    found = read_results(results)
    addresses = steps.find_videos(found, videos)
    path = results / FILE
    if agreement is not None:
        steps.print_agreement(found, path, agreement, tolerance, as_json)
        return
    coder = coder or user()
    if export:
        decisions = steps.decisions_of(path, coder)
        count = write(found, decisions, coder, export, addresses)
        typer.echo(f"{count} events accepted by {coder}: {', '.join(export)}")
        return
    if memory is not None:
        kept = remember(results, found, steps.decisions_of(path, coder), memory)
        typer.echo(
            f"{memory}: {kept.rejected} rejected and {kept.accepted} accepted events of {coder}; "
            f"{kept.left_out} that a coder added are not in it"
        )
        return
    if crops is not None:
        made = write_crops(found, steps.decisions_of(path, coder), addresses, crops)
        typer.echo(
            f"{crops}: {made.recordings} recordings, {made.accepted} accepted and {made.rejected} "
            f"rejected events of {coder}; {made.left_out} of other faces are not in it"
        )
        return
    with Store(path, coder) as store:
        opinions = None
        if merge is not None:
            opinions = steps.opinions_to_merge(found, path, store, merge, tolerance)
        steps.serve(found, store, addresses, label or [], port, opinions)
