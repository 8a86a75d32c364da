"""PyTorch as a backend: the networks as trained, from safetensors.

It serves development, and exports are compared with it. Importing this module does not import
torch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import EngineError, install
from ..specs import RecognizerSpec, SpotterSpec
from .engine import Array, Engine, Tensors, check_arrays, expected_tensors

if TYPE_CHECKING:
    from torch import nn

    from ..networks.cmnet import CMNet

SPOTTER_FILE = "spotter.safetensors"
RECOGNIZER_FILE = "recognizer.safetensors"


def load_torch(
    spotter: SpotterSpec,
    recognizer: RecognizerSpec | None,
    labels: int,
    read: Callable[[str], bytes],
) -> dict[str, Engine]:
    """All engines of one set, by name.

    labels: size of the label set, which chooses the recognizer's head. read: returns the verified
    bytes of a file of the weights. Raises EngineError where torch is missing or the parameters do
    not fit the networks that the specs describe.
    """
    require_torch()
    modules = spotter_modules(spotter, read(SPOTTER_FILE))
    if recognizer is not None:
        modules["recognizer"] = _recognizer_module(recognizer, labels, read(RECOGNIZER_FILE))
    tensors = expected_tensors(spotter, recognizer)
    return {
        name: TorchEngine(module, *tensors[name], name=name) for name, module in modules.items()
    }


class TorchEngine:
    """A module whose positional inputs and outputs are those of the spec, in that order.

    Outputs are fresh arrays.
    """

    def __init__(
        self, module: nn.Module, inputs: Tensors, outputs: Tensors, name: str = "module"
    ) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self.name = name
        self._module: nn.Module | None = module.eval()

    def __call__(self, **arrays: Array) -> dict[str, Array]:
        """Run the module; EngineError where arrays differ from the spec, and after `close`."""
        import torch

        if self._module is None:
            raise EngineError(f"{self.name} is closed: load the engines again")
        check_arrays(self.inputs, arrays)
        with torch.inference_mode():
            # a copy, since torch warns about the read-only arrays that rings hand out
            found = self._module(*(torch.tensor(arrays[spec.name]) for spec in self.inputs))
        tensors = found if isinstance(found, tuple) else (found,)
        results = {
            spec.name: tensor.numpy() for spec, tensor in zip(self.outputs, tensors, strict=True)
        }
        check_arrays(self.outputs, results)
        return results

    def close(self) -> None:
        """Release the module."""
        self._module = None


def require_torch() -> None:
    """Raise EngineError with the install command where torch is missing."""
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise EngineError(
            f"backend torch needs PyTorch: {install('train')}, or use --backend onnx"
        ) from error


def spotter_modules(spec: SpotterSpec, content: bytes) -> dict[str, nn.Module]:
    """Encoder, proposer and refiner as trained, from the bytes of a safetensors file.

    Raises EngineError where the parameters do not fit.
    """
    from ..networks.mesnet import MESNet, steps

    network = MESNet(spec)
    _fill(network, content, SPOTTER_FILE)
    return steps(network)


def recognizer_network(spec: RecognizerSpec, content: bytes) -> CMNet:
    """CMNet as trained, in evaluation mode; EngineError where the parameters do not fit."""
    from ..networks.cmnet import cmnet_of

    network = cmnet_of(spec)
    _fill(network, content, RECOGNIZER_FILE)
    return network.eval()


def _recognizer_module(spec: RecognizerSpec, labels: int, content: bytes) -> nn.Module:
    from ..networks.cmnet import RecognizerStep

    return RecognizerStep(recognizer_network(spec, content), labels)


def _fill(network: nn.Module, content: bytes, file: str) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        parameters: dict[str, Any] = load(content)
        network.load_state_dict(parameters)
    except (SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise EngineError(
            f"{file} does not fit {type(network).__name__} ({reason}); export the weights again"
        ) from error
