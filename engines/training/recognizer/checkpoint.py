"""Checkpoints of CMNet's training: how a run begins, what is kept of it, and how it goes on.

They are safetensors and JSON: nothing is unpickled.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from ...errors import UsageError
from ...networks.cmnet import CMNet
from ...system.replacement import replace
from ..distributed import TrainingGroup
from ..warm_start import digest_of, warm_start
from .data import RecognizerConfig

# settings that may change when a run is resumed
FREE = ("data", "out", "threads", "device", "checkpoint_minutes")


@dataclass
class RunState:
    """What a checkpoint holds (network, optimiser, steps and seconds done), and the group.

    began_with: SHA-256 of the weights of a warm start, if any.
    """

    network: CMNet
    optimiser: torch.optim.Adam
    group: TrainingGroup
    step: int = 0
    seconds: float = 0.0
    began_with: str = ""


def checkpoint_of(config: RecognizerConfig) -> Path:
    """Where the checkpoint of a run lies."""
    return Path(config.out) / "recognizer-checkpoint.safetensors"


def _settings(config: RecognizerConfig) -> dict[str, Any]:
    """The settings that must stay when a run is resumed, as JSON would read them back."""
    settings: dict[str, Any] = json.loads(json.dumps(asdict(config)))
    return {name: value for name, value in settings.items() if name not in FREE}


def network_of(config: RecognizerConfig) -> CMNet:
    """The network that a configuration trains, with fresh weights."""
    return CMNet(
        config.side,
        classes=(len(config.labels3), len(config.labels5)),
        magnify=config.magnify,
        texture=config.texture,
        floor=config.energy_floor,
        moved=(len(config.units), len(config.regions)),
    )


def start(config: RecognizerConfig, group: TrainingGroup, weights: Path | None = None) -> RunState:
    """A new run, with `weights` to begin with or fresh ones, or the one of the checkpoint.

    Raises UsageError where the checkpoint's configuration is another, DataError for weights of
    another network.
    """
    torch.manual_seed(config.seed)
    network = network_of(config)
    network.to(config.device)
    # a quarter faster on a CPU
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.Adam(network.parameters(), config.rate, weight_decay=config.decay)
    now = RunState(network, optimiser, group)
    path = checkpoint_of(config)
    if not path.exists():
        if weights is not None:
            warm_start(network, weights)
            now.began_with = digest_of(weights)
        return now
    with safe_open(path, "pt", device=config.device) as file:
        state = json.loads(file.metadata()["run"])
        # safe_open is no mapping, whatever its method is called
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    odd = [k for k, v in _settings(config).items() if state["settings"].get(k) != v]
    if odd:
        raise UsageError(
            f"{path} was trained with another {', '.join(odd)}: choose another output folder"
        )
    kept: dict[str, Tensor] = {}
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        kind, rest = name.split(".", 1)
        if kind == "net":
            kept[rest] = tensor
        else:
            index, key = rest.split(".")
            moments.setdefault(int(index), {})[key] = tensor
    network.load_state_dict(kept)
    optimiser.load_state_dict({**optimiser.state_dict(), "state": moments})
    now.step = state["step"]
    now.seconds = state["seconds"]
    now.began_with = state.get("began_with", "")
    return now


def save(now: RunState, config: RecognizerConfig) -> None:
    """Replace the checkpoint in one move: a killed process leaves the old one or the new one."""
    tensors = {f"net.{k}": v.contiguous() for k, v in now.network.state_dict().items()}
    for index, moments in now.optimiser.state_dict()["state"].items():
        tensors |= {f"adam.{index}.{k}": v.contiguous() for k, v in moments.items()}
    state = {
        "step": now.step,
        "seconds": now.seconds,
        "settings": _settings(config),
        "began_with": now.began_with,
    }
    path = checkpoint_of(config)
    save_file(tensors, path.with_suffix(".new"), {"run": json.dumps(state)})
    replace(path.with_suffix(".new"), path)
