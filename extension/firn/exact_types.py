"""`type(x)` in the notebook's code says of frozen data what it says of the original.

A frozen list is no exact list, and the builtin looks past what an object says of its class: `type(node) is dict` would be
False, and `type(self).__name__` the name of one of firn's classes. So the notebook's code calls `_core.type_of` wherever it
calls the builtin with one argument: in the notebook because its cells are compiled so (`firn.type_calls`), in the workers
because what they load is changed. Imported modules call the builtin itself.

Imported by every worker at its start; `firn.bytecode` only when there is code to change.
"""

from __future__ import annotations

import builtins
import types

from firn import _core

TYPE_CHECKING = False  # without typing, see firn.worker
if TYPE_CHECKING:
    from typing import Any, Final

NAME: Final = "__firn_type__"


def install() -> None:
    """Once per interpreter. Stays: code that was compiled meanwhile calls it."""
    setattr(builtins, NAME, _core.type_of)


def names_of(code: types.CodeType) -> tuple[str, ...]:
    """`co_names`, as the code was written."""
    return tuple("type" if name == NAME else name for name in code.co_names) if NAME in code.co_names else code.co_names


def follow(namespace: dict[str, Any]) -> None:
    """In a namespace where `type` is a variable of the user's, that is what its code calls."""
    if "type" in namespace:
        namespace[NAME] = namespace["type"]


def loaded(code: types.CodeType) -> types.CodeType:
    """Code as this interpreter is to run it."""
    if not hasattr(builtins, NAME) or not _names_it(code) or _binds_it(code):
        return code
    return _asking(code)


def as_written(code: types.CodeType) -> types.CodeType:
    """The code as it is without firn, for another interpreter."""
    constants, names = _constants(code, as_written), names_of(code)
    if names is code.co_names and all(new is old for new, old in zip(constants, code.co_consts, strict=True)):
        return code
    return code.replace(co_names=names, co_consts=constants)


def _constants(code: types.CodeType, change: Any) -> tuple[Any, ...]:
    return tuple(change(part) if type(part) is types.CodeType else part for part in code.co_consts)


def _names_it(code: types.CodeType) -> bool:
    return "type" in code.co_names or any(_names_it(part) for part in code.co_consts if type(part) is types.CodeType)


def _binds_it(code: types.CodeType) -> bool:
    """Whether it assigns a global variable, or an attribute of a class body, of that name."""
    from opcode import opmap

    binding = {opmap[name] for name in ("STORE_GLOBAL", "STORE_NAME", "DELETE_GLOBAL", "DELETE_NAME")}
    names = code.co_names
    return any(op in binding and names[argument] == "type" for _, op, argument in _instructions(code)) or any(
        _binds_it(part) for part in code.co_consts if type(part) is types.CodeType
    )


def _asking(code: types.CodeType) -> types.CodeType:
    raw, place = bytearray(code.co_code), len(code.co_names)
    found = list(_instructions(code))
    for number in range(len(found)):
        if (shift := _calls_it(code, found, number)) is None:
            continue
        argument = place << shift | shift
        if argument > 255:  # a function of so many names calls the builtin
            return code.replace(co_consts=_constants(code, _asking))
        raw[found[number][0] + 1] = argument
    names = (*code.co_names, NAME) if raw != code.co_code else code.co_names
    return code.replace(co_code=bytes(raw), co_names=names, co_consts=_constants(code, _asking))


def _calls_it(code: types.CodeType, found: list[tuple[int, int, int]], number: int) -> int | None:
    """Whether an instruction loads the builtin for a call with one argument: by how many bits its own is shifted."""
    from _opcode import stack_effect  # type: ignore[import-not-found]
    from opcode import hasarg, hasjabs, hasjrel, opmap

    _, op, argument = found[number]
    if op == opmap["LOAD_GLOBAL"] and argument & 1:
        shift = 1
    elif op == opmap["LOAD_NAME"] and found[number + 1][1] == opmap["PUSH_NULL"]:
        shift, number = 0, number + 1
    else:
        return None
    if argument > 255 or code.co_names[argument >> shift] != "type":
        return None
    above = 0  # on the stack, above the builtin and the NULL that belongs to it
    for _, op, argument in found[number + 1 :]:
        if op == opmap["CALL"] and argument == above:
            return shift if argument == 1 else None
        if op in hasjrel or op in hasjabs:  # the argument is found on several ways
            return None
        above += stack_effect(op, argument if op in hasarg else None)
        if above < 0:
            return None
    return None


def _instructions(code: types.CodeType) -> Any:
    from firn.bytecode import instructions

    return instructions(code)
