"""The notebook's variables as a tree that a debugger's panel opens branch by branch, while nothing is stopped."""

import io
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

from IPython.lib import pretty

_MOST = 500  # children shown of one value: a panel cannot show a million
_WIDTH = 200  # characters of a value's text

# What IPython puts into a namespace beside the user's names.
_HIDDEN = re.compile(r"__\w+__|_{1,3}|_i{1,3}|_i?\d+|_[iod]h|In|Out|get_ipython|exit|quit|open|_exit_code|debugpy")


def is_shown(name: str) -> bool:
    """Whether a name of the notebook's is the user's own."""
    return not _HIDDEN.fullmatch(name)


class Tree:
    """Numbers what it has shown, so that a front end can ask for its parts. Begin anew when the variables have changed."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._shown: dict[int, Any] = {}

    def top(self) -> list[dict[str, Any]]:
        names = [(name, value) for name, value in list(self._shell.user_ns.items()) if is_shown(name)]
        return [self._variable(name, value, name) for name, value in names]

    def parts(self, reference: int) -> list[dict[str, Any]]:
        """The children of what was given this number; KeyError when that is unknown."""
        return [self._variable(*part) for part in _parts(self._shown[reference])]

    def _variable(self, name: str, value: Any, expression: str = "") -> dict[str, Any]:
        reference = 0
        if _parts(value):
            reference = len(self._shown) + 1
            self._shown[reference] = value
        return {
            "name": name,
            "value": self._text(value),
            "type": type(value).__name__,
            "evaluateName": expression,
            "variablesReference": reference,
        }

    def _text(self, value: Any) -> str:
        """As IPython shows it, but short; some errors of a repr are shown in its place."""
        text = io.StringIO()
        printer = pretty.RepresentationPrinter(text, max_seq_length=10)
        plain = self._shell.display_formatter.formatters["text/plain"]
        printer.type_pprinters = plain.type_printers
        printer.deferred_pprinters = plain.deferred_printers
        try:
            printer.pretty(value)
            printer.flush()
        except Exception as error:
            return f"<{type(value).__name__}, whose repr raised {type(error).__name__}>"
        shown = " ".join(text.getvalue().split())
        return shown if len(shown) <= _WIDTH else shown[: _WIDTH - 1] + "…"


def _parts(value: Any) -> list[tuple[str, Any]]:
    """The elements of a container and the attributes of an instance, with their names; none where asking fails."""
    try:
        return list(itertools.islice(_named_parts(value), _MOST))
    except Exception:
        return []


def _named_parts(value: Any) -> Iterator[tuple[str, Any]]:
    match value:
        case str() | bytes() | bytearray() | memoryview() | range() | type():
            return
        case Mapping():
            yield from ((repr(key)[:_WIDTH], item) for key, item in value.items())
        case Sequence() | Set():
            yield from ((str(index), item) for index, item in enumerate(value))
    attributes = getattr(value, "__dict__", None)
    if isinstance(attributes, dict):
        yield from attributes.items()
