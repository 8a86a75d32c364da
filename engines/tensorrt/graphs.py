"""The graphs that TensorRT builds from, made once from trained parameters and kept in the cache.

Five of them: encoder, proposer and refiner; CMNet as `frames` (all convolutions, every frame of
every clip in a batch) and `head` (LSTM of fixed length and all label sets), since the exporter was
seen to freeze the free length of an LSTM without a warning. A float32 graph that ships with the
weights is taken as it is; every other one is exported here, which takes seconds and needs torch and
onnx. `golden.safetensors` beside it holds inputs and the outputs of the networks as trained.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import EngineError
from ..export.parity import Golden, judge, onnx_outputs
from ..runtime.engine import Tensors
from ..runtime.torch_engine import RECOGNIZER_FILE, SPOTTER_FILE
from ..specs import RecognizerSpec, SpotterSpec, TensorSpec
from .builder import INSTALL
from .cache import GOLDEN, MODEL, Cache, Entry, digest

if TYPE_CHECKING:
    from torch import nn

SPOTTER_GRAPHS = ("encoder", "proposer", "refiner")
RECOGNIZER_GRAPHS = ("frames", "head")
# What shapes a graph, below engines/: a changed line here makes new graphs. Patterns of pathlib.
SOURCES = (
    "alignment/face_template.py",
    "export/fp16.py",
    "export/golden.py",
    "export/onnx_export.py",
    "intervals.py",
    "networks/*.py",
    "receptive.py",
    "runtime/torch_engine.py",
    "specs/*.py",
    "tensorrt/builder.py",
    "tensorrt/graphs.py",
    "training/losses.py",
)
# Of a recognizer's spec, what its graphs depend on; labels and floors are not in them.
SHAPING = ("frames", "side", "texture", "energy_floor", "units", "regions")
EXPORTERS = ("torch", "onnx", "onnxscript")
HEAD = re.compile(r"heads\.(\d+)\.weight")  # a classifier of CMNet, by size of its label set

Read = Callable[[str], bytes]


class ToolError(EngineError):
    """A graph has to be made, and what makes graphs is not there."""


@dataclass(frozen=True, eq=False)
class Graph:
    """One checked ONNX graph with its golden arrays."""

    name: str
    precision: str
    tensors: tuple[Tensors, Tensors]
    entry: Entry

    @property
    def model(self) -> bytes:
        """The ONNX file, verified."""
        return self.entry.read(MODEL)

    @property
    def golden(self) -> Golden:
        """Arrays `in.NAME` and `out.NAME`; the outputs are those of the float32 network."""
        from safetensors.numpy import load

        return load(self.entry.read(GOLDEN))


class Graphs:
    """The graphs of one set of weights in one precision, fp16 or fp32.

    spotter, recognizer: specs; recognizer is None where events get no label. read: returns the
    verified content of a file of the weights. cache: keeps what is made. Raises ToolError where
    torch or onnx is missing and something has to be made, EngineError where a graph made is not the
    function of the network.
    """

    def __init__(
        self,
        spotter: SpotterSpec,
        recognizer: RecognizerSpec | None,
        read: Read,
        cache: Cache,
        precision: str,
    ) -> None:
        self.spotter = spotter
        self.recognizer = recognizer
        self.precision = precision
        self._read = read
        self.cache = cache

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the graphs, in the order in which they run."""
        return SPOTTER_GRAPHS if self.recognizer is None else SPOTTER_GRAPHS + RECOGNIZER_GRAPHS

    def graph(self, name: str) -> Graph:
        """The graph called `name`, from the cache or made now."""
        rungs: dict[str, Any] = {}
        label = f"graph {name} {self.precision}"
        entry = self.cache.entry(name, self._fields(name), lambda: self._make(name, rungs), label)
        if entry.built:
            entry.record(rungs)
        return Graph(name, self.precision, self._tensors[name], entry)

    def _fields(self, name: str) -> dict[str, Any]:
        """What a graph depends on: weights, spec, precision, the code and tools that export.

        Cheap to find: nothing is exported for it.
        """
        file = SPOTTER_FILE
        spec = self.spotter.to_json()
        if name in RECOGNIZER_GRAPHS:
            assert self.recognizer is not None
            # all label sets are in one head
            file = RECOGNIZER_FILE
            spec = {key: getattr(self.recognizer, key) for key in SHAPING}
        files = filter(None, (file, self._shipped(name)))
        return {
            "graph": name,
            "precision": self.precision,
            "weights": {file: digest(self._read(file)) for file in files},
            "spec": spec,
            "code": _code(),
            # without "+cpu" and the like: a machine with a GPU can use a cache made without one
            "tools": {tool: version_of(tool).partition("+")[0] for tool in EXPORTERS},
        }

    def _make(self, name: str, rungs: dict[str, Any]) -> dict[str, bytes]:
        """The files of a graph; puts the result of its rung into `rungs`."""
        from safetensors.numpy import save

        golden = self._golden[name]
        model = self._export(name)
        rung = "B" if self.precision == "fp16" else "A"
        found = onnx_outputs(model, self._tensors[name], golden)
        result = judge(rung, name, found, golden, self.spotter)
        if not result["passed"]:
            raise EngineError(
                f"{name} {self.precision}: rung {rung} of the parity ladder failed ({result}); "
                "report it"
            )
        rungs[rung] = result
        return {MODEL: model, GOLDEN: save(golden)}

    def _export(self, name: str) -> bytes:
        """The ONNX file of a graph: the shipped one, or exported now."""
        shipped = self._shipped(name)
        if shipped:
            return self._read(shipped)
        from ..export.fp16 import Fp16Step
        from ..export.onnx_export import export

        module = self._modules[name]
        if self.precision == "fp16":
            module = Fp16Step(module)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / MODEL
            export(module, f"{name} {self.precision}", self._tensors[name], None, path)
            return path.read_bytes()

    def _shipped(self, name: str) -> str:
        """The file of the weights that is this graph; empty where it has to be exported."""
        return f"{name}.onnx" if self.precision == "fp32" and name in SPOTTER_GRAPHS else ""

    @cached_property
    def _tensors(self) -> dict[str, tuple[Tensors, Tensors]]:
        tensors = self.spotter.tensors()
        if self.recognizer:
            tensors |= _recognizer_tensors(self.recognizer, self._read(RECOGNIZER_FILE))
        return tensors

    @cached_property
    def _golden(self) -> dict[str, Golden]:
        from ..export.golden import golden, golden_recognizer

        found = golden(self._modules, self._tensors, self.spotter)
        if self.recognizer:
            found |= golden_recognizer(self._modules, self._tensors, self.recognizer)
        return found

    @cached_property
    def _modules(self) -> dict[str, nn.Module]:
        """The networks as trained, cut into the five graphs."""
        _require_exporters()
        from ..networks.cmnet import FramesStep, HeadStep
        from ..runtime.torch_engine import recognizer_network, spotter_modules

        modules = spotter_modules(self.spotter, self._read(SPOTTER_FILE))
        if self.recognizer is not None:
            network = recognizer_network(self.recognizer, self._read(RECOGNIZER_FILE))
            modules["frames"] = FramesStep(network).eval()
            modules["head"] = HeadStep(network).eval()
        return modules


