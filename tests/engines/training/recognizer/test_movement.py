"""Heads that say what moved: truth of a batch, loss with masks, even draws, figures."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from microspot.engines.networks.branches import CMNetSizes
from microspot.engines.networks.cmnet import CMNet
from microspot.engines.networks.movement_heads import Movement
from microspot.engines.training.recognizer.data import RecognizerConfig, make_batch, read_samples
from microspot.engines.training.recognizer.movement import (
    UNKNOWN,
    MovedBatch,
    even_shares,
    moved_batch,
    movement_loss,
)
from microspot.engines.training.recognizer.step import batch_losses, class_weights
from microspot.engines.training.recognizer.train import train
from microspot.engines.training.recognizer.validation import MOVEMENT, movement_figures
from microspot.engines.units.truth import Moved
from tests.noise_set import SIDE, noise_set

UNITS = ("AU1", "AU6", "AU12")
REGIONS = ("brow", "mouth corner")
SMILE = Moved({"AU6": ("both", 1.0), "AU12": ("L", 2.0)}, "mouth corner", "L", 2.0)
FREE = Moved(None, "brow", "R", 1.5)
OTHER = Moved({"AU23": ("both", 1.0)}, "lips", "both", 1.0)  # a unit and a region without a head
SMALL = CMNetSizes(channels=(4, 4, 4, 8), width=16)


def truth(mirrored: bool = False) -> MovedBatch:
    return moved_batch([SMILE, FREE, OTHER], [mirrored] * 3, UNITS, REGIONS, "cpu")


def random_movement(count: int = 3, seed: int = 0) -> Movement:
    random = torch.Generator().manual_seed(seed)
    shapes = ((3,), (3, 3), (3,), (2,), (3,), ())
    return Movement(*(torch.randn(count, *shape, generator=random) for shape in shapes))


def test_the_truth_of_a_batch() -> None:
    found = truth()
    assert found.known.tolist() == [True, False, True]
    assert found.units.tolist() == [[0, 1, 1], [0, 0, 0], [0, 0, 0]]
    assert found.unit_sides.tolist() == [[-1, 2, 0], [-1] * 3, [-1] * 3]
    assert found.unit_px.tolist() == [[0, 1, 2], [0] * 3, [0] * 3]
    assert found.regions.tolist() == [1, 0, UNKNOWN]
    assert found.side.tolist() == [0, 1, 2]
    assert found.px.tolist() == [2, 1.5, 1]


def test_in_a_mirrored_clip_left_is_right() -> None:
    found = truth(mirrored=True)
    assert found.unit_sides[0].tolist() == [-1, 2, 1]
    assert found.side.tolist() == [1, 0, 2]
    assert torch.equal(found.units, truth().units)
    assert torch.equal(found.regions, truth().regions)


def moved_like(movement: Movement, field: str, row: int) -> Movement:
    """The movement with other numbers in a row of a field."""
    values = getattr(movement, field).clone()
    values[row] += torch.linspace(1, 2, values[row].numel()).view(values[row].shape)
    return movement._replace(**{field: values})


@pytest.mark.parametrize(
    ("field", "counts"),
    [
        ("units", (True, False, True)),  # of the free field no unit is known
        ("unit_sides", (True, False, False)),
        ("unit_log_px", (True, False, False)),
        ("regions", (True, True, False)),  # there is no head for lips
        ("side", (True, True, True)),
        ("log_px", (True, True, True)),
    ],
)
def test_what_nobody_knows_costs_nothing(field: str, counts: tuple[bool, ...]) -> None:
    found = random_movement()
    loss = movement_loss(found, truth())
    for row, does in enumerate(counts):
        other = movement_loss(moved_like(found, field, row), truth())
        assert (other != loss) == does, row


def test_every_unit_of_a_clip_costs_as_much_whatever_their_number() -> None:
    found = random_movement()
    wrong = moved_like(found, "units", 0)
    change = 6 * (movement_loss(wrong, truth()) - movement_loss(found, truth()))
    there = truth().units[0]

    def cost(logits: torch.Tensor) -> torch.Tensor:
        probability = logits.sigmoid()
        return -(there * probability.log() + (1 - there) * (1 - probability).log()).sum()

    known = 2  # clips whose units are known
    torch.testing.assert_close(change, (cost(wrong.units[0]) - cost(found.units[0])) / known)


def test_a_right_answer_costs_nothing_and_nothing_known_has_a_gradient_of_zero() -> None:
    sure = Movement(
        units=40 * truth().units - 20,
        unit_sides=20 * torch.nn.functional.one_hot(truth().unit_sides.clamp(min=0), 3).float(),
        unit_log_px=truth().unit_px.clamp(min=1).log(),
        regions=20 * torch.nn.functional.one_hot(truth().regions.clamp(min=0), 2).float(),
        side=20 * torch.nn.functional.one_hot(truth().side, 3).float(),
        log_px=truth().px.log(),
    )
    assert movement_loss(sure, truth()).item() < 1e-6
    nothing = moved_batch([Moved()], [False], UNITS, REGIONS, "cpu")
    found = Movement(*(part.requires_grad_() for part in random_movement(1)))
    loss = movement_loss(found, nothing)
    loss.backward()
    assert loss.item() == 0
    assert not found.units.grad.any()


def test_units_and_combinations_are_drawn_evenly() -> None:
    brow = Moved({"AU1": ("both", 1.0)}, "brow", "both", 1.0)
    moved = [SMILE] * 2 + [brow] * 6 + [FREE] * 3 + [Moved(None, "chin", "", 1.0)]
    shares = even_shares(moved)
    assert shares.sum() == pytest.approx(1)
    assert (shares > 0).all()
    known = 8 / 12
    # combinations: half each; units: two of three are of the smile
    assert shares[:2].sum() == pytest.approx(known * (1 / 2 + 2 / 3) / 2)
    assert shares[2:8].sum() == pytest.approx(known * (1 / 2 + 1 / 3) / 2)
    assert shares[8:11].sum() == pytest.approx((1 - known) / 2)
    assert even_shares([FREE, FREE]).tolist() == [0.5, 0.5]


def test_figures_are_of_what_is_known() -> None:
    found = random_movement()
    perfect = found._replace(
        units=truth().units - 0.5,
        regions=torch.tensor([[0.0, 1], [1, 0], [1, 0]]),
        side=torch.eye(3),
        log_px=truth().px.log(),
        unit_sides=torch.tensor([[[0.0] * 3, [0, 0, 1], [1, 0, 0]]] * 3),
    )
    figures = movement_figures([(perfect, truth()), (perfect, truth())])
    assert figures == {
        "unit_f1": 1,
        "unit_side": 1,
        "region": 1,
        "side": 1,
        "px_spearman": pytest.approx(1),
        "px_error": pytest.approx(0, abs=1e-6),
    }
    half = perfect._replace(log_px=(truth().px / 2).log(), side=torch.eye(3)[[0, 0, 2]])
    worse = movement_figures([(half, truth())])
    assert worse["px_error"] == pytest.approx(0.5)
    assert worse["side"] == pytest.approx(2 / 3)
    nothing = moved_batch([Moved()], [False], UNITS, REGIONS, "cpu")
    none = movement_figures([(random_movement(1), nothing)])
    assert all(math.isnan(value) for value in none.values())


def test_what_moved_is_read_from_state_product_and_clues() -> None:
    """s rises to 1 in every clip; with texture direction only h knows how far anything moved."""
    torch.manual_seed(0)
    network = CMNet(SIDE, SMALL, texture="direction", moved=(3, 2)).eval()
    clip = torch.randint(0, 256, (2, 5, 3, SIDE, SIDE), dtype=torch.uint8)
    frames = network.channels(clip)
    u, _, h = network.magnified(frames)
    v = network.last_state(u)
    assert h is not None
    found = network.movement(v, u, h)
    for other in (
        network.movement(2 * v, u, h),
        network.movement(v, 2 * u, h),
        network.movement(v, u, 2 * h),
    ):
        for name, part in found._asdict().items():
            assert not torch.allclose(part, getattr(other, name)), name
    late = network.movement(v, u.flip(1), h.flip(1))
    torch.testing.assert_close(late, found)  # only the state knows the order of the frames
    without = CMNet(SIDE, SMALL, magnify=False, moved=(3, 2))
    assert without(clip).movement.outputs()[0].shape == (2, 3)
    probabilities = found.outputs()
    assert [tuple(x.shape) for x in probabilities] == [
        (2, 3),
        (2, 3, 3),
        (2, 3),
        (2, 2),
        (2, 3),
        (2,),
    ]
    torch.testing.assert_close(probabilities[1].sum(-1), torch.ones(2, 3))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> RecognizerConfig:
    data = noise_set(tmp_path_factory.mktemp("noise"))
    out = tmp_path_factory.mktemp("out")
    return RecognizerConfig.read(
        data, out, side=SIDE, frames=5, epochs=1, batch=4, bfloat16=False, warmup=1
    )


def test_a_step_trains_the_heads(small: RecognizerConfig) -> None:
    crops, samples = read_samples(small)
    assert samples["train"][0].moved.units == {"AU4": ("both", 0.0)}
    batch = make_batch(crops, samples["train"][:3], small, seed=0)
    network = CMNet(SIDE, SMALL, texture="direction", moved=(15, 6))
    weights = class_weights(samples["train"], small)
    parts = batch_losses(network, batch, weights, small, 0.0, 0)
    assert parts["movement"].item() > 0
    parts["movement"].backward()
    assert network.movement.units.weight.grad.any()
    assert network.texture.layers[0].face.weight.grad.any(), "the trunk learns from it too"
    plain = CMNet(SIDE, SMALL, texture="direction")
    assert "movement" not in batch_losses(plain, batch, weights, small, 0.0, 0)


def test_training_writes_the_figures_of_the_heads(small: RecognizerConfig) -> None:
    figures = train(small, say=lambda line: None)
    assert set(MOVEMENT) <= set(figures)
    assert 0 <= figures["unit_f1"] <= 1
    row = (Path(small.out) / "recognizer.csv").read_text().splitlines()
    assert "movement" in row[0].split(",")
    assert np.isfinite(float(row[1].split(",")[row[0].split(",").index("movement")]))
