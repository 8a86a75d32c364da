"""Rows of tables for tests, and random ones."""

from __future__ import annotations

from hypothesis import strategies as st

from microspot.engines.data.annotations import Interval


def row(onset, offset, label=None, score=None, video="v", kind="micro", subject="s", units=None):
    return Interval(subject, video, onset, None, offset, kind, label, score, None, units)


@st.composite
def tables(draw, most=12):
    """Two tables of a few videos and subjects whose intervals often compete."""

    def rows():
        return draw(
            st.lists(
                st.builds(
                    lambda onset, length, label, score, video, subject, kind: row(
                        onset, onset + length, label, score, video, kind, subject
                    ),
                    st.integers(0, 25),
                    st.integers(0, 12),
                    st.sampled_from(["a", "b", "c"]),
                    st.integers(0, 4).map(lambda tenth: tenth / 4),
                    st.sampled_from(["v", "w"]),
                    st.sampled_from(["s", "t", "u"]),
                    st.sampled_from(["micro", "micro", "macro"]),
                ),
                max_size=most,
            )
        )

    return rows(), rows()
