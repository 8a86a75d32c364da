"""`microspot fleet simulate`: its table, and one line for what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from microspot.realtime.commands.app import app
from microspot.realtime.errors import UsageError
from microspot.realtime.fleet.simulation.scenarios import SCENARIOS

SIMULATE = ["fleet", "simulate"]
FEW = ["--cameras", "40", "--nodes", "4", "--node-cameras", "15", "--hours", "0.2"]


def test_options_change_the_scenario_and_all_that_it_holds_for_is_printed(tmp_path: Path) -> None:
    times = tmp_path / "times.toml"
    times.write_text("group_start_s = [2, 3]\n")
    options = ["--pinned", "0.5", "--seed", "3", "--times", str(times), "--json"]
    done = CliRunner().invoke(app, [*SIMULATE, "racks", *FEW, *options])
    assert done.exit_code == 0, done.output
    table = json.loads(done.output)
    assert table["scenario"]["cameras"] == 40
    assert table["scenario"]["seed"] == 3
    assert table["scenario"]["racks_per_hour"] == SCENARIOS["racks"].racks_per_hour
    assert table["times"]["group_start_s"] == [2.0, 3.0]
    assert table["settings"]["group_size"] == 5
    assert table["served_pinned"]["cameras"] == 20
    assert table["all_served_first_s"] < 10


def test_the_table_is_for_people_too() -> None:
    done = CliRunner().invoke(app, [*SIMULATE, *FEW])
    assert done.exit_code == 0, done.output
    assert "served.mean" in done.output
    assert "times.node_death_seen_s" in done.output


def test_an_unknown_scenario_names_those_that_there_are() -> None:
    with pytest.raises(UsageError, match="no scenario 'rack': expected one of nodes, racks"):
        CliRunner().invoke(app, [*SIMULATE, "rack"], catch_exceptions=False)


def test_the_help_names_every_scenario() -> None:
    words = CliRunner().invoke(app, [*SIMULATE, "--help"]).output
    assert all(name in words for name in SCENARIOS)
