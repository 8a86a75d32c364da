"""The documents say what is: commands, options, modules, links and numbered statements exist."""

import ast
import importlib
import importlib.util
import re
import shlex
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest
import typer

from tests.clips import write_still

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("engines", "realtime", "demo", "tests")
MOST_WORDS = 900  # of README.md, as `wc -w` counts: code, tables and links included
WIDTH = 120
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
COMMANDS = PROJECT["scripts"]  # "module:function" by name; each module has an `app`
EVERYWHERE = {"--help", "--debug"}  # options of all commands
OTHERS = {"--quick", "--newest", "--oldest"}  # of .ci/run and of tests.syscalls
STATEMENTS = {f"M{i}" for i in range(1, 43)} | {f"C{i}" for i in range(1, 33)}


def documents():
    """Every Markdown file of the project."""
    found = [*ROOT.glob("*.md"), *(ROOT / ".github").rglob("*.md")]
    for folder in FOLDERS:
        found += (ROOT / folder).rglob("*.md")
    return sorted(found)


def sources():
    """Every text file that may import or start something, documents included."""
    found = [*documents(), ROOT / "pyproject.toml", *(ROOT / ".ci").iterdir()]
    found += [*(ROOT / ".github").rglob("*.yml"), ROOT / ".pre-commit-config.yaml"]
    for folder in FOLDERS:
        for ending in ("py", "toml", "sh"):
            found += (ROOT / folder).rglob(f"*.{ending}")
    return found


def named(paths):
    """Parameters of a test, called by their path from the root."""
    return [pytest.param(path, id=str(path.relative_to(ROOT))) for path in paths]


def fences(text):
    """(language, text) of every fenced block."""
    return re.findall(r"(?ms)^```(\w*)\n(.*?)^```", text)


def spans(text):
    """Inline code, without line breaks."""
    prose = re.sub(r"(?ms)^```.*?^```", "", text)
    return [re.sub(r"\s+", " ", span) for span in re.findall(r"`([^`]+)`", prose)]


def commands(text):
    """The words of every command of a document: in blocks of shell, and in inline code."""
    lines = []
    for language, block in fences(text):
        if language == "console":
            lines += [line[2:] for line in block.splitlines() if line.startswith("$ ")]
        elif language == "sh":
            lines += block.splitlines()
    lines += [span for span in spans(text) if re.match(r"(microspot|python|pytest|pip)\b", span)]
    for line in lines:
        code = re.sub(r"(^|\s)#.*", "", line)
        for part in re.split(r"&&|\s\|\s", code):
            if words := shlex.split(part):
                yield words


@cache
def application(name):
    """The command-line application of one of our commands."""
    module, _, function = COMMANDS[name].partition(":")
    assert callable(getattr(importlib.import_module(module), function))
    return typer.main.get_command(importlib.import_module(module).app)


def options(command):
    """The options of a command or of a group."""
    return {option for parameter in command.params for option in parameter.opts} | EVERYWHERE


def walk(command, words):
    """Fail unless the subcommands and options among `words` exist; `a|b` stands for both."""
    for position, word in enumerate(words):
        if word.startswith("--"):
            assert word.partition("=")[0] in options(command), word
        elif (below := getattr(command, "commands", None)) is not None:
            for name in word.split("|"):
                assert name in below, name
                walk(below[name], words[position + 1 :])
            return


def every_option(command):
    """The options of a command and of all below it."""
    below = getattr(command, "commands", {}).values()
    return options(command).union(*(every_option(each) for each in below))


@pytest.mark.parametrize("document", named(documents()))
def test_commands_and_their_options_exist(document):
    text = document.read_text()
    for words in commands(text):
        at = next((i for i, word in enumerate(words) if word in COMMANDS), None)
        if at is not None:
            walk(application(words[at]), words[at + 1 :])
    known = OTHERS.union(*(every_option(application(name)) for name in COMMANDS))
    for span in spans(text):
        if span.startswith("--"):
            assert re.split(r"[ =]", span)[0] in known, span


@pytest.mark.parametrize("document", named(documents()))
def test_what_python_pip_and_pytest_are_given_exists(document):
    for words in commands(document.read_text()):
        tool = next((word for word in words if word in ("python", "pip", "pytest")), "")
        after = words[words.index(tool) + 1 :] if tool else []
        for module in after[1:2] if tool == "python" and after[:1] == ["-m"] else []:
            assert importlib.util.find_spec(module) is not None, module
        for word in after:
            if extra := re.fullmatch(r"\.\[(\w+)\]", word):
                assert extra[1] in PROJECT["optional-dependencies"], word
            if word.startswith(tuple(f"{folder}/" for folder in FOLDERS)):
                assert (ROOT / word).exists(), word


@pytest.mark.parametrize("document", named(documents()))
def test_python_of_documents_imports_what_there_is(document):
    for language, block in fences(document.read_text()):
        for node in ast.walk(ast.parse(block if language == "python" else "")):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module)
                for alias in node.names:
                    assert hasattr(module, alias.name), f"{node.module}.{alias.name}"
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    importlib.import_module(alias.name)


