"""What people ask at a prompt about frozen values: `rows?`, `rows[0].<tab>`, `d["<tab>`. Answered at once."""

from __future__ import annotations

import re
from itertools import islice
from operator import methodcaller
from typing import Any, Final

from firn import _core
from firn.display import brief
from firn.readable import count_objects, size
from firn.teach import FROZEN_TYPES

KEYS: Final = 500
"""As many keys of one dict are looked at, as many as IPython offers: those that begin with what is typed."""

STRING_FORM: Final = 200
"""Characters that `?` shows of a value, as of any other."""

ACCESS: Final = re.compile(r"(?:^|[^\w.\]\)])([^\W\d]\w*(?:\.[^\W\d]\w*|\[[^\[\]]*\])*)\.(\w*)$")
"""A name with attributes and subscripts behind it, and an attribute that is being typed."""

_WHERE: Final = {
    "memory": "in memory",
    "moving": "in memory, moving to a file",
    "file": "in a file",
    "kept": "in memory",
}


# ---- rows?


def about(value: object, name: str) -> str:
    """Where a frozen value comes from, how big the whole of it is, and how to change it; empty for others."""
    numbers = _core.segments_of([value])
    for segment in _core.segments():
        if segment["id"] not in numbers:
            continue
        cell = f", from cell {segment['cell']}" if segment["cell"] else ""
        others = [other for other in segment["names"] if other != name and other.isidentifier() and other != "obj"]
        together = f", with {', '.join(others[:5])}{' ...' if others[5:] else ''}" if others else ""
        variable = name if name.isidentifier() else "it"
        return (
            f"shared by reference with all workers{cell}{together}: {count_objects(segment['objects'])}, "
            f"{size(segment['bytes'])} {_WHERE[segment['backing']]}. "
            f"{'' if variable == 'it' else variable + ' = '}firn.thaw({variable}) gives a copy that can be changed."
        )
    return ""


def teach_inspector(oinspect: Any) -> None:
    """The lesson of IPython.core.oinspect: `rows?` shows a list that is frozen, and does not write all of it out first."""
    inspector = oinspect.Inspector
    info_of_others = inspector.info
    fields_of_others = inspector._make_info_unformatted

    def info(self: Any, obj: Any, oname: str = "", info: Any = None, detail_level: int = 0) -> Any:
        if not _core.is_frozen(obj) or not _core.segments_of([obj]):
            return info_of_others(self, obj, oname, info, detail_level)
        level, self.str_detail_level = self.str_detail_level, detail_level + 1  # no str(obj)
        try:
            empty = type(obj) in FROZEN_TYPES and obj.__class__ in _EMPTY
            found = info_of_others(self, obj.__class__() if empty else obj, oname, info, detail_level)
        finally:
            self.str_detail_level = level
        found["type_name"] = obj.__class__.__name__
        found["base_class"] = str(obj.__class__)
        if detail_level >= level:
            text = brief(obj)
            found["string_form"] = text if len(text) <= STRING_FORM else text[: STRING_FORM - 6] + " <...>"
        if hasattr(obj, "__len__"):
            found["length"] = str(len(obj))
        return found

    def fields(self: Any, obj: Any, info: Any, *rest: Any, **options: Any) -> Any:
        bundle = fields_of_others(self, obj, info, *rest, **options)
        if text := about(obj, info["name"]):
            for mime, shown in (("text/plain", text), ("text/html", self._mime_format(text)["text/html"])):
                at = 1 + next((place for place, (head, _) in enumerate(bundle[mime]) if head == "Type"), -1)
                bundle[mime].insert(at, ("Frozen", shown))
        return bundle

    inspector.info, inspector._make_info_unformatted = info, fields


def _empty_kinds() -> frozenset[type]:
    from collections import Counter, OrderedDict, defaultdict, deque

    return frozenset({list, dict, set, deque, OrderedDict, defaultdict, Counter})


_EMPTY: Final = _empty_kinds()


# ---- d["<tab>


class Keys(list[Any]):
    """The keys of a frozen dict."""


def teach_completer(completer: Any) -> None:
    """The lesson of IPython.core.completer: of a million keys it looks at those that begin with what is typed."""
    keys_of_others = completer.IPCompleter._get_keys
    match_all = completer.match_dict_keys

    def keys_of(obj: Any) -> list[Any]:
        if type(obj) in FROZEN_TYPES and isinstance(obj, dict) and not hasattr(obj, "_ipython_key_completions_"):
            return Keys(obj)
        found: list[Any] = keys_of_others(obj)
        return found

    def match(keys: list[Any], prefix: str, *rest: Any, **options: Any) -> Any:
        if isinstance(keys, Keys) and len(keys) > KEYS:
            keys = _beginning_with(prefix, keys)
        return match_all(keys, prefix, *rest, **options)

    completer.IPCompleter._get_keys = staticmethod(keys_of)
    completer.match_dict_keys = match


def _beginning_with(prefix: str, keys: Keys) -> list[Any]:
    """The first KEYS keys that may be meant by what stands behind the bracket."""
    quote = re.search("['\"]", prefix)
    if quote is None:
        digits = prefix.isdecimal()
        return list(islice((key for key in keys if not digits or str(key).startswith((prefix, "("))), KEYS))
    typed = "" if "\\" in prefix else prefix[quote.end() :]
    try:
        return list(islice(filter(methodcaller("startswith", typed), keys), KEYS))
    except AttributeError, TypeError:  # not all are strings
        found = (
            key for key in keys if (key.startswith(typed) if isinstance(key, str) else type(key) in (bytes, tuple))
        )
        return list(islice(found, KEYS))


# ---- rows[0].<tab>


def attributes(text: str, namespace: dict[str, Any]) -> tuple[str, list[tuple[str, str]]]:
    """What is typed of an attribute of something frozen, and the (name, type) pairs that complete it; ("", []) elsewhere.

    IPython's own completion (jedi) reads all attributes of all candidates and knows nothing behind `rows[0]`.
    """
    access = ACCESS.search(text)
    if access is None:
        return "", []
    expression, typed = access.groups()
    root = namespace.get(re.match(r"\w+", expression)[0])  # type: ignore[index]
    if type(root) not in FROZEN_TYPES and not _core.segments_of([root]):
        return "", []
    from IPython.core.guarded_eval import EvaluationContext, guarded_eval

    try:
        value = guarded_eval(expression, EvaluationContext(globals={}, locals=namespace, evaluation="limited"))
    except Exception:
        return "", []
    names = [name for name in dir(value) if name.startswith(typed) and (typed.startswith("_") or name[0] != "_")]
    return typed, [(name, _type_of_attribute(value.__class__, name)) for name in names]


def _type_of_attribute(kind: type, name: str) -> str:
    """In the words of completion types; the attribute itself is not read, for that may run code."""
    member = next((base.__dict__[name] for base in kind.__mro__ if name in base.__dict__), None)
    if isinstance(member, property):
        return "property"
    return "function" if callable(member) or isinstance(member, classmethod | staticmethod) else "instance"
