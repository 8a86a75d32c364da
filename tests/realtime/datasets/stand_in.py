"""A stand-in for CAS(ME)^2, in the layout of its authors."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from microspot.engines.data.generator.timeline import Movement
from microspot.engines.data.generator.video_scene import render_video
from microspot.realtime.records import Frame
from microspot.realtime.sources.open import open_source
from microspot.realtime.sources.synthetic_clip import neutral_face, sample_clip
from tests.clips import write_clip, write_still
from tests.engines.data.annotations.books import write_book

FACE_S = 6.0  # of the sample, with two micro-expressions
WALL = 20  # frames of a recording in which nobody is seen
ROWS = [
    # Frames from 1 on, of what `watch` finds in the sample.
    [1, "anger1_1", 67, 73, 80, "4", "negative", "micro-expression", "anger"],
    [1, "anger1_2", 140, 142, 146, "1+2", "surprise", "micro-expression", "anger"],
    [1, "anger1_3", 100, 105, 130, "12", "positive", "macro-expression", "anger"],
    [2, "disgust1_1", 3, 5, 9, "9", "others", "micro-expression", "disgust"],
    [2, "disgust1_2", WALL - 2, WALL, WALL + 3, "9", "negative", "micro-expression", "disgust"],
    [2, "disgust2_1", 3, 5, 9, "9", "negative", "micro-expression", "disgust"],
    [3, "anger1_1", 3, 5, 9, "4", "negative", "micro-expression", "anger"],
]
SHEETS = {
    "CASFEcode_final": ROWS,
    "naming rule1": [[1, "s15", 1], [2, "s16", 2], [3, "s19", 3]],
    "naming rule2": [["0401", "anger1"], ["0101", "disgust1"], ["0102", "disgust2"]],
}


def write_table(folder: Path) -> Path:
    return write_book(folder / "CAS(ME)^2code_final.xlsx", SHEETS)


def write_wall(folder: Path, frames: int = WALL, first: int = 1) -> Path:
    """Images of a wall; their names count from `first` on."""
    folder.mkdir(parents=True)
    for number in range(first, first + frames):
        cv2.imwrite(str(folder / f"img{number}.jpg"), np.full((240, 320, 3), 90, np.uint8))
    return folder


def write_data_set(folder: Path) -> Path:
    """Subjects s15 (a face), s16 (walls; a video, a folder that no row names, one that is missing)
    and s19 (a file that is no video), with a copy beside them."""
    write_table(folder)
    raw = folder / "rawpic"
    face = raw / "s15" / "15_0401anger1"
    face.mkdir(parents=True)
    with open_source("sample:synthetic:7") as source:
        for record in source:
            if isinstance(record, Frame):
                if record.captured_ns > FACE_S * 1e9:
                    break
                name = face / f"img{record.index + 1}.jpg"
                cv2.imwrite(str(name), record.image, [cv2.IMWRITE_JPEG_QUALITY, 98])
    (raw / "s16").mkdir()
    write_still(raw / "s16" / "16_0101disgustingteeth.mp4", frames=WALL, value=90)
    write_wall(raw / "s16" / "16_0502")
    (raw / "s19").mkdir()
    (raw / "s19" / "19_0401.avi").write_bytes(b"no video")
    write_wall(folder / "cropped" / "s15" / "15_0401anger1", frames=2)
    return folder


SEEDS = (7, 5, 13, 8, 11, 3)  # of the recordings of `write_people`, one for each subject
TINTS = (1.0, 0.85, 1.1, 0.95, 1.05, 0.9)  # their light


def write_people(folder: Path, people: int, seconds: float, scale: float = 1.0) -> Path:
    """CAS(ME)^2 of `people` subjects with a rendered recording of `seconds` and its truth each.

    All of them have the packaged face, in another light; scale: of the pictures.
    """
    face = neutral_face(sample_clip())
    photo = np.asarray(cv2.resize(face.image, None, fx=scale, fy=scale), np.uint8)
    rows: list[list[object]] = []
    names = []
    for number, (seed, tint) in enumerate(zip(SEEDS[:people], TINTS, strict=False), 1):
        moves, frames = render_video(photo, face.landmarks * scale, seed, seconds)
        raw = folder / "rawpic" / f"s{20 + number}"
        raw.mkdir(parents=True)
        shown = (np.clip(image * tint, 0, 255).astype(np.uint8) for _, image in frames)
        write_clip(raw / f"{20 + number}_0401anger1.mp4", shown)
        names.append([number, f"s{20 + number}", number])
        rows += [[number, "anger1_1", *_frames_of(move)] for move in moves if move.kind == "micro"]
    sheets = {"CASFEcode_final": rows, "naming rule1": names, "naming rule2": [["0401", "anger1"]]}
    write_book(folder / "CAS(ME)^2code_final.xlsx", sheets)
    return folder


def _frames_of(move: Movement) -> list[object]:
    """The cells of a movement from its onset on; frames are counted from 1."""
    frames = [round(at * 30 / 1e9) + 1 for at in (move.onset_ns, move.apex_ns, move.offset_ns)]
    return [*frames, "4", move.label3 or "others", "micro-expression", "anger"]
