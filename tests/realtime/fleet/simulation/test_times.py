"""A file of measured times is read strictly."""

from __future__ import annotations

from pathlib import Path

import pytest

from microspot.realtime.errors import UsageError
from microspot.realtime.fleet.simulation.times import Draw, Times


def test_a_file_replaces_what_it_names(tmp_path: Path) -> None:
    path = tmp_path / "times.toml"
    path.write_text("group_start_s = [5, 7.5]\n")
    times = Times.read(path)
    assert times.group_start_s == (5.0, 7.5)
    assert times.stop_s == Times().stop_s


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("group_start_s = [7, 5]", "group_start_s [7.0, 5.0]: expected two times, least first"),
        ("group_start_s = [-1, 5]", "expected two times, least first"),
        ("group_start_s = [1, inf]", "expected two times, least first"),
        ("heartbeat_s = [0, 1]", "heartbeat_s: expected more than 0"),
        ("group_start_s = 5", "group_start_s: "),
        ("group_strat_s = [5, 6]", "unknown key 'group_strat_s'; did you mean 'group_start_s'?"),
        ("x y", "times "),
    ],
)
def test_a_wrong_file_is_one_line_that_names_it(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "times.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        Times.read(path)
    line = str(caught.value)
    assert said in line
    assert line.startswith(f"times {path}: ")
    assert "\n" not in line


def test_times_lie_between_their_bounds_and_follow_the_seed() -> None:
    draws = [Draw(Times(), seed) for seed in (1, 1, 2)]
    one, same, other = ([draw.seconds((2.0, 3.0)) for _ in range(50)] for draw in draws)
    assert one == same != other
    assert all(2.0 <= seconds <= 3.0 for seconds in one)
