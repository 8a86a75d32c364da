"""A warm start of a network that sees or says more begins with what the smaller one computes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from microspot.engines.errors import DataError
from microspot.engines.networks.mesnet import MESNet
from microspot.engines.networks.weights import save_weights
from microspot.engines.specs import NUISANCES, SpotterSpec
from microspot.engines.training.finer_grid import _parts
from microspot.engines.training.warm_start import warm_start

SPEC = SpotterSpec(side=64, feature=64)  # 4 x 4 places in the last layer
LAGS = SPEC.lags_ns


def started(tmp_path: Path, spec: SpotterSpec = SPEC, **changes: object) -> tuple[MESNet, MESNet]:
    """A network, and one of a changed spec that starts from it."""
    torch.manual_seed(0)
    small = MESNet(spec).eval()
    save_weights(small, tmp_path / "small.safetensors")
    large = MESNet(dataclasses.replace(spec, **changes)).eval()
    warm_start(large, tmp_path / "small.safetensors")
    return small, large


@torch.no_grad()
def outputs(network: MESNet) -> tuple[torch.Tensor, torch.Tensor]:
    """Features of random crops, and the proposer's logits of them."""
    rng = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, (9, SPEC.channels, 64, 64), dtype=torch.uint8, generator=rng)
    features = network.encoder(pixels)
    return features, network(features.T[None], torch.ones(1, 9))


@pytest.mark.parametrize(
    "changes",
    [
        {"surround_ns": LAGS[:2]},
        {"certainty": True},
        {"surround_ns": LAGS[1:3], "certainty": True, "nuisance": NUISANCES},
        {"nuisance": NUISANCES[:1]},
    ],
)
def test_more_to_see_or_to_say_starts_equal(tmp_path: Path, changes: dict[str, object]) -> None:
    small, large = started(tmp_path, **changes)
    for ours, theirs in zip(outputs(large), outputs(small), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)
    if "nuisance" in changes:
        assert large.nuisance is not None
        assert large.nuisance.last.weight.any(), "fresh heads, or they would never learn"


