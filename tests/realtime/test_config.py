"""Settings: what overrides what, and which values are refused."""

import pytest

from microspot.engines.specs import SpotterSpec
from microspot.realtime.config import Settings
from microspot.realtime.errors import UsageError


def test_option_beats_file_beats_manifest(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text("threshold = 0.4\nproposal_threshold = 0.2\n")
    settings = Settings.load(path, threshold=0.7, faces=None)
    spec = settings.spotter(SpotterSpec(t_crn=0.9, t_cpn=0.9, t_nms=0.3))
    assert (spec.t_crn, spec.t_cpn, spec.t_nms) == (0.7, 0.2, 0.3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hopp = 2", "did you mean 'hop'"),
        ("hop = 0", "hop"),
        ("hop = ", "configuration"),  # not TOML
        ("ring_ticks = 100", "cluster_ticks"),  # a ring that cannot hold a cluster
        ("nms_rule = 'best'", "nms_rule"),
        ("alarms_per_min = 0", "alarms_per_min"),
        ("alarms_per_min = 61.0", "alarms_per_min"),
    ],
)
def test_bad_settings_say_what_is_wrong(tmp_path, text, words):
    path = tmp_path / "s.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=words):
        Settings.load(path)
