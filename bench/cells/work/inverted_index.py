"""Which documents each word is in: much data goes to the workers, and much comes back."""

from __future__ import annotations

import random

from bench.cells.work.texts import texts, vocabulary
from bench.cells.workload import Names, Workload

CELL = """
result = {}
for number, text in enumerate(documents):
    for word in dict.fromkeys(text.split()):
        result.setdefault(word, []).append(number)
"""


def data(generator: random.Random, size: float) -> Names:
    words = vocabulary(generator, 30_000)
    return {"documents": texts(generator, words, int(26_000 * size), 60)}


def part(documents: list[str], start: int) -> dict[str, list[int]]:
    result: dict[str, list[int]] = {}
    for number, text in enumerate(documents, start):
        for word in dict.fromkeys(text.split()):
            result.setdefault(word, []).append(number)
    return result


def merge(pieces: list[dict[str, list[int]]]) -> dict[str, list[int]]:
    result: dict[str, list[int]] = {}
    for piece in pieces:
        for word, numbers in piece.items():
            if word in result:
                result[word] += numbers
            else:
                result[word] = numbers
    return result


WORKLOAD = Workload("inverted index", data, "documents", CELL, part, merge)
