"""From two training runs to a folder of weights that ships: safetensors, ONNX checked against torch, manifest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..errors import DataError, UsageError
from ..export.onnx_export import export, export_spotter, write_manifest
from ..networks.cmnet import CMNet, RecognizerStep
from ..networks.mesnet import load_mesnet
from ..networks.weights import load_weights, save_weights
from ..specs import RecognizerSpec, SpotterSpec


def package(spotter: Path, recognizer: Path, out: Path) -> None:
    """Write `out` from the runs' folders; thresholds are those of the spotter's run until `calibrate` sets them.

    Raises DataError where a run is incomplete, UsageError where it is an ablation without ICE, EngineError where an
    exported graph differs from torch.
    """
    spot, name = _read(spotter / "spotter.json"), _read(recognizer / "recognizer.json")
    if not name["config"]["magnify"]:
        raise UsageError(
            f"{recognizer} was trained with magnify = false, which no backend runs: train one with it"
        )
    out.mkdir(parents=True, exist_ok=True)
    network = load_mesnet(SpotterSpec.from_json(spot["spotter"]), spotter / "spotter.safetensors")
    spec = export_spotter(network, out)
    specs = _export_recognizer(recognizer / "recognizer.safetensors", name["config"], out)
    for path in out.iterdir():
        path.chmod(
            0o644
        )  # safetensors writes for its owner alone; weights are for whoever installs them
    done = {key: name[key] for key in ("step", "minutes")}
    training = {"spotter": spot["training"], "recognizer": _portable(name["config"]) | done}
    write_manifest(
        out, spec, specs, training, {"spotter": spot["metrics"], "recognizer": name["metrics"]}
    )


def _export_recognizer(
    weights: Path, config: dict[str, Any], out: Path
) -> dict[str, RecognizerSpec]:
    network = CMNet(config["side"])
    load_weights(network, weights)
    network.eval()
    specs = {}
    for count, labels in (("3", config["labels3"]), ("5", config["labels5"])):
        specs[count] = RecognizerSpec(
            frames=config["frames"], side=config["side"], labels=tuple(labels)
        )
        tensors = specs[count].tensors()["recognizer"]
        export(
            RecognizerStep(network, int(count)),
            "recognizer",
            tensors,
            None,
            out / f"recognizer-{count}.onnx",
        )
    save_weights(network, out / "recognizer.safetensors")
    return specs


def _portable(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration without the paths of the machine that trained."""
    return {k: v for k, v in config.items() if k not in ("data", "out")}


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}): finish the run, then export") from error
