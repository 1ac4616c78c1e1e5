"""What generated chunk code calls in a worker: turns a chunk's accumulators into compact plain data.

Numbers are added up here where that is exact whatever they meet later; beside the sum travel the numbers themselves, as
bytes, for the case that a float turns up in another chunk.
"""

import importlib
import math
import operator
import pickle
import sys
import types
from array import array
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from functools import partial, reduce
from itertools import chain

from firn import _core
from firn.readable import a

from . import contest
from .contest import VouchedLeaders, pack_champion
from .values import PLAIN, NotMergeable, compared_soundly, constant, settled, snapshot

TYPE_CHECKING = False  # without typing, see firn.worker
if TYPE_CHECKING:
    from typing import Any

NUMBERS = frozenset({int, bool, float, complex})
_WHOLE: dict[type | None, str] = {int: "ints", bool: "bools"}


FIRM = frozenset({int, bool, str, bytes, tuple})
"""Types of which no key hides another one that a list tells from it."""


def odd_keys(is_list: bool) -> Callable[[Any, dict[Any, Any]], Any]:
    """A function for keys of other types than `FIRM`, and the record that they belong to: gives the key for the record, or
    raises. is_list: the record is of a list's items for certain; else it may be of a dict's."""
    known: dict[tuple[int, Any], None] = {}

    def odd(key: Any, record: dict[Any, Any]) -> Any:
        if is_list:
            try:
                return operator.index(key)
            except TypeError:
                pass
            [][key]  # raises what the list would
            raise NotMergeable("slices of a list are assigned in a split loop: assign its items")
        if key in record and (id(record), key) not in known:
            raise NotMergeable(
                f"{key!r} is used as a key, and equals an earlier one of another type, which only a dict takes for the"
                " same: use keys of one type"
            )
        known[id(record), key] = None
        return key

    return odd


def taken() -> Callable[[Any], None]:
    """A function that raises for a value that cannot be in a set what the set would raise."""
    return set().add


def as_key(value: Any) -> Any:
    """The value, which is told apart from others by its hash, where the cell compares it with each of a list."""
    try:
        hash(value)
    except TypeError:
        raise NotMergeable(
            f"a split loop tells values apart by their hash, and {a(value.__class__.__name__)} has none: tell them apart by"
            " something that has one (a tuple, a name), or make the list after the loop"
        ) from None
    return value


def as_element_error(error: TypeError) -> TypeError:
    """The error of a value that cannot be hashed as a set raises it, where a dict comprehension stood for the set's."""
    import opcode  # late: no worker needs it otherwise

    trace = error.__traceback__
    inner = trace.tb_next if trace is not None else None
    if inner is None and trace is not None and trace.tb_frame.f_code.co_code[trace.tb_lasti] == opcode.opmap["MAP_ADD"]:
        text = str(error).replace("as a dict key", "as a set element", 1)
        return TypeError(text).with_traceback(trace)
    return error


def hashed(values: Any) -> list[Any]:
    """The values that `x.update(values)` adds to a set, in its order."""
    if type(values) is dict or isinstance(values, (set, frozenset)):
        return list(values)
    found = list(values)
    set().update(found)
    return found


def update(record: list[Any], values: Any) -> None:
    """Records what `x.update(values)` adds to a set, also when it fails on the way."""
    if isinstance(values, (set, frozenset)):
        record.extend(values)
        return
    found: set[Any] = set()
    for value in values:
        found.add(value)
        record.append(value)


def pack_values(values: list[Any]) -> tuple[Any, ...]:
    """("ints" | "bools", sum, count, raw) | ("floats", raw) | ("list", values); raw: see `unpack`."""
    match _core.packed_numbers(values):
        case (total, raw):
            return (_WHOLE[type(values[0])], total, len(values), raw)
        case bytes(raw):
            return ("floats", raw)
    return _pack_whole(values, sum) or ("list", values)


def _whole(values: list[Any]) -> str | None:
    """Whether all are ints, or all bools."""
    return _WHOLE.get(_core.only_type(values)) if values else "ints"


def _pack_whole(values: list[Any], total: Callable[[list[Any]], Any]) -> tuple[Any, ...] | None:
    kind = _whole(values)
    return None if kind is None else (kind, total(values), len(values), _raw(values))


