"""Where muscles move skin: regions of the face, and the sites of local fields.

Sites follow the units' blobs; their shares are our own. Not from the papers.
"""

from __future__ import annotations

from typing import NamedTuple

from .actions import UNITS, Blob

REGIONS = ("brow", "eye", "nose-cheek", "mouth corner", "lips", "chin")
MOUTH = ("mouth corner", "lips", "chin")
REGION_OF = {
    "AU1": "brow", "AU2": "brow", "AU4": "brow", "AU5": "eye", "AU6": "nose-cheek", "AU7": "eye",
    "AU9": "nose-cheek", "AU10": "lips", "AU12": "mouth corner", "AU14": "mouth corner",
    "AU15": "mouth corner", "AU17": "chin", "AU20": "mouth corner", "AU23": "lips", "AU24": "lips",
    "AU25": "lips", "AU26": "chin",
}  # fmt: skip
NEIGHBOURS = {
    "brow": ("eye",),
    "eye": ("brow", "nose-cheek"),
    "nose-cheek": ("eye", "mouth corner", "lips"),
    "mouth corner": ("nose-cheek", "lips", "chin"),
    "lips": ("mouth corner", "chin", "nose-cheek"),
    "chin": ("lips", "mouth corner"),
}


class Site(NamedTuple):
    """Where a muscle moves skin, on the subject's left side: its region, unit and patches.

    unit: "" where no unit of the basis moves so. share: within its region. one_sided: share of
    fields on one side; 0 where both sides always move together. aside: both sides move to one side
    of the face instead of mirroring each other.
    """

    region: str
    unit: str
    patches: tuple[Blob, ...]
    share: float
    one_sided: float
    aside: bool = False


SITES = (
    Site("brow", "AU1", UNITS["AU1"], 0.24, 0.4),
    Site("brow", "AU2", UNITS["AU2"], 0.26, 0.5),
    Site("brow", "AU4", UNITS["AU4"], 0.30, 0.15),
    Site("brow", "", (Blob((336, 334, 293), 0.04, -0.6, 1.9, 0.9),), 0.20, 0.4),  # the whole brow
    Site("eye", "AU5", UNITS["AU5"], 0.40, 0.3),
    Site("eye", "AU7", UNITS["AU7"], 0.60, 0.3),
    Site("nose-cheek", "AU6", UNITS["AU6"], 0.45, 0.4),
    Site("nose-cheek", "AU9", UNITS["AU9"], 0.55, 0.4),
    Site("mouth corner", "AU12", UNITS["AU12"], 0.32, 0.6),
    Site("mouth corner", "AU12", (UNITS["AU12"][0],), 0.14, 0.8),  # a smirk: the corner alone
    Site("mouth corner", "AU14", UNITS["AU14"], 0.16, 0.7),
    Site("mouth corner", "AU15", UNITS["AU15"], 0.16, 0.4),
    Site("mouth corner", "AU20", UNITS["AU20"], 0.22, 0.25),
    Site("lips", "AU10", UNITS["AU10"], 0.20, 0.5),
    Site("lips", "AU23", UNITS["AU23"], 0.16, 0.0),
    Site("lips", "AU24", UNITS["AU24"], 0.24, 0.0),
    Site("lips", "", (Blob((314, 17), 0.05, 0.4, 1.3, 0.7, "lower"),), 0.14, 0.4),  # drawn down
    Site("lips", "", (Blob((291,), -0.4, 0.05, 1.1, 0.9),), 0.10, 0.0),  # puckered
    Site("lips", "", (Blob((291, 14), 0.5, 0.05, 1.5, 1.0),), 0.16, 0.0, aside=True),  # twisted
    Site("chin", "AU17", UNITS["AU17"], 0.70, 0.0),
    Site("chin", "", (Blob((199, 262), 0.3, -0.25, 1.3, 0.9),), 0.30, 0.5),  # chin drawn aside
)


def region_of(units: tuple[str, ...]) -> str:
    """The region of a combination of units: that of the first one that has any."""
    found = (REGION_OF.get(unit.rstrip("LR"), "") for unit in units)
    return next((region for region in found if region), "")
