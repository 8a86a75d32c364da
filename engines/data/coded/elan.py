"""ELAN annotation files, read by pympi. A tier counts by its name or by its type's."""

from __future__ import annotations

import urllib.parse
from pathlib import Path
from typing import Any

from ...errors import DataError, UsageError, install
from ..tables import check_size
from .pairing import CodedInterval
from .words import kind_of, label_of


def read(path: Path) -> list[CodedInterval]:
    """The intervals of all tiers that code expressions. Raises DataError."""
    document = _document(path)
    media = [descriptor.get("MEDIA_URL", "") for descriptor in document.media_descriptors]
    names = {urllib.parse.unquote(url).rpartition("/")[2] for url in media} - {""}
    video = names.pop() if len(names) == 1 else ""
    intervals = []
    for tier, (_, _, attributes, _) in document.tiers.items():
        kind = kind_of(tier) or kind_of(attributes.get("LINGUISTIC_TYPE_REF", ""))
        if kind is None:
            continue
        subject = attributes.get("PARTICIPANT", "")
        for start_ms, stop_ms, value, *_ in document.get_annotation_data_for_tier(tier):
            if start_ms is None or stop_ms is None:
                raise DataError(f"tier {tier!r}: an annotation has no time")
            span = (start_ms / 1000, stop_ms / 1000)
            intervals.append(CodedInterval(video, subject, kind, *span, label_of(value)))
    return sorted(intervals, key=lambda each: (each.onset_s, each.offset_s))


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
