"""`type(x)` in a worker says of frozen data what it says of the original.

A frozen list is no exact list, and the builtin looks past what an object says of its class: `type(node) is dict` would be
False where the serial cell's is True. So the code of the notebook calls `_core.type_of` in a worker, wherever it calls the
builtin with one argument. Modules that a worker imports call the builtin itself.

Imported by every worker at its start; `opcode` only when there is code to change.
"""

from __future__ import annotations

import builtins
import types
from collections.abc import Iterator

from firn import _core

TYPE_CHECKING = False  # without typing, see firn.worker
if TYPE_CHECKING:
    from typing import Any, Final

NAME: Final = "__firn_type__"


def install() -> None:
    """Once per worker: code that is loaded from now on asks `type_of`."""
    setattr(builtins, NAME, _core.type_of)


def follow(namespace: dict[str, Any]) -> None:
    """In a namespace where `type` is a variable of the notebook, that is what its code calls."""
    if "type" in namespace:
        namespace[NAME] = namespace["type"]


def loaded(code: types.CodeType) -> types.CodeType:
    """Code as this interpreter is to run it."""
    if not hasattr(builtins, NAME) or not _names_it(code) or _binds_it(code):
        return code
    return _asking(code)


def as_written(code: types.CodeType) -> types.CodeType:
    """The code that it was made of, for another interpreter."""
    if NAME not in code.co_names and not any(type(part) is types.CodeType for part in code.co_consts):
        return code
    names = tuple("type" if name == NAME else name for name in code.co_names)
    return code.replace(co_names=names, co_consts=_constants(code, as_written))


def _constants(code: types.CodeType, change: Any) -> tuple[Any, ...]:
    return tuple(change(part) if type(part) is types.CodeType else part for part in code.co_consts)


def _names_it(code: types.CodeType) -> bool:
    return "type" in code.co_names or any(_names_it(part) for part in code.co_consts if type(part) is types.CodeType)


def _binds_it(code: types.CodeType) -> bool:
    """Whether it assigns a global variable, or an attribute of a class body, of that name."""
    from opcode import opmap

    binding = {opmap[name] for name in ("STORE_GLOBAL", "STORE_NAME", "DELETE_GLOBAL", "DELETE_NAME")}
    names = code.co_names
    return any(operation in binding and names[argument] == "type" for _, operation, argument in _steps(code)) or any(
        _binds_it(part) for part in code.co_consts if type(part) is types.CodeType
    )


def _asking(code: types.CodeType) -> types.CodeType:
    raw, place = bytearray(code.co_code), len(code.co_names)
    steps = list(_steps(code))
    calls = [calling for number in range(len(steps)) if (calling := _call(code, steps, number)) is not None]
    for at, name_shift in calls:
        if place << name_shift | name_shift > 255:  # a function of so many names asks the builtin
            return code.replace(co_consts=_constants(code, _asking))
        raw[at + 1] = place << name_shift | name_shift
    names = (*code.co_names, NAME) if calls else code.co_names
    return code.replace(co_code=bytes(raw), co_names=names, co_consts=_constants(code, _asking))


def _steps(code: types.CodeType) -> Iterator[tuple[int, int, int]]:
    """(place, operation, argument) of each instruction, without the caches between them."""
    from opcode import opmap

    extended, argument = opmap["EXTENDED_ARG"], 0
    raw = code.co_code
    for at in range(0, len(raw), 2):
        argument = argument << 8 | raw[at + 1]
        if raw[at] == extended:
            continue
        if raw[at] != opmap["CACHE"]:
            yield at, raw[at], argument
        argument = 0


def _call(code: types.CodeType, steps: list[tuple[int, int, int]], number: int) -> tuple[int, int] | None:
    """Whether an instruction loads the builtin for a call with one argument: its place, and by how many bits its argument
    is shifted."""
    from _opcode import stack_effect
    from opcode import hasarg, hasjabs, hasjrel, opmap

    at, operation, argument = steps[number]
    if operation == opmap["LOAD_GLOBAL"] and argument & 1:
        shift, name = 1, argument >> 1
    elif operation == opmap["LOAD_NAME"] and steps[number + 1][1] == opmap["PUSH_NULL"]:
        shift, name, number = 0, argument, number + 1
    else:
        return None
    if argument > 255 or code.co_names[name] != "type":
        return None
    above = 0  # on the stack, above the builtin and the NULL that belongs to it
    for _, operation, argument in steps[number + 1 :]:
        if operation == opmap["CALL"] and argument == above:
            return (at, shift) if argument == 1 else None
        if operation in hasjrel or operation in hasjabs:  # the argument is found on several ways
            return None
        above += stack_effect(operation, argument if operation in hasarg else None)
        if above < 0:
            return None
    return None
