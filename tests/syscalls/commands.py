"""What is watched: the commands, training on a set of noise, and the page with a visitor."""

from __future__ import annotations

import importlib.util
import itertools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from microspot.engines.telemetry import EVERY
from tests.noise_set import RECOGNIZER, SPOTTER, noise_set
from tests.syscalls import rules, trace
from tests.syscalls.rules import Finding
from tests.syscalls.visitor import SECONDS, visit_page, visit_review

# ONNX Runtime sends nothing where one of these is set: it would look well behaved in CI alone.
BUILD_SERVERS = (
    "CI",
    "BUILD_ID",
    "BUILDKITE",
    "CIRCLECI",
    "CODEBUILD_BUILD_ID",
    "GITHUB_ACTIONS",
    "GITLAB_CI",
    "JENKINS_URL",
    "TEAMCITY_VERSION",
    "TF_BUILD",
    "TRAVIS",
)
# neither a maintainer's own settings nor where this runs must speak for ours
HIDING = (*EVERY, *BUILD_SERVERS, "DO_NOT_TRACK", "LSLAPICFG", "MICROSPOT_CACHE", "MPLCONFIGDIR")
FAILED = "failed"
LSL_CONFIGURATION = Path(__file__).parents[1] / "lsl_api.cfg"
# Of the parity ladder, those that can be tried without a GPU; C with TensorRT for RTX installed.
RUNGS = "ABC" if importlib.util.find_spec("tensorrt_rtx") else "AB"

Visit = Callable[[subprocess.Popen[str]], None]


@dataclass(frozen=True)
class Watched:
    """One command: the program (a package of ours), its arguments, and the files that these name.

    Both are relative to the folder it runs in. prepare: puts there what it needs. visit: what
    happens while it runs. codes: what it may end with. says: parts of what it prints.
    """

    program: str
    arguments: str
    outputs: tuple[str, ...] = ()
    prepare: Callable[[Path], None] | None = None
    visit: Visit | None = None
    codes: tuple[int, ...] = (0,)
    says: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """What a command did that it must not do, and the names that it asked for."""

    name: str
    seconds: float
    findings: list[Finding] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def count(self, kind: str) -> int:
        return sum(finding.kind == kind for finding in self.findings)


def watch_command(
    name: str,
    watched: Watched,
    place: Path,
    python: str = sys.executable,
    more: Mapping[str, str] | None = None,
) -> Report:
    """Run one in a new folder below `place`, which stays there where it failed.

    python: of the environment to run it in. more: environment variables.
    """
    began = time.monotonic()
    home, temporary, work, traces = (
        place / name / part for part in ("home", "temporary", "work", "traces")
    )
    for folder in (home, temporary, work, traces):
        folder.mkdir(parents=True)
    if watched.prepare is not None:
        watched.prepare(work)
    given = rules.files_below(work)
    cache = home / ".cache" / "microspot"
    command = [python, "-m", f"microspot.{watched.program}", *watched.arguments.split()]
    try:
        done = trace.run(command, work, _environment(home, temporary, more), traces, watched.visit)
    except Exception as error:  # whatever a visitor meets
        last_line = _last_line((traces / trace.STDERR).read_text())
        said = f"{type(error).__name__}: {error}; it said: {last_line}"
        return Report(name, time.monotonic() - began, [Finding(FAILED, said)])
    seen = list(trace.calls(traces))
    written = rules.written_paths(seen, work)
    remaining = (rules.files_below(place / name) - rules.files_below(traces) - given) | written
    findings = rules.network_findings(seen)
    findings += rules.left_findings(
        remaining, [traces, cache, *(work / output for output in watched.outputs)]
    )
    findings += _failures(done, watched, written, work)
    if not findings:
        shutil.rmtree(place / name)
    return Report(name, time.monotonic() - began, findings, rules.names_asked(seen))


def _environment(home: Path, temporary: Path, more: Mapping[str, str] | None) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k not in HIDING and not k.startswith("XDG_")}
    own = {
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "USER": "watched",
    }  # nobody has to look up who that is
    return kept | own | dict(more or {})


