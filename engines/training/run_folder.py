"""The folder of a run: whether one may begin there, or go on."""

from __future__ import annotations

from pathlib import Path

from ..errors import UsageError


def check_start(checkpoint: Path, *, resume: bool, weights: Path | None) -> None:
    """Raise UsageError where `checkpoint` is of a run that `resume` does not ask for.

    And where both a run is to go on and another one to begin with `weights`.
    """
    if resume and weights is not None:
        raise UsageError(
            "--resume goes on with a run and --weights begins one: leave one of them out"
        )
    if checkpoint.exists() and not resume:
        raise UsageError(
            f"{checkpoint.parent} holds a run: add --resume to go on with it, or choose another "
            "folder"
        )
