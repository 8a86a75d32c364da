"""Ablations: each run differs in its switch and is made once; one table; CPN without CRN."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from microspot.engines.errors import DataError, UsageError
from microspot.engines.specs import TEXTURES, SpotterSpec
from microspot.engines.training.ablation import (
    COLUMNS,
    FILE,
    Budget,
    read_rows,
    run_ablation,
    spotter_runs,
    table,
    trials,
)
from microspot.engines.training.losses import FORMS, SCOPES, STRATEGIES
from microspot.engines.training.recognizer.ablation import exchanged_figures, recognizer_runs
from microspot.engines.training.recognizer.data import AUGMENTATIONS, RecognizerConfig
from microspot.engines.training.recognizer.validation import FIGURES
from microspot.engines.training.spotter.config import SpotterTraining, load_config
from tests.noise_set import noise_set

SIDE = 32
FRAMES = 60
TICK = 33_333_333
LABELS = [("negative", "disgust"), ("positive", "happiness"), ("surprise", "surprise")]
SPOTTER = SpotterTraining(
    bfloat16=False,
    pretrain_steps=1,
    pretrain_clips=4,
    joint_steps=2,
    joint_clips=2,
    joint_ticks=50,
    cpn_steps=1,
    crn_steps=1,
    warm_steps=1,
    validation_clips=2,
    spec=SpotterSpec(side=SIDE, feature=16),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six clips of noise with one ME each, two of them for validation."""
    data = tmp_path_factory.mktemp("set")
    random = np.random.default_rng(0)
    clips = []
    for i in range(6):
        label3, label5 = LABELS[i % 3]
        micro = {
            "kind": "micro",
            "units": ["AU4"],
            "onset_ns": 20 * TICK,
            "apex_ns": 24 * TICK,
            "offset_ns": 30 * TICK,
        }
        other = {"kind": "blink", "onset_ns": 0, "offset_ns": 5 * TICK}
        clips.append(
            {
                "face": f"f{i}",
                "split": "train" if i < 4 else "validation",
                "start": i * FRAMES,
                "count": FRAMES,
                "times_ns": [t * TICK for t in range(FRAMES)],
                "movements": [micro | {"label3": label3, "label5": label5}, other],
            }
        )
    np.save(data / "crops.npy", random.integers(0, 256, (6 * FRAMES, 3, SIDE, SIDE), np.uint8))
    (data / "index.json").write_text(json.dumps({"clips": clips}))
    return data


def small(folder: Path, out: Path) -> RecognizerConfig:
    return RecognizerConfig.read(
        folder, out, side=SIDE, frames=5, batch=4, epochs=2, warmup=1, bfloat16=False
    )


def run(
    folder: Path, out: Path, names: list[str], budget: Budget | None = None
) -> tuple[list[dict[str, object]], list[str]]:
    lines: list[str] = []
    rows = run_ablation(
        folder,
        out,
        budget or Budget(minutes=5.0),
        names,
        spotter=SPOTTER,
        recognizer=small(folder, out),
        progress=lines.append,
    )
    return rows, lines


# ---- what is run


def test_every_spotter_run_changes_only_its_switch() -> None:
    base = load_config()
    runs = spotter_runs(base)
    assert runs["spotter-shipped"] == base
    assert runs["spotter-still-frame"].spec.channels == 3
    assert runs["spotter-difference"].spec.motion == "difference" != base.spec.motion
    assert runs["spotter-no-balancing"].beta_max == 1 < base.beta_max
    assert runs["spotter-no-pretraining"].pretrain_steps == 0
    assert runs["spotter-three-scales"].spec.scales == 3
    assert {config.seed for config in runs.values()} == {base.seed}
    assert all(config != base for name, config in runs.items() if name != "spotter-shipped")


def test_every_recognizer_run_changes_its_switch_and_none_is_the_base(tmp_path: Path) -> None:
    base = RecognizerConfig.read("data", "out")
    runs = recognizer_runs(base)
    assert runs["recognizer-classes-only"].coefficients == base.coefficients | {
        "distillation": 0,
        "tendency": 0,
    }
    assert not runs["recognizer-no-ice"].magnify
    assert runs["recognizer-texture-face"].texture == "face"
    assert {config.texture for config in runs.values()} == set(TEXTURES)
    assert {config.scope for config in runs.values()} == set(SCOPES)
    assert {config.form for config in runs.values()} == set(FORMS)
    for name in AUGMENTATIONS:
        kept = runs[f"recognizer-augmentations-no-{name}"].augmentations
        assert set(base.augmentations) - set(kept) == {name}
    strategies = {config.strategy for config in runs.values()}
    assert strategies == set(STRATEGIES)
    assert f"recognizer-negatives-{base.strategy}" not in runs
    assert list(runs.values()).count(base) == 1
    assert len([name for name in runs if name.startswith("recognizer-lambda-")]) == 2


