"""What the statements before a change by key have seen to: that the item is there, what names are bound to."""

import ast
from collections import OrderedDict, defaultdict
from typing import Final, NamedTuple

from .containers import First, Grouped, Leader, Store
from .forms import MUTABLE
from .places import Place, Step, fresh, makers, measure, place
from .reductions import Change, grouped, keys_of, of_item, updated
from .scopes import loaded, root, stored, uses
from .surroundings import Body
from .tallies import Tally
from .templates import expression

HOLDERS: Final = (list, dict, OrderedDict, defaultdict)


class Ensured(NamedTuple):
    """`if k not in d: d[k] = []`, or `d.setdefault(k, [])`: from there on in its block, d[k] is there."""

    keys: tuple[str, ...]
    names: frozenset[str]  # that occur in them
    change: Change


class Known:
    """What is known at some place in a loop's body."""

    def __init__(self, body: Body) -> None:
        self.body = body
        self._ensured: list[Ensured] = []
        self._values: dict[str, ast.expr] = {}
        self._aliases: dict[str, Place] = {}

    def inside(self) -> Known:
        """The same for a block inside of this one."""
        known = Known(self.body)
        known._ensured, known._values, known._aliases = [*self._ensured], {**self._values}, {**self._aliases}
        return known

    def step(self, node: ast.stmt) -> None:
        """Drops what a statement may make untrue, and notes what it binds."""
        bound = stored(node)
        self._ensured = [entry for entry in self._ensured if not entry.names & bound]
        stale = {name for name, value in self._values.items() if bound & {name, *loaded(value)}}
        self._values = {name: value for name, value in self._values.items() if name not in stale}
        self._aliases = {name: where for name, where in self._aliases.items() if name not in bound}
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

    def passing(self, node: ast.expr) -> bool:
        """Whether a name is bound to something that may be changed later: no item of what the loop runs over, nor a part
        of one."""
        value = self.value_of(node)
        first = root(value)
        item = first is not None and first.id in self.body.items and self.body.repeatable(value)
        return isinstance(node, ast.Name) and not item

    def measure(
        self, new: ast.expr, old: ast.expr, value: ast.expr, held: ast.expr
    ) -> tuple[str, dict[str, object]] | None:
        """`places.measure`, also where `new` is a name for that. Not if the value may have changed since: the workers measure
        the first one when it is stored."""
        found = measure(new, old, value, held)
        return found if found or self.passing(value) else measure(self.value_of(new), old, value, held)

    def alias(self, node: ast.stmt, but: frozenset[str]) -> Change | None:
        """`s = d[k]`: what changes s from there on changes d[k]. It is a change that only sees to it that the item is there.
        but: names that are no aliases."""
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Subscript() | ast.Call() as value):
                where = place(value)
            case _:
                return None
        if where is None or name in but or name in self.body.items or not self.body.means(where.fixed):
            return None
        own = {id(where.name)}
        where = self._placed(where)
        if (
            not where.path
            or where.name.id in self.body.bound
            or self.body.kind_of(where.name.id) not in (*HOLDERS, None)
        ):
            return None
        steps = [self._ensured_at(where, depth) for depth in range(len(where.path))]
        # In the workers the name is bound to the keys.
        placed = [
            step if isinstance(step.key, ast.Constant) else step._replace(key=expression(f"{name}[{n}]", step.key))
            for n, step in enumerate(steps)
        ]
        self._aliases[name] = Place(where.name, placed, where.fixed)
        parts: dict[str, ast.expr] = {"key": placed[-1].key, "value": ast.Constant(None)}
        parts |= {f"={n}": step.key for n, step in enumerate(steps)}
        return Change(where.name.id, First, node, own, parts, placed[:-1], where.fixed, covers=True, alias=name)

    def _ensured_at(self, where: Place, depth: int) -> Step:
        """A step of a place, with what is ensured to be there."""
        step = where.path[depth]
        keys = keys_of(where)[: depth + 2]
        found = [entry.change for entry in self._ensured if entry.keys == keys]
        if step.creates or not found:
            return step
        for c in found:
            c.covers = True
        return step._replace(creates=ast.unparse(found[0].parts["value"]))

    def _placed(self, where: Place) -> Place:
        """A place that begins with an alias as one that begins with what this stands for."""
        outer = self._aliases.get(where.name.id)
        return where if outer is None else Place(outer.name, [*outer.path, *where.path], outer.fixed | where.fixed)

    def resolved(self, c: Change) -> Change:
        """A change of an alias as one of what it stands for."""
        where = self._aliases.get(c.name)
        if where is None:
            return c
        if c.method and not c.path and "key" not in c.parts:
            found = of_item(c.statement, where, c.method, c.parts["value"], self.body)
            if found is None:
                return c
            found.own = c.own
            return found
        if c.kind not in (Tally, Grouped, Store, First, Leader) or c.above:
            return c
        c.name, c.path, c.fixed = where.name.id, [*where.path, *c.path], where.fixed | c.fixed
        return c

    def meet(self, c: Change) -> None:
        """Gives a change what is ensured about its place, and notes what it ensures itself."""
        keys = keys_of(c)
        for entry in self._ensured:
            if entry.keys == keys[: len(entry.keys)] and not (c.kind is First and len(entry.keys) == len(keys)):
                _cover(c, entry)
        if c.kind is First and not c.alias and makers(c.parts["value"]) is not None:
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
