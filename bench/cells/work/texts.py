"""Words and texts made from a seed, with frequencies as in a language: the n-th word is n times rarer than the first."""

from __future__ import annotations

import itertools
import random

ONSETS = ("b", "br", "c", "ch", "d", "f", "g", "gr", "h", "k", "l", "m", "n", "p", "pl", "r", "s", "st", "t", "v", "w")
VOWELS = ("a", "e", "i", "o", "u", "ai", "ea", "ou")


def vocabulary(generator: random.Random, count: int) -> list[str]:
    """So many different words of two to four syllables."""
    found: dict[str, None] = {}
    while len(found) < count:
        syllables = generator.randint(2, 4)
        word = "".join(generator.choice(ONSETS) + generator.choice(VOWELS) for _ in range(syllables))
        found[word] = None
    return list(found)


def texts(generator: random.Random, words: list[str], count: int, length: int) -> list[str]:
    """So many texts of about so many words."""
    weights = list(itertools.accumulate(1 / (rank + 3) for rank in range(len(words))))
    return [
        " ".join(generator.choices(words, cum_weights=weights, k=generator.randint(length // 2, length * 3 // 2)))
        for _ in range(count)
    ]
