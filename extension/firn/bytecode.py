"""The instructions of code objects."""

from __future__ import annotations

import opcode
from collections.abc import Iterator
from types import CodeType

_CACHE, _EXTENDED = opcode.opmap["CACHE"], opcode.opmap["EXTENDED_ARG"]


def instructions(code: CodeType) -> Iterator[tuple[int, int, int]]:
    """(index, opcode, argument) of each instruction of one code object, without caches, extensions resolved."""
    raw = code.co_code
    extended = 0
    for index in range(0, len(raw), 2):
        op, argument = raw[index], raw[index + 1] | extended
        extended = argument << 8 if op == _EXTENDED else 0
        if op != _EXTENDED and op != _CACHE:
            yield index, op, argument
