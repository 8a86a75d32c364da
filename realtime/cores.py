"""Contexts that keep the work within them on one thread or one core."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import cv2


@contextmanager
def one_thread() -> Iterator[None]:
    """Use OpenCV without threads of its own; its number of threads is restored afterwards.

    Crops are too small to divide: aligning one took 0.5 ms on one thread and 1.0 ms on two.
    """
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


@contextmanager
def one_core() -> Iterator[None]:
    """Pin this thread, and those it starts, to one core, where the system can."""
    ask = getattr(os, "sched_getaffinity", None)
    pin = getattr(os, "sched_setaffinity", None)
    if ask is None or pin is None:
        yield
        return
    before = ask(0)
    pin(0, {min(before)})
    try:
        yield
    finally:
        pin(0, before)
