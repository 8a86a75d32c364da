"""The switches by which the libraries that we build on send nothing to their makers.

Each is an environment variable that its library reads when it is imported, so that child processes inherit it. Our
commands set all of them before anything else; importing a package of ours sets none, but what loads ONNX Runtime
(`runtime.onnxruntime_import`) sets that one's. What the switches are worth is watched at the level of system calls:
`python -m tests.syscalls`.
"""

from __future__ import annotations

import os

ONNXRUNTIME = {
    "ORT_DISABLE_TELEMETRY": "1"
}  # from 1.29 on; its own disable_telemetry_events() comes too late
GRADIO = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
}
RAY = {"RAY_USAGE_STATS_ENABLED": "0"}
EVERY = ONNXRUNTIME | GRADIO | RAY


def switch_off(switches: dict[str, str] = EVERY) -> None:
    """Set them for this process and its children, whatever they were."""
    os.environ.update(switches)