@torch.no_grad()
def test_a_channel_that_does_nothing_makes_place_for_one_that_learns(tmp_path: Path) -> None:
    torch.manual_seed(0)
    given = MESNet(SPEC).eval()
    for norm in given.encoder.norms:  # of trained weights
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
        norm.weight.uniform_(0.5, 2)
        norm.bias.normal_()
    silent = [[3], [0, 47], [5, 17]]
    for i, rows in enumerate(silent):
        given.encoder.norms[i].weight[rows] = 0
        given.encoder.norms[i].bias[rows] = -0.1
        given.encoder.convs[i + 1].weight[:, rows] = 0
    unread = 9  # but active: whoever never reads it does not miss it
    given.encoder.convs[3].weight[:, unread] = 0
    save_weights(given, tmp_path / "given.safetensors")
    anew = MESNet(SPEC).eval()
    assert warm_start(anew, tmp_path / "given.safetensors") == [31, 46, 93, 16]
    for ours, theirs in zip(outputs(anew), outputs(given), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    for i, fresh in enumerate((1, 2, 3)):
        assert anew.encoder.convs[i].weight[-fresh:].flatten(1).any(1).all()
        assert anew.encoder.norms[i].weight[-fresh:].all()
        assert not anew.encoder.convs[i + 1].weight[:, -fresh:].flatten(2)[:4].any()


def test_weights_that_read_other_channels_are_refused(tmp_path: Path) -> None:
    _, certain = started(tmp_path, certainty=True)
    save_weights(certain, tmp_path / "certain.safetensors")
    both = MESNet(dataclasses.replace(SPEC, certainty=True, surround_ns=LAGS[:1]))
    with pytest.raises(DataError, match="reads 14 channels and the network 16"):
        warm_start(both, tmp_path / "certain.safetensors")


def test_a_fine_grid_starts_with_the_filters_that_are_read_most(tmp_path: Path) -> None:
    small, large = started(tmp_path, SpotterSpec(), grid="fine")
    ours = large.encoder.convs[3].weight
    theirs = small.encoder.convs[3].weight
    assert (len(ours), len(theirs)) == (16, 32)
    for i in range(3):
        assert torch.equal(large.encoder.convs[i].weight, small.encoder.convs[i].weight)
    rows = [int((theirs == filter).flatten(1).all(1).nonzero()) for filter in ours]
    weighed = small.temporal.first.weight.unflatten(1, (32, 16)).square().sum((0, 2, 3))
    weighed = weighed + small.refiner.first.weight.unflatten(1, (32, 16)).square().sum((0, 2, 3))
    assert rows == sorted(weighed.argsort(descending=True)[: len(ours)].tolist())
    # a feature that is the same everywhere is read as it was
    whole = small.temporal.first.weight.unflatten(1, (32, 16))[:, rows].sum(2)
    parts = large.temporal.first.weight.unflatten(1, (len(rows), -1)).sum(2)
    torch.testing.assert_close(parts, whole, atol=1e-5, rtol=1e-4)


def test_finer_cells_take_over_the_cells_on_their_places() -> None:
    parts = _parts(7)
    assert parts.shape == (32, 16)
    torch.testing.assert_close(parts.sum(0), torch.ones(16))
    # the upper left cell lies on rows 0 and 1, columns 0 and 1
    assert parts[:, 0].nonzero().flatten().tolist() == [0, 1, 6, 7]


# ---- what the weights say of themselves


def saved(folder: Path, spec: SpotterSpec, beside: str = "spotter.json") -> tuple[MESNet, Path]:
    """A network as a run or a folder that ships has it."""
    network = MESNet(spec)
    path = folder / "spotter.safetensors"
    save_weights(network, path)
    content = {"spotter": network.spec.to_json(), "files": {path.name: {}}}
    (folder / beside).write_text(json.dumps(content))
    return network, path


@pytest.mark.parametrize("beside", ["spotter.json", "manifest.json"])
def test_heads_are_taken_over_by_name(tmp_path: Path, beside: str) -> None:
    gaze, blink = NUISANCES[2], NUISANCES[0]
    given, path = saved(tmp_path, dataclasses.replace(SPEC, nuisance=(gaze, blink)), beside)
    own = MESNet(dataclasses.replace(SPEC, nuisance=NUISANCES))
    fresh = own.nuisance.last.weight.clone()
    warm_start(own, path)
    for name in NUISANCES:
        i = NUISANCES.index(name)
        rows = {gaze: given.nuisance.last.weight[0], blink: given.nuisance.last.weight[1]}
        assert torch.equal(own.nuisance.last.weight[i], rows.get(name, fresh[i])), name
    fewer = MESNet(dataclasses.replace(SPEC, nuisance=(blink,)))
    warm_start(fewer, path)
    assert torch.equal(fewer.nuisance.last.bias, given.nuisance.last.bias[1:])


@pytest.mark.parametrize(
    ("key", "theirs", "ours"),
    [("surround_ns", LAGS[:2], LAGS[1:3]), ("lags_ns", LAGS, (*LAGS[:3], 900_000_000))],
)
def test_other_surroundings_and_lags_are_refused(
    tmp_path: Path, key: str, theirs: tuple[int, ...], ours: tuple[int, ...]
) -> None:
    _, path = saved(tmp_path, dataclasses.replace(SPEC, **{key: theirs}))
    with pytest.raises(DataError, match=f"was trained with {key} .*, the network has"):
        warm_start(MESNet(dataclasses.replace(SPEC, **{key: ours})), path)


def test_surroundings_may_be_new(tmp_path: Path) -> None:
    _, path = saved(tmp_path, SPEC)
    warm_start(MESNet(dataclasses.replace(SPEC, surround_ns=LAGS[:2])), path)


def test_an_unreadable_spec_beside_the_weights_is_named(tmp_path: Path) -> None:
    _, path = saved(tmp_path, SPEC)
    (tmp_path / "spotter.json").write_text("{}")
    with pytest.raises(DataError, match=r"spotter.json does not say what spotter.safetensors is"):
        warm_start(MESNet(SPEC), path)
