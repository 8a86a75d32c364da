"""MESNet as trained: rates, windows, lags, thresholds, and the tensors of its engines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..errors import EngineError
from ..receptive import Conv, radius
from .checked import CheckedSpec, are_distinct_of, is_pair
from .tensors import TensorSpec

NMS_RULES = ("greedy", "author", "soft")
MOTIONS = ("flow", "difference")
# longest cluster of overlapping intervals before a barrier; not from the papers
CLUSTER_TICKS = 300
# Of the flow's least squares, added to the gradient's energy, (grey level / 255 per px)^2, so that
# flat skin gets no flow; not from the papers.
RIDGE = 1e-4
GRIDS = ("even", "fine")
# What looks like an ME and is none; kinds of movements of the generator's clips.
NUISANCES = ("blink", "speech", "gaze", "turn", "macro")


@dataclass(frozen=True)
class SpotterSpec(CheckedSpec):
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
        self.check_numbers()
        for name, known in (("nms_rule", NMS_RULES), ("motion", MOTIONS), ("grid", GRIDS)):
            if getattr(self, name) not in known:
                raise self.wrong(name, f"one of {', '.join(known)}")
        if self.min_ticks > self.max_ticks:
            raise self.wrong("min_ticks", f"at most max_ticks, {self.max_ticks}")
        if not all(kernel % 2 for kernel in self.temporal_kernels):
            raise self.wrong("temporal_kernels", "odd numbers, so that a layer has a middle")
        if not self.refine_kernel % 2:
            raise self.wrong("refine_kernel", "an odd number, so that a layer has a middle")
        self._check_windows()
        self._check_flow()
        if not are_distinct_of(self.nuisance, NUISANCES):
            raise self.wrong("nuisance", f"different names of {', '.join(NUISANCES)}")

    def _check_flow(self) -> None:
        """Raise EngineError unless what is asked of the flow can be computed."""
        if not are_distinct_of(self.surround_ns, self.lags_ns):
            raise self.wrong("surround_ns", f"different lags of lags_ns, {self.lags_ns}")
        for name in ("parallax", "certainty"):
            if not isinstance(getattr(self, name), bool):
                raise self.wrong(name, "true or false")
        if self.ridge == 0:
            raise self.wrong("ridge", "a number above 0")
        asked = self.surround_ns or self.parallax or self.certainty
        if asked and (self.motion != "flow" or not self.lags_ns):
            raise EngineError(
                "surround_ns, parallax and certainty need lags and motion flow: "
                f"got motion {self.motion} with lags_ns {self.lags_ns}"
            )

    def _check_windows(self) -> None:
        pairs = self.dilations
        if not isinstance(pairs, tuple) or not all(map(is_pair, pairs)):
            raise self.wrong("dilations", "pairs of whole numbers from 1 to 1000")
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
