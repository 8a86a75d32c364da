"""Command `microspot-engines`: makes, checks and scores the engines, away from any camera."""

from __future__ import annotations

from typing import Annotated

import typer

from ..evaluation.exams.commands import exam
from ..tensorrt.commands import COMMANDS
from .datasets import datasets
from .entry_point import run_command, version_option
from .fine_tuning import fine_tuning
from .output import Json, print_report
from .runs import ablate, export, train
from .scoring import calibrate, score
from .sets import expressions, synthesize

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Make, check and score the engines of microspot.",
)


@app.callback()
def common_options(version: Annotated[bool, version_option()] = False) -> None:
    """Options that stand before the name of a command."""


@app.command()
def doctor(as_json: Json = False) -> None:
    """What is installed, which backend would run and why, and what is missing or broken."""
    from ..doctor import examine

    print_report(examine(), as_json)


for function in (synthesize, expressions, ablate, export, calibrate, score):
    app.command()(function)
app.add_typer(train, name="train")
exam.command(name="fine-tuning")(fine_tuning)  # it trains, which no examination's room does
app.add_typer(exam, name="exam")
app.add_typer(datasets, name="annotations")
for name, command in COMMANDS.items():
    app.command(name)(command)


def main() -> None:
    """Entry point of `microspot-engines`."""
    run_command(app, "microspot-engines")


if __name__ == "__main__":
    main()
