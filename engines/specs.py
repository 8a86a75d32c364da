"""What a set of weights promises: rates, sizes, windows, lags, labels, thresholds, tensor shapes.

The specs travel inside `manifest.json`, are checked when weights load, and are the only home of
these numbers. Values marked [S1] or [S2] are stated in `engines/PAPERS.md`; all others are
not from the papers.
"""

from __future__ import annotations

import dataclasses
import reprlib
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self

from .errors import EngineError
from .receptive import Conv, radius

NMS_RULES = ("greedy", "author", "soft")
MOTIONS = ("flow", "difference")
MOST = 32  # lags, windows, kernels, labels: no spec has more; not from the papers
# longest cluster of overlapping intervals before a barrier; not from the papers
CLUSTER_TICKS = 300
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601 weights of R, G, B
# Of the flow's least squares, added to the gradient's energy, (grey level / 255 per px)^2, so that
# flat skin gets no flow; not from the papers.
RIDGE = 1e-4
GRIDS = ("even", "fine")
# What FFE sees of the movement beside the face: all of it; its direction without its strength, each
# frame's difference and flow at unit energy; nothing. [S2 C2, C26]
TEXTURES = ("strength", "direction", "face")
# Energy (RMS) of a frame's difference or flow below which it is not raised to unit energy: noise
# alone has 0.04 and 0.09 in the generator's clips. Not from the papers.
ENERGY_FLOOR = 0.02
# Least and most of what a unit's logit is divided and raised by; not from the papers.
TEMPERATURES = (0.05, 20.0)
BIASES = (-20.0, 20.0)
SIDES = ("L", "R", "both")  # of the subject, where something moved
# What looks like an ME and is none; kinds of movements of the generator's clips.
NUISANCES = ("blink", "speech", "gaze", "turn", "macro")


