"""What every backend offers: named arrays in, named arrays out, shapes known beforehand.

`FunctionEngine` is the shipped fake: any numpy function behind the same contract, for tests, for
the baseline and for users who bring their own model.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

from numpy.typing import NDArray

from ..errors import EngineError
from ..specs import RecognizerSpec, SpotterSpec, TensorSpec

Array = NDArray[Any]
Tensors = tuple[TensorSpec, ...]
ENGINE_NAMES = ("encoder", "proposer", "refiner", "recognizer")


class Engine(Protocol):
    """A network that is ready to run.

    Call with one keyword per input; the result has one key per output. Buffers may be reused: a
    result is valid until the next call, so copy what must outlive it; the inputs are not kept. One
    caller at a time. Raises EngineError where names, dtypes or shapes differ from the spec, and
    after `close`.
    """

    @property
    def inputs(self) -> Tensors:
        """Names, dtypes and shapes of the inputs; a letter in a shape is a free dimension."""

    @property
    def outputs(self) -> Tensors:
        """Names, dtypes and shapes of the outputs."""

    def __call__(self, **arrays: Array) -> dict[str, Array]:
        """Run the network once on `arrays`, one per input; returns one array per output."""

    def close(self) -> None:
        """Release what the engine holds."""


def check_arrays(specs: Tensors, arrays: Mapping[str, Array]) -> None:
    """Raise EngineError unless `arrays` has the names, dtypes and shapes of `specs`.

    A free dimension has one size in all arrays.
    """
    if arrays.keys() != {spec.name for spec in specs}:
        raise EngineError(
            f"tensors: expected {[spec.name for spec in specs]}, got {sorted(arrays)}"
        )
    free: dict[str, int] = {}
    for spec in specs:
        array = arrays[spec.name]
        spec.check(array.shape, _dtype_name(array.dtype))
        for letter, size in zip(spec.shape, array.shape, strict=True):
            if isinstance(letter, str) and free.setdefault(letter, size) != size:
                raise EngineError(
                    f"tensor {spec.name}: expected {letter} = {free[letter]}, got {size}"
                )


@functools.cache
def _dtype_name(dtype: Any) -> str:
    """The name of a dtype, cached: NumPy takes 20 us to make it."""
    return str(dtype)


@dataclass(frozen=True, eq=False)
class FunctionEngine:
    """A plain numpy function as an Engine.

    `function` takes the inputs by name and returns the outputs by name.
    """

    function: Callable[..., Mapping[str, Array]]
    inputs: Tensors
    outputs: Tensors

    def __call__(self, **arrays: Array) -> dict[str, Array]:
        """Call the function; EngineError where arrays or results differ from the specs."""
        check_arrays(self.inputs, arrays)
        results = dict(self.function(**arrays))
        check_arrays(self.outputs, results)
        return results

    def close(self) -> None:
        """Do nothing: a function holds nothing to release."""


@dataclass(frozen=True, eq=False)
class EngineSet:
    """All engines that a stream needs to spot and label MEs.

    `recognizer` is None where events get no label. `digest` identifies the weights whatever backend
    runs them, `precision` is what the networks compute in. `emotions` is False where events get
    action units and no emotion word. A context manager: leaving it closes the
    engines. Raises EngineError where an engine's tensors are not those of its spec.
    """

    name: str
    backend: str
    spotter: SpotterSpec
    encoder: Engine
    proposer: Engine
    refiner: Engine
    recognizer: Engine | None = None
    recognizer_spec: RecognizerSpec | None = None
    digest: str = ""
    backend_reason: str = ""
    precision: str = "fp32"
    emotions: bool = True

    def __post_init__(self) -> None:
        if (self.recognizer is None) != (self.recognizer_spec is None):
            raise EngineError(
                f"engine set {self.name}: expected a recognizer and its spec, or neither"
            )
        for name, (inputs, outputs) in expected_tensors(self.spotter, self.recognizer_spec).items():
            engine = self.engine(name)
            for want, got in ((inputs, engine.inputs), (outputs, engine.outputs)):
                if want != got:
                    raise EngineError(
                        f"{name} of {self.name}: expected {brief(want)}, got {brief(got)}"
                    )

    def engine(self, name: str) -> Engine:
        """The engine called encoder, proposer, refiner or recognizer.

        Raises EngineError where there is none.
        """
        if name not in ENGINE_NAMES:
            raise EngineError(
                f"no engine is called {name!r}: expected one of {', '.join(ENGINE_NAMES)}"
            )
        engine: Engine | None = getattr(self, name)
        if engine is None:
            raise EngineError(f"engine set {self.name} has no {name}: load weights that have one")
        return engine

    def close(self) -> None:
        """Release all engines; calling one afterwards raises EngineError."""
        for engine in (self.encoder, self.proposer, self.refiner, self.recognizer):
            if engine is not None:
                engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def expected_tensors(
    spotter: SpotterSpec, recognizer: RecognizerSpec | None
) -> dict[str, tuple[Tensors, Tensors]]:
    """Inputs and outputs of every engine that the specs promise, by engine name."""
    return spotter.tensors() | (recognizer.tensors() if recognizer else {})


def brief(tensors: Tensors) -> str:
    """The tensors in words for a message: name, dtype and shape of each."""
    return ", ".join(f"{t.name} {t.dtype}{list(t.shape)}" for t in tensors)
