"""Network calls as values, so that one camera and many run the same code.

A session's step is a generator: it yields a Call wherever it needs a network and is resumed with the outputs. `run_batched`
runs any number of them at once and puts calls of equal engine and shape into one batch; K = 1 is a batch of one. (The
design names `push` as the verb; push is `run_batched` over one step.)
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .gil_copy import joined

Arrays = dict[str, NDArray[Any]]
Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class InferenceRequest:
    """Run `engine` on `inputs`; axis 0 of every array is the batch."""

    engine: str
    inputs: Arrays

    @property
    def key(self) -> tuple[Any, ...]:
        """Calls with equal keys can share a batch."""
        return self.engine, tuple((name, array.shape[1:]) for name, array in self.inputs.items())


InferenceSteps = Generator[InferenceRequest, Arrays, Result]
RunEngine = Callable[..., Arrays]
Lookup = Callable[[str], RunEngine]  # engine name -> engine; `EngineSet.engine` is one


def run_batched(steps: Sequence[InferenceSteps[Result]], engines: Lookup) -> list[Result]:
    """Run every generator to its end, batching their calls; results in the order of `steps`."""
    results: list[Any] = [None] * len(steps)
    waiting: dict[int, InferenceRequest] = {}
    answers: dict[int, Arrays | None] = dict.fromkeys(range(len(steps)))
    while answers:
        for i, answer in answers.items():
            try:
                waiting[i] = next(steps[i]) if answer is None else steps[i].send(answer)
            except StopIteration as end:
                results[i] = end.value
        answers = _run_requests(waiting, engines)
        waiting = {}
    return results


def _run_requests(
    waiting: dict[int, InferenceRequest], engines: Lookup
) -> dict[int, Arrays | None]:
    groups: dict[tuple[Any, ...], list[int]] = {}
    for i, call in waiting.items():
        groups.setdefault(call.key, []).append(i)
    answers: dict[int, Arrays | None] = {}
    for members in groups.values():
        calls = [waiting[i] for i in members]
        run = engines(calls[0].engine)
        if len(calls) == 1:
            answers[members[0]] = _kept(run(**calls[0].inputs), len(groups))
            continue
        sizes = [len(next(iter(call.inputs.values()))) for call in calls]
        cuts = np.cumsum(sizes)[:-1]
        outputs = run(**{name: joined([c.inputs[name] for c in calls]) for name in calls[0].inputs})
        parts = {name: np.split(array, cuts) for name, array in _kept(outputs, len(groups)).items()}
        for at, i in enumerate(members):
            answers[i] = {name: part[at] for name, part in parts.items()}
    return {i: answers[i] for i in sorted(answers)}


def _kept(outputs: Arrays, groups: int) -> Arrays:
    """Outputs that outlive the engine's next call, which may reuse its buffers."""
    return outputs if groups == 1 else {name: array.copy() for name, array in outputs.items()}
