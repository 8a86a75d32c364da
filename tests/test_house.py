"""The rules of the house: which way imports run, what importing does, who imports what."""

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from microspot import engines, realtime
from microspot.engines.telemetry import EVERY

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("engines", "realtime", "demo")  # each imports itself and those before it
FORBIDDEN = {
    "engines": {"gradio"},
    "realtime": {"torch", "tensorrt", "tensorrt_rtx", "gradio"},
    "demo": {"torch", "tensorrt", "tensorrt_rtx"},
}
MOST_FILES = 16  # of a folder
Graph = dict[str, set[str]]


def module_of(path: Path, root: Path = ROOT) -> str:
    """The full name of a source file's module."""
    parts = ["microspot", *path.relative_to(root).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path, root: Path = ROOT) -> Iterator[str]:
    """Full names of what a source file imports, wherever in it; of `from a import b` a.b and a."""
    package = module_of(path, root)
    if path.name != "__init__.py":
        package = package.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            parts = [*(above if node.level else []), *filter(None, [node.module])]
            yield ".".join(parts)
            yield from (".".join([*parts, alias.name]) for alias in node.names)


def sources(root: Path = ROOT) -> dict[str, Path]:
    """Every module of the three packages and its file."""
    paths = [path for name in PACKAGES for path in sorted((root / name).rglob("*.py"))]
    return {module_of(path, root): path for path in paths if "examples" not in path.parts}


def imports(root: Path = ROOT) -> Graph:
    """Which of our modules each of them imports, itself and packages' faces left out."""
    known = sources(root)
    rooms = {name for name, path in known.items() if path.name == "__init__.py"}
    return {
        name: {other for other in imported(path, root) if other in known} - rooms - {name}
        for name, path in known.items()
        if name not in rooms
    }


def room(module: str) -> str:
    """The room of a module: microspot.engines.data of microspot.engines.data.faces.

    A room within a room belongs to it: modules of both may import each other, though not in a
    circle.
    """
    return ".".join(module.split(".")[:3])


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    """A circle of the graph; empty where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def wrong_ways(root: Path = ROOT) -> list[tuple[str, str]]:
    """Imports of a later package, and of libraries that a package must not know."""
    found = []
    for name, path in sources(root).items():
        package = name.split(".")[1]
        later = {f"microspot.{p}" for p in PACKAGES[PACKAGES.index(package) + 1 :]}
        for other in imported(path, root):
            ours = ".".join(other.split(".")[:2])
            if ours in later or other.split(".")[0] in {*PACKAGES, *FORBIDDEN[package]}:
                found.append((name, other))
    return found


def test_imports_only_run_to_the_right() -> None:
    assert len(sources()) > 150
    assert wrong_ways() == []


@pytest.mark.parametrize(
    ("where", "line"),
    [
        ("engines", "from microspot.realtime.records import Frame"),
        ("engines", "from microspot import realtime"),
        ("engines", "import microspot.demo.app"),
        ("realtime", "from ..demo import app"),
        ("realtime", "from microspot.demo.app import build"),
        ("realtime", "import torch"),
        ("engines", "import gradio.blocks"),
        ("demo", "from realtime import session"),
    ],
)
def test_an_import_to_the_left_is_seen(tmp_path: Path, where: str, line: str) -> None:
    for name in PACKAGES:
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.py").write_text("")
    (tmp_path / where / "a.py").write_text(f"def late():\n    {line}\n")
    assert {name for name, _ in wrong_ways(tmp_path)} == {f"microspot.{where}.a"}


def test_no_module_and_no_room_imports_itself_round_a_corner() -> None:
    graph = imports()
    assert circle(graph) == []
    rooms: Graph = {}
    for name, others in graph.items():
        rooms.setdefault(room(name), set()).update(room(other) for other in others)
    assert circle({name: others - {name} for name, others in rooms.items()}) == []


def test_a_circle_is_seen(tmp_path: Path) -> None:
    for name in ("a/__init__", "b/__init__"):
        (tmp_path / "engines" / name).with_suffix(".py").parent.mkdir(parents=True)
        (tmp_path / "engines" / name).with_suffix(".py").write_text("")
    (tmp_path / "engines" / "a" / "x.py").write_text("from ..b.y import z\n")
    (tmp_path / "engines" / "b" / "y.py").write_text("def f():\n    from ..a import x\n")
    graph = imports(tmp_path)
    assert graph == {
        "microspot.engines.a.x": {"microspot.engines.b.y"},
        "microspot.engines.b.y": {"microspot.engines.a.x"},
    }
    assert circle(graph)


def folders() -> Iterator[Path]:
    """Every folder of the checkout that holds files of the project."""
    if (ROOT / ".git").exists() and shutil.which("git"):
        command = ["git", "-c", "safe.directory=*", "ls-files"]  # whoever owns the checkout
        tracked = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
        yield from sorted({ROOT / Path(name).parent for name in tracked.stdout.splitlines()})
        return
    for name in (*PACKAGES, "tests"):
        yield from sorted({path.parent for path in (ROOT / name).rglob("*.py")})


def test_a_folder_holds_few_files_and_shares_its_name_with_no_module() -> None:
    for folder in folders():
        files = [path for path in folder.iterdir() if path.is_file() and path.suffix != ".pyc"]
        if folder != ROOT:
            assert len(files) <= MOST_FILES, folder
        assert not folder.with_suffix(".py").exists(), folder


@pytest.mark.parametrize("module", ["microspot.engines", "microspot.realtime", "microspot.demo"])
def test_importing_does_nothing(module: str) -> None:
    code = (
        "import json, sys, threading\n"
        f"import {module}\n"
        "heavy = {'torch', 'mediapipe', 'cv2', 'onnxruntime', 'numba', 'scipy', 'av'}\n"
        "heavy &= set(sys.modules)\n"
        "print(json.dumps([threading.active_count(), sorted(heavy)]))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert json.loads(done.stdout) == [1, []]


WITHOUT_TORCH = [
    "engines.alignment.aligner",
    "engines.intervals",
    "engines.specs",
    "engines.evaluation.metrics",
    "engines.baseline",
    "engines.reference",
    "engines.data.generator.synthetic",
    "engines.runtime.onnx_engine",
    "engines.loading",
    "realtime.pipeline",
]


def test_a_base_install_needs_no_torch() -> None:
    lines = [f"import microspot.{name}" for name in WITHOUT_TORCH]
    code = "\n".join(["import sys", "sys.modules['torch'] = None", *lines])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("package", [engines, realtime])
def test_public_names_are_sorted_and_there(package) -> None:
    assert package.__all__ == sorted(package.__all__)
    for name in package.__all__:
        assert getattr(package, name).__name__ == name
    with pytest.raises(AttributeError):
        package.nothing_of_the_kind  # noqa: B018


def test_one_module_imports_onnxruntime() -> None:
    """It sets the switch of its telemetry before; whoever imports it elsewhere may be first."""
    paths = [path for name in (*PACKAGES, "tests") for path in (ROOT / name).rglob("*.py")]
    found = {path for path in paths if "onnxruntime" in set(imported(path))}
    assert found == {ROOT / "engines" / "runtime" / "onnxruntime_import.py"}


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Python code in a new process without the switch, for which warnings are errors."""
    others = {name: value for name, value in os.environ.items() if name not in EVERY}
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env=others | environment
    )


