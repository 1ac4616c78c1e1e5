"""A long session: data is loaded, frozen, read by a parallel cell and dropped, over and over.

Resident memory and the disk that spool files take must stay near those of one round. Then a list keeps one row of each
of a few rounds: every row has to be right at the end, and dropping the list has to give the disk back.
"""

from __future__ import annotations

import gc
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from firn import _core

from bench.harness import Figure
from bench.memory import resident
from bench.notebook import Notebook

ROUNDS = 100
MEGABYTES = 300
KEPT_ROUNDS = 5

# A row takes 1.3 kB: its text alone a thousand bytes.
LOAD = """rows = [{{'n': i, 'round': {round}, 'text': 'x' * 1000 + str(i), 'parts': ['a%d' % i, (i, 0.5 * i)]}} for i in range({rows})]
"""
READ = """%%parallel --quiet --workers 2
total = sum(r['n'] + len(r['text']) + len(r['parts']) for r in rows)
"""
ROW_BYTES = 1340


def on_disk(folder: Path) -> float:
    """MB of files in the folder that this process maps; they have no name, and their disk is theirs until they are not."""
    mapped = 0
    for line in Path("/proc/self/maps").read_text().splitlines():
        found = re.match(rf"([0-9a-f]+)-([0-9a-f]+) .* {re.escape(str(folder))}/", line)
        if found:
            mapped += int(found[2], 16) - int(found[1], 16)
    return mapped / 1e6


class Session:
    def __init__(self, folder: Path, rows: int) -> None:
        self.folder, self.rows = folder, rows
        self.notebook = Notebook()
        self.frozen = 0.0  # MB of the round's segment
        self.most_disk = 0.0

    def round(self, number: int, keep: bool = False) -> float:
        """MB in RAM after the parallel cell, when all that the round needs is there."""
        run = self.notebook.run
        run(LOAD.format(round=number, rows=self.rows))
        run(READ)
        expected = sum(range(self.rows)) + sum(1000 + len(str(i)) for i in range(self.rows)) + 2 * self.rows
        assert self.notebook.names["total"] == expected
        self.frozen = next(s["bytes"] for s in reversed(_core.segments()) if "rows" in s["names"]) / 1e6
        peak = resident()
        if keep:
            run(f"kept.append(rows[{number * 7}])")
        run("del rows")
        assert _core.settle()
        self.most_disk = max(self.most_disk, on_disk(self.folder))
        return peak

    def give_back(self) -> None:
        """What a session's next cells do anyway, until the scan has had its say."""
        for _ in range(10):
            self.notebook.run("pass")
            gc.collect()
            _core.rescan()
            assert _core.settle()
            if not on_disk(self.folder):
                break


def figures(megabytes: int = MEGABYTES, rounds: int = ROUNDS) -> Iterator[Figure]:
    rows = megabytes * 1_000_000 // ROW_BYTES
    with tempfile.TemporaryDirectory(prefix="firn-soak-", dir="/var/tmp") as name:
        os.environ["FIRN_SPOOL"] = name
        session = Session(Path(name), rows)
        one = session.round(0)
        most = max(session.round(number) for number in range(1, rounds))
        title = f"RAM, {rounds} rounds of {session.frozen:.0f} MB"
        yield Figure(title, most, one, "MB", "the first round", "times one round", "at most 1.5")
        title = f"disk, {rounds} rounds of {session.frozen:.0f} MB"
        yield Figure(
            title, session.most_disk, session.frozen, "MB", "one round's data", "times one round", "at most 1.5"
        )
        yield Figure(
            "RAM when all is dropped", resident(), one, "MB", "the first round", "times one round", "at most 1"
        )

        session.give_back()
        session.notebook.run("kept = []")
        before = on_disk(session.folder)
        for number in range(KEPT_ROUNDS):
            session.round(number, keep=True)
        for number, row in enumerate(session.notebook.names["kept"]):
            at = number * 7
            assert row == {"n": at, "round": number, "text": "x" * 1000 + str(at), "parts": [f"a{at}", (at, 0.5 * at)]}
        del row
        held = on_disk(session.folder)
        assert held >= 0.9 * KEPT_ROUNDS * session.frozen, (held, session.frozen)
        session.notebook.run("del kept")
        session.give_back()
        yield Figure(
            f"disk after {KEPT_ROUNDS} rounds of which a list kept a row each",
            on_disk(session.folder) - before, held, "MB", "while the list was there", "times that", "at most 0.25",
        )  # fmt: skip
