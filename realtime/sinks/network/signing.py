"""How a receiver knows that an event comes from us and is not sent again by somebody else.

    X-Microspot-Timestamp: 1767600000
    X-Microspot-Signature: sha256=HEX of HMAC-SHA256(secret, timestamp + "." + body)

A receiver computes the same over what it got, compares in constant time, and refuses timestamps
that are minutes old.
"""

from __future__ import annotations

import hashlib
import hmac

VARIABLE = "MICROSPOT_WEBHOOK_SECRET"


def headers(secret: bytes | None, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers that sign a body; none without a secret."""
    if secret is None:
        return {}
    digest = hmac.new(secret, b"%d.%s" % (timestamp, body), hashlib.sha256).hexdigest()
    return {"X-Microspot-Timestamp": str(timestamp), "X-Microspot-Signature": f"sha256={digest}"}