FAKE = "import sys, types; sys.modules['onnxruntime'] = types.ModuleType('onnxruntime')\n"
OURS = (
    "import os, microspot.engines.runtime.onnxruntime_import\n"
    "print(os.environ['ORT_DISABLE_TELEMETRY'])\n"
)
CHILD = "import subprocess; subprocess.run(['printenv', 'ORT_DISABLE_TELEMETRY'])\n"


def test_onnxruntime_is_imported_with_its_telemetry_off() -> None:
    assert run(OURS).stdout == "1\n"
    assert run(OURS, ORT_DISABLE_TELEMETRY="0").stdout == "1\n"
    assert sorted(run(OURS + CHILD).stdout.split()) == ["1", "1"]


def test_who_imported_onnxruntime_before_is_warned() -> None:
    early = run(FAKE + OURS)
    assert early.stderr.count("RuntimeWarning") == 1
    assert "set ORT_DISABLE_TELEMETRY=1" in early.stderr.splitlines()[-1]
    assert run(FAKE + OURS, ORT_DISABLE_TELEMETRY="1").stdout == "1\n"


def test_importing_switches_nothing_and_commands_switch_all_off() -> None:
    code = (
        "import os; before = dict(os.environ)\n"
        "from microspot import demo, engines, realtime\n"
        "print(before == dict(os.environ))"
    )
    assert run(code).stdout == "True\n"
    code = (
        "import os\n"
        "from microspot.engines.commands.entry_point import run_command\n"
        "run_command(lambda **_: print(os.environ), 'x')"
    )
    said = run(code).stdout
    assert all(f"{name!r}: {value!r}" in said for name, value in EVERY.items())


def test_no_file_and_no_stream_is_unpickled() -> None:
    """Nothing that people feed it; records of child processes are, over their own pipe."""
    with_children = {
        "realtime.analyze",
        "realtime.bench",
        "realtime.processes",
        "engines.data",
        "engines.evaluation",
    }
    for name, path in sources().items():
        names = {other.split(".")[0] for other in imported(path)}
        assert not names & {"pickle", "marshal", "shelve", "dill", "joblib", "cloudpickle"}, path
        assert "multiprocessing" not in names or room(name)[10:] in with_children, path
        text = path.read_text(encoding="utf-8")
        assert "allow_pickle=True" not in text, path
        assert "torch.load(" not in text, path
