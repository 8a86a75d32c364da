"""pylsl, and the host's clock on LSL's clock.

Everything that is sent is stamped with the time at which a camera took it. That time is on the
host's clock, which on Linux is LSL's own; elsewhere the two differ by a constant. The
constant is measured once, at the start: the median of PAIRS readings of both clocks.
"""

from __future__ import annotations

import os
import re
import statistics
from pathlib import Path
from typing import Any

from microspot.engines.errors import install

from ...errors import UsageError
from ...sources.capture.host_clock import host_time_ns

PAIRS = 11
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_ .-]{0,63}")  # quoted in the queries of recorders
# Where liblsl looks for a configuration, besides the file that LSLAPICFG names.
CONFIGURATIONS = ("lsl_api.cfg", "~/lsl_api/lsl_api.cfg", "/etc/lsl_api/lsl_api.cfg")
QUIET = "[log]\nlevel = -1\n"  # warnings and errors alone


def load_library(option: str) -> Any:
    """The module pylsl. option: what needs it, for the message.

    Without a configuration of the user's own liblsl reports warnings and errors alone. Raises
    UsageError where pylsl or its liblsl is missing.
    """
    try:
        import pylsl
    except ImportError as error:
        raise UsageError(f"{option} needs pylsl: {install('lsl')}") from error
    except (RuntimeError, OSError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UsageError(
            f"{option} needs liblsl, which pylsl brings on common systems ({reason}); "
            f"install it, or name its file in PYLSL_LIB"
        ) from error
    own = any(Path(path).expanduser().exists() for path in CONFIGURATIONS)
    if not own and "LSLAPICFG" not in os.environ:
        pylsl.util.set_config_content(QUIET)  # does nothing where liblsl runs already
    return pylsl


def stream_name(uri: str, option: str) -> str:
    """The NAME of `lsl:NAME`. Raises UsageError for what queries of LSL could not quote."""
    name = uri.partition(":")[2]
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{option} {uri}: expected lsl:NAME, the name 1 to 64 letters, digits, spaces or _ . -"
        )
    return name


class LslClock:
    """Times of the host's clock (ns) as LSL's (s), and back."""

    def __init__(self, pylsl: Any) -> None:
        offsets = []
        for _ in range(PAIRS):
            before_ns = host_time_ns()
            lsl_s = pylsl.local_clock()
            after_ns = host_time_ns()
            offsets.append(lsl_s - (before_ns + after_ns) / 2e9)
        self.offset_s: float = statistics.median(offsets)

    def stamp(self, host_s: float) -> float:
        """LSL's time of a time of the host's clock, both in s."""
        return host_s + self.offset_s

    def host_ns(self, lsl_s: float) -> int:
        """The time of the host's clock, in ns, of one of LSL's in s."""
        return round((lsl_s - self.offset_s) * 1e9)
