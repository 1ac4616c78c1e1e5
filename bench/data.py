"""What the benches work on: the Debian archive, and the workloads of PEP 795's evaluation."""

from __future__ import annotations

import random
import re
import string
import subprocess

type Row = dict[str, str]


def archive() -> list[Row]:
    """The records of all packages of the archive, a dict each, as the quickstart reads them."""
    field = re.compile(r"^([\w-]+): *(.*(?:\n[ \t].*)*)", re.MULTILINE)
    text = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, text=True, check=True).stdout
    return [dict(field.findall(record)) for record in text.split("\n\n") if record]


def strings(count: int = 1_000_000) -> list[str]:
    """Different strings of eight letters, as in PEP 795's evaluation."""
    generator = random.Random(795)
    found: dict[str, None] = {}
    while len(found) < count:
        found["".join(generator.choices(string.ascii_letters, k=8))] = None
    return list(found)


def rows(megabytes: int) -> list[dict[str, object]]:
    """Rows of five fields, about so many MB of them in memory (310 bytes a row)."""
    return [
        {"id": n, "name": f"customer {n}", "city": f"city {n % 997}", "balance": n * 0.37, "open": n % 3 == 0}
        for n in range(megabytes * 1_000_000 // 310)
    ]
