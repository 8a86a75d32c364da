"""Flow: the displacement of a textured patch is found in pixels and place, and nothing else."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from microspot.engines.networks.motion import FLOW_GAIN, Flow

SIDE = 112
CENTRE = np.array([70.0, 40.0])  # x, y of the moving patch
SPREAD = 9.0


@pytest.fixture(scope="module")
def texture() -> NDArray[np.float32]:
    noise = np.random.default_rng(0).normal(0, 1, (SIDE, SIDE)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.5)
    return np.asarray(0.5 + 0.15 * smooth / smooth.std(), np.float32)


def moved(
    image: NDArray[np.float32], dx: NDArray[np.float32] | float, dy: NDArray[np.float32] | float
) -> torch.Tensor:
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    out = cv2.remap(
        image,
        x - np.float32(dx),
        y - np.float32(dy),
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REFLECT,
    )
    return colours(out)


def colours(grey: NDArray[np.float32]) -> torch.Tensor:
    """(1, 3, S, S), 0 to 255."""
    return torch.from_numpy(np.repeat(255 * grey[None, None], 3, 1))


def patch() -> NDArray[np.float32]:
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    away = ((x - CENTRE[0]) ** 2 + (y - CENTRE[1]) ** 2) / SPREAD**2
    return np.asarray(np.exp(-0.5 * away), np.float32)


def flow_of(now: torch.Tensor, earlier: torch.Tensor) -> NDArray[np.float32]:
    """(2, H, W) px, the bound undone."""
    flow = Flow(SIDE)
    found = flow(flow.prepare(now), flow.prepare(earlier))[0, 2:]
    return np.arctanh(np.clip(found.numpy(), -0.999, 0.999)) / FLOW_GAIN


@pytest.mark.parametrize("move", [(0.5, 0.0), (0.0, -0.8), (-0.6, 0.6)])
def test_a_moved_patch_is_found_in_pixels_and_place(
    texture: NDArray[np.float32], move: tuple[float, float]
) -> None:
    found = flow_of(moved(texture, move[0] * patch(), move[1] * patch()), moved(texture, 0, 0))
    x, y = (CENTRE / 2).astype(int)
    np.testing.assert_allclose(found[:, y, x], move, atol=0.25)
    size = np.hypot(*found)
    row, column = np.unravel_index(size.argmax(), size.shape)
    assert np.hypot(*(np.array([column, row]) - CENTRE / 2)) < 6
    assert size[40:, :20].mean() < 0.12, "far from the patch hardly anything moves"


def test_what_the_whole_crop_does_is_taken_away(texture: NDArray[np.float32]) -> None:
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32) - SIDE / 2
    still = moved(texture, 0, 0)
    shifted = flow_of(moved(texture, 0.4, -0.3), still)
    turned = flow_of(moved(texture, -0.006 * y, 0.006 * x), still)
    for found in (shifted, turned):
        assert np.hypot(*found[:, 8:-8, 8:-8]).mean() < 0.12
    local = flow_of(moved(texture, 0.4 + 0.8 * patch(), -0.3), still)
    assert np.hypot(*local).max() > 0.5, "a local movement stays"


def test_at_half_as_many_places_the_flow_is_the_same(texture: NDArray[np.float32]) -> None:
    now = moved(texture, 0.5 * patch() + 0.2, -0.4 * patch())
    earlier = moved(texture, 0, 0)
    fine = Flow(SIDE)
    coarse = Flow(SIDE, step=2)
    seen = fine.prepare(now), fine.prepare(earlier)
    wanted = torch.nn.functional.avg_pool2d(fine(*seen), 2)
    found = coarse(*seen)
    assert found.shape == (1, 4, SIDE // 4, SIDE // 4)
    torch.testing.assert_close(found[:, 2:], wanted[:, 2:], atol=0.05, rtol=0)
    torch.testing.assert_close(found[:, 0], wanted[:, 0], atol=1e-6, rtol=0)


def test_light_is_no_movement(texture: NDArray[np.float32]) -> None:
    ramp = np.linspace(0, 0.1, SIDE, dtype=np.float32)[None, :]
    found = flow_of(colours(texture + ramp), moved(texture, 0, 0))
    assert np.hypot(*found[:, 8:-8, 8:-8]).mean() < 0.05


def test_flat_skin_says_nothing() -> None:
    flat = np.full((SIDE, SIDE), 0.5, np.float32)
    noisy = flat + np.random.default_rng(1).normal(0, 1 / 255, flat.shape).astype(np.float32)
    found = flow_of(colours(noisy), colours(flat))
    assert np.hypot(*found).max() < 0.1


def test_an_odd_side_is_rounded_up() -> None:
    crop = torch.randint(0, 256, (1, 6, 33, 33), dtype=torch.uint8)
    flow = Flow(33, crops=2)
    seen = flow.prepare(crop)
    assert seen.shape == (1, 2, 17, 17)
    assert flow(seen[:, :1], seen[:, 1:]).shape == (1, 4, 17, 17)
    assert Flow(33, step=2)(seen[:, :1], seen[:, 1:]).shape == (1, 4, 9, 9)
