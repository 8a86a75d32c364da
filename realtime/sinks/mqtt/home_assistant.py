"""Topics of a run, and how Home Assistant finds it: MQTT discovery, one device for each source.

    PREFIX/available                online, stopped (by us) or offline (by the broker: our will)
    PREFIX/events                   {"type": new | update | end, "before", "after"}, as of Frigate
    PREFIX/SOURCE/last_event        the newest final event
    PREFIX/SOURCE/micro_expression  ON for a while after each, else OFF
    PREFIX/SOURCE/state             connecting, live, lost, playing or ended

All but the events are retained. SOURCE is a source's name in letters that a topic may have.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from microspot.engines.commands.version import installed_version

DISCOVERY = "homeassistant"  # the prefix under which Home Assistant looks
STATUS = f"{DISCOVERY}/status"  # where it says `online` when it starts
ONLINE = "online"
OFFLINE = "offline"
STOPPED = "stopped"
NAME_LENGTH = 48  # of a source, in topics


def level(name: str) -> str:
    """A name as one level of a topic; two names never become the same."""
    found = re.sub(r"[^a-z0-9-]+", "_", name.lower()).strip("_")[:NAME_LENGTH]
    if found and found == name:
        return found
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return f"{found}_{digest}" if found else digest


class Topics:
    """The topics below a prefix."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.available = f"{prefix}/available"
        self.events = f"{prefix}/events"

    def of(self, source: str, what: str) -> str:
        """The topic of `last_event`, `micro_expression` or `state` of a source."""
        return f"{self.prefix}/{level(source)}/{what}"

    def discovery(self, source: str) -> dict[str, str]:
        """What tells Home Assistant of a source: JSON by topic, to be retained.

        A binary sensor for a micro-expression seen lately, and a sensor for the last event, whose
        attributes are the event's record.
        """
        node = f"microspot_{level(self.prefix)}_{level(source)}"
        version = installed_version()
        shared: dict[str, Any] = {
            "availability_topic": self.available,
            "availability_template": "{{ 'online' if value == 'online' else 'offline' }}",
            "device": {
                "identifiers": [node],
                "name": f"microspot {source}",
                "manufacturer": "microspot",
                "sw_version": version,
            },
            "origin": {"name": "microspot", "sw_version": version},
        }
        last_event = self.of(source, "last_event")
        lately: dict[str, Any] = {
            "name": "Micro-expression",
            "state_topic": self.of(source, "micro_expression"),
            "icon": "mdi:face-recognition",
        }
        newest: dict[str, Any] = {
            "name": "Last event",
            "state_topic": last_event,
            "value_template": "{{ value_json.name }}",
            "json_attributes_topic": last_event,
            "force_update": True,
        }
        entities = {"binary_sensor": ("micro_expression", lately), "sensor": ("last_event", newest)}
        return {
            f"{DISCOVERY}/{component}/{node}/{entity}/config": json.dumps(
                {"unique_id": f"{node}_{entity}"} | own | shared
            )
            for component, (entity, own) in entities.items()
        }