def _raw(values: list[Any]) -> Any:
    try:
        return array("q", values).tobytes()
    except OverflowError:
        return values


def unpack(raw: Any, code: str) -> Any:
    """Numbers side by side, or a list of them; code: of the array module, "?" for bools."""
    if not isinstance(raw, bytes):
        return raw
    return list(map(bool, array("q", raw))) if code == "?" else array(code, raw)


_WORTH_PACKING = 8  # values

CODES = {"ints": "q", "bools": "?", "floats": "d"}
"""How `unpack` reads what is packed so."""


def unpacked(packed: tuple[Any, ...]) -> tuple[int | None, Any]:
    """What `pack_values` packed: (the sum of ints, values)."""
    match packed:
        case ("list", values):
            return None, values
        case ("floats", raw):
            return None, unpack(raw, "d")
        case (kind, total, _, raw):
            return total, unpack(raw, CODES[kind])
    raise AssertionError(packed)


_BITS: dict[str, Callable[[Any, Any], Any]] = {"&": operator.and_, "|": operator.or_, "^": operator.xor}


def in_parts(values: list[Any], op: str) -> list[Any]:
    """What --reassociate makes of a chunk's operands: the one number that numbers with a fraction add up to (op "+" or "-",
    as sum() does it) or are multiplied to ("*"); others stay as they are."""
    kinds = {float} if _core.only_type(values) is float else set(map(type, values))
    if not kinds <= NUMBERS or kinds <= _WHOLE.keys() or op not in ("+", "-", "*"):
        return values
    try:
        return [math.prod(values) if op == "*" else sum(values)]
    except OverflowError:  # an int that no float can hold: raised where the operands meet one after the other, or not
        return values


def pack_fold(acc: list[Any], op: str) -> tuple[Any, ...]:
    """The operands of `x op= operand`; op "" for a journal of (op, operand)."""
    if not acc:
        return ("none",)
    if op in ("+", "-"):
        return pack_values(acc)
    if op == "*":
        return _pack_whole(acc, math.prod) or ("list", acc)
    if op in _BITS:
        return _pack_whole(acc, partial(reduce, _BITS[op])) or ("list", acc)
    return ("list", acc)


def pack_pairs(found: dict[Any, Any]) -> Any:
    """A dict comprehension's dict, as (keys, values) where all keys are ints: so the notebook need not make a dict of
    each chunk."""
    _check_keys(found)
    keys = list(found)
    return (keys, list(found.values())) if not keys or _core.only_type(keys) is int else found


def pack_extreme(acc: list[Any], spec: str) -> list[Any]:
    """All that `x = max(x, e)` (spec "max") or `x = max(e, x)` ("max>") needs of a chunk's values."""
    if len(acc) > 1:
        largest, last = spec.startswith("max"), spec.endswith(">")
        found = _core.extreme(acc, largest, last)
        if found is not None:
            return [found]
        if _core.only_type(acc) in (int, str, bytes):
            pick = max if largest else min
            return [pick(reversed(acc)) if last else pick(acc)]
    return acc


def pack_keyed(keys: list[Any], values: list[Any], name: str) -> list[tuple[Any, Any]]:
    """(key, value) pairs, all that max(..., key=...) (or min) needs of a chunk's."""
    found = pack_extreme(keys, name)
    if len(found) == 1:
        return [(found[0], values[keys.index(found[0])])]
    return list(zip(keys, values, strict=True))


def pack_leaders(acc: dict[Any, list[Any]], op: str) -> dict[Any, tuple[Any, list[tuple[Any, Any]]]]:
    """By key the first value, whose score nobody asked for, and (score, value) of the others, as few as do."""
    _check_keys(acc)
    if isinstance(acc, VouchedLeaders):
        acc.settle()
    found: dict[Any, tuple[Any, list[tuple[Any, Any]]]] = {}
    for key, (first, *others) in acc.items():
        if len(others) > 1:
            scores, values = zip(*others, strict=True)
            others = pack_keyed(list(scores), list(values), op)
        found[key] = (first, others)
    return found


