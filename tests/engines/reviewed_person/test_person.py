"""Fine-tuning on reviewed events of a person: what is reviewed, kept, learned and compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from microspot.engines.commands.app import app
from microspot.engines.data.aligned.recordings import AlignedRecording
from microspot.engines.data.generator.timeline import Movement
from microspot.engines.errors import DataError, UsageError
from microspot.engines.evaluation.exams.memory.examination import MemoryPlan
from microspot.engines.evaluation.exams.memory.seen import FALSE, HITS, TRUTHS, Seen
from microspot.engines.evaluation.exams.recordings import Recording
from microspot.engines.intervals import Candidate
from microspot.engines.reviewed_person import examination as module
from microspot.engines.reviewed_person.examination import (
    BEFORE,
    MEMORY,
    OTHERS,
    TRIED,
    WEIGHTS,
    PersonPlan,
    chosen_by_others,
    compare,
    examine_person,
)
from microspot.engines.reviewed_person.review import reviewed, write_reviewed
from microspot.engines.specs import SpotterSpec
from microspot.engines.training.fine_tuning.config import FineTuning, load_config
from microspot.engines.training.fine_tuning.sets import training_set

SPEC = SpotterSpec(feature=3, side=4)
HZ = 30
LENGTH = 10  # of an event, ticks
START_NS = 7_000_000_000  # of a recording: stream times begin anywhere


def at_ns(tick: float) -> int:
    return START_NS + round(tick * 1e9 / HZ)


def micro(tick: int, kind: str = "micro") -> Movement:
    return Movement(kind, at_ns(tick), at_ns(tick + 5), at_ns(tick + LENGTH - 1), ("AU4",))


def recording(ticks: int, micros: Sequence[Movement] = (), name: str = "first") -> Recording:
    """Crops that have the number of their frame."""
    crops = np.empty((ticks, 3, 4, 4), np.uint8)
    crops[:] = (np.arange(ticks) % 256)[:, None, None, None]
    times = np.array([at_ns(tick) for tick in range(ticks)], np.int64)
    return Recording(name, times, crops, tuple(micros))


def seen(part: Recording, found: dict[float, float], doubtful: Sequence[int] = ()) -> Seen:
    """What is seen of a part: an event from each tick of `found` on, at its margin."""
    ticks = len(part.times_ns)
    windows = []
    features = np.zeros((3, ticks), np.float32)
    micros = [round((m.onset_ns - START_NS) * HZ / 1e9) for m in part.micros()]
    for start in sorted(found):
        windows.append(Candidate(int(start) + 9, 1, start, start + LENGTH, 0.9))
        row = 0 if any(abs(start - at) < LENGTH for at in micros) else 1
        features[row, int(start) : int(start) + LENGTH] = 1
    spans = [
        (np.array(starts, float), np.array(starts, float) + LENGTH)
        for starts in (micros, doubtful, ())
    ]
    margins = np.array([found[start] for start in sorted(found)], float)
    return Seen(features, windows, margins, *spans)


def starts_of(events: Sequence[Any]) -> list[int]:
    return [round((event.span[0] * 1e9 - START_NS) * HZ / 1e9) for event in events]


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_what_touches_an_me_is_accepted_as_the_me_and_all_else_is_rejected() -> None:
    part = recording(600, [micro(100), micro(400)])
    found = {93.0: 1, 104.0: 1, 200.0: 1, 300.0: 1, 500.0: -1.5}  # two touch the first ME
    review = reviewed([part], [seen(part, found, doubtful=[300])], SPEC, 30, rng())
    assert [event.micro for event in review.accepted] == [micro(100)]
    assert review.accepted[0].span == (at_ns(100) / 1e9, at_ns(109) / 1e9)
    assert starts_of(review.rejected) == [200, 500]
    assert starts_of(review.undecided) == [300]  # it fits a doubtful movement
    memory = review.memory(3)
    assert (len(memory.accepted), len(memory.rejected)) == (1, 2)
    assert memory.accepted.tolist() == [[1, 0, 0]]
    assert memory.rejected.tolist() == [[0, 1, 0]] * 2
    assert review.wrongly_none(part) == 1  # the ME at 400 was not found and lies near a decision


@pytest.mark.parametrize(("count", "shift"), [(1, 0.0), (2, -1.0), (3, -2.0), (9, -4.0)])
def test_thresholds_are_lowered_until_there_are_events_enough(count: int, shift: float) -> None:
    part = recording(600)
    one = seen(part, {100.0: 0.0, 200.0: -1.0, 300.0: -2.0, 400.0: -9.0})
    review = reviewed([part], [one], SPEC, count, rng())
    assert review.shift == shift
    assert len(review.rejected) == min(count, 3)


def test_so_many_are_drawn_and_the_others_stay_undecided() -> None:
    part = recording(900)
    one = seen(part, dict.fromkeys(np.arange(20.0, 800.0, 30.0).tolist(), 1.0))
    drawn = [reviewed([part], [one], SPEC, 10, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert [(len(each.rejected), len(each.undecided)) for each in drawn] == [(10, 16)] * 3
    starts = [[event.span for event in each.rejected] for each in drawn]
    assert starts[0] == starts[1] != starts[2]


def test_kept_is_what_review_keeps_and_training_reads_it(tmp_path: Path) -> None:
    part = recording(1200, [micro(400)])
    one = seen(part, {402.0: 1, 300.0: 1, 700.0: -9, 500.0: 1}, doubtful=[500])
    review = reviewed([part], [one], SPEC, 2, rng())
    kept = write_reviewed(part, [part], review, tmp_path)
    rows = [(int(s.times_ns[0]), int(s.times_ns[-1])) for s in kept.segments]
    # from 5 s before 300, without half a second around the doubtful one, to 5 s behind 409
    apart = (at_ns(484), at_ns(526))
    assert rows == [(at_ns(150), apart[0]), (apart[1], at_ns(559))]
    assert [each.start for each in kept.segments] == [0, 485 - 150]
    crops = np.load(tmp_path / "crops.npy")
    assert (crops[:, 0, 0, 0] == [*(np.r_[150:485, 526:560] % 256)]).all()
    assert [(row.onset, row.offset, row.type) for row in kept.truth] == [(400, 409, "micro")]
    config = replace(FineTuning(), training=replace(load_config(SPEC).training, spec=SPEC))
    clips = training_set([kept], (), config).clips
    assert sum(len(clip.micro_ns) for clip in clips) >= 1
    held = next(clip for clip in clips if len(clip.micro_ns))
    assert held.micro_ns.tolist() == [[at_ns(400), at_ns(409)]]
    assert {clip.face for clip in clips} == {"reviewed/first"}


def test_a_piece_of_a_few_frames_is_left_out(tmp_path: Path) -> None:
    first, second = recording(200), recording(200)
    later = replace(second, times_ns=second.times_ns + (at_ns(340) - START_NS))
    review = reviewed([first], [seen(first, {190.5: 1})], SPEC, 2, rng())
    whole = Recording("first", np.concatenate([first.times_ns, later.times_ns]), second.crops)
    kept = write_reviewed(whole, [first, later], review, tmp_path)
    assert [len(each.times_ns) for each in kept.segments] == [159]  # of the later one 11 frames


@dataclass
class FakeTuner:
    """Makes engines by name, and keeps the steps, number and values of the crops they learnt of."""

    config: FineTuning = field(default_factory=lambda: FineTuning(steps=(0, 7)))
    trained: list[tuple[int, int, list[int]]] = field(default_factory=list)

    def as_given(self) -> Any:
        return SimpleNamespace(name="given", spotter=SPEC)

    def tuned(self, recordings: Sequence[AlignedRecording], steps: int) -> Any:
        (one,) = recordings
        crops = np.load(one.folder / "crops.npy")
        self.trained.append((steps, len(crops), sorted({int(c[0, 0, 0]) for c in crops})))
        return SimpleNamespace(name="tuned", spotter=SPEC)


def examined(monkeypatch: pytest.MonkeyPatch, tuner: FakeTuner) -> tuple[Any, Any, list[Any]]:
    """A person with a habit; training makes it score less; and who was looked at with what."""
    first = recording(250, [micro(60)], "first")
    second = recording(255, [micro(90)], "second")
    looked: list[tuple[str, str, float]] = []

    def see(part: Recording, engines: Any, lowest: float) -> Seen:
        looked.append((part.name, engines.name, lowest))
        if part.name == "first":
            return seen(part, {60.0: 1, 150.0: 1})
        margin = -3.0 if engines.name == "tuned" else 1.0
        return seen(part, {90.0: 1, 200.0: margin})

    monkeypatch.setattr(module, "see", see)
    review, tables = examine_person(tuner, [first, second], 30, rng())  # type: ignore[arg-type]
    return review, tables, looked


def test_the_first_recording_teaches_and_the_other_is_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tuner = FakeTuner()
    review, tables, looked = examined(monkeypatch, tuner)
    assert (len(review.accepted), len(review.rejected)) == (1, 1)
    assert [each[:2] for each in looked] == [
        ("first", "given"), ("second", "given"), ("second", "tuned"),
    ]  # fmt: skip
    assert {lowest for *_, lowest in looked} == {min(TRIED)}
    ((steps, frames, numbers),) = tuner.trained
    assert (steps, frames, numbers) == (7, 250, list(range(250)))  # 255 has the second one alone
    counts = {name: table[0, [HITS, TRUTHS, FALSE]].tolist() for name, table in tables.items()}
    assert counts == {BEFORE: [1, 1, 1], MEMORY: [1, 1, 0], "7 steps": [1, 1, 0]}
    lowest = TRIED.index(min(TRIED))
    assert tables["7 steps"][lowest, [HITS, TRUTHS, FALSE]].tolist() == [1, 1, 1]
    assert {len(table) for table in tables.values()} == {len(TRIED)}


def test_who_gives_no_event_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "see", lambda part, engines, lowest: seen(part, {}))
    recordings = [recording(100, (), "anna"), recording(100)]
    with pytest.raises(DataError, match="anna: no event to review"):
        examine_person(FakeTuner(), recordings, 30, rng())  # type: ignore[arg-type]


def table(*people: Sequence[tuple[int, int]]) -> np.ndarray:
    """(C, S, 5) of people with ten MEs; hits and false alarms at each threshold."""
    return np.array([[[hits, 10, false, 0, 60.0] for hits, false in one] for one in people])


def test_thresholds_are_those_that_the_others_choose() -> None:
    alike = [(5, 9), (9, 1), (9, 1)]
    odd = [(9, 0), (1, 9), (2, 9)]  # what is best for this one nobody else would choose
    chosen = chosen_by_others([table(alike, alike, alike, odd)])
    assert chosen[:, HITS].tolist() == [9, 9, 9, 1]  # of equal ones the first


def test_gains_are_paired_and_the_others_choose_the_steps() -> None:
    before = table(*[[(5, 5), (6, 5)]] * 3)
    worse = table(*[[(3, 5), (3, 5)]] * 3)
    report = compare({BEFORE: before, MEMORY: table(*[[(5, 0), (5, 0)]] * 3), "7 steps": worse})
    own, others = report[WEIGHTS], report[OTHERS]
    assert (own[BEFORE]["f1"], own["7 steps"]["f1"]) == (0.5, round(6 / 18, 3))
    assert own["7 steps"]["gain"] == round(6 / 18 - 0.5, 3)
    assert own["7 steps"]["gain_interval"] == [own["7 steps"]["gain"]] * 2  # all are alike
    assert own[MEMORY]["gain"] == round(10 / 15 - 0.5, 3)
    assert own[BEFORE]["f1_by_person"] == [0.5] * 3
    assert (own[BEFORE]["recall"], own[BEFORE]["false_alarms_per_min"]) == (0.5, 5.0)
    assert "gain" not in own[BEFORE]
    assert others[BEFORE]["f1"] == round(12 / 21, 3)
    steps = others["steps that the other people choose"]
    assert (steps["f1"], steps["gain"]) == (others[BEFORE]["f1"], 0.0)


def test_the_command_says_what_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[Any] = []

    def examine(tuner: Any, faces: Path, plan: PersonPlan) -> dict[str, Any]:
        asked.append((tuner.config, faces, plan))
        return {"people": 3}

    monkeypatch.setattr(module, "examine_fine_tuning", examine)
    words = ["exam", "fine-tuning", "--faces", str(tmp_path), "--people", "3", "--threads", "1"]
    more = ["--steps", "9", "--frozen-encoder", "--events", "12", "--seconds", "60", "--json"]
    done = CliRunner().invoke(app, words + more)
    assert (done.exit_code, done.stdout) == (0, '{"people": 3}\n')
    config, faces, plan = asked[0]
    assert (config.steps, config.training.frozen_encoder, faces) == ((0, 9), True, tmp_path)
    assert plan == PersonPlan(MemoryPlan(3, 10, 60.0), 12)
    assert CliRunner().invoke(app, words).exit_code == 0
    config, _, plan = asked[1]
    assert (config.steps, config.training.frozen_encoder) == ((0, 100, 400), False)
    assert plan == PersonPlan(MemoryPlan(3, 10, 180.0), 30)
    assert CliRunner().invoke(app, [*words, "--people", "1"]).exit_code == 2
    with pytest.raises(UsageError, match="two or more"):
        PersonPlan(MemoryPlan(1), 30)


def test_a_folder_without_faces_is_told(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["exam", "fine-tuning", "--faces", str(tmp_path)])
    assert isinstance(done.exception, DataError)