def test_balancing_reaches_the_loss(folder: Path, tmp_path: Path) -> None:
    from microspot.engines.training.spotter.train import Trainer

    losses = []
    for beta in (1.0, 20.0):
        config = dataclasses.replace(SPOTTER, beta_max=beta, pretrain_steps=0, joint_steps=1)
        Trainer(config, folder, tmp_path / str(beta), say=str).run()
        log = (tmp_path / str(beta) / "log.csv").read_text().splitlines()
        losses.append(float(log[1].split(",")[log[0].split(",").index("cpn")]))
    assert losses[1] > 1.5 * losses[0]


def test_every_trial_changes_only_its_part_of_the_encoder() -> None:
    spec = SpotterSpec()
    found = trials(spec)
    assert set(found) == {"surround", "certainty", "fine-grid", "nuisance"}
    assert found["surround"].parallax
    assert found["certainty"].ridge < spec.ridge
    changed = {}
    for name, trial in found.items():
        fields = dataclasses.asdict(trial).items()
        changed[name] = {key for key, value in fields if value != getattr(spec, key)}
    assert changed["fine-grid"] == {"grid"}
    assert changed["nuisance"] == {"nuisance"}
    assert "fine-grid" not in trials(found["fine-grid"]), "what the spec has is no trial"


# ---- runs


def test_runs_are_made_once_in_one_table(folder: Path, tmp_path: Path) -> None:
    rows, lines = run(folder, tmp_path, ["recognizer-no-ice", "spotter-shipped"])
    assert [row["name"] for row in rows] == ["spotter-shipped", "recognizer-no-ice"]
    spotter, recognizer = rows
    assert (spotter["steps"], spotter["truths"], spotter["uf1_3"]) == (2, 2, None)
    assert (recognizer["steps"], recognizer["f1"], recognizer["spearman"]) == (2, None, None)
    assert 0 <= recognizer["uar_5"] <= 1
    assert "spotter-shipped (1/2)" in lines

    again, lines = run(
        folder, tmp_path, ["spotter-shipped", "spotter-cpn-only", "recognizer-no-ice"]
    )
    assert again[:2] == rows
    assert [again[2][name] for name in ("name", "steps", "truths")] == ["spotter-cpn-only", 2, 2]
    assert lines == ["spotter-cpn-only (1/1)"]
    assert read_rows(tmp_path / FILE) == again


def test_trained_weights_are_evaluated_with_other_intensities(folder: Path, tmp_path: Path) -> None:
    names = ["recognizer-constant-s", "recognizer-shuffled-s"]
    with pytest.raises(UsageError, match="constant-s evaluates the weights of recognizer-shipped"):
        run(folder, tmp_path, names)
    rows, _ = run(folder, tmp_path, [*names, "recognizer-shipped"])
    assert [row["name"] for row in rows] == ["recognizer-shipped", *names]
    assert {row["steps"] for row in rows} == {2}
    assert not any((tmp_path / name / "recognizer.safetensors").exists() for name in names)
    assert rows[0]["spearman"] is not None
    assert [row["spearman"] for row in rows[1:]] == [None, None]
    assert rows[0]["spearman_true"] is None, "this set keeps no courses"
    config = dataclasses.replace(small(folder, tmp_path), out=str(tmp_path / "recognizer-shipped"))
    again = exchanged_figures(config, lambda s: s)
    same = {name: again[name] for name in ("uf1_3", "uar_3", "uf1_5", "uar_5")}
    assert same == {name: rows[0][name] for name in same}


def test_an_unfinished_run_goes_on_where_it_stopped(folder: Path, tmp_path: Path) -> None:
    whole, _ = run(folder, tmp_path, ["spotter-no-pretraining"])
    (tmp_path / FILE).unlink()  # as if killed after the last step, before the row was written
    resumed, lines = run(folder, tmp_path, ["spotter-no-pretraining"])
    assert resumed == whole
    assert not any(line.startswith("joint") for line in lines), "no step is made twice"


