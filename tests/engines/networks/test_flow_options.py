"""What the flow shows on demand: less its surroundings, without turns of the head, how certain."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from microspot.engines.alignment.face_template import depth
from microspot.engines.networks.motion import Flow, FlowOptions
from microspot.engines.networks.surroundings import BLOCK, Surroundings

SIDE = 112
PLACES = SIDE // 4


@pytest.fixture(scope="module")
def texture() -> NDArray[np.float32]:
    noise = np.random.default_rng(0).normal(0, 1, (SIDE, SIDE)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.5)
    return np.asarray(0.5 + 0.15 * smooth / smooth.std(), np.float32)


def moved(image: NDArray[np.float32], dx: NDArray[np.float64]) -> torch.Tensor:
    """(1, 3, S, S), 0 to 255: the image moved by dx px to the right."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    out = cv2.remap(
        image, x - dx.astype(np.float32), y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )
    return torch.from_numpy(np.repeat(255 * out[None, None], 3, 1))


def bump(x0: float, y0: float, spread: float) -> NDArray[np.float64]:
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float64)
    return np.asarray(np.exp(-0.5 * ((x - x0) ** 2 + (y - y0) ** 2) / spread**2), np.float64)


def shown(options: FlowOptions, now: torch.Tensor, earlier: torch.Tensor) -> torch.Tensor:
    """All channels of the flow between two crops."""
    flow = Flow(SIDE, 2, options=options)
    found: torch.Tensor = flow(flow.prepare(now), flow.prepare(earlier))
    return found[0]


def test_without_options_there_are_the_channels_of_before(texture: NDArray[np.float32]) -> None:
    """New channels come last and change none of the others, so that a warm start finds them."""
    crops = moved(texture, bump(70, 40, 9)), moved(texture, 0 * bump(0, 0, 1))
    plain = shown(FlowOptions(), *crops)
    more = shown(FlowOptions(surround=(0,), certainty=True), *crops)
    assert len(plain) == 4 == FlowOptions().channels(1)
    assert len(more) == 7 == FlowOptions((0,), certainty=True).channels(1)
    assert torch.equal(more[:4], plain)


def test_the_surroundings_are_the_median_of_the_nearest_blocks() -> None:
    surroundings = Surroundings(5 * BLOCK)
    blocks = torch.rand(5, 5, generator=torch.Generator().manual_seed(0))
    places = blocks.repeat_interleave(BLOCK, 0).repeat_interleave(BLOCK, 1)
    wanted = torch.empty(5, 5)
    for row in range(5):
        for column in range(5):
            others = [(i, j) for i in range(5) for j in range(5) if (i, j) != (row, column)]
            others.sort(key=lambda at: np.hypot(at[0] - row, at[1] - column))
            nearest = sorted(float(blocks[at]) for at in others[:8])
            wanted[row, column] = (nearest[3] + nearest[4]) / 2
    spread = surroundings.spread
    torch.testing.assert_close(surroundings(places[None, None])[0, 0], spread @ wanted @ spread.T)
    torch.testing.assert_close(spread.sum(1), torch.ones(5 * BLOCK))


def test_what_moves_alone_is_not_among_its_surroundings() -> None:
    one = torch.zeros(1, 1, 5 * BLOCK, 5 * BLOCK)
    one[..., 2 * BLOCK : 3 * BLOCK, 2 * BLOCK : 3 * BLOCK] = 5
    assert not Surroundings(5 * BLOCK)(one).any()


def test_a_slow_course_around_a_place_is_lost_and_a_local_movement_stays(
    texture: NDArray[np.float32],
) -> None:
    still = moved(texture, 0 * bump(0, 0, 1))
    wide = moved(texture, 0.8 * bump(56, 56, 40))
    local = moved(texture, 0.8 * bump(56, 56, 8))
    options = FlowOptions(surround=(0,))
    at = slice(PLACES // 2 - 1, PLACES // 2 + 1)
    wide_flow = shown(options, wide, still)[:, at, at].mean((1, 2))
    local_flow = shown(options, local, still)[:, at, at].mean((1, 2))
    assert wide_flow[4].abs() < 0.5 * wide_flow[2].abs()
    assert local_flow[4] > 0.8 * local_flow[2] > 0.3


def test_a_turn_of_the_head_is_taken_out(texture: NDArray[np.float32]) -> None:
    """A yaw moves near parts against far ones; a local movement within it stays."""
    apart = -0.06 * SIDE * (depth(SIDE) - depth(SIDE).mean())
    still = moved(texture, 0 * apart)
    turned = moved(texture, apart)
    before = shown(FlowOptions(), turned, still)[2:4].square().mean().sqrt()
    after = shown(FlowOptions(parallax=True), turned, still)[2:4].square().mean().sqrt()
    assert after < 0.55 * before
    both = moved(texture, apart + 0.8 * bump(76, 76, 9))
    found = (
        shown(FlowOptions(parallax=True), both, still)[2]
        - shown(FlowOptions(parallax=True), turned, still)[2]
    )
    assert found[18:20, 18:20].mean() > 0.3


def test_flat_skin_is_uncertain_and_texture_is_not(texture: NDArray[np.float32]) -> None:
    half_flat = texture.copy()
    half_flat[:, : SIDE // 2] = 0.5
    crops = moved(half_flat, 0 * bump(0, 0, 1)), moved(half_flat, 0 * bump(0, 0, 1))
    found = shown(FlowOptions(certainty=True), *crops)[4]
    assert found.min() >= 0
    assert found.max() <= 1
    assert found[:, :8].max() < 0.05
    assert found[4:-4, -10:-4].min() > 0.5
    finer = shown(FlowOptions(certainty=True, ridge=1e-5), *crops)[4]
    assert (finer >= found).all()
    assert finer[:, -8:].mean() > found[:, -8:].mean()


def test_an_edge_is_certain_across_only() -> None:
    """The smaller eigenvalue counts: along an edge nothing is seen to move."""
    stripes = np.tile(0.5 + 0.2 * np.sin(np.arange(SIDE) / 2), (SIDE, 1)).astype(np.float32)
    crops = moved(stripes, 0 * bump(0, 0, 1)), moved(stripes, 0 * bump(0, 0, 1))
    assert shown(FlowOptions(certainty=True), *crops)[4, 4:-4, 4:-4].max() < 0.05


def test_a_smaller_ridge_shows_more_of_a_step(texture: NDArray[np.float32]) -> None:
    pale = np.asarray(0.5 + 0.15 * (texture - 0.5), np.float32)
    crops = moved(pale, 0.5 * bump(56, 56, 15)), moved(pale, 0 * bump(0, 0, 1))
    for channel, pair in ((2, crops), (3, tuple(crop.mT for crop in crops))):  # in x and in y
        large, small = (
            shown(FlowOptions(ridge=ridge), *pair)[channel, 12:16, 12:16].mean()
            for ridge in (1e-4, 1e-5)
        )
        assert small > 1.5 * large > 0
