"""Small videos that tests write for themselves."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def write_clip(
    path: Path, images, hz: int = 30, codec: str = "libx264", aspect=None, **options: str
) -> Path:
    """Encode BGR images at a constant rate, without B-frames, nearly lossless.

    aspect: width over height of a pixel.
    """
    with av.open(str(path), "w") as container:
        stream = None
        for index, image in enumerate(images):
            if stream is None:
                stream = container.add_stream(
                    codec, rate=hz, options={"crf": "12", "bf": "0", "g": "30"} | options
                )
                stream.height, stream.width = image.shape[:2]
                stream.pix_fmt = "yuv420p"
                stream.codec_context.time_base = Fraction(1, hz)
                stream.codec_context.sample_aspect_ratio = aspect or Fraction(1)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24")
            frame.pts = index
            frame.time_base = Fraction(1, hz)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_still(path: Path, frames: int, value: int, hz: int = 30) -> Path:
    """A wall of one grey level."""
    return write_clip(path, (np.full((240, 320, 3), value, np.uint8) for _ in range(frames)), hz)
