"""Settings of a process: how many workers its pool has."""

from __future__ import annotations

import os

from firn import _core


def default_workers() -> int:
    """`FIRN_WORKERS` if it is set to a number from 1 upwards, else as many as this process may use CPUs."""
    text = os.environ.get("FIRN_WORKERS", "").strip()
    if text.isdecimal() and int(text) >= 1:
        return int(text)
    return max(1, _core.cpu_count())
