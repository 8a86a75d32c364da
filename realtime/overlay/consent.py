"""What people in front of a camera are told, before it watches them; the page shows it too."""

from __future__ import annotations

NOTICE = (
    "An event is a brief movement of the face, found by weights trained on synthetic faces: it "
    "proves no feeling, and never a lie.",
    "Nothing leaves this machine unless whoever runs it sends it. No picture is stored unless the "
    "picture itself says so; of events, times and scores are stored where they are asked for.",
    "Ask the person before you point a camera at a face, and stop when the person says no.",
    "Emotion recognition at work and in schools is banned in the EU; started with --no-labels, "
    "microspot computes no emotion.",
)
