"""Labels and loss of the nuisance heads, and that a run trains them beside the rest."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from microspot.engines.specs import SpotterSpec
from microspot.engines.training.spotter.config import load_config
from microspot.engines.training.spotter.data import ClipSet, cut, reversed_clip
from microspot.engines.training.spotter.nuisance import (
    UNKNOWN,
    nuisance_loss,
    spans_by_kind,
    tick_labels,
)
from microspot.engines.training.spotter.train import Trainer
from tests.noise_set import FRAMES, SIDE, SPOTTER, TICK, noise_set

SPEC = SpotterSpec(side=SIDE, feature=32, nuisance=("blink", "speech", "macro"))


def move(kind: str, first: int, last: int) -> dict[str, object]:
    """A movement from one tick to another."""
    return {"kind": kind, "units": [], "onset_ns": first * TICK, "offset_ns": last * TICK}


def labels_of(moves: list[dict[str, object]], ticks: range = range(12)) -> list[list[int]]:
    return tick_labels(spans_by_kind(moves), SPEC.nuisance, 0, 1.0, ticks, 30).tolist()


def test_a_tick_has_the_names_of_what_covers_it() -> None:
    blink, speech, macro = labels_of([move("blink", 2, 4), move("speech", 4, 9)])
    assert blink == [0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0]
    assert speech == [0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 0]
    assert macro == [0] * 12


def test_what_is_no_clear_case_teaches_nothing_unless_a_clear_one_covers_it() -> None:
    _, speech, macro = labels_of([move("slow", 0, 7), move("macro", 3, 4), move("tongue", 8, 9)])
    assert macro == [-1, -1, -1, 1, 1, -1, -1, -1, 0, 0, 0, 0]
    assert speech == [0] * 8 + [-1, -1, 0, 0]
    assert UNKNOWN == -1


def test_labels_follow_the_pace_and_the_part_that_is_played() -> None:
    spans = spans_by_kind([move("blink", 4, 6)])
    slow = tick_labels(spans, ("blink",), 2 * TICK, 2.0, range(1, 12), 30)
    assert np.flatnonzero(slow[0]).tolist() == [3, 4, 5, 6, 7], "ticks 4 to 8, from the second on"
    assert (tick_labels(None, ("blink",), 0, 1.0, range(4), 30) == UNKNOWN).all()


def test_the_loss_is_of_the_known_ticks_alone() -> None:
    logits = torch.zeros(2, 1, 3, requires_grad=True)
    assert nuisance_loss(logits, [np.array([[1, 0, -1]])] * 2).item() == pytest.approx(math.log(2))
    nuisance_loss(logits, [np.array([[1, -1]]), np.array([[-1, 0, -1]])]).backward()
    assert logits.grad is not None
    assert logits.grad.flatten().tolist() == [-0.25, 0, 0, 0, 0.25, 0]
    unknown = nuisance_loss(logits, [np.array([[-1, -1, -1]])])
    assert unknown.item() == 0
    unknown.backward()


def labelled_set(folder: Path) -> Path:
    """The noise set with a blink in every clip; nobody wrote down what moves in the first."""
    noise_set(folder)
    index = json.loads((folder / "index.json").read_text())
    for clip in index["clips"]:
        clip["movements"].append(move("blink", 40, 45))
    index["clips"][0]["labelled"] = False
    (folder / "index.json").write_text(json.dumps(index))
    return folder


def test_segments_carry_labels_forward_and_backward(tmp_path: Path) -> None:
    clips = ClipSet.open(labelled_set(tmp_path), SPEC).clips
    forward = cut(clips[1], SPEC).nuisances
    assert np.flatnonzero(forward[0]).tolist() == list(range(40, 46))
    late = cut(clips[1], SPEC, first=30, ticks=14).nuisances
    assert np.flatnonzero(late[0]).tolist() == list(range(10, 14))
    backward = cut(reversed_clip(clips[1]), SPEC).nuisances
    assert np.flatnonzero(backward[0]).tolist() == [FRAMES - 1 - k for k in range(45, 39, -1)]
    assert (cut(clips[0], SPEC).nuisances == UNKNOWN).all()
    assert (cut(reversed_clip(clips[0]), SPEC).nuisances == UNKNOWN).all()


def test_a_run_trains_the_heads(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    recipe = tmp_path / "mine.toml"
    recipe.write_text(SPOTTER + 'nuisance = ["blink", "turn"]\n')
    config = load_config(recipe)
    assert config.lambda_nuisance > 0
    said: list[str] = []
    trainer = Trainer(config, labelled_set(tmp_path / "set"), tmp_path / "run", say=said.append)
    network = trainer.run()
    assert network.nuisance is not None
    assert network.nuisance.last.bias is not None
    assert network.nuisance.last.bias.shape == (2,)
    assert any("nuisance " in line for line in said)
    written = json.loads((tmp_path / "run" / "spotter.json").read_text())
    assert written["spotter"]["nuisance"] == ["blink", "turn"]
