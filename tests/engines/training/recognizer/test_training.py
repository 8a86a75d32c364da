"""The recognizer's training on a toy set of moving patches: samples, batches, runs."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from microspot.engines.data.generator.truth import LEVEL_NS, LEVELS
from microspot.engines.errors import DataError, UsageError
from microspot.engines.networks.cmnet import CMNet
from microspot.engines.training.distributed import TrainingGroup
from microspot.engines.training.recognizer import checkpoint
from microspot.engines.training.recognizer import train as train_module
from microspot.engines.training.recognizer.checkpoint import network_of
from microspot.engines.training.recognizer.data import (
    Batch,
    RecognizerConfig,
    clip_frames,
    make_batch,
    read_samples,
)
from microspot.engines.training.recognizer.step import batch_losses, class_weights
from microspot.engines.training.recognizer.train import (
    Budget,
    TrainingSet,
    run,
    train,
)
from microspot.engines.training.recognizer.validation import (
    CURVES,
    FIGURES,
    constant,
    curve_fits,
    shuffled,
    validate,
)

SIDE = 48
FRAMES = 7
TICK = 33_333_333
ONSET = 5
OFFSET = 14
LABELS = [("negative", "disgust"), ("positive", "happiness"), ("surprise", None)]


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of 30 clips of 20 frames: a patch moves in one of three places, the rest stands
    still."""
    folder = tmp_path_factory.mktemp("toy")
    random = np.random.default_rng(0)
    crops = []
    entries = []
    for face in range(30):
        image = random.integers(60, 190, (3, SIDE, SIDE)).astype(np.uint8)
        apex = ONSET + int(random.integers(3, 6))
        crops += [moved(image, face % 3, t, apex) for t in range(20)]
        entries.append(
            {
                "face": face,
                "split": "train" if face < 24 else "validation",
                "start": face * 20,
                "count": 20,
                "times_ns": [t * TICK for t in range(20)],
                "movements": [micro(face % 3, apex), BLINK],
            }
        )
    np.save(folder / "crops.npy", np.stack(crops))
    (folder / "index.json").write_text(json.dumps({"clips": entries}))
    return folder


def moved(image: NDArray[np.uint8], place: int, t: int, apex: int) -> NDArray[np.uint8]:
    """The image at tick t: the patch of a place is brighter on one side and darker on the other."""
    frame = image.copy()
    level = np.interp(t, [ONSET, apex, OFFSET], [0, 1, 0])
    change = (60 * level * np.sign(np.arange(32) - 15.5)).astype(np.uint8)
    frame[:, 4 + 15 * place : 12 + 15 * place, 8:40] += change
    return frame


def micro(place: int, apex: int) -> dict[str, Any]:
    label3, label5 = LABELS[place]
    return {
        "kind": "micro",
        "onset_ns": ONSET * TICK,
        "apex_ns": apex * TICK,
        "offset_ns": OFFSET * TICK,
        "units": {},
        "label3": label3,
        "label5": label5,
        "peak_px": 1.0,
    }


BLINK: dict[str, Any] = {
    "kind": "blink",
    "onset_ns": 0,
    "apex_ns": TICK,
    "offset_ns": 2 * TICK,
    "label3": None,
    "label5": None,
}


def settings(toy: Path, out: Path, **changes: Any) -> RecognizerConfig:
    small: dict[str, Any] = {
        "side": SIDE,
        "frames": FRAMES,
        "batch": 8,
        "epochs": 4,
        "warmup": 2,
        "bfloat16": False,
    }
    return RecognizerConfig.read(toy, out, **small | changes)


def test_samples_are_the_micro_movements_of_a_split(toy: Path, tmp_path: Path) -> None:
    config = settings(toy, tmp_path)
    found = read_samples(config)[1]
    samples = found["train"]
    assert len(samples) == 24
    assert [(s.start, s.label3, s.label5) for s in samples[:3]] == [
        (0, 0, 1),
        (20, 1, 0),
        (40, 2, -1),
    ]
    assert len(found["validation"]) == 6
    index = json.loads((toy / "index.json").read_text())
    index["clips"] = [clip for clip in index["clips"] if clip["split"] == "train"]
    (tmp_path / "crops.npy").symlink_to(toy / "crops.npy")
    (tmp_path / "index.json").write_text(json.dumps(index))
    with pytest.raises(DataError, match="no micro movement in split 'validation'"):
        read_samples(settings(tmp_path, tmp_path))


