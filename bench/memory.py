"""Resident memory: the frozen archive against its originals, and what each worker adds that reads it."""

from __future__ import annotations

import ctypes
import gc
import re
import time
from collections.abc import Iterator
from pathlib import Path

import firn

from bench import data
from bench.apart import apart
from bench.harness import Figure
from bench.notebook import Notebook

SCAN = """%%parallel --quiet --workers {workers} --chunk 1000
sizes = [sum(len(field) for field in p.values()) for p in packages]
"""
WORKERS = 6


def resident() -> float:
    """MB of this process in RAM, after everything that is free has been given back."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    status = Path("/proc/self/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) / 1024


def archive_in_ram() -> tuple[float, float]:
    """MB that the frozen archive takes after its originals are gone, MB that these took."""
    data.archive()  # once for what the modules involved need
    empty = resident()
    packages = data.archive()
    originals = resident() - empty
    packages = firn.freeze(packages)
    return resident() - empty, originals


def worker_in_ram(with_data: bool) -> float:
    """MB for each worker beyond the first."""
    notebook = Notebook({"packages": data.archive() if with_data else [{"a": "b"}] * 100_000})
    notebook.run(SCAN.format(workers=1))
    time.sleep(0.1)
    one = resident()
    for _ in range(3):
        notebook.run(SCAN.format(workers=WORKERS))
    notebook.names["sizes"] = None
    return (resident() - one) / (WORKERS - 1)


def figures() -> Iterator[Figure]:
    ours, theirs = apart(archive_in_ram)
    yield Figure(
        "memory of the archive, originals dropped", ours, theirs, "MB", "the originals", "times the memory", "at most 1"
    )
    yield Figure(
        "memory of one more worker that reads the archive",
        apart(worker_in_ram, True),
        apart(worker_in_ram, False),
        "MB",
        "a worker without data",
        "times the memory",
        "does not depend on the data",
    )
