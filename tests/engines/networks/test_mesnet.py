"""MESNet: shapes, gradients, receptive fields, and that the stream equals the whole sequence."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from microspot.engines.errors import EngineError
from microspot.engines.networks.mesnet import (
    ClipClassifier,
    EncoderStep,
    MESNet,
    ProposerStep,
    RefinerStep,
    SpatialEncoder,
    load_mesnet,
)
from microspot.engines.networks.spatial import _normed
from microspot.engines.networks.weights import save_weights
from microspot.engines.specs import NUISANCES, SpotterSpec

SMALL = SpotterSpec(side=32, feature=32)  # one cell of 32 channels: the same network, quick to run
STILL = dataclasses.replace(SMALL, lags_ns=())
DIFFERENCE = dataclasses.replace(SMALL, motion="difference")
FULL = dataclasses.replace(  # with all that a spec can ask for
    SMALL,
    surround_ns=SMALL.lags_ns[:2],
    parallax=True,
    certainty=True,
    ridge=3e-5,
    grid="fine",
    nuisance=NUISANCES,
)


@pytest.fixture
def network() -> MESNet:
    torch.manual_seed(3)
    built = MESNet(SMALL).eval()
    for parameter in built.parameters():
        if parameter.ndim == 1:
            torch.nn.init.uniform_(parameter, -0.5, 0.5)  # zero biases would hide wrong padding
    return built


def pixels(count: int, spec: SpotterSpec) -> torch.Tensor:
    return torch.randint(0, 256, (count, spec.channels, spec.side, spec.side), dtype=torch.uint8)


def test_sizes_at_the_shipped_spec() -> None:
    network = MESNet(SpotterSpec()).eval()
    with torch.no_grad():
        features = network.encoder(pixels(2, network.spec))
    assert features.shape == (2, 512)
    temporal = network.temporal(torch.zeros(1, 512, 9), torch.ones(1, 9))
    assert temporal.shape == (1, 128, 9)  # [S1 M17]
    assert network.spec.state == 6 * 512 + 6 + 6 * 128 + 6 * 128 + 28 * 64


@pytest.mark.parametrize(
    "spec", [SMALL, STILL, DIFFERENCE, FULL], ids=["flow", "still", "difference", "full"]
)
def test_every_parameter_gets_a_gradient(spec: SpotterSpec) -> None:
    torch.manual_seed(0)
    network = MESNet(spec).train()
    features = network.encoder(pixels(20, spec)).T[None]
    classes, offsets = network.refiner(torch.rand(2, spec.feature, spec.refine_length))
    scores, nuisance = network.proposed(features, torch.ones(1, 20))
    assert (nuisance is None) == (not spec.nuisance)
    loss = scores.square().sum() + classes.sum() + offsets.square().sum()
    if nuisance is not None:
        loss = loss + nuisance.square().sum()
    loss.backward()
    dead = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert dead == []


def test_pretraining_network_and_its_gradients() -> None:
    torch.manual_seed(0)
    classifier = ClipClassifier(SMALL, 16).train()
    features = classifier.encoder(pixels(32, SMALL)).unflatten(0, (2, 16)).transpose(1, 2)
    logits = classifier(features)
    assert logits.shape == (2, 2)
    logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in classifier.parameters())


@pytest.mark.parametrize("spec", [SMALL, DIFFERENCE, FULL], ids=["flow", "difference", "full"])
def test_unstacked_frames_give_the_inputs_of_stacked_crops(spec: SpotterSpec) -> None:
    encoder = SpatialEncoder(spec)
    frames = torch.randint(0, 256, (40, 3, 32, 32), dtype=torch.uint8)
    current = torch.arange(40)
    lags = torch.randint(0, 40, (40, 3))
    stacked = torch.cat([frames[current], *(frames[lags[:, i]] for i in range(3))], 1)
    torch.testing.assert_close(
        encoder.inputs_of(frames, current, lags), encoder.inputs(stacked), atol=2e-5, rtol=0
    )


def test_lighting_is_removed_and_movement_is_seen() -> None:
    encoder = SpatialEncoder(dataclasses.replace(DIFFERENCE, lags_ns=(1,)))
    now = torch.full((1, 3, 32, 32), 120, dtype=torch.uint8)
    brighter = torch.cat([now, now - 30], 1)
    difference = encoder.inputs(brighter)[:, 3:]
    assert difference.abs().max() < 1e-6, "the whole crop brighter is no movement"
    moved = brighter.clone()
    moved[:, :3, 8:10, 8:10] += 20
    difference = encoder.inputs(moved)[:, 3:]
    assert 0.3 < difference.max() < 0.8, "20 grey levels at an edge give about 0.5"


def test_a_folded_norm_is_the_norm() -> None:
    torch.manual_seed(1)
    conv = torch.nn.Conv2d(3, 5, 3, padding=1)
    norm = torch.nn.BatchNorm2d(5)
    for values in (norm.running_mean, norm.running_var, norm.weight, norm.bias):
        assert values is not None
        torch.nn.init.uniform_(values, 0.5, 2)
    x = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(_normed(x, conv, norm.eval()), norm(conv(x)))
    before = norm.running_mean.clone() if norm.running_mean is not None else x
    _normed(x, conv, norm.train())
    assert not torch.equal(before, norm.running_mean), "in training the statistics are learnt"


def test_the_folded_encoder_is_the_encoder(network: MESNet) -> None:
    given = pixels(3, network.spec)
    folded = network.encoder.folded()
    with torch.no_grad():
        torch.testing.assert_close(folded(given), network.encoder(given), atol=1e-5, rtol=0)
    assert not norms_of(folded)
    assert norms_of(network.encoder), "a copy is folded"


@pytest.mark.parametrize("spec", [SMALL, STILL, DIFFERENCE], ids=["flow", "still", "difference"])
def test_all_four_pools_keep_the_largest_value(spec: SpotterSpec) -> None:
    """The value of a single place comes out whole where every layer hands on one channel's corners.

    An average in place of any of the four maxima [S1 M15] would lower it. The first pool of flow
    makes a block of the place, of which the next layer keeps the upper left corner.
    """
    encoder = SpatialEncoder(spec).eval()
    inputs = torch.zeros_like(encoder.inputs(pixels(1, spec)))
    inputs[0, 0, 4, 4] = 1
    with torch.no_grad():
        for conv in encoder.convs:
            assert isinstance(conv, torch.nn.Conv2d)
            assert conv.bias is not None
            middle = conv.kernel_size[0] // 2
            conv.bias.zero_()
            conv.weight.zero_()
            conv.weight[0, 0, middle, middle] = 1
            conv.weight[0, 0, middle, middle - 1] = -1
            conv.weight[0, 0, middle - 1, middle] = -1
        for form in (encoder, encoder.folded()):
            (feature,) = form.features(inputs)
            assert feature[0].item() == pytest.approx(1, abs=1e-3)
            assert not feature[1:].any()


def norms_of(module: torch.nn.Module) -> list[torch.nn.Module]:
    return [part for part in module.modules() if isinstance(part, torch.nn.BatchNorm2d)]


def test_a_feature_length_that_the_grid_cannot_give_is_refused() -> None:
    with pytest.raises(EngineError, match="feature length 100"):
        MESNet(SpotterSpec(feature=100))


@pytest.mark.parametrize("scale", range(5))
def test_a_branch_sees_exactly_its_window_of_s(network: MESNet, scale: int) -> None:
    torch.manual_seed(scale)
    s = torch.randn(1, 128, 40, requires_grad=True)
    valid = torch.ones(1, 40)
    last = 30
    network.proposals(s, valid)[0, scale, last].backward()
    assert s.grad is not None
    seen = torch.nonzero(s.grad.abs().sum((0, 1))).flatten().tolist()
    first = last - SMALL.windows[scale] + 1
    assert (seen[0], seen[-1]) == (first, last)
    assert max(np.diff(seen)) <= 3, "gaps stay within the field of one column of S"


def test_a_score_looks_ahead_by_the_radius(network: MESNet) -> None:
    features = torch.randn(1, 32, 40, requires_grad=True)
    network(features, torch.ones(1, 40))[0, 0, 30].backward()
    assert features.grad is not None
    seen = torch.nonzero(features.grad.abs().sum((0, 1))).flatten()
    assert (seen[0], seen[-1]) == (30 - 7 + 1 - SMALL.radius, 30 + SMALL.radius)


@torch.no_grad()
def stream(network: MESNet, features: torch.Tensor, cuts: list[int]) -> torch.Tensor:
    """Push in pieces, flush with R invalid columns (of garbage), drop the first R scores."""
    step = ProposerStep(network)
    radius = network.spec.radius
    batch, width, n = features.shape
    pushed = torch.cat([features, torch.randn(batch, width, radius)], 2)
    valid = torch.cat([torch.ones(batch, n), torch.zeros(batch, radius)], 1)
    state = torch.zeros(batch, network.spec.state)
    scores = []
    at = 0
    for end in [*sorted(cuts), n + radius]:
        if end > at:
            part, state = step(pushed[:, :, at:end], valid[:, at:end], state)
            scores.append(part)
            at = end
    return torch.cat(scores, 2)[:, :, radius:]


@pytest.mark.parametrize("n", [1, 2, 5, 7, 16, 61])
def test_streaming_equals_the_whole_sequence(network: MESNet, n: int) -> None:
    torch.manual_seed(n)
    features = torch.randn(2, 32, n)
    with torch.no_grad():
        whole = network(features, torch.ones(2, n)).sigmoid()
    every = list(range(1, n + 2))
    few, many = (torch.randint(1, n + 2, (count,)).tolist() for count in (4, 9))
    for cuts in ([], every, few, many):
        torch.testing.assert_close(
            stream(network, features, cuts), whole, atol=1e-5, rtol=0, msg=f"cuts {cuts}"
        )


@torch.no_grad()
def test_nuisances_of_the_stream_are_those_of_the_same_tick_of_the_whole_sequence() -> None:
    torch.manual_seed(4)
    full = MESNet(FULL).eval()
    features = torch.rand(2, 32, 23)
    _, whole = full.proposed(features, torch.ones(2, 23))
    assert whole is not None
    radius = full.spec.radius
    pushed = torch.cat([features, torch.randn(2, 32, radius)], 2)
    valid = torch.cat([torch.ones(2, 23), torch.zeros(2, radius)], 1)
    for size in (1, 4, 29):
        state = torch.zeros(2, full.spec.state)
        found = []
        for at in range(0, 23 + radius, size):
            part = slice(at, at + size)
            _, state, nuisance = ProposerStep(full)(pushed[:, :, part], valid[:, part], state)
            found.append(nuisance)
        streamed = torch.cat(found, 2)[:, :, radius:]
        torch.testing.assert_close(streamed, whole.sigmoid(), atol=1e-5, rtol=0)


def test_the_proposer_has_an_output_for_nuisances_where_the_spec_names_them() -> None:
    names = [spec.name for spec in FULL.tensors()["proposer"][1]]
    assert names == ["scores", "state_out", "nuisance"]
    assert FULL.tensors()["proposer"][1][2].shape == ("B", 5, "n")
    assert [spec.name for spec in SMALL.tensors()["proposer"][1]] == names[:2]


def test_segments_of_different_length_share_a_batch(network: MESNet) -> None:
    features = torch.randn(2, 32, 30)
    valid = torch.ones(2, 30)
    valid[0, 18:] = 0
    with torch.no_grad():
        both = network(features, valid)
        alone = network(features[:1, :, :18], torch.ones(1, 18))
    torch.testing.assert_close(both[:1, :, :18], alone, atol=1e-5, rtol=0)


def test_export_forms_keep_the_contract(network: MESNet) -> None:
    inputs = {
        "encoder": (pixels(3, SMALL),),
        "proposer": (torch.rand(3, 32, 4), torch.ones(3, 4), torch.zeros(3, network.spec.state)),
        "refiner": (100 * torch.randn(6, 32, 16),),
    }
    forms = {
        "encoder": EncoderStep(network),
        "proposer": ProposerStep(network),
        "refiner": RefinerStep(network),
    }
    for name, form in forms.items():
        wanted, outputs = network.spec.tensors()[name]
        for spec, tensor in zip(wanted, inputs[name], strict=True):
            spec.check(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))
        with torch.no_grad():
            found = form(*inputs[name])
        if not isinstance(found, tuple):
            found = (found,)
        for spec, tensor in zip(outputs, found, strict=True):
            spec.check(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))
    classes, offsets = forms["refiner"](*inputs["refiner"])
    torch.testing.assert_close(classes.sum(1), torch.ones(6))
    assert (offsets[:, 0] >= -1).all()
    assert (offsets[:, 0] <= 0.5).all()
    assert (offsets[:, 1] >= -0.5).all()
    assert (offsets[:, 1] <= 1).all()


def test_weights_travel_and_do_not_fit_another_spec(network: MESNet, tmp_path: Path) -> None:
    save_weights(network, tmp_path / "w.safetensors")
    features = torch.randn(1, 32, 20)
    again = load_mesnet(network.spec, tmp_path / "w.safetensors")
    torch.testing.assert_close(
        again(features, torch.ones(1, 20)), network(features, torch.ones(1, 20))
    )
    with pytest.raises(EngineError, match="does not hold weights"):
        load_mesnet(STILL, tmp_path / "w.safetensors")
    (tmp_path / "w.safetensors").write_bytes(b"damaged")
    with pytest.raises(EngineError, match="does not hold weights"):
        load_mesnet(network.spec, tmp_path / "w.safetensors")
    with pytest.raises(EngineError, match="the spec says 7"):
        MESNet(dataclasses.replace(SMALL, state=7))


def test_weights_that_are_all_but_erased_are_written_and_read_as_zero(
    network: MESNet, tmp_path: Path
) -> None:
    path = tmp_path / "w.safetensors"
    small = torch.tensor([1e-40, -1e-13, 2e-12, torch.nan])
    with torch.no_grad():
        network.refiner.dense.bias[:4] = small
    wanted = torch.tensor([0, 0, 2e-12, torch.nan])
    save_weights(network, path)
    torch.testing.assert_close(
        load_file(path)["refiner.dense.bias"][:4], wanted, rtol=0, atol=0, equal_nan=True
    )
    save_file(network.state_dict(), path)
    read = load_mesnet(network.spec, path).refiner.dense.bias[:4].detach()
    torch.testing.assert_close(read, wanted, rtol=0, atol=0, equal_nan=True)


def test_sizes_of_cpn_and_crn_are_the_specs_and_the_stream_stays_exact() -> None:
    """Kernels of 4 see windows of 1 + 3 (a + b) ticks."""
    torch.manual_seed(0)
    spec = dataclasses.replace(
        SMALL,
        windows=(7, 10),
        dilations=((1, 1), (1, 2)),
        branch_kernel=4,
        branch_channels=20,
        refine_kernel=5,
        refine_channels=24,
        refine_dense=12,
    )
    network = MESNet(spec).eval()
    assert network.proposals.branches[0].first.weight.shape == (20, 128, 4)
    assert network.refiner.second.weight.shape == (24, 24, 5)
    assert network.refiner.classes.weight.shape == (2, 12)
    features = torch.randn(1, spec.feature, 30)
    valid = torch.ones(1, 30)
    step = ProposerStep(network)
    state = torch.zeros(1, network.spec.state)
    late = network.spec.radius
    scores = []
    for i in range(30):
        one, state = step(features[:, :, i : i + 1], valid[:, i : i + 1], state)
        scores.append(one)
    wanted = network(features, valid).sigmoid()
    found = torch.cat(scores, 2)
    # the last window that whole sequences and stream both have without padding at the end
    torch.testing.assert_close(found[:, :, late:], wanted[:, :, : 30 - late], atol=1e-5, rtol=0)
    with pytest.raises(EngineError, match="receptive field"):
        dataclasses.replace(spec, branch_kernel=3)