@pytest.mark.parametrize(
    ("times", "interval", "expected", "reason"),
    [
        ([0, 10, 20, 30, 40], (0, 40), [0, 1, 2, 3, 4], "one frame for each position"),
        (
            [0, 10, 20, 30, 40],
            (10, 20),
            [1, 1, 1, 2, 2],
            "few frames are repeated; a tie goes to the earlier",
        ),
        ([0, 11, 19, 33, 52], (5, 45), [0, 1, 2, 3, 4], "nearest in time"),
        ([0, 10, 20], (-30, 90), [0, 0, 2, 2, 2], "positions outside take the edge"),
        (
            [0, 5, 10, 15, 20],
            (0, 20),
            [0, 0, 2, 2, 4],
            "at 60 Hz only the frames that the stream holds",
        ),
    ],
)
def test_clip_frames(
    times: list[int], interval: tuple[int, int], expected: list[int], reason: str
) -> None:
    tenth = TICK // 10
    found = clip_frames(np.array(times) * tenth, interval[0] * tenth, interval[1] * tenth, frames=5)
    assert found.tolist() == expected, reason


def test_batches_hold_the_clip_around_the_apex(toy: Path, tmp_path: Path) -> None:
    config = settings(toy, tmp_path, jitter=0.0, flip=0.0)
    crops, found = read_samples(config)
    samples = found["train"][:4]
    batch = make_batch(crops, samples, config, seed=0)
    for i, sample in enumerate(samples):
        assert batch.indices[i, 0] == 5
        assert batch.indices[i, -1] == 14
        assert batch.apex[i].item() == pytest.approx((sample.apex_ns - sample.onset_ns) / 1e9)
        assert batch.offset[i].item() == pytest.approx((OFFSET - ONSET) * TICK / 1e9)
        np.testing.assert_array_equal(
            batch.clips[i, 2], crops[sample.start + batch.indices[i, 2:3].numpy()][0]
        )
    mirrored = make_batch(crops, samples, settings(toy, tmp_path, jitter=0.0, flip=1.0), seed=0)
    assert torch.equal(mirrored.clips.flip(-1), batch.clips)
    jittered = [make_batch(crops, samples, settings(toy, tmp_path), seed=s) for s in (0, 0, 1)]
    assert torch.equal(jittered[0].indices, jittered[1].indices)
    assert not torch.equal(jittered[0].indices, jittered[2].indices)
    for each in (batch, *jittered):  # whatever the clip's ends, times are those since the onset
        torch.testing.assert_close(each.times, (each.indices - ONSET) * TICK / 1e9)
        assert torch.equal(each.apex, batch.apex)
        assert torch.equal(each.offset, batch.offset)


def test_class_weights_balance_what_is_labelled(toy: Path, tmp_path: Path) -> None:
    config = settings(toy, tmp_path)
    samples = read_samples(config)[1]["train"]
    weights = class_weights(samples[:1] * 6 + samples[1:2] * 2, config)
    assert weights["3"].tolist() == pytest.approx([8 / 6 / 2, 8 / 2 / 2, 1])
    assert weights["5"].tolist() == pytest.approx([2, 8 / 12, 1, 1, 1])


