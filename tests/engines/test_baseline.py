"""The baseline sees a brief departure from neutral, and nothing else that is still."""

import numpy as np

from microspot.engines import baseline, reference


def clip(brief):
    """90 crops of noise-free texture; a brow-sized patch brightens for 10 of them where `brief`."""
    rng = np.random.default_rng(0)
    still = rng.integers(60, 180, (1, 112, 112)).repeat(3, 0).astype(np.uint8)
    crops = np.stack([still] * 90)
    if brief:
        crops[40:50, :, 20:36, 20:52] += 40
    return crops


def spot(crops):
    engines = baseline.load()
    features = engines.encoder(pixels=crops)["features"].T
    return reference.spot(np.ascontiguousarray(features), engines)


def test_a_brief_change_is_spotted_where_it_is():
    found = spot(clip(brief=True))
    best = int(found.score.argmax())
    assert 36 <= found.start[best] <= 44
    assert 48 <= found.stop[best] <= 54


def test_a_still_face_gives_nothing():
    assert len(spot(clip(brief=False))) == 0


def test_light_on_the_whole_face_says_nothing():
    crops = clip(brief=False)
    crops[40:52] += 40
    assert len(spot(crops)) == 0
