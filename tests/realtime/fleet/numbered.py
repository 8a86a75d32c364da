"""Numbered pictures through a whole pipeline: networks and aligner that read the numbers.

Stand-ins of plain numpy, so that two cores carry eight cameras. Every EVERY frames a picture is one
of BURST, which the networks find as one event; its `intensity` holds the numbers of its pictures.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np

from microspot.engines.alignment.aligner import Alignment, Face
from microspot.engines.runtime.engine import EngineSet, FunctionEngine
from microspot.engines.specs import RecognizerSpec
from tests import fakes
from tests.rtsp_server import BITS, read_number

FRAME = Fraction(1, 15)  # s; a burst then lasts 8 ticks of the networks
EVERY = 30  # frames from burst to burst
BURST = range(12, 16)  # the numbers within EVERY that show one
LOUD = 15.0  # of a feature; the networks' threshold lies at two thirds of it


class NumberAligner:
    """A face in every picture; its crop holds whether the picture is of a burst, and its number."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def __call__(self, image, captured_ns):
        number = read_number(image)
        pixels = np.zeros((3, fakes.SIDE, fakes.SIDE), np.uint8)
        pixels[0, 0, 0] = 16 * LOUD * (number % EVERY in BURST)
        pixels[1, 0, 0], pixels[2, 0, 0] = divmod(number, 256)
        face = Face(0, pixels, np.eye(2, 3), 1.0, np.empty((0, 2), np.float32))
        return Alignment((face,), None)

    def reset(self, face=None):
        pass

    def close(self):
        pass


def aligner(spec, settings):
    return NumberAligner()


def refine(clips):
    """The mean of a window is its score: it must be loud nearly throughout."""
    score = np.clip(clips[:, 0].mean(axis=1) / np.float32(LOUD), 0, 1).astype(np.float32)
    nothing = np.zeros((len(clips), 2), np.float32)
    return {"classes": np.stack([1 - score, score], axis=1), "offsets": nothing}


def recognize(clip):
    high, low = (clip[:, :, channel, 0, 0].astype(np.float32) for channel in (1, 2))
    named = fakes.recognize(clip)
    return named | {"intensity": (high * 256 + low) / np.float32(1 << BITS)}


def load() -> EngineSet:
    spec = fakes.spec(t_crn=0.67)
    recognizer = RecognizerSpec(side=fakes.SIDE)
    tensors = spec.tensors() | recognizer.tensors()
    functions = {
        "encoder": fakes.encode,
        "proposer": fakes.propose,
        "refiner": refine,
        "recognizer": recognize,
    }
    return EngineSet(
        name="numbered",
        backend="numpy",
        spotter=spec,
        recognizer_spec=recognizer,
        **{name: FunctionEngine(functions[name], *tensors[name]) for name in functions},
    )


def numbers_of(record) -> tuple[int, int]:
    """The first and last number of the pictures of an event."""
    found = [round(value * (1 << BITS)) for value in record["intensity"]]
    return min(found), max(found)


def supervise(path: str) -> None:
    """`microspot fleet run FILE`, with the stand-ins in place of networks and aligner."""
    from microspot.realtime.commands import fleet
    from microspot.realtime.fleet import run

    with_numbers = run.group_arguments

    def arguments(file):
        _, *others = with_numbers(file)
        return (load, *others, aligner)

    run.group_arguments = arguments
    fleet.run(Path(path))


if __name__ == "__main__":
    from microspot.engines.commands.entry_point import run_command
    from tests.realtime.fleet import numbered

    run_command(lambda args, **_: numbered.supervise(args[0]), "microspot")
