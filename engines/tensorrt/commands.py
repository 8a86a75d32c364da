"""Commands on engines: build, verify, list, clean."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import EngineError, UsageError
from ..manifest import PACKAGED, Weights
from .builder import MODULES, PRECISIONS, Target
from .cache import PLAN, Cache, cache_folder
from .engine_set import PRECISION, require, target_of
from .plans import plan_entry

SM_DIGITS = 4
SMS = "86,89,120"  # RTX 30, 40 and 50

Folder = Annotated[
    Path | None, typer.Option("--engines", help="folder of weights; default: the packaged ones")
]
Precision = Annotated[str, typer.Option(help=" | ".join(PRECISIONS))]
Sms = Annotated[
    str,
    typer.Option("--sm", help="compute capabilities for TensorRT for RTX, such as 75 or 86,89,120"),
]
Json = Annotated[bool, typer.Option("--json", help="one JSON object on stdout")]


def build(
    backend: Annotated[
        str, typer.Option(help="rtx (needs no GPU) | tensorrt (for the GPU at hand)")
    ] = "rtx",
    sm: Sms = SMS,
    precision: Precision = PRECISION,
    engines: Folder = None,
    again: Annotated[bool, typer.Option("--again", help="build even what is there")] = False,
    as_json: Json = False,
) -> None:
    """Build engines into the cache, ahead of time; what is there already is kept."""
    from .parity_ladder import graphs_of

    if backend not in MODULES:
        raise UsageError(f"backend {backend!r}: expected one of {', '.join(MODULES)}")
    targets = [Target("rtx", number) for number in _numbers(sm)]
    if backend == "tensorrt":
        targets = [target_of(backend, require(backend))]
    cache = Cache(cache_folder(), _say)
    graphs = graphs_of(_weights(engines), cache, _known(precision))
    rows = []
    for graph in map(graphs.graph, graphs.names):
        for target in targets:
            entry = plan_entry(cache, graph, target, again)
            size = entry.manifest["files"][PLAN]["bytes"]
            rows.append(
                {
                    "name": graph.name,
                    "sm": target.sm,
                    "precision": precision,
                    "bytes": size,
                    "sha256": entry.sha256(PLAN),
                    "built": entry.built,
                    "folder": str(entry.folder),
                }
            )
    _table({"backend": backend, "engines": rows}, as_json)


def verify(
    sm: Sms = SMS, precision: Precision = PRECISION, engines: Folder = None, as_json: Json = False
) -> None:
    """Run the parity ladder: does what runs compute the function that was trained?

    Exit code 4 where a rung fails.
    """
    from .parity_ladder import ladder

    report = ladder(_weights(engines), Cache(cache_folder(), _say), _known(precision), _numbers(sm))
    if as_json:
        typer.echo(json.dumps(report))
    else:
        for rung in "ABCD":
            typer.echo(f"{rung}  {report[rung]}{_worst(report['details'].get(rung, {}))}")
    failed = [rung for rung in "ABCD" if report[rung].startswith("failed")]
    if failed:
        raise EngineError(
            f"rung {' and '.join(failed)} failed: see --json, "
            "and use --backend onnx until it is mended"
        )


def list_entries(as_json: Json = False) -> None:
    """List what the cache holds: graphs, engines, the rungs they passed, and what is broken."""
    rows: list[dict[str, Any]] = []
    for folder, entry, fault in Cache(cache_folder()).entries():
        row: dict[str, Any] = {"name": folder.parent.name, "folder": str(folder)}
        if entry is None:
            rows.append(row | {"fault": fault})
            continue
        fields = entry.fields
        files = entry.manifest["files"]
        kind = "graph"
        if PLAN in files:
            kind = f"{fields['module']} {fields['version']} sm{fields['sm']}"
        rungs = {rung: _passed(result) for rung, result in sorted(entry.parity().items())}
        size = sum(file["bytes"] for file in files.values())
        rows.append(
            row | {"kind": kind, "precision": fields["precision"], "bytes": size, "rungs": rungs}
        )
    _table({"cache": str(cache_folder()), "engines": rows}, as_json)


def clean(as_json: Json = False) -> None:
    """Empty the cache; engines are built again when they are needed."""
    count = Cache(cache_folder()).clean()
    _table({"cache": str(cache_folder()), "removed": count}, as_json)


COMMANDS: dict[str, Callable[..., None]] = {
    "build": build,
    "verify": verify,
    "list": list_entries,
    "clean": clean,
}


def _weights(folder: Path | None) -> Weights:
    return Weights.open(PACKAGED if folder is None else folder)


def _known(precision: str) -> str:
    if precision not in PRECISIONS:
        raise UsageError(f"precision {precision!r}: expected one of {', '.join(PRECISIONS)}")
    return precision


def _numbers(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and len(part) <= SM_DIGITS for part in parts):
        raise UsageError(f"--sm {text[:40]}: expected numbers such as 86,89,120")
    return [int(part) for part in parts]


def _passed(result: Any) -> bool:
    return isinstance(result, dict) and result.get("passed") is True


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _worst(results: dict[str, Any]) -> str:
    """The largest share of a tolerance that any output of a rung uses, in words."""
    if not results:
        return ""
    shares = []
    for result in results.values():
        errors = result.get("errors", {}).values()
        limits = result.get("limits", {}).values()
        for error, limit in zip(errors, limits, strict=True):
            if limit and error is not None:
                shares.append(error / limit)
    used = f", at most {max(shares):.0%} of the tolerance" if shares else ""
    return f" ({len(results)} checks{used})"


def _table(report: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(report))
        return
    for name, value in report.items():
        if not isinstance(value, list):
            typer.echo(f"{name:24} {value}")
            continue
        for row in value:
            typer.echo("  ".join(str(item) for item in row.values()))
