"""How expressions are called in coded files; what is written and what is understood."""

from __future__ import annotations

import re

MICRO = "micro-expression"
APEX = "apex"
MARKER = "marker"  # a stimulus: a behaviour, and a type of rows, that is no interval of a face
MARKERS = "markers"  # the tier or column of stimuli, and its type
# Codes of a marker's cell: the stream that it came in, and what was sent.
MARKER_CODES = ("stream", "value")
KINDS = ("micro", "macro")  # a behaviour or tier is of the one that its name holds
# What follows a label in an annotation: a number, or the rest after a comma.
_AFTER_LABEL = re.compile(r"[\s:=]*[\d.]+\s*%?\s*$")


def kind_of(name: str) -> str | None:
    """`micro` or `macro`, by the name of a behaviour or tier; None for another behaviour."""
    return next((kind for kind in KINDS if kind in name.lower()), None)


def is_apex(name: str) -> bool:
    """Whether a behaviour or tier marks apices."""
    return APEX in name.lower()


def label_of(text: str) -> str | None:
    """The label in an annotation such as "surprise 0.82, spotted 0.91"; None for none."""
    label = _AFTER_LABEL.sub("", text.partition(",")[0]).strip()
    return label if label and kind_of(label) is None else None