def _failures(
    done: subprocess.CompletedProcess[str],
    watched: Watched,
    written: set[Path],
    work: Path,
) -> list[Finding]:
    """A command that did not do its work has shown nothing."""
    if done.returncode not in watched.codes:
        return [Finding(FAILED, f"exit code {done.returncode}: {_last_line(done.stderr)}")]
    unsaid = [part for part in watched.says if part not in done.stdout]
    if unsaid:
        return [Finding(FAILED, f"never said {', '.join(unsaid)}: {_last_line(done.stdout)}")]
    outputs = [work / output for output in watched.outputs]
    silent = [
        str(path) for path in outputs if not any(each.is_relative_to(path) for each in written)
    ]
    return [Finding(FAILED, f"never seen writing {', '.join(silent)}")] if silent else []


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["nothing"])[-1]


def _loopback(folder: Path) -> None:
    """The configuration that keeps LSL on this machine, where liblsl looks for it."""
    shutil.copy(LSL_CONFIGURATION, folder)


def _clip(folder: Path) -> None:
    """Three seconds with a face, for what reads a file again and again."""
    from microspot.realtime.records import Frame
    from microspot.realtime.sources.open import open_source
    from tests.clips import write_clip

    with open_source("sample:synthetic:7") as source:
        frames = (record.image for record in source if isinstance(record, Frame))
        write_clip(folder / "clip.mp4", itertools.islice(frames, 90))


def _analysed(folder: Path) -> None:
    """The results of a clip, as `analyze` leaves them."""
    _clip(folder)
    arguments = ("analyze", "clip.mp4", "--out", "results", "--workers", "1")
    command = [sys.executable, "-m", "microspot.realtime", *arguments]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def _set(recipe: str) -> Callable[[Path], None]:
    """The set `data` and `recipe.toml`."""

    def prepare(folder: Path) -> None:
        (folder / "data").mkdir()
        noise_set(folder / "data")
        (folder / "recipe.toml").write_text(recipe)

    return prepare


WATCH = f"--pace --seconds {SECONDS} --json"
TRAIN = "--data data --out run --config recipe.toml --threads 1"
COMMANDS = {
    "watch": Watched(
        "realtime",
        f"watch sample {WATCH} --out events.csv --out events.jsonl --out overlay.mp4 "
        "--metrics 127.0.0.1:0",
        ("events.csv", "events.jsonl", "overlay.mp4", "overlay.mp4.run.json"),
    ),
    "watch-processes": Watched(
        "realtime",
        f"watch sample sample:synthetic:7 --processes 2 {WATCH} --out events.csv",
        ("events.csv",),
    ),
    "watch-lsl": Watched(
        "realtime",
        f"watch sample:synthetic:7 {WATCH} --out lsl:watched --markers lsl:nobody",
        prepare=_loopback,
    ),
    "analyze": Watched(
        "realtime",
        "analyze clip.mp4 --stills --out results --workers 1 --json",
        ("results",),
        prepare=_clip,
    ),
    "evaluate": Watched("realtime", "evaluate sample:synthetic:7 --plots plots --json", ("plots",)),
    "bench": Watched(
        "realtime", "bench clip.mp4 --out figures --json", ("figures",), prepare=_clip
    ),
    "bench-cameras": Watched(
        "realtime", f"bench sample --cameras 2 --processes 2 --seconds {SECONDS} --json"
    ),
    "review": Watched(
        "realtime",
        "review results --coder watched",
        ("results",),
        prepare=_analysed,
        visit=visit_review,
        codes=(130, 0),
    ),
    "doctor": Watched("engines", "doctor --json"),
    "verify": Watched(
        "engines",
        "verify --sm 89 --precision fp16 --json",
        says=tuple(f'"{rung}": "passed' for rung in RUNGS),
    ),
    # its cache of grey frames lies beside the set
    "train-spotter": Watched(
        "engines", f"train spotter {TRAIN}", ("run", "data"), prepare=_set(SPOTTER)
    ),
    "train-recognizer": Watched(
        "engines", f"train recognizer {TRAIN}", ("run",), prepare=_set(RECOGNIZER)
    ),
    "page": Watched("demo", "--port 0 --source sample", visit=visit_page, codes=(130, 0)),
}
