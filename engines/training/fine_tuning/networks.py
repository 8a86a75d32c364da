"""The spotter as it was given, or after some steps on some recordings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from ...data.aligned.recordings import AlignedRecording
from ...errors import UsageError
from ...manifest import PACKAGED
from ...networks.mesnet import load_mesnet
from ...runtime.engine import EngineSet
from ...specs import SpotterSpec
from ..spotter.train import Trainer
from ..spotter.validation import as_engines
from ..warm_start import digest_of, spec_beside
from .config import FineTuning
from .sets import training_set

PACKAGED_NAME = "packaged"
WEIGHTS = "spotter.safetensors"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Start:
    """The weights that every fold begins with: their file, their spec, and SHA-256."""

    path: Path
    spec: SpotterSpec
    digest: str

    @classmethod
    def open(cls, weights: str) -> Start:
        """The weights of the package, of a folder, or of a file of a run.

        Raises UsageError where nothing says what they are of, DataError where they cannot be read.
        """
        path = PACKAGED if weights == PACKAGED_NAME else Path(weights)
        if path.is_dir():
            path /= WEIGHTS
        digest = digest_of(path)
        spec = spec_beside(path)
        if spec is None:
            raise UsageError(f"{path}: no spotter.json or manifest.json beside it says what it is")
        return cls(path, spec, digest)


@dataclass(frozen=True)
class Tuner:
    """Makes the engines of a fold. synthetic: sets whose training clips are drawn too."""

    start: Start
    config: FineTuning
    synthetic: tuple[Path, ...] = ()
    say: Say = lambda line: None

    def as_given(self) -> EngineSet:
        """The weights as they were given."""
        return as_engines(load_mesnet(self.start.spec, self.start.path), "given")

    def tuned(self, recordings: Sequence[AlignedRecording], steps: int) -> EngineSet:
        """The weights after `steps` steps on `recordings`; as they were given after none.

        Raises DataError where the recordings show no face, EngineError where training breaks down.
        """
        if not steps:
            return self.as_given()
        clips = training_set(recordings, self.synthetic, self.config)
        training = replace(self.config.training, seed=self.config.seed, joint_steps=steps)
        with TemporaryDirectory(prefix="microspot-") as folder:  # its log has times
            run = Trainer(training, clips, Path(folder), say=self.say, weights=self.start.path)
            return as_engines(run.run().cpu(), "fine-tuned")
