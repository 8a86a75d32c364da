"""ELAN annotation files, read by pympi. A tier counts by its name or by its type's.

ELAN knows no points: an apex is where an annotation of a tier of apices begins.
"""

from __future__ import annotations

import urllib.parse
from pathlib import Path
from typing import Any

from ...errors import DataError, UsageError, install
from ..tables import check_size
from .pairing import Apex, CodedInterval, with_apices
from .words import MARKERS, is_apex, kind_of, label_of


def read(path: Path) -> list[CodedInterval]:
    """The intervals of all tiers that code expressions. Raises DataError."""
    document = _document(path)
    media = [descriptor.get("MEDIA_URL", "") for descriptor in document.media_descriptors]
    names = {urllib.parse.unquote(url).rpartition("/")[2] for url in media} - {""}
    video = names.pop() if len(names) == 1 else ""
    intervals = []
    apices = []
    for tier, (_, _, attributes, _) in document.tiers.items():
        type_ = attributes.get("LINGUISTIC_TYPE_REF", "")
        marks_apices = is_apex(type_) or (is_apex(tier) and kind_of(type_) is None)
        kind = kind_of(tier) or kind_of(type_)
        stimuli = type_ == MARKERS and tier.endswith(MARKERS)
        if stimuli or not (marks_apices or kind):
            continue
        subject = attributes.get("PARTICIPANT", "")
        for start_ms, stop_ms, value, *_ in document.get_annotation_data_for_tier(tier):
            if start_ms is None or stop_ms is None:
                raise DataError(f"tier {tier!r}: an annotation has no time")
            if marks_apices:
                apices.append(Apex(video, subject, tier, start_ms / 1000))
            elif kind:
                span = (start_ms / 1000, stop_ms / 1000)
                coded = CodedInterval(video, subject, kind, *span, label_of(value))
                intervals.append((tier, coded))
    return with_apices(intervals, apices)


def _document(path: Path) -> Any:
    try:
        import pympi
    except ImportError as error:
        raise UsageError(f"reading {path} needs pympi-ling: {install('coding')}") from error
    check_size(path)
    try:
        return pympi.Eaf(str(path))
    except Exception as error:  # it checks little: a damaged file may raise anything
        raise DataError(f"it is no file of ELAN ({type(error).__name__}: {error})") from error