def test_python_of_the_readme_runs(tmp_path):
    write_still(tmp_path / "clip.mp4", 30, 128)
    (code,) = (
        text for language, text in fences((ROOT / "README.md").read_text()) if language == "python"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "frames=30" in done.stdout.splitlines()[-1]


def test_the_session_of_the_readme_is_what_the_program_prints(tmp_path):
    """The end and the labels to the letter; on another processor the last digits move."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    end = next(line for line in text.splitlines() if line.startswith('{"type": "end"'))
    rows = re.findall(r"^,sample:synthetic:7,.*$", text, re.MULTILINE)
    command = ["watch", "sample:synthetic:7", "--out", "events.csv", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "microspot.realtime", *command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.stdout.splitlines()[-1] == end, done.stderr
    printed = (tmp_path / "events.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert len(rows) == 3
    for shown, row in zip(rows, printed, strict=False):
        told = shown.split(",")
        real = row.split(",")
        frames = zip(told[2:5], real[2:5], strict=True)
        assert all(abs(int(a) - int(b)) <= 1 for a, b in frames), row
        assert told[5:7] == real[5:7]
        assert abs(float(told[7]) - float(real[7])) < 0.001


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().split()) <= MOST_WORDS


@pytest.mark.parametrize("document", named(documents()))
def test_lines_and_links(document):
    text = document.read_text()
    for number, line in enumerate(text.splitlines(), 1):
        assert len(line) <= WIDTH, f"line {number} has {len(line)} columns"
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" not in target:
            assert (document.parent / target.partition("#")[0]).exists(), target


@pytest.mark.parametrize("document", named(documents()))
def test_files_and_names_in_documents_exist(document):
    """A path in inline code, from the root, from engines/ or from beside; "`name` in `path`"."""
    if document.name == "CHANGELOG.md":
        return  # it also says what was
    text = re.sub(r"\s+", " ", document.read_text())
    places = (ROOT, ROOT / "engines", document.parent)
    for path in re.findall(r"`([\w/.-]+\.(?:py|toml))`", text):
        assert any((place / path).is_file() for place in places), path
    for name, path in re.findall(r"`(\w+)` in `([\w/.-]+\.(?:py|toml))`", text):
        file = next(place / path for place in places if (place / path).is_file())
        assert re.search(rf"\b{name}\b", file.read_text()), f"{name} in {path}"


def test_the_papers_statements_are_all_there():
    found = re.findall(r"(?m)^\* \*\*([MC]\d+)\.\*\*", (ROOT / "engines" / "PAPERS.md").read_text())
    assert len(found) == len(set(found))
    assert set(found) == STATEMENTS


def cited(text):
    """Numbers of statements that a text cites: [S1 M8, M38], [S2 C16-C21], (C5, C16)."""
    number = r"(?:S[12] )?[MC]\d+"
    listed = rf"{number}(?:(?:-|, ){number})*"
    for found in re.findall(rf"\[({listed})\]|\(({listed})\)", text):
        parts = re.sub("S[12] ", "", "".join(found)).split(", ")
        for first, _, last in (part.partition("-") for part in parts):
            letter, start, stop = first[0], int(first[1:]), int((last or first)[1:])
            assert start <= stop, "".join(found)
            yield from (f"{letter}{i}" for i in range(start, stop + 1))


def test_cited_statements_exist():
    assert list(cited("[S1 M8, M38] [S2 C16-C18] (C5)")) == ["M8", "M38", "C16", "C17", "C18", "C5"]
    seen = set()
    for folder in FOLDERS[:3]:
        for path in (ROOT / folder).rglob("*.py"):
            text = re.sub(r"\s*\n\s*#?\s*", " ", path.read_text())  # a citation may be wrapped
            odd = re.findall(r"\[S[12] (?!(?:(?:S[12] )?[MC]\d+(?:-|, )?)+\])[^\]]*\]", text)
            assert not odd, f"{path}: {odd}"
            numbers = set(cited(text))
            assert numbers <= STATEMENTS, f"{path}: {numbers - STATEMENTS}"
            seen |= numbers
    assert len(seen) > 50  # the pattern still finds them


OLD = re.compile(
    r"(?<!microspot )\bimport\s+(?:engines|realtime|demo)\b(?!')"
    r"|\bfrom\s+(?:engines|realtime|demo)[\w.]*\s+import\b"
    r"|-m['\",\s]+(?:engines|realtime|demo)\b"
)


EXAMPLES_OF_WRONG = ("test_documents.py", "test_house.py")


def test_packages_are_imported_below_microspot():
    """Under pytest `import engines` would load a second copy; installed, it would not be ours."""
    for wrong in ("import engines", "from realtime.x import y", "-m demo", "'-m', 'engines.x'"):
        assert OLD.search(wrong.replace("'", '"')), wrong
    assert not OLD.search("from microspot import demo, engines")
    for path in sources():
        text = path.read_text()
        if path.name not in EXAMPLES_OF_WRONG:
            found = OLD.search(text)
            assert not found, f"{path}: {found}"


def test_no_string_names_a_module_without_microspot():
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            if path.name in EXAMPLES_OF_WRONG:
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    old = re.fullmatch(r"(engines|realtime|demo)(\.\w+)+", node.value)
                    file = ROOT / node.value.replace(".", "/") if old else None
                    assert not (file and file.with_suffix(".py").exists()), f"{path}: {node.value}"


def test_what_other_programs_read_is_whole():
    yaml = pytest.importorskip("yaml")
    paths = [ROOT / "CITATION.cff", ROOT / ".pre-commit-config.yaml"]
    paths += (ROOT / ".github").rglob("*.yml")
    read = {path.name: yaml.safe_load(path.read_text()) for path in paths}
    assert read["CITATION.cff"]["version"] == PROJECT["version"]
    assert read["CITATION.cff"]["license"] == PROJECT["license"]
    steps = [step for job in read["ci.yml"]["jobs"].values() for step in job["steps"]]
    assert {".ci/run", ".ci/run --quick"} <= {step.get("run") for step in steps}
