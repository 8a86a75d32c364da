"""The event with its movement magnified, and where its face is."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from microspot.engines.alignment.aligner import Alignment, FixedAligner
from microspot.realtime.errors import SourceError, UsageError
from microspot.realtime.review import replay as replay_module
from microspot.realtime.review.faces import MARGIN, Faces
from microspot.realtime.review.frames import Frames
from microspot.realtime.review.replay import Replays
from microspot.realtime.review.results import VideoResults
from tests.clips import write_clip
from tests.realtime.analyze.test_pictures import texture
from tests.realtime.review.made import FRAMES, HZ, add_video, event, read

PLACE = np.array([[0.5, 0.0, -40.0], [0.0, 0.5, -20.0]])  # px 80 to 304 across, 40 to 264 down
SMALLER = np.array([[1.0, 0.0, -100.0], [0.0, 1.0, -80.0]])  # 112 px from there on
MOVING = event(0, 20, "clip.mp4")  # frames 20 to 29
MOVED_PX = 2


class Following(FixedAligner):
    """The face at `place`, but in frames `unseen`, which are known by their time."""

    def __init__(self, unseen: range = range(0), place: Any = PLACE) -> None:
        super().__init__(place)
        self.unseen = unseen
        self.looked: list[int] = []

    def __call__(self, image_bgr: NDArray[np.uint8], captured_ns: int) -> Alignment:
        index = round(captured_ns * HZ / 1e9)
        self.looked.append(index)
        if index in self.unseen:
            return Alignment((), "no face")
        return super().__call__(image_bgr, captured_ns)


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results over a clip in whose frames 23 to 26 a part of the picture is lower."""
    folder = tmp_path_factory.mktemp("moving")
    still = cv2.resize(texture(4), (320, 304))

    def images() -> Iterator[NDArray[np.uint8]]:
        for index in range(FRAMES):
            image = still.copy()
            if 23 <= index <= 26:
                image[120 + MOVED_PX : 180 + MOVED_PX, 140:240] = still[120:180, 140:240]
            yield image

    write_clip(folder / "clip.mp4", images(), HZ, g="12")
    add_video(folder / "out", "clip.mp4")
    return folder / "out"


def opened(results: Path, aligner: Following) -> tuple[Replays, VideoResults]:
    videos, addresses = read(results)
    return Replays(Frames(videos, addresses), lambda _: aligner), videos[0]


def change(loop: bytes | None) -> list[float]:
    """How far left and right half of a loop are from its first picture, at the most."""
    assert loop is not None
    _, animation = cv2.imdecodeanimation(np.frombuffer(loop, np.uint8))
    frames = np.stack(animation.frames)[:, :224, :, :3].astype(int)
    away = np.abs(frames - frames[0])
    return [away[:, :, half].mean((1, 2, 3)).max() for half in (slice(224), slice(-224, None))]


def test_the_right_half_moves_more_the_larger_the_gain(moving: Path) -> None:
    aligner = Following()
    replays, video = opened(moving, aligner)
    loops = [replays.loop(video, MOVING, gain) for gain in (2.0, 6.0)]
    left, twice = change(loops[0])
    assert 0.5 < left < twice
    assert change(loops[1])[1] > 1.3 * twice
    assert aligner.looked == list(range(14, 36)), "one pass for both, 0.2 s on either side"
    assert replays.loop(video, MOVING, 2.0) is loops[0]
    longer = event(0, 20, "clip.mp4") | {"offset_frame": 31}
    assert replays.loop(video, longer, 2.0) != loops[0], "a point was moved since"
    assert len(aligner.looked) == 22 + 24


@pytest.mark.parametrize(
    ("unseen", "first", "last"),
    [(range(15, 19), 19, 35), (range(31, 35), 14, 30), (range(24, 26), 14, 35)],
)
def test_where_the_face_is_lost_around_the_event_less_is_shown(
    moving: Path, unseen: range, first: int, last: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []
    monkeypatch.setattr(replay_module, "magnified_loop", lambda *given: made.append(given) or b"")
    replays, video = opened(moving, Following(unseen))
    replays.loop(video, MOVING, 6.0)
    assert [made[0][1][0].index, made[0][1][-1].index] == [first, last]


@pytest.mark.parametrize("unseen", [range(FRAMES), range(18, 22), range(22, 27), range(28, 40)])
def test_without_a_face_all_through_one_line_says_so(moving: Path, unseen: range) -> None:
    replays, video = opened(moving, Following(unseen))
    with pytest.raises(SourceError, match=r"^no face was found all through frames 20 to 29$"):
        replays.loop(video, MOVING, 6.0)


def test_what_cannot_be_a_replay_is_told_before_a_frame_is_read(moving: Path) -> None:
    aligner = Following()
    replays, video = opened(moving, aligner)
    for wrong, words in (({"offset_frame": None}, "then F"), ({"offset_frame": 999}, "at most")):
        with pytest.raises(UsageError, match=words):
            replays.loop(video, MOVING | wrong, 6.0)
    with pytest.raises(ValueError, match="expected 2 to 8"):
        replays.loop(video, MOVING, 9.0)
    assert aligner.looked == []


@pytest.mark.parametrize("by", ["stop", "another"])
def test_it_is_given_up_when_the_coder_goes_on(moving: Path, by: str) -> None:
    """While frame 16 is looked at, the coder leaves."""
    at_work = threading.Event()
    left = threading.Event()
    later = event(1, 50, "clip.mp4")

    class Waiting(Following):
        def __call__(self, image_bgr: NDArray[np.uint8], captured_ns: int) -> Alignment:
            found = super().__call__(image_bgr, captured_ns)
            if self.looked[-1] == 16 and not left.is_set():
                at_work.set()
                assert left.wait(30)
            return found

    aligner = Waiting()
    replays, video = opened(moving, aligner)
    found: list[bytes | None] = []
    worker = threading.Thread(target=lambda: found.append(replays.loop(video, MOVING, 6.0)))
    worker.start()
    assert at_work.wait(30)
    if by == "stop":
        replays.stop()
    else:
        replays._wanted = (replay_module._place(video, later), 6.0)
    left.set()
    worker.join()
    assert found == [None]
    assert aligner.looked == [14, 15, 16]
    assert replays.loop(video, MOVING, 6.0) is not None, "and may be asked for again"


def test_the_face_is_looked_for_once_an_event(moving: Path) -> None:
    aligner = Following(place=SMALLER)
    videos, addresses = read(moving)
    faces = Faces(Frames(videos, addresses), lambda _: aligner)
    box = faces.box(videos[0], MOVING)
    side = 112 * (1 + 2 * MARGIN)
    edge = 112 * MARGIN + 0.5  # whole numbers are the middles of pixels
    expected = ((100 - edge) / 320, (80 - edge) / 304, side / 320, side / 304)
    assert box == pytest.approx(expected, abs=1e-6)
    assert faces.box(videos[0], MOVING) == box
    assert aligner.looked == [20]
    unseen = Faces(Frames(videos, addresses), lambda _: Following(range(FRAMES)))
    with pytest.raises(SourceError, match="no face was found in frame 20"):
        unseen.box(videos[0], MOVING)
    with pytest.raises(SourceError, match="no face"):
        faces.box(videos[0], MOVING | {"id": "e9", "face": 1})
