"""Which globals a code object reads, and which of them exist nowhere.

Only code objects are looked at here; following a name to the function, class or closure behind it, and so on, is
`firn.shipping`'s walk. What cannot be seen: names made at run time (`globals()[word]`, `eval`, `exec`).
"""

from __future__ import annotations

import builtins
import difflib
import opcode
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import CodeType

from firn.bytecode import instructions

_OPNAME = opcode.opname
_GLOBAL = {opcode.opmap["LOAD_GLOBAL"]: 1}
_NAME = {opcode.opmap[name]: 0 for name in ("LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS")}
_ATTR = {opcode.opmap["LOAD_ATTR"]: 1}
_SUPER = {opcode.opmap["LOAD_SUPER_ATTR"]: 2}
_STORE_NAME = opcode.opmap["STORE_NAME"]
BUILTINS = frozenset(vars(builtins)) | {"display"}  # which IPython adds while a cell runs
"""Names that every interpreter has; they are looked up where the code runs."""

_USUAL_NAMES = {"np": "numpy", "pd": "pandas", "plt": "matplotlib.pyplot", "pa": "pyarrow", "dt": "datetime"}
"""Modules by the short names that people give them."""


class ShippingRefusal(Exception):
    """A cell that cannot be sent to the workers as it is; nothing of it has run.

    `line` and `filename` say where (None when unknown), `name` which variable, `reason` why, `remedy` what to write.
    """

    def __init__(
        self, reason: str, remedy: str = "", *, name: str = "", line: int | None = None, filename: str = ""
    ) -> None:
        reason, remedy = _sentence(reason), _sentence(_capital(remedy))
        super().__init__(f"{reason}\n{remedy}" if remedy else reason)
        self.reason, self.remedy, self.name, self.line, self.filename = reason, remedy, name, line, filename


class Unshippable(ShippingRefusal, TypeError):
    """A value that can neither be frozen nor copied to the workers."""


class MissingName(ShippingRefusal, NameError):  # type: ignore[misc]
    """A name that the cell, or a function that it uses, reads and that exists nowhere."""


@dataclass
class Reads:
    """What a code object, and the functions and classes inside it, take from the globals and from attributes."""

    lines: dict[str, int] = field(default_factory=dict)  # name -> the first line that reads it
    chains: dict[str, set[tuple[str, ...]]] = field(default_factory=dict)  # name -> attributes read behind it
    attributes: set[str] = field(default_factory=set)


def nested(code: CodeType) -> Iterator[CodeType]:
    """The code objects inside one, itself first; annotations are not evaluated by a worker and left out."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType) and constant.co_name != "__annotate__":
            yield from nested(constant)


def assigned(code: CodeType) -> set[str]:
    """The globals that a module's code binds or deletes at its top level."""
    return {code.co_names[argument] for _, op, argument in instructions(code) if op == _STORE_NAME}


@lru_cache(maxsize=256)  # each cell brings code of its own, and what is remembered of it keeps it
def reads(code: CodeType) -> Reads:
    """The globals and attributes that a code object reads, nested functions, comprehensions and classes included."""
    found = Reads()
    for part in nested(code):
        _scan(part, found)
    return found


def _scan(code: CodeType, found: Reads) -> None:
    names = code.co_names
    # A class body finds its own names first; a module's are globals.
    module = code.co_name == "<module>"
    own = set() if module else {names[argument] for _, op, argument in instructions(code) if op == _STORE_NAME}
    name: str | None = None
    chain: tuple[str, ...] = ()
    lines: list[tuple[int, int, int | None]] | None = None
    for index, op, argument in instructions(code):
        shift = _GLOBAL.get(op, _NAME.get(op))
        if shift is not None:
            name, chain = names[argument >> shift], ()
            if op in _NAME and name in own:
                name = None
                continue
            if name not in found.lines:
                if lines is None:
                    lines = list(code.co_lines())
                found.lines[name] = _line_of(lines, index) or code.co_firstlineno
            continue
        if op in _ATTR or op in _SUPER:
            word = names[argument >> (_ATTR.get(op) or _SUPER[op])]
            found.attributes.add(word)
            if name is not None and op in _ATTR:
                chain += (word,)
                found.chains.setdefault(name, set()).add(chain)
                continue
        name = None


def _line_of(lines: list[tuple[int, int, int | None]], index: int) -> int | None:
    return next((line for start, stop, line in lines if start <= index < stop), None)


def missing(
    name: str,
    namespace: Mapping[str, object],
    *,
    line: int | None,
    filename: str,
    reader: str,
    others: Iterable[str] = (),
) -> MissingName:
    """The refusal of a name that exists nowhere; `reader` is the function that reads it ("" for the cell itself)."""
    module = _import_of(name)
    near = "" if module else did_you_mean(name, [*namespace, *others])
    where = f", which {reader} reads," if reader else ""
    return MissingName(
        f"the name {name!r}{where} is not defined{f'; did you mean {near!r}?' if near else ''}",
        f"write {module} in a cell above" if module else f"define {name} in a cell above, before this one runs",
        name=name,
        line=line,
        filename=filename,
    )


def _sentence(words: str) -> str:
    return words if not words or words[-1] in ".?!" else f"{words}."


def _capital(words: str) -> str:
    """A sentence's beginning; code stays as it is."""
    return words[:1].upper() + words[1:] if words.partition(" ")[0].isalpha() else words


def _import_of(name: str) -> str:
    """The statement that somebody forgot who reads a module's name, or the name that everybody gives it; "" for others."""
    if name in _USUAL_NAMES:
        return f"import {_USUAL_NAMES[name]} as {name}"
    return f"import {name}" if name in sys.stdlib_module_names or name in _USUAL_NAMES.values() else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The known name that is nearest to a word, or ""."""
    candidates = [name for name in known if not name.startswith("_")] + sorted(BUILTINS)
    lower = {name.lower(): name for name in reversed(candidates)}
    near = difflib.get_close_matches(word.lower(), list(lower), n=1, cutoff=0.6)
    return lower[near[0]] if near else ""