def pack_listed(acc: dict[Any, Any], _: str) -> dict[Any, Any]:
    """What `if x not in out: out.append(x)` appends. The hash finds those that `==` finds, where both are Python's own."""
    for key in acc:
        if not compared_soundly(key):
            raise NotMergeable(
                f"a split loop tells values apart by their hash, and how those of type {key.__class__.__name__} compare is not"
                " certain: tell them apart by a number, a text or a tuple of such, or make the list after the loop"
            )
    return pack_dict(acc, "")


def pack_distinct(acc: list[Any], _: str) -> list[Any]:
    return distinct(dict.fromkeys(acc))


def distinct(keys: dict[Any, Any]) -> list[Any]:
    """The keys of a chunk's part of a set."""
    _check_keys(keys)
    return list(keys)


def _check_keys(keys: dict[Any, Any]) -> None:
    """Raises for a key that does not equal itself: chunks could not tell that they have the same one."""
    if (odd := _core.unlike_itself(keys)) is not None:
        raise NotMergeable(
            f"{odd[0]!r} is a key or an item of a set in a split loop, and does not equal itself, so that only the very same"
            " object is found again: leave it out, or use None in its place"
        )


def pack_tally(acc: dict[Any, list[Any]], op: str) -> tuple[Any, ...]:
    """The operands of `d[k] op= v` by key: (kind of CODES, keys, sums, counts, raw), of floats without sums, for these depend
    on what comes before, or ("lists", {key: operands})."""
    _check_keys(acc)
    if op.startswith("m"):
        return ("lists", {key: pack_extreme(operands, op) for key, operands in acc.items()})
    flat = [value for operands in acc.values() for value in operands]
    if op in ("+", "-") and (kind := _whole(flat)) is not None:
        counts = list(map(len, acc.values()))
        return (kind, list(acc), list(map(sum, acc.values())), _raw(counts), _raw(flat))
    if op in ("+", "-") and _core.only_type(flat) is float:
        return ("floats", list(acc), [None] * len(acc), _raw(list(map(len, acc.values()))), array("d", flat).tobytes())
    if op not in ("+", "-"):
        return ("lists", dict(acc))
    return (
        "lists",
        {key: values if len(values) < _WORTH_PACKING else pack_values(values) for key, values in acc.items()},
    )


def pack_fold_in_parts(acc: list[Any], op: str) -> tuple[Any, ...]:
    return pack_fold(in_parts(acc, op), op)


def pack_tally_in_parts(acc: dict[Any, list[Any]], op: str) -> tuple[Any, ...]:
    """With --reassociate: ("parts", keys, sums) of floats, or what `pack_tally` gives of their sums."""
    if op in ("+", "-") and all(acc.values()) and _core.only_type([*chain.from_iterable(acc.values())]) is float:
        _check_keys(acc)
        return ("parts", list(acc), list(map(sum, acc.values())))
    return pack_tally({key: in_parts(operands, op) for key, operands in acc.items()}, op)


def pack_units(acc: int, _: str) -> tuple[Any, ...]:
    """What `x += 1` adds up to."""
    return ("units", acc) if acc else ("none",)


def pack_tally_units(acc: dict[Any, int], _: str) -> tuple[Any, ...]:
    _check_keys(acc)
    return ("units", dict(acc))


def pack_same(acc: Any, _: str) -> Any:
    return acc


def pack_dict(acc: dict[Any, Any], _: str) -> dict[Any, Any]:
    _check_keys(acc)
    return dict(acc)


def pack_grouped(acc: dict[Any, list[Any]], how: str) -> dict[Any, list[Any]]:
    _check_keys(acc)
    if how == "set":
        return {key: pack_distinct(values, "") for key, values in acc.items()}
    return dict(acc)


def pack_nested(acc: dict[Any, Any], how: tuple[str, Any]) -> dict[Any, Any]:
    """how: the packer of the records by key, and its argument."""
    _check_keys(acc)
    packer, argument = how
    return {key: PACKERS[packer](record, argument) for key, record in acc.items()}


def pack_fields(acc: list[Any], how: tuple[tuple[str, Any], ...]) -> list[Any]:
    """how: the packer of each record, and its argument."""
    return [PACKERS[packer](record, argument) for record, (packer, argument) in zip(acc, how, strict=True)]


