"""Engine files in the cache: found, or built for a target until two builds agree (rung C of the parity ladder)."""

from __future__ import annotations

from typing import Any

from ..graphs import Graph
from .apart import Built, build_apart
from .builder import Target, load_module
from .cache import MODEL, PLAN, Cache, Entry, digest

TRIES = 4  # builds until two agree; threads of the builder make about one in forty differ, even at fixed addresses


def plan_entry(cache: Cache, graph: Graph, target: Target, again: bool = False) -> Entry:
    """The entry with `engine.plan` of `graph` for `target`, built where it is missing, broken or wanted `again`.

    Its parity.json then holds the rungs of the graph, and rung C. Raises EngineError where TensorRT is missing or
    refuses.
    """
    version = str(load_module(target.backend).__version__)
    fields = {
        "graph": graph.name,
        "precision": graph.precision,
        "onnx": graph.entry.sha256(MODEL),
        **target.fields(version),
    }
    rungs = graph.entry.parity()

    def make() -> dict[str, bytes]:
        built, identical = _agreed(graph, target, None)
        rungs["C"] = _result(built, identical)
        return {MODEL: graph.model, PLAN: built.plan}

    label = f"engine {graph.name} {graph.precision} for SM {target.sm}"
    entry = cache.entry(graph.name, fields, make, label, again)
    if entry.built:
        entry.record(rungs)
    return entry


def rung_c(cache: Cache, graph: Graph, target: Target) -> dict[str, Any]:
    """Parse, audit of types, ahead-of-time build, and a second build that gives the same bytes.

    Just made, an entry has been through all of that; one from the cache is built once more and compared. Where the
    system does not let a process fix its addresses, bytes differ by nature: `identical` says so, and the rung passes.
    """
    entry = plan_entry(cache, graph, target)
    if not entry.built:
        built, identical = _agreed(graph, target, entry.sha256(PLAN))
        entry.record({"C": _result(built, identical)})
    result: dict[str, Any] = entry.parity()["C"]
    return result


def _agreed(graph: Graph, target: Target, known: str | None) -> tuple[Built, bool]:
    """A build whose bytes came twice, or came before as `known`, a SHA-256; (the last one, False) where none did."""
    seen = {known}
    for _ in range(TRIES):
        built = build_apart(graph.model, graph.name, graph.tensors, target)
        if digest(built.plan) in seen:
            return built, True
        if not built.repeatable:
            break
        seen.add(digest(built.plan))
    return built, False


def _result(built: Built, identical: bool) -> dict[str, Any]:
    return {
        "passed": identical or not built.repeatable,
        "identical": identical,
        "repeatable": built.repeatable,
        "types": built.types,
        "bytes": len(built.plan),
        "sha256": digest(built.plan),
    }
