"""`type(x)` in a worker says of frozen data what it says of the original.

A frozen list is no exact list, and the builtin looks past what an object says of its class: `type(node) is dict`
would be False where the serial cell's is True, and `type(self).__name__` the name of one of firn's classes. The
notebook's cells are compiled to ask (`analysis.type_calls`); other code that a worker loads (of a script, of `exec`)
is changed to call `_core.type_of` wherever it calls the builtin with one argument. Modules that a worker imports call
the builtin itself.

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
"""Of `type_of` among a worker's builtins."""


def install() -> None:
    """Once per worker."""
    setattr(builtins, NAME, _core.type_of)


def follow(namespace: dict[str, Any]) -> None:
    """In a worker's namespace where `type` is a variable of the user's, that is what its code calls."""
    if "type" in namespace and hasattr(builtins, NAME):
        namespace[NAME] = namespace["type"]


def loaded(code: types.CodeType) -> types.CodeType:
    """Code as this interpreter is to run it."""
    return changed(code) if hasattr(builtins, NAME) else code


def changed(code: types.CodeType) -> types.CodeType:
    """The code, calling `type_of`; what has more than 127 names, and what binds the name `type`, as it is."""
    return _asking(code) if names_it(code) and not _binds_it(code) else code


def as_written(code: types.CodeType) -> types.CodeType:
    """The code that `changed` was given, for another interpreter."""
    constants, names = _constants(code, as_written), code.co_names
    raw = bytearray(code.co_code)
    if NAME in names:
        names = names[:-1]
        for at, op, argument in _instructions(code):
            shift = _shifts().get(op)
            if shift is not None and argument >> shift == len(names):
                raw[at + 1] = names.index("type") << shift | argument & shift
    return code.replace(co_code=bytes(raw), co_names=names, co_consts=constants)


def _constants(code: types.CodeType, change: Any) -> tuple[Any, ...]:
    return tuple(change(part) if type(part) is types.CodeType else part for part in code.co_consts)


def names_it(code: types.CodeType) -> bool:
    return "type" in code.co_names or any(names_it(part) for part in code.co_consts if type(part) is types.CodeType)


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
    for at, shift in () if _asks_itself(code) else _calls(code):
        if place << shift | shift <= 255:
            raw[at + 1] = place << shift | shift
    names = (*code.co_names, NAME) if raw != code.co_code else code.co_names
    return code.replace(co_code=bytes(raw), co_names=names, co_consts=_constants(code, _asking))


def _asks_itself(code: types.CodeType) -> bool:
    """Whether it was compiled so (see `analysis.type_calls`)."""
    return "__module__" in code.co_names and "firn" in code.co_consts


def _calls(code: types.CodeType) -> list[tuple[int, int]]:
    """Where the builtin is loaded for a call with one argument, and by how many bits the instruction's own is shifted."""
    from opcode import opmap

    calling = {opmap["CALL"], opmap["CALL_KW"], opmap["CALL_FUNCTION_EX"]}
    loads: list[tuple[int, int, Any]] = []
    calls: dict[Any, list[Any]] = {}  # by where in the source they begin: with the name
    places = list(code.co_positions())
    for at, op, argument in _instructions(code):
        line, last, column, end = places[at // 2]
        if line is None or column is None:
            continue
        if op in calling:
            calls.setdefault((line, column), []).append(((last, end), op, argument))
        elif (shift := _shifts().get(op)) is not None and argument < 256 and code.co_names[argument >> shift] == "type":
            loads.append((at, shift, (line, column)))
    innermost = {where: min(found)[1:] for where, found in calls.items()}
    return [(at, shift) for at, shift, where in loads if innermost.get(where) == (opmap["CALL"], 1)]


def _shifts() -> dict[int, int]:
    """The instructions that load globals, and by how many bits their arguments are shifted."""
    from opcode import opmap

    return {opmap["LOAD_GLOBAL"]: 1, opmap["LOAD_NAME"]: 0}


def _instructions(code: types.CodeType) -> Any:
    from firn.bytecode import instructions

    return instructions(code)
