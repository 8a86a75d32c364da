"""Engine files in the cache: found, or built for a target; and rung C, which builds once more and compares."""

from __future__ import annotations

from typing import Any

from ..graphs import Graph
from .apart import build_apart
from .builder import Target, load_module
from .cache import MODEL, PLAN, Cache, Entry, digest


def plan_entry(cache: Cache, graph: Graph, target: Target, again: bool = False) -> Entry:
    """The entry with `engine.plan` of `graph` for `target`, built where it is missing, broken or wanted `again`.

    Raises EngineError where TensorRT is missing or refuses.
    """
    version = str(load_module(target.backend).__version__)
    fields = {
        "graph": graph.name,
        "precision": graph.precision,
        "onnx": graph.entry.sha256(MODEL),
        **target.fields(version),
    }

    def make() -> dict[str, bytes]:
        model = graph.model
        return {MODEL: model, PLAN: build_apart(model, graph.name, graph.tensors, target).plan}

    label = f"engine {graph.name} {graph.precision} for SM {target.sm}"
    entry = cache.entry(graph.name, fields, make, label, again)
    if entry.built:
        entry.record(graph.entry.parity())  # what is known of the graph so far
    return entry


def rung_c(cache: Cache, graph: Graph, target: Target) -> dict[str, Any]:
    """Parse, audit of types, ahead-of-time build, and a second build that must give the same bytes.

    Where the system does not let a process fix its addresses, bytes differ by nature: `identical` says so, and passes.
    """
    entry = plan_entry(cache, graph, target)
    built = build_apart(graph.model, graph.name, graph.tensors, target)
    identical = digest(built.plan) == entry.sha256(PLAN)
    result = {
        "passed": identical or not built.repeatable,
        "identical": identical,
        "repeatable": built.repeatable,
        "types": built.types,
        "bytes": len(built.plan),
        "sha256": digest(built.plan),
    }
    entry.record({"C": result})
    return result
