"""Inference requests as values, so that one camera and many run the same code.

The steps of a session are a generator: it yields an InferenceRequest wherever it needs a network
and is resumed with the outputs. `run_batched` runs any number of such generators at once and puts
requests of equal engine and shape into one batch; a single camera is a batch of one.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .gil_copy import concatenate

Arrays = dict[str, NDArray[Any]]
Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class InferenceRequest:
    """Run `engine` on `inputs`; axis 0 of every array is the batch."""

    engine: str
    inputs: Arrays

    @property
    def key(self) -> tuple[Any, ...]:
        """Requests with equal keys can share a batch."""
        return self.engine, tuple((name, array.shape[1:]) for name, array in self.inputs.items())


InferenceSteps = Generator[InferenceRequest, Arrays, Result]
RunEngine = Callable[..., Arrays]
EngineByName = Callable[[str], RunEngine]  # `EngineSet.engine` is one


def run_batched(steps: Sequence[InferenceSteps[Result]], engines: EngineByName) -> list[Result]:
    """Run every generator to its end, batching their requests; results in the order of `steps`."""
    results: list[Any] = [None] * len(steps)
    answers: dict[int, Arrays | None] = dict.fromkeys(range(len(steps)))
    while answers:
        requests: dict[int, InferenceRequest] = {}
        for i, answer in answers.items():
            try:
                requests[i] = next(steps[i]) if answer is None else steps[i].send(answer)
            except StopIteration as end:
                results[i] = end.value
        answers = _run_requests(requests, engines)
    return results


def _run_requests(
    requests: dict[int, InferenceRequest], engines: EngineByName
) -> dict[int, Arrays | None]:
    """The outputs for every request, by the same index and in the order of the indices."""
    batches: dict[tuple[Any, ...], list[int]] = {}
    for i, request in requests.items():
        batches.setdefault(request.key, []).append(i)
    answers: dict[int, Arrays | None] = {}
    for members in batches.values():
        batch = [requests[i] for i in members]
        outputs = _run_batch(batch, engines)
        if len(batches) > 1:  # the engine's next call may reuse its buffers
            outputs = {name: array.copy() for name, array in outputs.items()}
        for i, answer in zip(members, _split(outputs, batch), strict=True):
            answers[i] = answer
    return {i: answers[i] for i in sorted(answers)}


def _run_batch(batch: list[InferenceRequest], engines: EngineByName) -> Arrays:
    """The outputs for all requests of a batch, one after the other along axis 0."""
    run = engines(batch[0].engine)
    if len(batch) == 1:
        return run(**batch[0].inputs)
    inputs = {}
    for name in batch[0].inputs:
        inputs[name] = concatenate([request.inputs[name] for request in batch])
    return run(**inputs)


def _split(outputs: Arrays, batch: list[InferenceRequest]) -> list[Arrays]:
    """The outputs for each request of a batch."""
    if len(batch) == 1:
        return [outputs]
    sizes = [len(next(iter(request.inputs.values()))) for request in batch]
    cuts = np.cumsum(sizes)[:-1]
    parts = {name: np.split(array, cuts) for name, array in outputs.items()}
    return [{name: part[i] for name, part in parts.items()} for i in range(len(batch))]
