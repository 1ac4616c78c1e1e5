"""The `parallel` object of a cell that runs whole in every worker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class Parallel:
    """`rank`: this worker's number, from 0; `size`: how many workers run the cell."""

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size

    def split[S: Sequence[Any]](self, sequence: S) -> S:
        """This worker's contiguous share of a sequence; the shares of all workers, by rank, make up the whole.

        Shares differ in length by at most one. Anything that can be sliced is sliced; other iterables come as a list.
        """
        if not hasattr(type(sequence), "__getitem__") or hasattr(type(sequence), "keys"):
            sequence = list(sequence)  # type: ignore[assignment]
        length = len(sequence)
        return sequence[length * self.rank // self.size : length * (self.rank + 1) // self.size]  # type: ignore[return-value]

    def __repr__(self) -> str:
        return f"<parallel: rank {self.rank} of {self.size}>"
