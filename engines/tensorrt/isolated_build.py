"""Isolated builds: each in a process of its own, whose memory is laid out the same way every time.

TensorRT for RTX 1.7 orders what it writes by memory address: with address randomisation on, six
builds of one graph gave six files; with it off, in a fresh process with the same environment,
nearly always one. A crash in native code (a parser that dies of a graph it refuses was seen) then
ends the child alone and becomes an error of one line.
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
# Environment of the child: what loading native libraries may need. More would move addresses.
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
JOB = "job.json"
DONE = "done.json"
REFUSED = "refused.txt"
LIMIT_S = 3600  # of one build; its lock keeps other processes waiting
NO_RANDOMISATION = 0x0040000  # Linux: ADDR_NO_RANDOMIZE of personality(2)
ASK = 0xFFFFFFFF  # personality(ASK) reads and changes nothing


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
    """Run `builder.build` in a child process.

    Raises EngineError as it does, and where the child dies or takes longer than LIMIT_S.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / MODEL).write_bytes(model)
        shapes = [[dataclasses.asdict(spec) for spec in specs] for specs in tensors]
        job = {"name": name, "tensors": shapes, "target": dataclasses.asdict(target)}
        (folder / JOB).write_text(json.dumps(job), encoding="utf-8")
        kept = {key: os.environ[key] for key in KEPT if key in os.environ}
        env = kept | {"PYTHONHASHSEED": "0"} | EVERY
        command = [sys.executable, "-P", "-c", CHILD, place]  # -P: no module of the current folder
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
    """Do the child's part: read the job in the folder `place`, build, write the engine or why not.

    `place` is the temporary folder that `build_isolated` made.
    """
    fixed = _fix_addresses()  # restarts the process once
    folder = Path(place)
    job: dict[str, Any] = json.loads((folder / JOB).read_text(encoding="utf-8"))
    inputs, outputs = map(_tensors, job["tensors"])
    target = Target(**job["target"])
    try:
        plan, types = build((folder / MODEL).read_bytes(), job["name"], (inputs, outputs), target)
    except EngineError as error:
        (folder / REFUSED).write_text(str(error), encoding="utf-8")
        return
    (folder / PLAN).write_bytes(plan)
    report = {"types": types, "repeatable": fixed and target.backend == "rtx"}
    (folder / DONE).write_text(json.dumps(report), encoding="utf-8")


def _tensors(specs: list[dict[str, Any]]) -> Tensors:
    """Tensor specs as the job has them."""
    return tuple(TensorSpec(spec["name"], spec["dtype"], tuple(spec["shape"])) for spec in specs)


def _fix_addresses() -> bool:
    """Start this process again without address randomisation, unless it already runs so.

    Returns False where the system does not have or allow that.
    """
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
