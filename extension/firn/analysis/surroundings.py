"""What is known of a loop's body as a whole."""

import ast
from dataclasses import dataclass

from .body import mutations
from .cellfacts import CellFacts
from .places import place, repeatable
from .scopes import loaded, stored, uses, walk


@dataclass
class Body:
    """What is known of a loop's body as a whole. before: what certainly ran before the loop. bound: names that the loop
    binds. items: those of items of what it runs over. shifting: names of what the body may change in place."""

    facts: CellFacts
    before: list[ast.stmt]
    bound: set[str]
    items: set[str]
    shifting: set[str]

    @classmethod
    def of(cls, loop: ast.For, facts: CellFacts, before: list[ast.stmt]) -> Body:
        bound = stored(*loop.body)
        changed = {owner.id for node in loop.body for _, owner, _ in mutations(node) if owner is not None}
        items = stored(loop.target)
        return cls(facts, before, bound | items, items - bound, _shared_with(changed & bound, loop.body))

    def kind_of(self, name: str) -> type | None:
        """The type of a variable, where it is certain."""
        return self.facts.kind_of(name, self.before)

    def item_kind(self, name: str) -> type | None:
        """The type of the items that a defaultdict makes, where it is certain."""
        return self.facts.item_kind(name, self.before)

    def means(self, fixed: dict[str, object]) -> bool:
        """Whether names are bound to these objects, as far as the cell tells."""
        return all(self.facts.means(name, value) for name, value in fixed.items())

    def repeatable(self, *nodes: ast.expr) -> bool:
        """Whether evaluating expressions a second time gives what it gave at first."""
        if not repeatable(*nodes):
            return False
        for part in (part for node in nodes for part in walk(node)):
            match part:
                case ast.Call(func=ast.Name(id=name)) if not self.facts.is_builtin(name):
                    return False
                case ast.Call() | ast.Subscript() | ast.Attribute() if loaded(part) & self.shifting:
                    return False
        return True


def _sources(node: ast.AST) -> set[str]:
    """The names of what the value may be a part of, without those that only choose the part."""
    if isinstance(node, ast.Assign) and (where := place(node.value)) is not None:
        return {where.name.id}
    keys = {id(part) for found in walk(node) if isinstance(found, ast.Subscript) for part in walk(found.slice)}
    return {use.name for use in uses(node) if use.how == "load" and id(use.node) not in keys}


def _shared_with(names: set[str], body: list[ast.stmt]) -> set[str]:
    """The names, and those that may be bound to something that these lead to, or that leads to these."""
    pairs = []
    for part in (part for node in body for part in walk(node)):
        match part:
            case ast.Assign() | ast.AnnAssign() | ast.NamedExpr() | ast.For() | ast.withitem() | ast.Match():
                source = part.iter if isinstance(part, ast.For) else part
                target = part.target if isinstance(part, ast.For) else part
                pairs.append((stored(target), _sources(source)))
    found = set(names)
    while True:
        more = {name for bound, read in pairs if (bound | read) & found and bound for name in bound | read}
        if more <= found:
            return found
        found |= more