def pack_counts(acc: Counter[Any], _: str) -> dict[Any, Any]:
    _check_keys(acc)
    if set(map(type, acc.values())) - {int}:
        raise NotMergeable(
            "Counter.update() in a split loop got counts that are not ints: collect them in a list and add them up"
            " after the loop"
        )
    return dict(acc)


PACKERS: dict[str, Callable[[Any, Any], Any]] = {
    "fold": pack_fold,
    "extreme": pack_extreme,
    "champion": pack_champion,
    "distinct": pack_distinct,
    "tally": pack_tally,
    "fold in parts": pack_fold_in_parts,
    "tally in parts": pack_tally_in_parts,
    "units": pack_units,
    "tally units": pack_tally_units,
    "same": pack_same,
    "dict": pack_dict,
    "grouped": pack_grouped,
    "counts": pack_counts,
    "leaders": pack_leaders,
    "nested": pack_nested,
    "fields": pack_fields,
    "listed": pack_listed,
}


def portable(value: Any) -> bool:
    """Whether a value can be brought back to the notebook (frozen, or pickled)."""
    seen: set[int] = set()
    todo = [value]
    while todo:
        item = todo.pop()
        kind = type(item)
        if kind in PLAIN and kind not in (tuple, frozenset):
            continue
        if kind in (list, tuple, set, frozenset, deque):
            if id(item) not in seen:
                seen.add(id(item))
                todo.extend(item)
        elif kind in (dict, Counter, OrderedDict, defaultdict):
            if id(item) not in seen:
                seen.add(id(item))
                todo.extend(item.keys())
                todo.extend(item.values())
        elif item.__class__ is kind and not _pickles(item):
            return False
    return True


def _pickles(value: Any) -> bool:
    try:
        pickle.dumps(value)
    except Exception:
        pass
    else:
        return True
    try:
        importlib.import_module("cloudpickle").dumps(value)
    except Exception:
        return False
    return True


def last_values(
    variables: dict[str, Any], names: tuple[str, ...], aliases: dict[str, str]
) -> dict[str, tuple[str, Any]]:
    """aliases: names of items of other variables; what they are bound to here are the keys of these."""
    found: dict[str, tuple[str, Any]] = {}
    for name in names:
        if name in variables:
            value = variables[name]
            if name in aliases:
                found[name] = ("item", (aliases[name], value))
            elif isinstance(value, types.ModuleType):
                found[name] = ("module", value.__name__)
            elif portable(value):
                found[name] = ("value", value)
            else:
                found[name] = ("lost", type(value).__name__)
        elif f"__firn_gone_{name}" in variables:
            found[name] = ("deleted", None)
    return found


def ending(
    accumulators: tuple[tuple[str, str, Any], ...], names: tuple[str, ...], aliases: dict[str, str]
) -> Callable[[dict[str, Any]], tuple[Any, ...]]:
    """The last call of a chunk: from its local variables to its effects, (last values, *packed accumulators).

    accumulators: (local variable, key of PACKERS, argument of the packer) each. names: the cell's variables that the
    loop binds; aliases: see `last_values`.
    """

    def effects(variables: dict[str, Any]) -> tuple[Any, ...]:
        packed = [PACKERS[packer](variables[local], argument) for local, packer, argument in accumulators]
        return (last_values(variables, names, aliases), *packed)

    return effects


_NAMES: dict[str, Any] = {
    "__firn_tools__": sys.modules[__name__],
    "__firn_contest__": contest,
    "__firn_locals__": locals,
    "__firn_list__": list,
    "__firn_int__": int,
    "__firn_plain__": PLAIN,
    "__firn_snapshot__": snapshot,
    "__firn_settled__": settled,
    "__firn_constant__": constant,
    "__firn_hashed__": hashed,
    "__firn_firm__": FIRM,
}


def define(code: types.CodeType, namespace: dict[str, Any]) -> Callable[[Any, int], Any]:
    """Runs a loop's module code (`SplitLoop.code`) in a namespace, which gets what the code calls; its chunk."""
    namespace.update(_NAMES)
    exec(code, namespace)
    chunk: Callable[[Any, int], Any] = namespace["__firn_chunk__"]
    return chunk
