"""How often each word occurs."""

from __future__ import annotations

import random
from collections import Counter

from bench.cells.work.counts import merge
from bench.cells.work.texts import texts, vocabulary
from bench.cells.workload import Names, Workload

CELL = """
result = Counter()
for text in documents:
    for word in text.split():
        result[word] += 1
"""


def data(generator: random.Random, size: float) -> Names:
    words = vocabulary(generator, 20_000)
    return {"documents": texts(generator, words, int(60_000 * size), 60)}


def part(documents: list[str], start: int) -> Counter[str]:
    result: Counter[str] = Counter()
    for text in documents:
        for word in text.split():
            result[word] += 1
    return result


WORKLOAD = Workload("word count", data, "documents", CELL, part, merge, imports="from collections import Counter")
