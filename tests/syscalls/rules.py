"""What a command must not do, judged by its system calls and by what it left on the disk."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from tests.syscalls.trace import NAMING, NETWORK, OPENING, UNSEEN, Call, unescape

LOOKUP = "look-up"
FOREIGN = "connect"
LEFT = "left"
NAME_PORTS = {53, 853, 5353, 5355}  # DNS, DNS over TLS, mDNS, LLMNR
NAME_SOCKETS = ("/nscd/", "/systemd/resolve/", "/avahi-daemon/", "/systemd/userdb/")
# devices and settings; files in shared memory are files
SYSTEM_FOLDERS = ("/proc/", "/sys/", "/dev/")
SHARED_MEMORY = "/dev/shm/"
COMPILED = "__pycache__"  # modules, and Numba's functions
# What Gradio makes in its own folder when it is first imported: its interface, and a salt for names
# of cached files.
GRADIO = re.compile(r"/site-packages/gradio/(hash_seed\.txt|components/\w+\.pyi)$")
DNS_HEADERS = (12, 14)  # bytes before the name that is asked for, by UDP and by TCP
LONGEST_LABEL = 63  # bytes between two dots of a name

_ADDRESS = re.compile(r'port=htons\((\d+)\)[^"}]*?(?:inet_addr\(|inet_pton\(AF_INET6, )"([^"]+)"')
_SOCKET = re.compile(r'sun_path=@?"((?:[^"\\]|\\.)*)"')
_SENT = re.compile(r'"((?:[^"\\]|\\.)*)"')
_LABEL = re.compile(rb"[\w-]+")


@dataclass(frozen=True)
class Finding:
    """One thing that should not have been: its kind, and what in words."""

    kind: str
    text: str


def network_findings(calls: Iterable[Call]) -> list[Finding]:
    """Look-ups of names, connects and sends off the loopback; one for each address, in order."""
    found: dict[Finding, None] = {}
    for call in calls:
        if call.name in UNSEEN:
            found[Finding(FOREIGN, f"{call.name}: what goes that way cannot be watched")] = None
        if call.name not in NETWORK:
            continue
        for port, address in _ADDRESS.findall(call.arguments):
            if int(port) in NAME_PORTS:
                found[Finding(LOOKUP, f"{call.name} to {address} port {port}")] = None
            elif not _on_loopback(address):
                found[Finding(FOREIGN, f"{call.name} to {address} port {port}")] = None
        for path in map(unescape, _SOCKET.findall(call.arguments)):
            if any(name in path for name in NAME_SOCKETS):
                found[Finding(LOOKUP, f"{call.name} to {path}")] = None
    return list(found)


def names_asked(calls: Iterable[Call]) -> list[str]:
    """The names in DNS queries that were sent, so that a report says whom a library would call."""
    sent = {
        text for call in calls if call.name in NETWORK for text in _SENT.findall(call.arguments)
    }
    messages = [unescape(text).encode(errors="surrogateescape") for text in sent]
    asked = {_name_at(message, start) for message in messages for start in DNS_HEADERS}
    return sorted(asked - {""})


def _name_at(message: bytes, start: int) -> str:
    """The name in a message from `start` on, each label after its length; "" if none is."""
    labels: list[bytes] = []
    while start < len(message) and message[start]:
        length = message[start]
        label = message[start + 1 : start + 1 + length]
        if not length == len(label) <= LONGEST_LABEL or not _LABEL.fullmatch(label):
            return ""
        labels.append(label)
        start += 1 + length
    return b".".join(labels).decode() if start < len(message) else ""


def _on_loopback(address: str) -> bool:
    parsed = ip_address(address)
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback


def written_paths(calls: Iterable[Call], folder: Path) -> set[Path]:
    """Everything that was opened for writing, made or named, wherever on the disk."""
    found = set()
    for call in calls:
        opened = call.name in OPENING and (
            call.name == "creat"
            or re.search(r"\bO_(WRONLY|RDWR|CREAT|TMPFILE)\b", call.arguments) is not None
        )
        if (
            (opened or call.name in NAMING)
            and call.succeeded
            and (path := call.path(folder)) is not None
        ):
            found.add(Path(os.path.normpath(path)))
    return found


def files_below(folder: Path) -> set[Path]:
    """All files in a folder and its folders."""
    return {Path(at) / name for at, _, names in os.walk(folder) for name in names}


def left_findings(paths: Iterable[Path], allowed: Iterable[Path]) -> list[Finding]:
    """Files that are still there, unless allowed, compiled, Gradio's or the system's own."""
    mine = list(allowed)

    def fine(path: Path) -> bool:
        system = str(path).startswith(SYSTEM_FOLDERS) and not str(path).startswith(SHARED_MEMORY)
        compiled = COMPILED in path.parts or GRADIO.search(str(path)) is not None
        return system or compiled or any(path.is_relative_to(place) for place in mine)

    left = sorted(
        path
        for path in set(paths)
        if os.path.lexists(path) and not path.is_dir() and not fine(path)
    )
    return [Finding(LEFT, str(path)) for path in left]
