"""The window of the overlay: without a display it is refused, and closing it ends the run."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from microspot.engines.errors import UsageError
from microspot.realtime.overlay import draw as draw_module
from microspot.realtime.records import Frame
from microspot.realtime.sinks import window
from microspot.realtime.sinks.open import open_sink


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the display is a variable on Linux alone"
)
@pytest.mark.parametrize(
    ("display", "reason"),
    [
        (None, "neither DISPLAY nor WAYLAND_DISPLAY is set"),
        (":987", "OpenCV cannot reach the display"),
    ],
)
def test_window_without_display_is_a_usage_error(
    monkeypatch: pytest.MonkeyPatch, display: str | None, reason: str
) -> None:
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    if display:
        monkeypatch.setenv("DISPLAY", display)
    with pytest.raises(UsageError, match=reason):
        open_sink("window")


def test_pressing_q_in_the_window_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[tuple[str, tuple[int, ...]]] = []
    keys = [-1, ord("q")]
    monkeypatch.setattr(window, "_display_trouble", lambda: "")
    for name in ("namedWindow", "resizeWindow", "destroyAllWindows"):
        monkeypatch.setattr(window.cv2, name, lambda *_: None)
    monkeypatch.setattr(window.cv2, "getWindowProperty", lambda *_: 1.0)
    monkeypatch.setattr(window.cv2, "waitKey", lambda _: keys.pop(0))
    monkeypatch.setattr(
        window.cv2, "imshow", lambda title, image: shown.append((title, image.shape))
    )
    first = Frame("cam", 0, 0, np.zeros((48, 64, 3), np.uint8))
    second = Frame("cam", 1, 33_333_333, first.image)
    drawn: list[bool] = []
    real = draw_module.draw

    def drawing(*given: object, arrows: bool, **options: object) -> np.ndarray:
        drawn.append(arrows)
        return real(*given, arrows=arrows, **options)

    monkeypatch.setattr(draw_module, "draw", drawing)
    with open_sink("window", arrows=True) as sink:
        sink.draw(first, [])
        with pytest.raises(KeyboardInterrupt):
            sink.draw(second, [])
    assert [title for title, _ in shown] == ["microspot: cam"] * 2
    assert drawn == [True, True]
