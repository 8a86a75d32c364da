"""The family that stays out: motion fields of real expressions, which no training may ever see.

Fields are measured between two moments of the examined persons' own footage, by dense registration,
and MEs are drawn from them. `engines.data` and `engines.training` must not import this room
(tests/engines/evaluation/exams/test_stays_out.py). Not from the papers.

registration  how the skin moved between two aligned crops, without head motion
regions       the regions of a face, and a region's field
fields        which moments are measured, in which region, and what is thrown away
family        MEs drawn from measured fields
"""

from __future__ import annotations

STAYS_OUT = "stays-out"  # the family's name in options, reports and a movement's truth
