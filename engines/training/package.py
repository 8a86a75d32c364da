"""From two training runs to a folder of weights that ships: safetensors, checked ONNX, manifest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..errors import DataError, UsageError
from ..export.onnx_export import export, export_spotter, write_manifest
from ..networks.cmnet import RecognizerStep, cmnet_of
from ..networks.mesnet import load_mesnet
from ..networks.weights import load_weights, save_weights
from ..specs import RecognizerSpec, SpotterSpec


def package(spotter: Path, recognizer: Path, out: Path) -> None:
    """Write the folder of weights `out` from the folders of two runs.

    Thresholds are those of the spotter's run until `calibrate` sets them. Raises DataError where a
    run is incomplete, UsageError where it is an ablation without ICE, EngineError where an exported
    graph differs from torch.
    """
    spotting = _read(spotter / "spotter.json")
    recognition = _read(recognizer / "recognizer.json")
    config = recognition["config"]
    if not config["magnify"]:
        raise UsageError(
            f"{recognizer} was trained with magnify = false, which no backend runs: "
            "train one with it"
        )
    out.mkdir(parents=True, exist_ok=True)
    spec = SpotterSpec.from_json(spotting["spotter"])
    spec = export_spotter(load_mesnet(spec, spotter / "spotter.safetensors"), out)
    specs = _export_recognizer(recognizer / "recognizer.safetensors", config, out)
    for path in out.iterdir():
        # safetensors makes files for their owner alone; weights are for everybody who installs them
        path.chmod(0o644)
    progress = {key: recognition[key] for key in ("step", "minutes", "began_with")}
    training = {
        "spotter": spotting["training"],
        "recognizer": _without_paths(config) | progress,
    }
    metrics = {"spotter": spotting["metrics"], "recognizer": recognition["metrics"]}
    write_manifest(out, spec, specs, training, metrics)


def _export_recognizer(
    weights: Path, config: dict[str, Any], out: Path
) -> dict[str, RecognizerSpec]:
    """Write one ONNX file for each label set, and the weights; the specs by number of labels."""
    specs = {}
    for count, names in (("3", config["labels3"]), ("5", config["labels5"])):
        specs[count] = RecognizerSpec(
            frames=config["frames"],
            side=config["side"],
            labels=tuple(names),
            texture=config["texture"],
            energy_floor=config["energy_floor"],
            units=tuple(config["units"]),
            regions=tuple(config["regions"]),
        )
    network = cmnet_of(specs["3"])
    load_weights(network, weights)
    network.eval()
    for count, spec in specs.items():
        module = RecognizerStep(network, int(count))
        path = out / f"recognizer-{count}.onnx"
        export(module, "recognizer", spec.tensors()["recognizer"], None, path)
    save_weights(network, out / "recognizer.safetensors")
    return specs


def _without_paths(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration without the paths of the machine that trained."""
    return {k: v for k, v in config.items() if k not in ("data", "out")}


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}): finish the run, then export") from error
