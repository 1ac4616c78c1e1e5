"""The nearest word of a vocabulary for each misspelt one: Levenshtein's distance, row by row."""

from __future__ import annotations

import random

from bench.cells.work.texts import vocabulary
from bench.cells.workload import Names, Workload

CELL = """
result = [min((distance(query, word), word) for word in words) for query in queries]
"""


def distance(one, other):
    row = list(range(len(other) + 1))
    for number, letter in enumerate(one, 1):
        left = number
        diagonal = number - 1
        for column, second in enumerate(other, 1):
            above = row[column]
            row[column - 1] = left
            if letter == second:
                left = diagonal
            else:
                left = 1 + min(left, above, diagonal)
            diagonal = above
        row[-1] = left
    return row[-1]


def data(generator: random.Random, size: float) -> Names:
    words = vocabulary(generator, int(4_000 * size))
    queries = []
    for _ in range(40):
        letters = list(generator.choice(words))
        generator.shuffle(letters)
        queries.append("".join(letters))
    return {"words": words, "queries": queries}


def part(queries: list[str], start: int, *, words: list[str]) -> list[tuple[int, str]]:
    return [min((distance(query, word), word) for word in words) for query in queries]


WORKLOAD = Workload("edit distance", data, "queries", CELL, part, definitions=(distance,))