@dataclass(frozen=True)
class TensorSpec:
    """Name, dtype and shape of an engine's input or output; a string is a free dimension."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]

    def check(self, shape: tuple[int, ...], dtype: str) -> None:
        """Raise EngineError unless an array of `shape` and `dtype` fits."""
        fits = len(shape) == len(self.shape) and all(
            isinstance(expected, str) or expected == size
            for expected, size in zip(self.shape, shape, strict=True)
        )
        if not fits or dtype != self.dtype:
            raise EngineError(
                f"tensor {self.name}: expected {self.dtype}{list(self.shape)}, "
                f"got {dtype}{list(shape)}"
            )


class _Spec:
    """JSON round trip of the specs; wrong keys, types and values are refused by name."""

    NUMBERS: ClassVar[dict[str, tuple[int, int]]]  # least and most of each whole number
    LISTS: ClassVar[dict[str, tuple[int, int]]] = {}  # least and most of lists of whole numbers
    SHARES: ClassVar[tuple[str, ...]]  # numbers from 0 to 1
    # keys that manifests of earlier weights lack; their defaults say what those weights are
    ADDED: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """The spec of a JSON object. Raises EngineError with key, expected and actual."""
        if not isinstance(values, dict):
            raise EngineError(
                f"{cls.__name__}: expected an object {{...}}, got {reprlib.repr(values)}"
            )
        known = {f.name for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
        odd = set(values) ^ known
        odd -= set(cls.ADDED) - set(values)
        if odd:
            raise EngineError(
                f"{cls.__name__}: manifest and code disagree on {sorted(odd)}; "
                "re-export the weights"
            )
        return cls(**{key: _tupled(value) for key, value in values.items()})

    def to_json(self) -> dict[str, Any]:
        """The spec as a JSON object."""
        return dataclasses.asdict(self)  # type: ignore[call-overload,no-any-return]

    def _check_numbers(self) -> None:
        """Raise EngineError with key, expected and actual."""
        for name, (low, high) in self.NUMBERS.items():
            if not _whole(getattr(self, name), low, high):
                raise self._wrong(name, f"a whole number from {low} to {high}")
        for name, (low, high) in self.LISTS.items():
            value = getattr(self, name)
            listed = isinstance(value, tuple) and len(value) <= MOST
            if not listed or not all(_whole(v, low, high) for v in value):
                raise self._wrong(name, f"at most {MOST} whole numbers from {low} to {high}")
        for name in self.SHARES:
            value = getattr(self, name)
            if not _within(value, 0, 1):
                raise self._wrong(name, "a number from 0 to 1")

    def _wrong(self, name: str, expected: str) -> EngineError:
        return EngineError(f"{name}: expected {expected}, got {reprlib.repr(getattr(self, name))}")


def _whole(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _within(value: Any, low: float, high: float) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and low <= value <= high


def _is_pair(value: Any) -> bool:
    """Whether `value` is a pair of dilations."""
    return isinstance(value, tuple) and len(value) == 2 and all(_whole(v, 1, 1000) for v in value)


def _distinct_of(values: Any, known: tuple[Any, ...]) -> bool:
    """Whether `values` is a tuple without repetitions of members of `known`."""
    if not isinstance(values, tuple) or not all(value in known for value in values):
        return False
    return len(set(values)) == len(values)


def _tupled(value: Any) -> Any:
    return tuple(_tupled(v) for v in value) if isinstance(value, list) else value


@dataclass(frozen=True)
class SpotterSpec(_Spec):
    """MESNet as trained. Times in ns, lengths in ticks of 1 / grid_hz seconds."""

    grid_hz: int = 30
    side: int = 112  # crop side S in pixels
    feature: int = 512  # L
    # how long ago the D earlier crops of the encoder were taken; () is a still frame as in [S1]
    lags_ns: tuple[int, ...] = (66_666_667, 166_666_667, 400_000_000, 800_000_000)
    motion: str = "flow"  # what the encoder sees of its lags: engines/networks/motion.py
    windows: tuple[int, ...] = (7, 9, 11, 13, 15)  # one per CPN sub-network; five of them [S1 M25]
    dilations: tuple[tuple[int, int], ...] = ((1, 2), (2, 2), (2, 3), (3, 3), (3, 4))
    temporal_kernels: tuple[int, ...] = (7, 7)  # the two 1D layers of the 2+1D network [S1 M17]
    state: int = 0  # Z, packed proposer state per camera; 0 until a network fills it in
    refine_length: int = 16  # N_CR
    min_ticks: int = 4
    max_ticks: int = 17
    t_cpn: float = 0.5
    t_crn: float = 0.5
    t_nms: float = 0.2
    nms_rule: str = "greedy"
    # lags whose flow is also shown less that of its surroundings: engines/networks/surroundings.py
    surround_ns: tuple[int, ...] = ()
    parallax: bool = False  # whether yaw and pitch are taken out of the flow with shift and turn
    certainty: bool = False  # whether the encoder sees how certain the flow is
    ridge: float = RIDGE  # of the flow's least squares
    grid: str = "even"  # cells of the last layer: engines/networks/grid.py
    branch_kernel: int = 3  # of both layers of a CPN sub-network
    branch_channels: int = 64
    refine_kernel: int = 3  # of CRN's two 1D layers
    refine_channels: int = 128
    refine_dense: int = 128  # outputs of CRN's first fully-connected layer
    nuisance: tuple[str, ...] = ()  # heads beside CPN that say what else moves, of NUISANCES

    NUMBERS: ClassVar = {
        "grid_hz": (1, 1000),
        "side": (4, 1024),
        "feature": (1, 65_536),
        "state": (0, 10_000_000),
        "refine_length": (2, 1024),
        "min_ticks": (1, 1000),
        "max_ticks": (1, 1000),
        "branch_kernel": (2, 99),
        "branch_channels": (1, 4096),
        "refine_kernel": (1, 99),
        "refine_channels": (1, 4096),
        "refine_dense": (1, 4096),
    }
    LISTS: ClassVar = {
        "lags_ns": (1, 10_000_000_000),
        "windows": (1, 1000),
        "temporal_kernels": (1, 99),
        "surround_ns": (1, 10_000_000_000),
    }
    SHARES: ClassVar = ("t_cpn", "t_crn", "t_nms", "ridge")
    ADDED: ClassVar = (
        "surround_ns",
        "parallax",
        "certainty",
        "ridge",
        "grid",
        "branch_kernel",
        "branch_channels",
        "refine_kernel",
        "refine_channels",
        "refine_dense",
        "nuisance",
    )

    def __post_init__(self) -> None:
        self._check_numbers()
        for name, known in (("nms_rule", NMS_RULES), ("motion", MOTIONS), ("grid", GRIDS)):
            if getattr(self, name) not in known:
                raise self._wrong(name, f"one of {', '.join(known)}")
        if self.min_ticks > self.max_ticks:
            raise self._wrong("min_ticks", f"at most max_ticks, {self.max_ticks}")
        if not all(kernel % 2 for kernel in self.temporal_kernels):
            raise self._wrong("temporal_kernels", "odd numbers, so that a layer has a middle")
        if not self.refine_kernel % 2:
            raise self._wrong("refine_kernel", "an odd number, so that a layer has a middle")
        self._check_windows()
        self._check_flow()
        if not _distinct_of(self.nuisance, NUISANCES):
            raise self._wrong("nuisance", f"different names of {', '.join(NUISANCES)}")

    def _check_flow(self) -> None:
        """Raise EngineError unless what is asked of the flow can be computed."""
        if not _distinct_of(self.surround_ns, self.lags_ns):
            raise self._wrong("surround_ns", f"different lags of lags_ns, {self.lags_ns}")
        for name in ("parallax", "certainty"):
            if not isinstance(getattr(self, name), bool):
                raise self._wrong(name, "true or false")
        if self.ridge == 0:
            raise self._wrong("ridge", "a number above 0")
        asked = self.surround_ns or self.parallax or self.certainty
        if asked and (self.motion != "flow" or not self.lags_ns):
            raise EngineError(
                "surround_ns, parallax and certainty need lags and motion flow: "
                f"got motion {self.motion} with lags_ns {self.lags_ns}"
            )

    def _check_windows(self) -> None:
        pairs = self.dilations
        if not isinstance(pairs, tuple) or not all(map(_is_pair, pairs)):
            raise self._wrong("dilations", "pairs of whole numbers from 1 to 1000")
        if not self.windows or len(self.windows) != len(pairs):
            raise EngineError(
                f"{len(self.windows)} windows but {len(pairs)} dilations: expected a pair for each"
            )
        for window, pair in zip(self.windows, pairs, strict=True):
            field = 1 + (self.branch_kernel - 1) * sum(pair)
            if window != field:
                raise EngineError(
                    f"window {window} is not the receptive field {field} of dilations {pair}"
                )

    @property
    def scales(self) -> int:
        """M, the number of window lengths."""
        return len(self.windows)

    @property
    def radius(self) -> int:
        """R, the ticks after its window's last one that a score needs (from the 1D layers)."""
        return radius([Conv(k) for k in self.temporal_kernels])

    @property
    def channels(self) -> int:
        """3 (1 + D) pixel channels of the encoder input."""
        return 3 * (1 + len(self.lags_ns))

    @property
    def reach(self) -> float:
        """How far before the end of a window its refined interval can start, in ticks.

        At IoU >= 1/2 a window of w and an ME of g ticks share (w + g) / 3, so that the ME starts at
        most 2 (w + g) / 3 before the window's end. Not from the paper.
        """
        return 2 / 3 * (max(self.windows) + self.max_ticks)

    def keeps(self, stop: float, onset: float, offset: float) -> bool:
        """Whether a window that stops at `stop` may be refined to [onset, offset).

        It may where the interval is as long as an ME and starts within `reach`.
        """
        return self.min_ticks <= offset - onset <= self.max_ticks and onset >= stop - self.reach

    def tensors(self) -> dict[str, tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]]:
        """Inputs and outputs of encoder, proposer and refiner.

        The proposer's `nuisance` (B, K, n) is there where the spec names K nuisances. Its columns
        are those of `scores`: of the tick R before the column's.
        """
        nuisance = TensorSpec("nuisance", "float32", ("B", len(self.nuisance), "n"))
        return {
            "encoder": (
                (TensorSpec("pixels", "uint8", ("B", self.channels, self.side, self.side)),),
                (TensorSpec("features", "float32", ("B", self.feature)),),
            ),
            "proposer": (
                (
                    TensorSpec("features", "float32", ("B", self.feature, "n")),
                    TensorSpec("valid", "float32", ("B", "n")),
                    TensorSpec("state", "float32", ("B", self.state)),
                ),
                (
                    TensorSpec("scores", "float32", ("B", self.scales, "n")),
                    TensorSpec("state_out", "float32", ("B", self.state)),
                    *((nuisance,) if self.nuisance else ()),
                ),
            ),
            "refiner": (
                (TensorSpec("clips", "float32", ("P", self.feature, self.refine_length)),),
                (
                    TensorSpec("classes", "float32", ("P", 2)),
                    TensorSpec("offsets", "float32", ("P", 2)),
                ),
            ),
        }


