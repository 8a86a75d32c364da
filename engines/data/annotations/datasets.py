"""Which reader is whose."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ...errors import UsageError
from . import cas_me_2, cas_me_3, casme, megc, mmew, samm, smic
from .result import Annotations

READERS: dict[str, Callable[[Path], Annotations]] = {
    "casme": casme.read_casme,
    "casme-ii": casme.read_casme_ii,
    "cas-me-2": cas_me_2.read,
    "cas-me-3-a": cas_me_3.read_part_a,
    "cas-me-3-c": cas_me_3.read_part_c,
    "samm": samm.read_samm,
    "samm-lv": samm.read_samm_lv,
    "smic-hs": smic.read_hs,
    "smic-vis": smic.read_vis,
    "smic-nir": smic.read_nir,
    "mmew": mmew.read_mmew,
    "4dme": mmew.read_4dme,
    "megc": megc.read,
}


def read_dataset(name: str, folder: Path) -> Annotations:
    """The intervals of a data set whose tables lie in `folder`, or are that file.

    Raises UsageError for a name that is none of READERS and where a library is missing, DataError
    with file, sheet, row and column for what cannot be read.
    """
    if name not in READERS:
        raise UsageError(f"dataset {name!r}: choose one of {', '.join(READERS)}")
    return READERS[name](folder)
