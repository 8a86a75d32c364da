"""How a receiver knows that an event comes from us and is not sent again by somebody else.

    X-Microspot-Timestamp: 1767600000
    X-Microspot-Signature: sha256=HEX of HMAC-SHA256(secret, timestamp + "." + body)

A receiver computes the same over what it got, compares in constant time, and refuses timestamps
that are minutes old.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from pathlib import Path

from ...errors import UsageError

VARIABLE = "MICROSPOT_WEBHOOK_SECRET"
SHORTEST = 16  # bytes of a secret


def read_secret() -> bytes | None:
    """The secret of the environment, or of the file that VARIABLE_FILE names; None without.

    Raises UsageError for a file that cannot be read, and for a secret that can be guessed.
    """
    text = os.environ.get(VARIABLE, "")
    file = os.environ.get(f"{VARIABLE}_FILE", "")
    if file:
        try:
            text = Path(file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{VARIABLE}_FILE: {file} cannot be read") from error
    secret = text.encode("utf-8", "surrogateescape")
    if (text or file) and len(secret) < SHORTEST:
        raise UsageError(f"{VARIABLE}: expected {SHORTEST} bytes or more")
    return secret or None


def headers(secret: bytes | None, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers that sign a body; none without a secret."""
    if secret is None:
        return {}
    digest = hmac.new(secret, b"%d.%s" % (timestamp, body), hashlib.sha256).hexdigest()
    return {"X-Microspot-Timestamp": str(timestamp), "X-Microspot-Signature": f"sha256={digest}"}