@dataclass(frozen=True)
class RecognizerSpec(_Spec):
    """CMNet as trained."""

    frames: int = 11  # N
    side: int = 112  # S
    labels: tuple[str, ...] = ("negative", "positive", "surprise")
    label_floor: float = 0.4  # below this probability the label is "uncertain"
    texture: str = "strength"  # what FFE sees of the movement, of TEXTURES
    energy_floor: float = ENERGY_FLOOR  # of texture "direction"
    # action units and regions of the face that heads beside the labels tell apart; both or neither
    units: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    unit_floor: float = 0.5  # below this probability a unit did not move
    # of each unit's logit, which is divided by the one and raised by the other; () leaves the
    # probabilities as they are: engines/units/reading.py
    unit_temperatures: tuple[float, ...] = ()
    unit_biases: tuple[float, ...] = ()

    NUMBERS: ClassVar = {"frames": (1, 256), "side": (4, 1024)}
    SHARES: ClassVar = ("label_floor", "energy_floor", "unit_floor")
    ADDED: ClassVar = (
        "texture",
        "energy_floor",
        "units",
        "regions",
        "unit_floor",
        "unit_temperatures",
        "unit_biases",
    )

    def __post_init__(self) -> None:
        self._check_numbers()
        if self.texture not in TEXTURES:
            raise self._wrong("texture", f"one of {', '.join(TEXTURES)}")
        if self.energy_floor == 0:
            raise self._wrong("energy_floor", "a number above 0")
        self._check_names("labels", 1)
        self._check_names("units", 0)
        self._check_names("regions", 0)
        if bool(self.units) != bool(self.regions):
            raise EngineError(
                f"units and regions: expected both or neither, got {self.units} and {self.regions}"
            )
        self._check_unit_scores()

    def _check_unit_scores(self) -> None:
        """Raise EngineError unless every unit has a temperature and a bias, or none has either."""
        counts = (len(self.units),) * 2 if self.unit_temperatures or self.unit_biases else (0, 0)
        limits = (("unit_temperatures", TEMPERATURES), ("unit_biases", BIASES))
        for (name, (low, high)), count in zip(limits, counts, strict=True):
            value = getattr(self, name)
            listed = isinstance(value, tuple) and len(value) == count
            if not listed or not all(_within(number, low, high) for number in value):
                raise self._wrong(
                    name, f"{count} numbers from {low:g} to {high:g}, as many as units"
                )

    def _check_names(self, key: str, least: int) -> None:
        """Raise EngineError unless the value is a tuple of so many names that differ."""
        names = getattr(self, key)
        listed = isinstance(names, tuple) and least <= len(names) <= MOST
        if not listed or not all(isinstance(name, str) and name.strip() for name in names):
            raise self._wrong(key, f"{least} to {MOST} names")
        if len(set(names)) < len(names):
            raise self._wrong(key, "names that differ")

    def tensors(self) -> dict[str, tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]]:
        """Inputs and outputs of the recognizer."""
        return {
            "recognizer": (
                (TensorSpec("clip", "uint8", ("B", self.frames, 3, self.side, self.side)),),
                (
                    TensorSpec("classes", "float32", ("B", len(self.labels))),
                    TensorSpec("intensity", "float32", ("B", self.frames)),
                    *self.movement_tensors(),
                ),
            )
        }

    def movement_tensors(self) -> tuple[TensorSpec, ...]:
        """Outputs of the heads that say what moved: U units, G regions; none without such heads.

        units (B, U), regions (B, G): probabilities, those of the regions sum to 1. unit_sides
        (B, U, 3), side (B, 3): probabilities of SIDES, of each unit and of the whole movement.
        unit_px (B, U), px (B,): peak displacement in px of the crop.
        """
        if not self.units:
            return ()
        units = len(self.units)
        return (
            TensorSpec("units", "float32", ("B", units)),
            TensorSpec("unit_sides", "float32", ("B", units, len(SIDES))),
            TensorSpec("unit_px", "float32", ("B", units)),
            TensorSpec("regions", "float32", ("B", len(self.regions))),
            TensorSpec("side", "float32", ("B", len(SIDES))),
            TensorSpec("px", "float32", ("B",)),
        )


class SizeRange(NamedTuple):
    """Sizes of a free dimension: the least, the usual and the largest that an engine takes."""

    least: int
    usual: int
    largest: int


# Every free dimension of the engines' tensors, by its letter; not from the papers.
FREE_SIZES = {"B": SizeRange(1, 1, 16), "P": SizeRange(1, 4, 64), "n": SizeRange(1, 1, 512)}
