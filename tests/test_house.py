"""The house rules: imports run one way, importing does nothing, public names are what they are."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from microspot import engines, realtime
from microspot.engines.telemetry import EVERY

ROOT = Path(__file__).resolve().parent.parent
MAY_IMPORT = {
    "engines": {"engines"},
    "realtime": {"engines", "realtime"},
    "demo": {"engines", "realtime", "demo"},
}
FORBIDDEN = {
    "realtime": {"torch", "tensorrt", "tensorrt_rtx", "gradio"},
    "engines": {"gradio"},
    "demo": set(),
}


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_only_run_to_the_right(package):
    paths = sorted((ROOT / package).rglob("*.py"))
    assert paths
    for path in paths:
        names = set(imported(path))
        assert not (names & set(MAY_IMPORT)) - MAY_IMPORT[package], path
        assert not names & FORBIDDEN[package], path


@pytest.mark.parametrize("module", ["engines", "realtime"])
def test_importing_does_nothing(module):
    code = (
        "import json, sys, threading\n"
        f"import {module}\n"
        "heavy = {'torch', 'mediapipe', 'cv2', 'onnxruntime', 'numba', 'av'} & set(sys.modules)\n"
        "print(json.dumps([threading.active_count(), sorted(heavy)]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert json.loads(done.stdout) == [1, []]


WITHOUT_TORCH = [
    "engines.alignment.aligner", "engines.intervals", "engines.specs", "engines.evaluation.metrics", "engines.baseline", "engines.reference",
    "engines.data.synthetic", "engines.runtime.onnx_engine", "engines.loading", "realtime.pipeline",
]  # fmt: skip


def test_a_base_install_needs_no_torch():
    code = "import sys; sys.modules['torch'] = None\n" + "\n".join(
        f"import {name}" for name in WITHOUT_TORCH
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("package", [engines, realtime])
def test_public_names_are_sorted_and_there(package):
    assert package.__all__ == sorted(package.__all__)
    for name in package.__all__:
        assert getattr(package, name).__name__ == name
    with pytest.raises(AttributeError):
        package.nothing_of_the_kind  # noqa: B018


def test_one_module_imports_onnxruntime():
    """It sets the switch of its telemetry before; whoever imports it elsewhere may be first."""
    packages = [ROOT / name for name in (*MAY_IMPORT, "tests")]
    found = {
        path
        for package in packages
        for path in package.rglob("*.py")
        if "onnxruntime" in set(imported(path))
    }
    assert found == {ROOT / "engines" / "runtime" / "onnxruntime_import.py"}


def run(code, **environment):
    """(stdout, stderr) of Python code in a new process without the switch, for which warnings are errors."""
    surroundings = {k: v for k, v in os.environ.items() if k not in EVERY} | environment
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=surroundings)


FAKE = "import sys, types; sys.modules['onnxruntime'] = types.ModuleType('onnxruntime')\n"
OURS = "import os, engines.runtime.onnxruntime_import; print(os.environ['ORT_DISABLE_TELEMETRY'])"


def test_onnxruntime_is_imported_with_its_telemetry_off():
    assert run(OURS).stdout == "1\n"
    assert run(OURS, ORT_DISABLE_TELEMETRY="0").stdout == "1\n"
    assert (
        run(
            f"import subprocess, sys; {OURS}; subprocess.run(['printenv', 'ORT_DISABLE_TELEMETRY'])"
        ).stdout
        == "1\n1\n"
    )


def test_who_imported_onnxruntime_before_is_warned():
    early = run(FAKE + OURS)
    assert early.stderr.count("RuntimeWarning") == 1
    assert "set ORT_DISABLE_TELEMETRY=1" in early.stderr.splitlines()[-1]
    assert run(FAKE + OURS, ORT_DISABLE_TELEMETRY="1").stdout == "1\n"


def test_importing_switches_nothing_and_commands_switch_all_off():
    code = "import os; before = dict(os.environ); from microspot import demo, engines, realtime; print(before == dict(os.environ))"
    assert run(code).stdout == "True\n"
    code = "import os; from microspot.engines.commands.entry_point import run_command; run_command(lambda **_: print(os.environ), 'x')"
    said = run(code).stdout
    assert all(f"{name!r}: {value!r}" in said for name, value in EVERY.items())


def test_nothing_is_unpickled():
    for package in MAY_IMPORT:
        for path in (ROOT / package).rglob("*.py"):
            assert "pickle" not in set(imported(path)), path
            assert "allow_pickle=True" not in path.read_text(), path
            assert "torch.load(" not in path.read_text(), path
