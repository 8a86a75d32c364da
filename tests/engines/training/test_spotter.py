"""The training of the spotter on a small set: data, both stages, resuming, validation."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from microspot.engines.errors import DataError, UsageError
from microspot.engines.networks import spatial
from microspot.engines.networks.mesnet import ClipClassifier, MESNet, load_mesnet
from microspot.engines.networks.weights import save_weights
from microspot.engines.specs import NUISANCES, SpotterSpec
from microspot.engines.training.spotter.config import SpotterTraining, load_config
from microspot.engines.training.spotter.data import (
    ClipSet,
    Segment,
    collate,
    cut,
    draw,
    encode_frames,
    tick_features,
)
from microspot.engines.training.spotter.frames import Augmentation, augment
from microspot.engines.training.spotter.joint_training import phase_of
from microspot.engines.training.spotter.pretraining import (
    pretrain_batch,
    quiet_span,
)
from microspot.engines.training.spotter.train import CHECKPOINT, Trainer, run
from microspot.engines.training.spotter.validation import validate
from microspot.engines.training.targets import Assignment
from microspot.engines.training.warm_start import warm_start

SIDE = 32
FRAMES = 60
SPEC = SpotterSpec(side=SIDE, feature=32)
CONFIG = SpotterTraining(
    bfloat16=False,
    pretrain_steps=2,
    pretrain_clips=6,
    joint_steps=3,
    joint_clips=2,
    joint_ticks=50,
    cpn_steps=1,
    crn_steps=1,
    warm_steps=1,
    validation_clips=2,
    spec=SPEC,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three clips of noise at 30, 60 and 20 Hz, an ME and a macro in each.

    Two are to train on, one is to validate.
    """
    random = np.random.default_rng(0)
    clips = []
    for i, (rate, split) in enumerate([(30, "train"), (60, "train"), (20, "validation")]):
        times = (np.arange(FRAMES) * 1_000_000_000 // rate).tolist()
        middle = times[FRAMES // 3]
        tenth = 100_000_000
        movements = [
            {
                "kind": "micro",
                "units": ["AU4"],
                "onset_ns": middle,
                "offset_ns": middle + 3 * tenth,
            },
            {"kind": "macro", "onset_ns": 0, "offset_ns": tenth},
        ]
        entry = {"face": f"f{i}", "split": split, "start": i * FRAMES, "count": FRAMES}
        clips.append(entry | {"times_ns": times, "movements": movements})
    data = tmp_path / "set"
    data.mkdir()
    np.save(data / "crops.npy", random.integers(0, 256, (3 * FRAMES, 3, SIDE, SIDE), np.uint8))
    (data / "index.json").write_text(json.dumps({"clips": clips}))
    return data


def test_a_set_that_is_none_is_refused(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(DataError, match="is no clip set and holds none"):
        ClipSet.open(tmp_path / "none", SPEC)
    with pytest.raises(DataError, match=r"expected uint8 \(total, 3, 112, 112\)"):
        ClipSet.open(folder, SpotterSpec())
    (folder / "index.json").write_text(
        '{"clips": [{"start": 170, "times_ns": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]}]}'
    )
    with pytest.raises(DataError, match="names frames beyond the 180"):
        ClipSet.open(folder, SPEC)
    (folder / "index.json").write_text('{"clips": [{"start": 0}]}')
    with pytest.raises(DataError, match=r"is no clip set .KeyError"):
        ClipSet.open(folder, SPEC)


def test_a_folder_of_sets_is_one_set(folder: Path, tmp_path: Path) -> None:
    one = ClipSet.open(folder, SPEC)
    shutil.copytree(folder, tmp_path / "tes")
    np.save(tmp_path / "tes" / "crops.npy", 255 - np.load(folder / "crops.npy"))
    both = ClipSet.open(tmp_path, SPEC)
    assert [clip.start for clip in both.clips] == [0, 60, 120, 180, 240, 300]
    assert len(both.split("train")) == 4
    rows = np.array([62, 60, 61])
    np.testing.assert_array_equal(both.crops[rows], one.crops[rows])
    np.testing.assert_array_equal(both.crops[rows + 180], 255 - one.crops[rows])
    np.testing.assert_array_equal(both.crops[300:305], 255 - one.crops[120:125])


@pytest.mark.parametrize(("index", "kept", "ticks"), [(0, 60, 60), (1, 30, 30), (2, 60, 89)])
def test_any_frame_rate_comes_to_the_same_grid(
    folder: Path, index: int, kept: int, ticks: int
) -> None:
    clip = ClipSet.open(folder, SPEC).clips[index]
    segment = cut(clip, SPEC)
    assert segment.weights.shape == (ticks, kept)
    np.testing.assert_allclose(segment.weights.sum(1), 1, atol=1e-6)
    # 300 ms are 9 ticks, and the offset's own
    assert segment.truths.offset - segment.truths.onset == pytest.approx(10)
    assert segment.truths.onset[0] == pytest.approx(clip.micro_ns[0, 0] * 30 / 1e9)


def test_a_later_cut_moves_the_truth_with_it(folder: Path) -> None:
    clip = ClipSet.open(folder, SPEC).clips[0]
    segment = cut(clip, SPEC, first=5, ticks=30)
    assert segment.weights.shape == (30, 35)
    assert segment.truths.onset[0] == pytest.approx(15)
    assert segment.used.tolist() == list(range(5, 35))


def test_lags_reach_before_the_cut_as_they_do_in_the_stream(folder: Path) -> None:
    """60 Hz decimated, 30 Hz, 20 Hz: each tick has the frames that the whole clip gives it."""
    for clip in ClipSet.open(folder, SPEC).clips[:3]:
        first = FRAMES // 3
        whole = cut(clip, SPEC)
        part = cut(clip, SPEC, first=first)
        wanted = {}
        for row, lags in zip(whole.rows, whole.lags, strict=True):
            wanted[int(row)] = whole.rows[lags].tolist()
        for at in part.used:
            assert part.rows[part.lags[at]].tolist() == wanted[part.rows[at]]
        assert len(whole.weights) - len(part.weights) == round(clip.times_ns[first] * 30 / 1e9)
        assert len(part.used) < len(part.rows)


def test_an_me_of_the_lower_face_amid_speech_is_doubtful(folder: Path) -> None:
    index = json.loads((folder / "index.json").read_text())
    micro = index["clips"][0]["movements"][0]
    speech = micro | {"kind": "speech", "units": ["AU25"], "offset_ns": micro["onset_ns"] + 1}
    for units, wanted in ((["AU15L"], True), (["AU15", "AU17"], True), (["AU6", "AU12"], False)):
        for speaks in (True, False):
            movements = [micro | {"units": units}]
            if speaks:
                movements.append(speech)
            index["clips"][0]["movements"] = movements
            (folder / "index.json").write_text(json.dumps(index))
            clip = ClipSet.open(folder, SPEC).clips[0]
            assert clip.doubtful.tolist() == [wanted and speaks]
            assert cut(clip, SPEC).truths.doubtful.tolist() == [wanted and speaks]


def test_a_reversed_clip_shows_the_same_frames_backward(folder: Path) -> None:
    clip = ClipSet.open(folder, SPEC).clips[0]

    def drawn(backward: float) -> Segment:
        augmentation = Augmentation(stretch_time=0.0, backward=backward)
        return draw(clip, SPEC, 200, augmentation, np.random.default_rng(0))

    forward = drawn(0.0)
    backward = drawn(1.0)
    assert forward.rows.tolist() == backward.rows[::-1].tolist() == list(range(FRAMES))
    last = clip.times_ns[-1] * 30 / 1e9
    truths = backward.truths
    lengths = forward.truths.offset - forward.truths.onset
    np.testing.assert_allclose(truths.onset, last - clip.micro_ns[:, 1] * 30 / 1e9)
    np.testing.assert_allclose(truths.offset - truths.onset, lengths)


def test_batched_tick_features_equal_each_segment_alone(folder: Path) -> None:
    torch.manual_seed(0)
    data = ClipSet.open(folder, SPEC)
    random = np.random.default_rng(0)
    encoder = load_network().encoder.eval()
    segments = [cut(data.clips[1], SPEC), cut(data.clips[2], SPEC)]
    with torch.no_grad():
        batch = collate(segments, data.crops, None, random)
        features, valid = tick_features(encode_frames(encoder, batch, False, batch.current), batch)
        assert valid.sum(1).tolist() == [30, 89]
        assert not features[0, :, 30:].any()
        for i, segment in enumerate(segments):
            alone = collate([segment], data.crops, None, random)
            wanted = tick_features(encode_frames(encoder, alone, False, alone.current), alone)[0][0]
            torch.testing.assert_close(features[i, :, : wanted.shape[1]], wanted, atol=1e-5, rtol=0)


def load_network() -> torch.nn.Module:
    from microspot.engines.networks.mesnet import MESNet

    return MESNet(SPEC)


def test_augmentation_treats_all_frames_alike() -> None:
    still = np.random.default_rng(1).integers(0, 256, (1, 3, SIDE, SIDE), np.uint8).repeat(4, 0)
    changed = augment(still, Augmentation(), np.random.default_rng(2))
    assert changed.shape == still.shape
    assert (changed == changed[:1]).all(), "a face at rest stays at rest"
    assert (changed != still).any()


def test_pretraining_negatives_touch_no_me(folder: Path) -> None:
    clips = ClipSet.open(folder, SPEC).clips
    random = np.random.default_rng(3)
    for _ in range(50):
        clip, onset, offset = quiet_span(list(clips), 200_000_000, 0.5, random)
        assert offset < clip.micro_ns[0, 0] or onset > clip.micro_ns[0, 1]


def test_pretraining_clips_are_sampled_to_n_pre(folder: Path) -> None:
    data = ClipSet.open(folder, SPEC)
    batch, current, labels = pretrain_batch(list(data.clips), data.crops, CONFIG, 0)
    assert len(current) == CONFIG.pretrain_clips * CONFIG.pretrain_length
    assert labels.tolist() == [0, 1] * 3
    assert int(current.max()) < len(batch.pixels)


def test_a_run_trains_both_stages_and_writes_its_files(folder: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    Trainer(CONFIG, folder, tmp_path / "run", say=lines.append).run()
    rows = list(csv.DictReader((tmp_path / "run" / "log.csv").read_text().splitlines()))
    assert [row["stage"] for row in rows] == ["pretrain"] * 2 + ["joint"] * 4
    assert all(np.isfinite(float(row["loss"])) for row in rows[:-1])
    assert rows[-1]["f1"] != ""
    assert any("min left" in line for line in lines)
    written = json.loads((tmp_path / "run" / "spotter.json").read_text())
    spec = SpotterSpec.from_json(written["spotter"])
    load_mesnet(spec, tmp_path / "run" / "spotter.safetensors")
    assert spec.state > 0


def stop_after(trainer: Trainer, steps: int) -> None:
    """Interrupt joint training before its step `steps`, with a checkpoint of the step before."""
    trainer.config = dataclasses.replace(trainer.config, checkpoint_minutes=0)
    step = trainer._joint_step

    def counted(network: torch.nn.Module, number: int) -> object:
        if number == steps:
            raise KeyboardInterrupt
        return step(network, number)

    trainer._joint_step = counted  # type: ignore[method-assign, assignment]


def test_a_run_after_a_warm_start_goes_on_without_the_weights(folder: Path, tmp_path: Path) -> None:
    save_weights(MESNet(SPEC), tmp_path / "given.safetensors")
    broken = Trainer(
        CONFIG, folder, tmp_path / "run", say=str, weights=tmp_path / "given.safetensors"
    )
    stop_after(broken, 2)
    with pytest.raises(KeyboardInterrupt):
        broken.run()
    resumed = Trainer(CONFIG, folder, tmp_path / "run", say=str)
    resumed.run(resume=True)
    assert resumed.config.pretrain_steps == 0, "all of its time is the joint stage's"
    training = json.loads((tmp_path / "run" / "spotter.json").read_text())["training"]
    given = (tmp_path / "given.safetensors").read_bytes()
    assert training["began_with"] == hashlib.sha256(given).hexdigest()


def test_a_run_is_not_overwritten_unasked(folder: Path, tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT).touch()
    with pytest.raises(UsageError, match="holds a run: add --resume"):
        run(folder, tmp_path)
    with pytest.raises(UsageError, match="leave one of them out"):
        run(folder, tmp_path, resume=True, weights=tmp_path / CHECKPOINT)
    with pytest.raises(DataError, match=r"none\.safetensors holds no weights to start from"):
        Trainer(CONFIG, folder, tmp_path / "new", say=str, weights=tmp_path / "none.safetensors")


def test_a_set_without_quiet_is_refused(folder: Path) -> None:
    clip = ClipSet.open(folder, SPEC).clips[0]
    always = dataclasses.replace(clip, micro_ns=np.array([[0, clip.times_ns[-1]]]))
    with pytest.raises(DataError, match="beside their MEs: synthesise longer clips"):
        quiet_span([always], 200_000_000, 0.5, np.random.default_rng(0))


def test_resuming_nothing_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no checkpoint to resume"):
        Trainer(CONFIG, folder, tmp_path / "run", say=str).run(resume=True)


def test_validation_evaluates_as_the_export_will_be_evaluated(folder: Path) -> None:
    torch.manual_seed(0)
    data = ClipSet.open(folder, SPEC)
    network = load_network().train()
    spec, figures = validate(network, data.clips, data.crops)
    assert network.training
    assert figures["truths"] == 3
    assert spec == dataclasses.replace(network.spec, t_cpn=spec.t_cpn, t_crn=spec.t_crn)


def test_without_pretraining_a_run_begins_with_joint_training(folder: Path, tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, pretrain_steps=0)
    Trainer(config, folder, tmp_path / "run", minutes=60, say=str).run()
    rows = list(csv.DictReader((tmp_path / "run" / "log.csv").read_text().splitlines()))
    assert [row["stage"] for row in rows] == ["joint"] * 4


def test_the_shipped_configuration_loads_and_unknown_keys_do_not(tmp_path: Path) -> None:
    assert load_config().spec.nuisance == NUISANCES
    path = tmp_path / "mine.toml"
    path.write_text("joint_lr = 0.1\n[assignment]\ncopies = 2\n")
    assert load_config(path).assignment == Assignment(copies=2)
    path.write_text("joint_rate = 0.1\n")
    with pytest.raises(UsageError, match="joint_rate"):
        load_config(path)


def test_a_larger_network_begins_with_what_a_smaller_one_computes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    monkeypatch.setattr(spatial, "ENCODER_CHANNELS", (16, 32, 64))
    small = MESNet(dataclasses.replace(SPEC, temporal_kernels=(3, 5))).eval()
    save_weights(small, tmp_path / "small.safetensors")
    monkeypatch.setattr(spatial, "ENCODER_CHANNELS", (24, 40, 70))
    large = MESNet(dataclasses.replace(SPEC, temporal_kernels=(7, 5))).eval()
    warm_start(large, tmp_path / "small.safetensors")
    pixels = torch.randint(0, 256, (20, SPEC.channels, SIDE, SIDE), dtype=torch.uint8)
    valid = torch.ones(1, 20)
    features = small.encoder(pixels)
    torch.testing.assert_close(large.encoder(pixels), features)
    torch.testing.assert_close(large(features.T[None], valid), small(features.T[None], valid))
    assert large.encoder.convs[0].weight[16:].any(), (
        "new filters are fresh, or they would never learn"
    )
    save_weights(large, tmp_path / "large.safetensors")
    with pytest.raises(DataError, match=r"does not fit into .* train anew"):
        warm_start(small, tmp_path / "large.safetensors")
    with pytest.raises(DataError, match="is of another network"):
        warm_start(small.encoder, tmp_path / "small.safetensors")
    with pytest.raises(DataError, match=r"name a run's .safetensors"):
        warm_start(small, tmp_path / "none.safetensors")


def test_a_run_after_a_warm_start_has_no_pretraining(folder: Path, tmp_path: Path) -> None:
    torch.manual_seed(5)
    given = MESNet(SPEC)
    save_weights(given, tmp_path / "given.safetensors")
    config = dataclasses.replace(CONFIG, joint_steps=1, cpn_steps=1)
    made = Trainer(
        config, folder, tmp_path / "run", say=str, weights=tmp_path / "given.safetensors"
    ).run()
    rows = list(csv.DictReader((tmp_path / "run" / "log.csv").read_text().splitlines()))
    assert [row["stage"] for row in rows] == ["joint"] * 2
    moved = {
        name.split(".")[0]
        for (name, a), b in zip(made.named_parameters(), given.parameters(), strict=True)
        if not torch.equal(a, b) and ".norms." not in name  # these take up new statistics
    }
    assert moved == {"temporal", "proposals"}, "one step of CPN alone, from the given weights"


@pytest.mark.parametrize(
    ("phase", "moves"), [("cpn", {"temporal", "proposals"}), ("crn", {"refiner"}), ("joint", None)]
)
def test_each_phase_moves_only_its_own_parts(
    folder: Path, tmp_path: Path, phase: str, moves: set[str] | None
) -> None:
    """Not even weight decay may move frozen parts."""
    steps = {"cpn": (3, 0), "crn": (0, 3), "joint": (0, 0)}[phase]
    config = dataclasses.replace(
        CONFIG,
        pretrain_steps=0,
        joint_steps=2,
        cpn_steps=steps[0],
        crn_steps=steps[1],
        weight_decay=0.1,
    )
    torch.manual_seed(config.seed)
    # the trainer draws its weights after those of the pre-training network
    ClipClassifier(SPEC, config.pretrain_length)
    before = {name: value.clone() for name, value in MESNet(SPEC).named_parameters()}
    after = Trainer(config, folder, tmp_path / "run", say=lambda line: None).run()
    moved = {
        name.split(".")[0]
        for name, value in after.named_parameters()
        if not torch.equal(value, before[name])
    }
    assert moved == (moves or {"encoder", "temporal", "proposals", "refiner"})


def test_phases_follow_each_other() -> None:
    config = dataclasses.replace(CONFIG, cpn_steps=2, crn_steps=1)
    assert [phase_of(step, config) for step in range(5)] == ["cpn", "cpn", "crn", "joint", "joint"]
