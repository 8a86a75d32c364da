"""Engine files in the cache: found, or built until two builds agree (rung C of the ladder)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import builder
from .builder import MODULES, Target, load_module
from .cache import MODEL, PLAN, Cache, Entry, digest
from .graphs import Graph, version_of
from .isolated_build import Built, build_isolated

VARIANTS = ("cu12", "cu13")  # of one version of TensorRT, which share the name of the module
WHEELS = {
    backend: {variant: f"{module.replace('_', '-')}-{variant}" for variant in VARIANTS}
    for backend, module in MODULES.items()
}
EVERY_WHEEL = tuple(wheel for wheels in WHEELS.values() for wheel in wheels.values())
# Builds until two agree: threads of the builder make about one in forty differ, even at fixed
# addresses.
TRIES = 4


def plan_entry(
    cache: Cache, graph: Graph, target: Target, again: bool = False, refused: str = ""
) -> Entry:
    """The entry with `engine.plan` of `graph` for `target`, built where it is missing or broken.

    again: build it even where it is there. refused: SHA-256 of an engine that did not load; it too
    is built again, unless another process has done so. The parity.json of a new entry holds the
    rungs of the graph, and rung C. Raises EngineError where TensorRT is missing or refuses.
    """
    rungs = graph.entry.parity()
    label = f"engine {graph.name} {graph.precision} for SM {target.sm}"

    def make() -> dict[str, bytes]:
        built, identical = _agreed(graph, target, None)
        rungs["C"] = _result(built, identical)
        if not rungs["C"]["passed"]:
            cache.say(
                f"{label}: {TRIES} builds gave {TRIES} different files; "
                "rung C failed, the last one is kept"
            )
        return {MODEL: graph.model, PLAN: built.plan}

    def unwanted(found: Entry) -> str:
        if again:
            return "asked for again"
        return "it does not load" if found.sha256(PLAN) == refused else ""

    entry = cache.entry(graph.name, _fields(graph, target), make, label, unwanted)
    if entry.built:
        entry.record(rungs)
    return entry


def _fields(graph: Graph, target: Target) -> dict[str, Any]:
    """What an engine depends on: graph, target, the code that builds, TensorRT and its variant."""
    return {
        "graph": graph.name,
        "precision": graph.precision,
        "onnx": graph.entry.sha256(MODEL),
        "code": digest(Path(builder.__file__).read_bytes()),
        "wheels": {variant: version_of(wheel) for variant, wheel in WHEELS[target.backend].items()},
        **target.fields(str(load_module(target.backend).__version__)),
    }


def rung_c(cache: Cache, graph: Graph, target: Target) -> dict[str, Any]:
    """Run rung C: parse, audit of types, build, and a second build that gives the same bytes.

    An entry that is built now has been through all of that; one from the cache is built once more
    and compared. Where the system does not let a process fix its addresses, bytes differ by nature:
    `identical` says so, and the rung passes.
    """
    entry = plan_entry(cache, graph, target)
    result = entry.parity().get("C") if entry.built else None
    if not isinstance(result, dict):
        result = _result(*_agreed(graph, target, entry.sha256(PLAN)))
        entry.record({"C": result})
    return result


def _agreed(graph: Graph, target: Target, known: str | None) -> tuple[Built, bool]:
    """Build until the bytes have come before: (that build, True), or (the last one, False).

    known: SHA-256 of an earlier build, which counts too.
    """
    seen = {known}
    for _ in range(TRIES):
        built = build_isolated(graph.model, graph.name, graph.tensors, target)
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
