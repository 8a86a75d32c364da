"""Engine files in the cache: found, or built for a target; and rung C, which builds once more and compares."""

from __future__ import annotations

from typing import Any

from ..graphs import Graph
from .builder import Target, build, load_module
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
        return {MODEL: model, PLAN: build(model, graph.name, graph.tensors, target)[0]}

    entry = cache.entry(graph.name, fields, make, again)
    if entry.built:
        entry.record(graph.entry.parity())  # what is known of the graph so far
    return entry


def rung_c(cache: Cache, graph: Graph, target: Target) -> dict[str, Any]:
    """Parse, audit of types, ahead-of-time build, and a second build that must give the same bytes."""
    entry = plan_entry(cache, graph, target)
    plan, types = build(graph.model, graph.name, graph.tensors, target)
    result = {"passed": digest(plan) == entry.sha256(PLAN), "types": types, "bytes": len(plan), "sha256": digest(plan)}
    entry.record({"C": result})
    return result
