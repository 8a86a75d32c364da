"""The overlay in a window per source (`--show`)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

import cv2

from microspot.engines.text.redaction import printable

from ..errors import UsageError
from ..records import Frame, Pixels, View
from .picture_sink import PictureSink

PROBE = "import cv2; cv2.namedWindow('microspot'); cv2.destroyAllWindows()"
PROBE_S = 20  # time a display has to answer
CLOSING_KEYS = (ord("q"), 27)  # q and Escape


class WindowSink(PictureSink):
    """The overlay in a window per source. Raises UsageError without a display.

    q, Escape or closing the window ends the run as ctrl-C does: `draw` raises KeyboardInterrupt.
    """

    def __init__(self, arrows: bool = False) -> None:
        super().__init__(arrows)
        self._display = Display()

    def draw(self, frame: Frame, views: Sequence[View]) -> None:
        """Show the overlay of a frame; raises KeyboardInterrupt when the window was closed."""
        title = printable(f"microspot: {frame.source}")
        self._display.show(title, self.picture(frame, views))
        if self._display.closed:
            raise KeyboardInterrupt

    def close(self) -> None:
        """Close the windows."""
        self._display.close()


class Display:
    """Windows on the display, one per title; to be used from the main thread.

    Raises UsageError when no window can be opened.
    """

    def __init__(self) -> None:
        self.closed = False
        self._titles: set[str] = set()
        trouble = _display_trouble()
        if trouble:
            raise UsageError(
                f"no window can be opened ({trouble}); leave --show out and use --out overlay.mp4"
            )

    def show(self, title: str, image: Pixels) -> None:
        """Show BGR `image` now; sets `closed` when a closing key or the window's button was hit."""
        if title not in self._titles:
            cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
            cv2.resizeWindow(title, image.shape[1], image.shape[0])
            self._titles.add(title)
        cv2.imshow(title, image)
        key_pressed = cv2.waitKey(1) & 0xFF in CLOSING_KEYS
        self.closed = key_pressed or cv2.getWindowProperty(title, cv2.WND_PROP_VISIBLE) < 1

    def close(self) -> None:
        """Close all windows."""
        if self._titles:
            cv2.destroyAllWindows()
        self._titles.clear()


def _display_trouble() -> str:
    """Why no window can open, or "".

    Tried in a child process, since Qt without a display aborts the process.
    """
    named = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if sys.platform.startswith("linux") and not named:
        return "neither DISPLAY nor WAYLAND_DISPLAY is set"
    command = [sys.executable, "-P", "-c", PROBE]
    try:
        child = subprocess.run(command, capture_output=True, timeout=PROBE_S, check=False)
    except subprocess.TimeoutExpired:
        return f"the display did not answer within {PROBE_S} s"
    return "" if child.returncode == 0 else "OpenCV cannot reach the display"
