"""Where each part of a face went, as a picture: the colour says where to, its strength how far.

A disc in a corner is the key: its middle did not move, its edge moved by FULL_PX outwards. Not from
the papers.
"""

from __future__ import annotations

import cv2
import numpy as np

from .flow import Flow, Picture

# Px of a crop of 112 px (1.4 mm of face each) at which a colour is full: the same for all events,
# so that a face on which nothing moved stays grey.
FULL_PX = 1.5
MOST_COLOR = 0.85  # share of the colour where it is full; the rest is the face
KEY = 0.18  # diameter of the disc, sides of the picture
KEY_EDGE = 0.03  # its distance from the right and lower edge


def color_map(picture: Picture, flow: Flow) -> Picture:
    """A picture (S, S, 3) coloured by a flow (H, W, 2) in px of a crop of 112 px."""
    side = len(picture)
    spread = cv2.resize(flow, (side, side), interpolation=cv2.INTER_LINEAR)
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    grey = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
    _draw_key(grey, spread)
    share = MOST_COLOR * np.clip(np.linalg.norm(spread, axis=-1, keepdims=True) / FULL_PX, 0, 1)
    mixed = (1 - share) * grey + share * _hues(spread)
    drawn: Picture = np.rint(mixed).astype(np.uint8)
    return drawn


def _hues(flow: Flow) -> Picture:
    """(H, W, 3) BGR, full colours: red is to the right, and they go round as a clock does."""
    degrees = np.degrees(np.arctan2(flow[..., 1], flow[..., 0])) % 360
    full = np.full(degrees.shape, 255, np.uint8)
    hsv = np.stack([np.uint8(degrees / 2 % 180), full, full], axis=-1)  # OpenCV halves degrees
    colors: Picture = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)
    return colors


def _draw_key(grey: Picture, flow: Flow) -> None:
    """Put the key's white disc into a picture, and its flow into the flow, both in place."""
    side = len(grey)
    radius = KEY * side / 2
    middle = side - 1 - KEY_EDGE * side - radius
    ends = np.arange(side, dtype=np.float32) - middle
    away = np.stack(np.meshgrid(ends, ends), axis=-1)
    disc = np.linalg.norm(away, axis=-1) <= radius
    flow[disc] = away[disc] * np.float32(FULL_PX / radius)
    grey[disc] = 255
