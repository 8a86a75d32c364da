"""The host's clock: when frames come and when they were taken, in ns, the same in every process.

It is the clock of `time.perf_counter_ns`. On Linux and macOS that is the monotonic clock, as
`time.monotonic_ns` has it. On Windows Python's monotonic clock (before 3.13) advances in steps of
16 ms, half a tick of the grid, and this one by less than a microsecond.

This module imports nothing of this project, so that the worker stays light.
"""

from __future__ import annotations

import time

host_time_ns = time.perf_counter_ns
