"""What the statements before a change by key have seen to: that the item is there, what names are bound to."""

import ast
from collections.abc import Iterable
from typing import NamedTuple

from .containers import First, Grouped, Tally
from .forms import MUTABLE
from .places import Step, fresh, makers
from .reductions import Change, grouped, keys_of, updated
from .scopes import loaded, root, stored, uses
from .surroundings import Body


class Ensured(NamedTuple):
    """`if k not in d: d[k] = []`, or `d.setdefault(k, [])`: from there on in its block, d[k] is there."""

    keys: tuple[str, ...]
    names: frozenset[str]  # that occur in them
    change: Change


class Known:
    """What is known at some place in a loop's body."""

    def __init__(self, body: Body, ensured: Iterable[Ensured] = (), values: dict[str, ast.expr] | None = None) -> None:
        self.body = body
        self._ensured = list(ensured)
        self._values = dict(values or {})

    def inside(self) -> Known:
        """The same for a block inside of this one."""
        return Known(self.body, self._ensured, self._values)

    def step(self, node: ast.stmt) -> None:
        """Drops what a statement may make untrue, and notes what it binds."""
        bound = stored(node)
        self._ensured = [entry for entry in self._ensured if not entry.names & bound]
        stale = {name for name, value in self._values.items() if bound & {name, *loaded(value)}}
        self._values = {name: value for name, value in self._values.items() if name not in stale}
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                pairs = [(name, value)]
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)) if len(names) == len(values):
                pairs = [(n.id, value) for n, value in zip(names, values, strict=True) if isinstance(n, ast.Name)]
            case _:
                pairs = []
        self._values |= {name: value for name, value in pairs if not bound & loaded(value)}

    def value_of(self, node: ast.expr) -> ast.expr:
        """What a name was bound to."""
        return self._values.get(node.id, node) if isinstance(node, ast.Name) else node

    def stays(self, node: ast.Name) -> bool:
        """Whether a name is bound to an item of what the loop runs over, or to a part of one."""
        value = self.value_of(node)
        first = root(value)
        return first is not None and first.id in self.body.items and self.body.repeatable(value)

    def meet(self, c: Change) -> None:
        """Gives a change what is ensured about its place, and notes what it ensures itself."""
        keys = keys_of(c)
        for entry in self._ensured:
            if entry.keys == keys[: len(entry.keys)] and not (c.kind is First and len(entry.keys) == len(keys)):
                _cover(c, entry)
        if c.kind is First and makers(c.parts["value"]) is not None:
            expressions = [*(step.key for step in c.path), c.parts["key"]]
            if self.body.repeatable(*expressions):
                names = frozenset(use.name for use in uses(*expressions))
                self._ensured.append(Ensured(keys, names, c))


def _cover(c: Change, entry: Ensured) -> None:
    """Notes that the item at the beginning of a change's path, or at its end, is there."""
    depth = len(entry.keys) - 2
    source = ast.unparse(entry.change.parts["value"])
    made = fresh(source)
    if depth < len(c.path):
        if c.path[depth].creates:
            return
        c.path[depth] = c.path[depth]._replace(creates=source)
    elif c.default:
        return
    elif c.kind is Tally and type(made) not in MUTABLE:
        c.default, c.certain = (made,), True
    elif c.kind is Grouped and (kind := grouped(made, c.method)):
        c.default, c.certain, c.ambiguous = (kind,), True, False
    elif c.kind is Grouped and c.ambiguous and (form := updated(type(made))) is not None:
        c.path = [*c.path, Step(c.parts.pop("key"), source)]
        c.kind, c.ambiguous = form, False
    else:
        return
    c.fixed = entry.change.fixed | c.fixed
    entry.change.covers = True