def scores_of(labels: int) -> str:
    """The output of `head` with the probabilities of one label set."""
    return f"classes_{labels}"


def _recognizer_tensors(
    spec: RecognizerSpec, parameters: bytes
) -> dict[str, tuple[Tensors, Tensors]]:
    """Tensors of frames and head, by graph.

    The width D and the label sets are those of the trained parameters. Heads that say what moved
    also read the intensity clues.
    """
    from safetensors.numpy import load

    shapes = {name: array.shape for name, array in load(parameters).items()}
    width = shapes["lstm.weight_ih_l0"][1]
    heads = sorted(int(found[1]) for found in map(HEAD.fullmatch, shapes) if found)
    product = TensorSpec("product", "float32", ("B", spec.frames, width))
    classes = tuple(TensorSpec(scores_of(count), "float32", ("B", count)) for count in heads)
    clip = spec.tensors()["recognizer"][0]
    intensity = TensorSpec("intensity", "float32", ("B", spec.frames))
    movement = spec.movement_tensors()
    clues = (TensorSpec("clues", "float32", ("B", spec.frames, width)),) if movement else ()
    return {
        "frames": (clip, (product, intensity, *clues)),
        "head": ((product, *clues), (*classes, *movement)),
    }


def _require_exporters() -> None:
    """Raise ToolError where a package that export needs is missing."""
    for package in EXPORTERS:
        if importlib.util.find_spec(package) is None:
            raise ToolError(f"making graphs needs {package}: {INSTALL['rtx']}")


@cache
def _code() -> str:
    """Digest of the sources that shape a graph."""
    return digest(b"".join(path.read_bytes() for path in _sources()))


def _sources() -> list[Path]:
    """The files that `SOURCES` names; ToolError where a pattern matches none."""
    home = Path(__file__).parents[1]
    found: set[Path] = set()
    for source in SOURCES:
        matches = set(home.glob(source))
        if not matches:
            raise ToolError(
                f"{home / source}: no such source; a graph would not be made again when it changes"
            )
        found |= matches
    return sorted(found)


def version_of(package: str) -> str:
    """The version of an installed package; empty where it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
