"""What the workloads that count share."""

from __future__ import annotations

from collections import Counter


def merge(pieces: list[Counter[str]]) -> Counter[str]:
    result: Counter[str] = Counter()
    for piece in pieces:
        result.update(piece)
    return result
