"""Emotions of data sets as three classes: negative, positive, surprise.

The classes and their words are those of MEGC2019's composite of SMIC-HS, CASME II and SAMM; part A
of CAS(ME)^3 is mapped as HTNet and CARF do. An emotion that is not named here is in none of them
("others" everywhere, sadness and fear of CASME II).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from .annotations import Interval

CLASSES = ("negative", "positive", "surprise")
_AS_LABELLED = {name: name for name in CLASSES}
_SAMM = {
    "happiness": "positive",
    "surprise": "surprise",
    **dict.fromkeys(("anger", "contempt", "disgust", "fear", "sadness"), "negative"),
}
WORDS: Mapping[str, Mapping[str, str]] = {
    "cas-me-2": _AS_LABELLED,
    "cas-me-3-a": {
        "happy": "positive",
        "surprise": "surprise",
        **dict.fromkeys(("disgust", "fear", "anger", "sad"), "negative"),
    },
    "casme-ii": {
        "happiness": "positive",
        "surprise": "surprise",
        **dict.fromkeys(("disgust", "repression"), "negative"),
    },
    "samm": _SAMM,
    "samm-lv": _SAMM,
    "smic-hs": _AS_LABELLED,
    "smic-nir": _AS_LABELLED,
    "smic-vis": _AS_LABELLED,
}


def in_three_classes(dataset: str, rows: Sequence[Interval]) -> list[Interval]:
    """The rows with their class as label, or their own label where it is in none of the classes.

    A data set that is not in WORDS keeps its labels.
    """
    words = WORDS.get(dataset, {})
    return [replace(row, label=words.get(row.label or "", row.label)) for row in rows]
