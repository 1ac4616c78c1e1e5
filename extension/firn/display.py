"""How IPython shows frozen values: abbreviated exactly as it abbreviates the originals, and at once, whatever their size.

IPython's printer finds frozen values by their `__class__` and stops after `max_seq_length` items. Where it would copy the
whole container first (a deque, a Counter ...), it gets a plain excerpt that prints the same.
"""

from __future__ import annotations

import heapq
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from itertools import islice
from operator import itemgetter

from firn._core import is_frozen
from firn.teach import FROZEN_TYPES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

BRIEF = 5
"""Items of each container in a one-line form."""


def excerpt(value: Any, length: int) -> Any:
    """A plain container of the same class with the items that are printed first, `length` of them at most."""
    if length >= len(value):
        return value.copy()
    match value.__class__.__name__:
        case "deque":
            return deque(islice(value, length), value.maxlen)
        case "Counter":
            most_common = heapq.nlargest(length, value.items(), key=itemgetter(1))
            counter: Counter[Any] = Counter()
            dict.update(counter, most_common)
            return counter
        case "OrderedDict":
            return OrderedDict(islice(value.items(), length))
        case "defaultdict":
            return defaultdict(value.default_factory, islice(value.items(), length))
        case "dict":
            return dict(islice(value.items(), length))
        case "set":
            return set(islice(value, length))
        case _:
            return list(islice(value, length))


def _printer(kind: Any, print_others: Any) -> Any:
    def print_value(value: Any, printer: Any, cycle: bool) -> None:
        if type(value) in FROZEN_TYPES and value.__class__ is kind and not cycle:
            # One item more than is printed, so that the printer knows that there are more.
            length = printer.max_seq_length + 1 if printer.max_seq_length else len(value)
            print_others(excerpt(value, length), printer, cycle)
        else:
            print_others(value, printer, cycle)

    print_value.__wrapped__ = print_others  # type: ignore[attr-defined]
    return print_value


def _print_set(print_others: Any) -> Any:
    def print_value(value: Any, printer: Any, cycle: bool) -> None:
        # An empty set's name is that of `type(x)`.
        empty = type(value) in FROZEN_TYPES and value.__class__ is set and not value
        print_others(set() if empty else value, printer, cycle)

    return print_value


def teach_printer(pretty: Any) -> None:
    """The lesson of IPython.lib.pretty; the running shell's formatter has copied the printers."""
    shell_class = getattr(sys.modules.get("IPython.core.interactiveshell"), "InteractiveShell", None)
    formatter = None
    if shell_class is not None and shell_class.initialized():
        formatter = shell_class.instance().display_formatter.formatters["text/plain"]
    for kind in (deque, OrderedDict, defaultdict, Counter, set):
        by_name = pretty._deferred_type_pprinters.pop((kind.__module__, kind.__name__), None)
        others = pretty._type_pprinters.get(kind, by_name)
        ours = _print_set(others) if kind is set else _printer(kind, others)
        pretty._type_pprinters[kind] = ours
        if formatter is not None:
            by_name = formatter.deferred_printers.pop((kind.__module__, kind.__name__), None)
            theirs = formatter.type_printers.get(kind, by_name)
            formatter.type_printers[kind] = ours if theirs in (None, others) else theirs


def brief(value: Any) -> str:
    """One line that begins as the value's repr does. At once: a few items of each container."""
    from IPython.lib.pretty import pretty

    text: str = pretty(value, max_width=sys.maxsize, max_seq_length=BRIEF)  # type: ignore[no-untyped-call]
    return " ".join(text.split("\n"))


def short_repr(printer: Any, value: Any, level: int) -> str:
    """What a reprlib.Repr shows of a frozen value, as of the original. Verbose tracebacks show local variables so."""
    kind = value.__class__
    method = getattr(printer, "repr_" + kind.__name__, None)
    if kind in (dict, set):
        value = _smallest(value, printer.maxdict if kind is dict else printer.maxset)
    elif kind in (OrderedDict, defaultdict, Counter):  # the middle of the repr is left out: a few items are enough
        value = excerpt(value, printer.maxother)
    text: str = (method or printer.repr_instance)(value, level)
    return text


def _smallest(value: Any, length: int) -> Any:
    """Those of a dict's or set's items that come first when all are sorted, one more than are shown: reprlib sorts them
    all."""
    if len(value) <= length + 1:
        return value.copy()
    try:
        keys = heapq.nsmallest(length + 1, value)
    except Exception:
        return excerpt(value, length + 1)
    return {key: value[key] for key in keys} if value.__class__ is dict else set(keys)


def teach_namespace(namespace: Any) -> None:
    """The lesson of `%who` and `%whos`, which ask for `type(x).__name__` and `str(x)`, whatever its size."""

    def type_of(value: object) -> type:
        return value.__class__ if type(value) in FROZEN_TYPES else type(value)

    def text_of(*value: Any) -> str:
        shortened = len(value) == 1 and type(value[0]) in (*FROZEN_TYPES, tuple, frozenset) and is_frozen(value[0])
        return brief(*value) if shortened else str(*value)

    namespace.type, namespace.str = type_of, text_of
