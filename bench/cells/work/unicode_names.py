"""How many letters of each script there are in texts of many languages, by the first words of Unicode names."""

from __future__ import annotations

import random
import unicodedata
from collections import Counter

from bench.cells.work.counts import merge
from bench.cells.workload import Names, Workload

CELL = """
result = Counter()
for text in texts:
    for character in text:
        result[unicodedata.name(character, "none").partition(" ")[0]] += 1
"""

SCRIPTS = ((0x41, 0x5A), (0xC0, 0xFF), (0x391, 0x3A1), (0x410, 0x44F), (0x5D0, 0x5EA), (0x905, 0x939), (0x4E00, 0x9FA5))


def data(generator: random.Random, size: float) -> Names:
    texts = []
    for _ in range(int(60_000 * size)):
        first, last = generator.choice(SCRIPTS)
        texts.append("".join(chr(first + int((last - first) * generator.random())) for _ in range(32)))
    return {"texts": texts}


def part(texts: list[str], start: int) -> Counter[str]:
    result: Counter[str] = Counter()
    for text in texts:
        for character in text:
            result[unicodedata.name(character, "none").partition(" ")[0]] += 1
    return result


WORKLOAD = Workload(
    "Unicode names",
    data,
    "texts",
    CELL,
    part,
    merge,
    imports="import unicodedata\nfrom collections import Counter",
)
