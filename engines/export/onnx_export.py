"""Networks to ONNX files, each checked against its spec and against torch before it is kept.

The exporter can be wrong without an error (an LSTM once came out with its time length frozen), so
the saved file is read back, and ONNX Runtime must agree with the module at several sizes of every
free dimension, 1 among them. `fp16` makes the FP16 variant, whose inputs and outputs stay float32.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import logging
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..errors import DataError, EngineError
from ..manifest import FORMAT
from ..networks.mesnet import MESNet, steps
from ..networks.weights import save_weights
from ..runtime.onnxruntime_import import onnxruntime
from ..specs import FREE_SIZES, RecognizerSpec, SpotterSpec, TensorSpec
from .fp16 import Fp16Step, products_as_convolutions

OPSET = 20
TRACED = 3  # size of free dimensions while tracing: 1 would be taken for a constant
CHECKED = (1, 2, 5)  # sizes of free dimensions while checking
TOLERANCE = 1e-5  # largest difference from torch, FP32
FP16_TOLERANCE = 5e-3  # of FP16 against torch, relative to the largest value
SHIPPED = ("*.onnx", "*.safetensors", "*.task")

Tensors = tuple[Sequence[TensorSpec], Sequence[TensorSpec]]


def export(
    module: nn.Module,
    name: str,
    tensors: Tensors,
    example_inputs: Sequence[Tensor] | None,
    path: Path,
) -> None:
    """Write `module` to `path` as ONNX and check the file.

    tensors: inputs and outputs in positional order; a string in a shape is a free dimension, one
        name one size.
    example_inputs: what to trace with, free dimensions >= 2; None makes random ones.

    Raises EngineError where the exporter refuses, the file does not match the specs or ONNX Runtime
    does not agree with torch; no file is left then.
    """
    module.eval()
    inputs = random_inputs(tensors[0], TRACED) if example_inputs is None else tuple(example_inputs)
    _trace(module, name, tensors, inputs).save(str(path), external_data=False)
    _strip(path)
    if isinstance(module, Fp16Step):
        products_as_convolutions(path)
    try:
        check_file(path, name, tensors)
        check_numbers(path, name, module, tensors)
    except EngineError:
        path.unlink()
        raise


def _trace(module: nn.Module, name: str, tensors: Tensors, inputs: tuple[Tensor, ...]) -> Any:
    """The module as the exporter's program; EngineError where the exporter refuses."""
    try:
        with _quiet_exporter():
            program = torch.onnx.export(
                module,
                inputs,
                input_names=[spec.name for spec in tensors[0]],
                output_names=[spec.name for spec in tensors[1]],
                opset_version=OPSET,
                dynamic_shapes=_dynamic_shapes(module, tensors[0]),
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    except RuntimeError as error:  # the exporter's own errors are its subclasses
        why = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise EngineError(
            f"{name}: torch {torch.__version__} cannot export it ({why}); install another one"
        ) from error
    assert program is not None
    return program


def _dynamic_shapes(module: nn.Module, inputs: Sequence[TensorSpec]) -> tuple[Any, ...]:
    """The free dimensions of the inputs, as the exporter takes them."""
    names = {dim for spec in inputs for dim in spec.shape if isinstance(dim, str)}
    free = {name: torch.export.Dim(name) for name in names}
    shapes = []
    for spec in inputs:
        shapes.append({i: free[dim] for i, dim in enumerate(spec.shape) if isinstance(dim, str)})
    if isinstance(module, Fp16Step):
        return (tuple(shapes),)  # its inputs are one *argument
    return tuple(shapes)


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Silence the exporter, which warns about its own deprecations and packages.

    What it does wrong is found by `check_file` and `check_numbers`.
    """
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


def _strip(path: Path) -> None:
    """Remove what the exporter writes about the source code it traced: paths of this machine.

    Its version is removed too: it names the build of torch ("+cpu"), and the same graph must be the
    same bytes elsewhere.
    """
    model = onnx.load(path, load_external_data=False)
    model.producer_version = ""
    graphs = [model.graph, *model.functions]
    nodes = [node for graph in graphs for node in graph.node]
    for holder in [model, *graphs, *nodes, *model.graph.value_info]:
        holder.doc_string = ""
        del holder.metadata_props[:]
    for value in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        value.doc_string = ""
        del value.metadata_props[:]
    onnx.save(model, path)


def random_inputs(
    inputs: Iterable[TensorSpec], size: int | Mapping[str, int], seed: int = 0
) -> tuple[Tensor, ...]:
    """Random tensors of the specs' dtypes: bytes 0..255, floats 0..1.

    size: of every free dimension, or of each by its letter.
    """
    random = torch.Generator().manual_seed(seed)
    found = []
    for spec in inputs:
        sizes = []
        for dim in spec.shape:
            if isinstance(dim, str):
                dim = size if isinstance(size, int) else size[dim]
            sizes.append(dim)
        if spec.dtype == "uint8":
            found.append(torch.randint(0, 256, sizes, generator=random, dtype=torch.uint8))
        else:
            found.append(torch.rand(sizes, generator=random))
    return tuple(found)


def check_file(path: Path, name: str, tensors: Tensors) -> None:
    """Raise EngineError unless the saved graph has the specs' names, dtypes and dims, in order."""
    graph = onnx.load(path, load_external_data=False).graph
    for kind, found, wanted in (
        ("input", graph.input, tensors[0]),
        ("output", graph.output, tensors[1]),
    ):
        names = [value.name for value in found]
        expected = [spec.name for spec in wanted]
        if names != expected:
            raise EngineError(
                f"{name}: expected {kind}s {expected}, the file has {names}; export again"
            )
        for value, spec in zip(found, wanted, strict=True):
            actual = value.type.tensor_type
            dims = [d.dim_value if d.HasField("dim_value") else "free" for d in actual.shape.dim]
            dtype = onnx.helper.tensor_dtype_to_np_dtype(actual.elem_type).name
            want = ["free" if isinstance(dim, str) else dim for dim in spec.shape]
            if dims != want or dtype != spec.dtype:
                raise EngineError(
                    f"{name}.{spec.name}: expected {spec.dtype}{want}, the file has {dtype}{dims}"
                )


def check_numbers(path: Path, name: str, module: nn.Module, tensors: Tensors) -> float:
    """Largest difference between ONNX Runtime and torch over all checked sizes.

    Raises EngineError where it is beyond the tolerance.
    """
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    free = sorted({dim for spec in tensors[0] for dim in spec.shape if isinstance(dim, str)})
    worst = 0.0
    # the largest that engines are built for; their least and usual size is 1
    largest = tuple(FREE_SIZES[dim].largest for dim in free)
    for seed, sizes in enumerate([*product(CHECKED, repeat=len(free)), largest]):
        given = random_inputs(tensors[0], dict(zip(free, sizes, strict=True)), seed)
        with torch.no_grad():
            wanted = module(*given)
        wanted = wanted if isinstance(wanted, tuple) else (wanted,)
        feed = {spec.name: tensor.numpy() for spec, tensor in zip(tensors[0], given, strict=True)}
        found: list[NDArray[Any]] = session.run(None, feed)
        for spec, ours, theirs in zip(tensors[1], wanted, found, strict=True):
            spec.check(theirs.shape, theirs.dtype.name)
            limit = TOLERANCE
            if isinstance(module, Fp16Step):
                limit = FP16_TOLERANCE * max(1.0, float(ours.abs().max()))
            difference = float(np.abs(ours.numpy() - theirs).max(initial=0))
            if not difference <= limit:
                raise EngineError(
                    f"{name}.{spec.name}: ONNX Runtime differs from torch "
                    f"by {difference:.2g} at {sizes}"
                )
            worst = max(worst, difference)
    return worst


def export_spotter(network: MESNet, folder: Path) -> SpotterSpec:
    """Write encoder.onnx, proposer.onnx, refiner.onnx and spotter.safetensors.

    Returns the spec with the length of the proposer's state.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = network.spec.tensors()
    for name, module in steps(network).items():
        export(module, name, tensors[name], None, folder / f"{name}.onnx")
    save_weights(network, folder / "spotter.safetensors")
    return network.spec


def write_manifest(
    folder: Path,
    spotter: SpotterSpec,
    recognizers: Mapping[str, RecognizerSpec],
    training: Mapping[str, Any],
    metrics: Mapping[str, Any],
) -> Path:
    """Write manifest.json: specs and digests of every weight file in `folder`, and their origin.

    recognizers: by number of labels, "3" and "5". Raises DataError where the file cannot be
    written.
    """
    paths = sorted(path for pattern in SHIPPED for path in folder.glob(pattern))
    files = {path.name: _fingerprint(path) for path in paths}
    content = {
        "format": FORMAT,
        "spotter": spotter.to_json(),
        "recognizers": {key: spec.to_json() for key, spec in recognizers.items()},
        "files": files,
        "training": dict(training),
        "metrics": dict(metrics),
        "code_version": _code_version(),
    }
    target = folder / "manifest.json"
    try:
        target.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise DataError(
            f"{target.name} cannot be written ({error}): choose another folder"
        ) from error
    return target


def _code_version() -> str:
    try:
        return importlib.metadata.version("microspot")
    except importlib.metadata.PackageNotFoundError:
        return "source tree"


def _fingerprint(path: Path) -> dict[str, str | int]:
    content = path.read_bytes()
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
