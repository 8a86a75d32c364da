"""The pictures of events in a report: where they stand on its page."""

from __future__ import annotations

import html
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..overlay.event_text import confounder_words, described
from .base import JsonRecord

# On paper a loop stands still on its first picture, where nothing has moved yet: the magnified apex
# stands there instead, and all pictures of an event in one row.
STYLE = (
    "figure{margin:1.5rem 0;max-width:684px;break-inside:avoid}"
    "figure div{display:flex;flex-wrap:wrap;gap:4px;align-items:flex-end}"
    "figure img,figure small{display:block}"
    ".paper{display:none}"
    "@media print{figure{margin:0 0 1rem;max-width:none}"
    "figure div{align-items:flex-start}"
    "figure span{flex:1 1 0;min-width:0}figure img{width:100%}"
    "figure .screen{display:none}figure .paper{display:block}}"
)


@dataclass(frozen=True)
class EventPictures:
    """Pictures of one event: JPEG stills and a WebP loop.

    moved: the apex coloured by where each part of the face went since the onset; magnified: the
    apex with that movement `gain` times as large, in a `way` of
    `engines.magnification.magnify.WAYS`; loop: the face as it was beside its movement magnified
    alike, `slowed` times as slow as it was.
    """

    onset: bytes
    apex: bytes
    offset: bytes
    moved: bytes
    magnified: bytes
    loop: bytes
    gain: float
    way: str
    slowed: int


def section(events: Sequence[JsonRecord], pictures: Mapping[str, EventPictures]) -> str:
    """The part of the page with all pictures, by event id; "" where there are none."""
    shown = [event for event in events if event["id"] in pictures]
    if not shown:
        return ""
    figures = "".join(_figure(event, pictures[event["id"]]) for event in shown)
    left_out = len(events) - len(shown)
    note = f"<p>Events without pictures: {left_out}.</p>" if left_out else ""
    return f"<h2>Pictures</h2>{note}{figures}"


def anchor(event: JsonRecord) -> str:
    """The name of the place on the page where an event's pictures are."""
    return f"pictures-{html.escape(event['id'])}"


def _figure(event: JsonRecord, pictures: EventPictures) -> str:
    title = f"{event['onset_s']:.2f} to {event['offset_s']:.2f} s: {described(event)}"
    beside = confounder_words(event)
    if beside:
        title += f"; what else moved: {beside}"
    by = "" if pictures.way == "lagrangian" else f", {pictures.way}"
    larger = f"movement x{pictures.gain:g}{by}"
    loop = f"as it was; {larger}; {pictures.slowed} times as slow"
    images = (
        _image(pictures.loop, loop, "webp", "screen"),
        _image(pictures.magnified, f"apex, {larger}", "jpeg", "paper"),
        _image(pictures.moved, "where it moved, onset to apex"),
        _image(pictures.onset, "onset"),
        _image(pictures.apex, "apex"),
        _image(pictures.offset, "offset"),
    )
    return (
        f'<figure id="{anchor(event)}"><figcaption>{html.escape(title)}</figcaption>'
        f"<div>{''.join(images)}</div></figure>"
    )


def _image(content: bytes, words: str, kind: str = "jpeg", where: str = "everywhere") -> str:
    """A picture and its words; kind: of its coding; where: a class of STYLE."""
    source = f"data:image/{kind};base64,{b64encode(content).decode('ascii')}"
    text = html.escape(words)
    return f'<span class={where}><img alt="{text}" src="{source}"><small>{text}</small></span>'
