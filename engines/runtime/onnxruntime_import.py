"""The only import of ONNX Runtime: everything else takes `onnxruntime` from here.

From 1.29 on it looks up and posts to its maker's servers (a hash of the device, the path of the
Python executable, names of the graphs) and keeps a database under the user's cache, unless a
variable stands before its first import.
"""

from __future__ import annotations

import os
import sys
import warnings

from ..telemetry import ONNXRUNTIME, switch_off

if "onnxruntime" in sys.modules and not ONNXRUNTIME.items() <= os.environ.items():
    warnings.warn(
        "onnxruntime was imported before microspot and may send telemetry: "
        "set ORT_DISABLE_TELEMETRY=1 before",
        RuntimeWarning,
        stacklevel=2,
    )
switch_off(ONNXRUNTIME)

import onnxruntime  # noqa: E402  # after its switch

__all__ = ["onnxruntime"]