def test_three_scales_train_and_are_evaluated(folder: Path, tmp_path: Path) -> None:
    rows, _ = run(folder, tmp_path, ["spotter-three-scales", "recognizer-scope-global"])
    assert [row["steps"] for row in rows] == [2, 2]
    assert rows[1]["spearman"] is not None


def test_runs_of_so_many_steps_begin_with_given_weights(folder: Path, tmp_path: Path) -> None:
    first = tmp_path / "first"
    run(folder, first, ["spotter-shipped"])
    given = first / "spotter-shipped" / "spotter.safetensors"
    names = ["spotter-no-balancing"]
    rows, lines = run(folder, tmp_path / "second", names, Budget(steps=3, weights=given))
    assert rows[0]["steps"] == 3
    assert str(rows[0]["budget"]).startswith("3 steps from ")
    assert not any(line.startswith("pretrain") for line in lines)


def test_what_cannot_be_run_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no experiment is called spotter-magic"):
        run(folder, tmp_path, ["spotter-magic"])
    with pytest.raises(UsageError, match="name that one too"):
        run(folder, tmp_path, ["spotter-cpn-only"])
    with pytest.raises(UsageError, match="one of them"):
        Budget()
    with pytest.raises(UsageError, match="one of them"):
        Budget(minutes=1, steps=1)
    with pytest.raises(UsageError, match="--steps is for the spotter"):
        run(folder, tmp_path, ["recognizer-no-ice"], Budget(steps=1))
    commas = (len(COLUMNS) - 2) * ","
    header = ",".join(COLUMNS)
    (tmp_path / FILE).write_text(f"{header}\nspotter-shipped,3 minutes{commas}\n")
    with pytest.raises(UsageError, match="had 3 minutes, not 5 minutes"):
        run(folder, tmp_path, ["spotter-shipped"])
    (tmp_path / FILE).write_text(f"{header}\nspotter-shipped,5 minutes,three{commas[1:]}\n")
    with pytest.raises(DataError, match="cannot be read"):
        run(folder, tmp_path, ["spotter-shipped"])
    (tmp_path / FILE).write_text("name,budget,f1\nspotter-shipped,5 minutes,0.5\n")
    with pytest.raises(DataError, match="other columns: choose another folder"):
        run(folder, tmp_path, ["spotter-no-balancing"])


def test_an_unfinished_run_keeps_its_budget(folder: Path, tmp_path: Path) -> None:
    name = "spotter-no-balancing"
    run(folder, tmp_path, [name], Budget(steps=2))
    (tmp_path / FILE).unlink()  # as if killed before the row was written
    with pytest.raises(UsageError, match="was begun with 2 steps, not 5 minutes"):
        run(folder, tmp_path, ["spotter-shipped", name])
    assert not (tmp_path / "spotter-shipped").exists(), "refused before anything is run"


def test_runs_that_weights_cannot_start_are_refused_at_once(folder: Path, tmp_path: Path) -> None:
    weights = tmp_path / "spotter.safetensors"
    weights.write_bytes(b"some")
    for name in ("still-frame", "difference", "three-scales", "no-pretraining"):
        with pytest.raises(UsageError, match=f"--weights cannot start spotter-{name}: name other"):
            run(
                folder,
                tmp_path,
                ["spotter-nuisance", f"spotter-{name}"],
                Budget(steps=2, weights=weights),
            )


def test_figures_need_two_faces_and_say_so_before_training(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="of two faces are needed"):
        run(noise_set(tmp_path), tmp_path / "out", ["spotter-shipped"])
    assert not (tmp_path / "out" / "spotter-shipped" / "log.csv").exists()


def test_the_table_has_a_block_for_each_network() -> None:
    rows = [
        {
            "name": "spotter-shipped",
            "steps": 90.0,
            "f1": 0.5,
            "precision": 0.25,
            "recall": 1.0,
            "truths": 8.0,
        },
        {"name": "recognizer-no-ice", "steps": 70.0, "uf1_3": 0.75, "spearman": None},
    ]
    first, second = table(rows).split("\n\n")
    cells = ["shipped", "90", "0.5", "0.25", "1", "-", "8", *"-------"]
    assert first.splitlines()[1].split() == cells
    assert second.splitlines()[0].split()[:3] == ["recognizer", "steps", "uf1_3"]
    assert second.splitlines()[1].split() == ["no-ice", "70", "0.75", *"-" * (len(FIGURES) - 1)]
    assert table([]) == ""