def test_a_step_minimises_the_losses_times_their_coefficients(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    coefficients = {"distillation": 0.3, "tendency": 0.7, "classes": 2.0, "movement": 0.4}
    config = settings(toy, tmp_path, coefficients=coefficients, clip_gradient=1e9)
    data = TrainingSet.open(config)
    now = checkpoint.start(config, TrainingGroup())
    gradients: list[torch.Tensor] = []

    def observed(network: CMNet, batch: Batch, weights: Any, *rest: Any) -> dict[str, Any]:
        assert weights is data.weights
        parts = batch_losses(network, batch, weights, *rest)
        loss = 0.3 * parts["distillation"] + 0.7 * parts["tendency"]
        loss = loss + 2.0 * parts["classes"] + 0.4 * parts["movement"]
        gradients.extend(torch.autograd.grad(loss, list(network.parameters()), retain_graph=True))
        return parts

    monkeypatch.setattr(train_module, "batch_losses", observed)
    found = train_module._step(now, data, data.train[:8], config, 0.25)
    weighted = 0.3 * found["distillation"] + 0.7 * found["tendency"]
    weighted += 2.0 * found["classes"] + 0.4 * found["movement"]
    assert found["movement"] > 0
    assert found["loss"] == pytest.approx(weighted)
    for parameter, expected in zip(now.network.parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad, expected)


def test_each_step_knows_the_share_of_the_run_that_is_done(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The share anneals kappa: a constant one would leave it where it starts."""
    shares: list[float] = []

    def observed(
        network: CMNet, batch: Batch, weights: Any, config: Any, done: float, seed: int
    ) -> dict[str, Any]:
        shares.append(done)
        return batch_losses(network, batch, weights, config, done, seed)

    monkeypatch.setattr(train_module, "batch_losses", observed)
    train(settings(toy, tmp_path, epochs=1), say=lambda line: None)
    assert shares == pytest.approx([0, 1 / 3, 2 / 3])
    run_state = checkpoint.start(settings(toy, tmp_path / "new"), TrainingGroup())
    run_state.seconds = 45.0
    assert Budget(steps=100, minutes=1.0).share(run_state) == pytest.approx(0.75)


def test_curves_are_judged_by_the_true_course_where_the_set_keeps_it(
    toy: Path, tmp_path: Path
) -> None:
    config = settings(toy, tmp_path, jitter=0.0, flip=0.0)
    crops, found = read_samples(config)
    samples = found["validation"]
    level = np.arange(LEVELS) * LEVEL_NS / TICK  # ticks since the onset
    kept = []
    for sample in samples:
        apex = (sample.apex_ns - sample.onset_ns) / TICK
        levels = tuple(np.interp(level, [0, apex, OFFSET - ONSET, 20], [0, 1, 0.3, 0.3]).tolist())
        kept.append(dataclasses.replace(sample, levels=levels))
    samples = kept
    samples[0] = dataclasses.replace(samples[0], levels=())
    batch = make_batch(crops, samples, config, seed=0)
    curves = []
    for sample, times in zip(samples, batch.times, strict=True):
        true = sample.levels or (0.0, 1.0)
        curves.append(np.interp(times.numpy() * 1e9 / LEVEL_NS, np.arange(len(true)), true))
    fits = curve_fits(torch.tensor(np.array(curves)), batch, samples, config.eps)
    assert "spearman_true" not in fits[0]
    for fit in fits[1:]:
        assert set(fit) == set(CURVES)
        assert fit["spearman_true"] == pytest.approx(1)
        assert fit["tent_true"] < 1
        assert fit["apex_error"] <= 1 / (FRAMES - 1)
    figures = validate(CMNet(SIDE), crops, samples, config)
    assert np.isfinite(figures["spearman_true"])
    assert figures["tent_true"] == pytest.approx(np.mean([fit["tent_true"] for fit in fits[1:]]))


def test_an_exchange_changes_what_magnifies(toy: Path, tmp_path: Path) -> None:
    s = torch.rand(3, FRAMES)
    assert torch.equal(constant(s), s.mean().expand(3, FRAMES))
    mixed = shuffled(s)
    assert torch.equal(mixed.sort(1).values, s.sort(1).values)
    assert not torch.equal(mixed, s)
    assert torch.equal(mixed, shuffled(s))
    config = settings(toy, tmp_path)
    crops, found = read_samples(config)
    torch.manual_seed(0)
    network = CMNet(SIDE)
    asked: list[torch.Size] = []

    def none(s: torch.Tensor) -> torch.Tensor:
        asked.append(s.shape)
        return torch.zeros_like(s)

    validate(network, crops, found["validation"], config, none)
    assert asked == [(6, FRAMES)]


def test_training_learns_and_writes_its_files(toy: Path, tmp_path: Path) -> None:
    config = settings(toy, tmp_path, epochs=16, rate=1e-3, validate_epochs=4)
    lines: list[str] = []
    figures = train(config, say=lines.append)
    assert set(figures) == set(FIGURES)
    assert figures["uf1_3"] > 0.9
    assert figures["spearman"] > 0.8
    assert lines[0] == "recognizer: 24 training and 6 validation MEs, step 0 of at most 48"
    rows = list(csv.DictReader((tmp_path / "recognizer.csv").read_text().splitlines()))
    assert [float(row["epoch"]) for row in rows] == list(range(1, 17))
    assert [bool(row["uf1_3"]) for row in rows[:5]] == [False, False, False, True, False]
    assert float(rows[-1]["classes"]) < 0.5 * float(rows[0]["classes"])
    network = network_of(config)
    network.load_state_dict(load_file(tmp_path / "recognizer.safetensors"))
    report = json.loads((tmp_path / "recognizer.json").read_text())
    crops, samples = read_samples(config)
    again = validate(network, crops, samples["validation"], config)
    assert again["uf1_3"] == pytest.approx(report["metrics"]["uf1_3"])


def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(toy: Path, tmp_path: Path) -> None:
    # 3 steps an epoch: it stops inside epochs, too
    for part, stops in (("whole", [None]), ("parts", [2, 5, None])):
        for stop in stops:
            train(settings(toy, tmp_path / part, epochs=3), stop, say=lambda line: None)
    name = "recognizer-checkpoint.safetensors"
    first, second = (load_file(tmp_path / part / name) for part in ("whole", "parts"))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_a_run_begins_with_the_weights_it_is_given(toy: Path, tmp_path: Path) -> None:
    old = settings(toy, tmp_path / "old", epochs=1, texture="strength")
    train(old, say=lambda line: None)
    given = tmp_path / "old" / "recognizer.safetensors"
    heads: dict[str, Any] = {"units": ("AU1", "AU12"), "regions": ("brow", "chin")}
    more = settings(toy, tmp_path / "new", epochs=1, **heads)
    fresh = checkpoint.start(more, TrainingGroup()).network.state_dict()
    begun = checkpoint.start(more, TrainingGroup(), given)
    kept = load_file(given)
    for name, tensor in begun.network.state_dict().items():
        expected = fresh[name] if name.startswith("movement.") else kept[name]
        assert torch.equal(tensor, expected), name
    digest = hashlib.sha256(given.read_bytes()).hexdigest()
    assert begun.began_with == digest
    train(more, 1, say=lambda line: None, weights=given)
    train(more, say=lambda line: None)  # goes on, and still knows what it began with
    report = json.loads((tmp_path / "new" / "recognizer.json").read_text())
    assert report["began_with"] == digest
    same = settings(toy, tmp_path / "same", epochs=1, **heads)
    trained = tmp_path / "new" / "recognizer.safetensors"
    kept = load_file(trained)
    for name, tensor in (
        checkpoint.start(same, TrainingGroup(), trained).network.state_dict().items()
    ):
        assert torch.equal(tensor, kept[name]), name
    with pytest.raises(UsageError, match="leave one of them out"):
        run(toy, tmp_path / "new", resume=True, weights=given)


def test_checkpoints_are_written_within_an_epoch(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    monkeypatch.setattr(train_module, "save", lambda now, config: written.append(now.step))
    train(settings(toy, tmp_path, epochs=1, checkpoint_minutes=0.0), say=lambda line: None)
    assert written == [1, 2, 3], "each step but the last, and the end of the epoch"


def test_command_respects_a_time_budget_and_an_old_run(toy: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        f"side = {SIDE}\nframes = {FRAMES}\nbatch = 8\nepochs = 1000\nvalidate_epochs = 1000\n"
    )
    assert set(run(toy, tmp_path / "run", config=file, minutes=0.01, threads=1)) == set(FIGURES)
    report = json.loads((tmp_path / "run" / "recognizer.json").read_text())
    assert 0 < report["step"] < 1000
    with pytest.raises(UsageError, match="holds a run: add --resume"):
        run(toy, tmp_path / "run", config=file)
    with pytest.raises(UsageError, match=r"missing\.toml: .*see recognizer\.toml"):
        run(toy, tmp_path / "other", config=tmp_path / "missing.toml")
    run(toy, tmp_path / "run", config=file, minutes=0.01, resume=True)  # nothing is left to do


@pytest.mark.parametrize(
    "changes",
    [
        {
            "coefficients": dict.fromkeys(("distillation", "tendency", "movement"), 0.0)
            | {"classes": 1.0}
        },
        {"magnify": False},
        {"texture": "face", "units": (), "regions": ()},
        {"strategy": "uniform", "scope": "window", "form": "literal", "bfloat16": True},
    ],
    ids=["classes only", "no ICE", "face only", "other switches"],
)
def test_every_ablation_trains(toy: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    figures = train(settings(toy, tmp_path, epochs=1, **changes), say=lambda line: None)
    assert 0 <= figures["uf1_3"] <= 1


def test_a_run_does_not_go_on_with_other_settings(toy: Path, tmp_path: Path) -> None:
    train(settings(toy, tmp_path, epochs=1), say=lambda line: None)
    with pytest.raises(UsageError, match="trained with another rate"):
        train(settings(toy, tmp_path, epochs=1, rate=0.5), say=lambda line: None)


def test_configuration_and_sets_that_do_not_fit_are_refused(toy: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("rat = 0.1")
    with pytest.raises(UsageError, match="has no rat"):
        RecognizerConfig.read(toy, tmp_path, file)
    file.write_text("rate = 0.1")
    assert RecognizerConfig.read(toy, tmp_path, file).rate == 0.1
    with pytest.raises(UsageError, match="expected 3 and 5 names, got 2 and 5"):
        settings(toy, tmp_path, labels3=("a", "b"))
    with pytest.raises(UsageError, match="coefficients: expected classes, distillation, tendency"):
        settings(toy, tmp_path, coefficients={"id": 1})
    with pytest.raises(UsageError, match=r"augmentations: expected of shift, blur, .*, got grey"):
        settings(toy, tmp_path, augmentations=("grey",))
    with pytest.raises(DataError, match=r"expected uint8 \(total, 3, 112, 112\)"):
        read_samples(settings(toy, tmp_path, side=112))
    with pytest.raises(DataError, match="is no clip set and holds none"):
        read_samples(settings(tmp_path / "empty", tmp_path))
