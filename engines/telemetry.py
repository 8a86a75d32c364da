"""The switches by which the libraries that this project builds on send nothing to their makers.

Each is an environment variable that its library reads when it is imported, so that child processes
inherit it. The project's commands set all of them before anything else. Importing a package of the
project sets none, except that `runtime.onnxruntime_import` sets ONNX Runtime's. A test watches at
the level of system calls that the switches work: `python -m tests.syscalls`.
"""

from __future__ import annotations

import os

# ONNX Runtime sends telemetry from 1.29 on; its own disable_telemetry_events() comes too late.
ONNXRUNTIME = {"ORT_DISABLE_TELEMETRY": "1"}
GRADIO = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
}
RAY = {"RAY_USAGE_STATS_ENABLED": "0"}
EVERY = ONNXRUNTIME | GRADIO | RAY


def switch_off(switches: dict[str, str] = EVERY) -> None:
    """Set `switches` for this process and its children, whatever they were."""
    os.environ.update(switches)
