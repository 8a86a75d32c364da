"""Builds in a process of their own, whose memory is laid out the same way every time.

TensorRT for RTX 1.7 orders what it writes by where in memory it happened to be: with address randomisation on, six
builds of one graph gave six files; with it off, in a fresh process with the same environment, nearly always one. And
what goes wrong in native code (a parser that dies of a graph it refuses was seen) then costs a line, not the camera.
"""

from __future__ import annotations

import ctypes
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import EngineError
from ..runtime.engine import Tensors
from ..specs import TensorSpec
from ..telemetry import EVERY
from .builder import MODULES, Target, build
from .cache import MODEL, PLAN

CHILD = "import sys; from microspot.engines.tensorrt.isolated_build import work; work(sys.argv[1])"
# what loading native libraries may need; anything else would move things in memory
KEPT = (
    "PATH",
    "LD_LIBRARY_PATH",
    "PYTHONPATH",
    "HOME",
    "SYSTEMROOT",
    "CUDA_VISIBLE_DEVICES",
    "TMPDIR",
    "TEMP",
)
JOB, DONE, REFUSED = "job.json", "done.json", "refused.txt"
LIMIT_S = 3600  # of one build; its lock keeps other processes waiting
NO_RANDOMISATION, ASK = (
    0x0040000,
    0xFFFFFFFF,
)  # Linux: ADDR_NO_RANDOMIZE; personality(ASK) only reads


class Built(NamedTuple):
    """An engine file, the audit of its types, and whether another build should give the same bytes.

    TensorRT itself chooses kernels by timing them, so that its engines are never repeatable.
    """

    plan: bytes
    types: dict[str, int]
    repeatable: bool


def build_isolated(
    model: bytes, name: str, tensors: tuple[Tensors, Tensors], target: Target
) -> Built:
    """`builder.build` in a child process.

    Raises EngineError as it does, and where the child dies or takes longer than LIMIT_S.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / MODEL).write_bytes(model)
        shapes = [[dataclasses.asdict(spec) for spec in specs] for specs in tensors]
        job = {"name": name, "tensors": shapes, "target": dataclasses.asdict(target)}
        (folder / JOB).write_text(json.dumps(job), encoding="utf-8")
        env = (
            {key: os.environ[key] for key in KEPT if key in os.environ}
            | {"PYTHONHASHSEED": "0"}
            | EVERY
        )
        command = [
            sys.executable,
            "-P",
            "-c",
            CHILD,
            place,
        ]  # -P: no module from the current folder
        try:
            done = subprocess.run(
                command, env=env, capture_output=True, text=True, check=False, timeout=LIMIT_S
            )
        except subprocess.TimeoutExpired as error:
            raise EngineError(
                f"{name}: not built after {LIMIT_S} s; use --backend onnx and report it"
            ) from error
        if (folder / REFUSED).exists():
            raise EngineError((folder / REFUSED).read_text(encoding="utf-8"))
        if done.returncode or not (folder / DONE).exists():
            said = (done.stderr.strip().splitlines() or ["nothing said"])[-1]
            how = f"exit code {done.returncode}: {said}"
            raise EngineError(
                f"{name}: {MODULES[target.backend]} died while building ({how}); use --backend onnx"
            )
        report = json.loads((folder / DONE).read_text(encoding="utf-8"))
        return Built((folder / PLAN).read_bytes(), report["types"], report["repeatable"])


def work(place: str) -> None:
    """The child's part: read the job in the folder `place`, build, write the engine or why not."""
    repeatable = _fix_addresses()  # comes back in a new process
    folder = Path(place)
    job: dict[str, Any] = json.loads((folder / JOB).read_text(encoding="utf-8"))
    inputs, outputs = (
        tuple(TensorSpec(spec["name"], spec["dtype"], tuple(spec["shape"])) for spec in specs)
        for specs in job["tensors"]
    )
    try:
        plan, types = build(
            (folder / MODEL).read_bytes(), job["name"], (inputs, outputs), Target(**job["target"])
        )
    except EngineError as error:
        (folder / REFUSED).write_text(str(error), encoding="utf-8")
        return
    (folder / PLAN).write_bytes(plan)
    (folder / DONE).write_text(
        json.dumps(
            {"types": types, "repeatable": repeatable and job["target"]["backend"] == "rtx"}
        ),
        encoding="utf-8",
    )


def _fix_addresses() -> bool:
    """Start this process again without address randomisation; False where the system has or allows no such thing."""
    if sys.platform != "linux":
        return False
    personality = ctypes.CDLL(None).personality
    personality.argtypes = [ctypes.c_ulong]
    now = personality(ASK)
    if now == -1:
        return False
    if not now & NO_RANDOMISATION:
        if personality(now | NO_RANDOMISATION) == -1:
            return False
        os.execv(sys.executable, sys.orig_argv)
    return True
