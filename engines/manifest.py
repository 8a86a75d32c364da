"""A folder of weights as its manifest describes it; every file is verified before it is used.

A folder of weights holds `manifest.json` and the files it names:

    {"format": 2, "spotter": {SpotterSpec}, "recognizers": {"3": {RecognizerSpec}, "5": {...}},
     "files": {"encoder.onnx": {"sha256": "...", "bytes": 1}, ...},
     "training": ..., "metrics": ..., "code_version": ...}

Format 2 has recognizers that may say what moved, and an FFE that may see direction alone; in format
1 none does, and both are read.
"""

from __future__ import annotations

import errno
import hashlib
import json
import re
import reprlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

from .errors import DataError, EngineError
from .specs import RecognizerSpec, SpotterSpec
from .system.replacement import replace
from .text.documents import DocumentError, read_json

FORMAT = 2  # of what is written
FORMATS = (1, 2)  # that are read
LABELS = (3, 5)
UNITS = "units"  # asked for in place of a number of labels: action units, no emotion
PACKAGED = Path(__file__).resolve().parent / "weights"
EXPECTED = "expected a manifest.json there, or use --engines baseline"
PREFIX = 12  # digits of a digest that a message shows

Spec = TypeVar("Spec", SpotterSpec, RecognizerSpec)


UNIT_SCORES = ("unit_temperatures", "unit_biases", "unit_floor")


def set_thresholds(folder: Path, calibration: dict[str, Any]) -> None:
    """Write a calibration, and its t_cpn and t_crn as thresholds, into the manifest of `folder`.

    Raises EngineError where the folder holds no weights; DataError where the manifest cannot be
    written, which then stays as it was.
    """
    manifest = _manifest(folder)
    manifest["spotter"] |= {name: calibration[name] for name in ("t_cpn", "t_crn")}
    _write(folder, manifest, {"calibration": calibration})


def set_unit_scores(folder: Path, calibration: dict[str, Any]) -> None:
    """Write how scores of action units are told into the manifest of `folder`.

    UNIT_SCORES of the calibration go to every recognizer that tells units, whose heads are one;
    the rest of it is kept among the metrics. Raises as `set_thresholds`.
    """
    manifest = _manifest(folder)
    told = {name: calibration[name] for name in UNIT_SCORES}
    for spec in manifest["recognizers"].values():
        if spec.get("units"):
            spec |= told
    found = {name: value for name, value in calibration.items() if name not in told}
    _write(folder, manifest, {"unit_scores": found})


def _manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a folder of weights. Raises EngineError where it is none."""
    Weights.open(folder)
    manifest: dict[str, Any] = read_json(folder / "manifest.json")
    return manifest


def _write(folder: Path, manifest: dict[str, Any], metrics: dict[str, Any]) -> None:
    """Write a manifest with more metrics. Raises DataError; the file then stays as it was."""
    path = folder / "manifest.json"
    part = folder / "manifest.json.part"
    known = manifest.get("metrics")
    if not isinstance(known, dict):
        known = {}
    manifest["metrics"] = known | metrics
    try:
        part.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise DataError(f"cannot write {path}: {error.strerror}") from error


@dataclass(frozen=True, eq=False)
class Weights:
    """A folder of weights as its manifest describes it; `read` verifies each file that is used."""

    folder: Path
    spotter: SpotterSpec
    recognizers: dict[str, RecognizerSpec]
    files: dict[str, str]  # name -> SHA-256

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Parse `manifest.json`.

        Raises EngineError where it is missing, malformed or of another format or spec.
        """
        path = folder / "manifest.json"
        try:
            manifest = read_json(path)
            found = manifest.get("format")
            if found not in FORMATS:
                known = " or ".join(map(str, FORMATS))
                raise EngineError(f"expected format {known}, got {reprlib.repr(found)}")
            return cls(folder, *_parse(manifest))
        except (DocumentError, EngineError) as error:
            if isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
                raise EngineError(f"no weights in {folder}: {EXPECTED}") from None
            raise EngineError(f"{path}: {error}; export the weights again") from error

    @property
    def digest(self) -> str:
        """SHA-256 over the names and digests of all files, the identity of the weights."""
        lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(self.files.items()))
        return hashlib.sha256(lines.encode()).hexdigest()

    def recognizer(self, labels: int) -> RecognizerSpec | None:
        """The spec of the head with `labels` classes; None where the weights have no recognizer.

        Raises EngineError where they have one, but none with `labels` classes.
        """
        if not self.recognizers:
            return None
        if str(labels) not in self.recognizers:
            raise EngineError(
                f"no recognizer for {labels} labels: the weights have {', '.join(self.recognizers)}"
            )
        return self.recognizers[str(labels)]

    def labels_for_units(self) -> int:
        """The number of labels of a recognizer that also says which action units moved.

        Raises EngineError where the weights have none.
        """
        for key, spec in self.recognizers.items():
            if spec.units:
                return int(key)
        raise EngineError("no recognizer says action units: ask for 3 or 5 labels, or train such")

    def read(self, name: str) -> bytes:
        """The content of a file. Raises EngineError where it is missing or its SHA-256 differs."""
        if name not in self.files:
            raise EngineError(
                f"{self.folder / 'manifest.json'} lists no {name}: export the weights again"
            )
        try:
            if not (self.folder / name).is_file():  # a read from a pipe would wait for its writer
                raise FileNotFoundError(errno.ENOENT, "no such file")
            content = (self.folder / name).read_bytes()
        except OSError as error:
            raise EngineError(
                f"{self.folder / name} cannot be read ({error}); install the weights again"
            ) from error
        expected = self.files[name]
        actual = hashlib.sha256(content).hexdigest()
        if actual != expected:
            raise EngineError(
                f"{self.folder / name} has changed: expected SHA-256 {expected[:PREFIX]}…, "
                f"got {actual[:PREFIX]}…; install the weights again"
            )
        return content


def _parse(
    manifest: dict[str, Any],
) -> tuple[SpotterSpec, dict[str, RecognizerSpec], dict[str, str]]:
    """The parts that decide what runs. Raises EngineError with key, expected and actual."""
    spotter = _spec(SpotterSpec, "spotter", _object(manifest, "spotter"))
    entries = _object(manifest, "recognizers")
    recognizers = {
        key: _spec(RecognizerSpec, f"recognizers.{key}", spec) for key, spec in entries.items()
    }
    for key, spec in recognizers.items():
        if spec.side != spotter.side:
            raise EngineError(
                f"recognizers.{key}.side: expected {spotter.side} as the spotter's, got {spec.side}"
            )
    files = _object(manifest, "files")
    return spotter, recognizers, {name: _digest(name, entry) for name, entry in files.items()}


def _object(manifest: dict[str, Any], key: str) -> dict[str, Any]:
    found = manifest.get(key)
    if not isinstance(found, dict):
        raise EngineError(f"{key}: expected an object {{...}}, got {reprlib.repr(found)}")
    return found


def _spec(kind: type[Spec], key: str, values: Any) -> Spec:
    try:
        return kind.from_json(values)
    except EngineError as error:
        raise EngineError(f"{key}: {error}") from error


def _digest(name: str, entry: Any) -> str:
    found = entry.get("sha256") if isinstance(entry, dict) else entry
    if not isinstance(found, str) or not re.fullmatch("[0-9a-f]{64}", found):
        raise EngineError(
            f"files.{name}: expected a sha256 of 64 hexadecimal digits, got {reprlib.repr(found)}"
        )
    return found
