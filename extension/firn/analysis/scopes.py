"""Which names a piece of a cell reads, binds and deletes in the cell's own scope."""

import ast
import opcode
import types
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from firn.bytecode import instructions

COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_READS = {opcode.opmap["LOAD_GLOBAL"]: 1, opcode.opmap["LOAD_NAME"]: 0, opcode.opmap["LOAD_FROM_DICT_OR_GLOBALS"]: 0}
_WRITES = frozenset({opcode.opmap["STORE_GLOBAL"], opcode.opmap["DELETE_GLOBAL"]})
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


@dataclass(frozen=True)
class Use:
    """One appearance of a name. how: "load", "store" or "delete"; inner: inside a lambda or a generator expression."""

    name: str
    how: str
    node: ast.AST
    inner: bool


class _Uses(ast.NodeVisitor):
    def __init__(self) -> None:
        self.found: list[Use] = []
        self._hidden: list[set[str]] = []
        self._inner = 0

    def _add(self, name: str, how: str, node: ast.AST) -> None:
        if not any(name in names for names in self._hidden):
            self.found.append(Use(name, how, node, self._inner > 0))

    def visit_Name(self, node: ast.Name) -> None:
        how = {ast.Load: "load", ast.Store: "store", ast.Del: "delete"}[type(node.ctx)]
        self._add(node.id, how, node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            self._add(node.target.id, "load", node.target)
        self.generic_visit(node)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        # A walrus in a comprehension binds in the scope around it, also where a target of an outer comprehension hides
        # the name (CPython refuses that at compile time).
        self.visit(node.value)
        self._add(node.target.id, "store", node.target)

    def visit_alias(self, node: ast.alias) -> None:
        if node.name != "*":
            self._add(node.asname or node.name.partition(".")[0], "store", node)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.type is not None:
            self.visit(node.type)
        if node.name is not None:
            self._add(node.name, "store", node)
        for statement in node.body:
            self.visit(statement)
        if node.name is not None:
            self._add(node.name, "delete", node)

    def visit_MatchAs(self, node: ast.MatchAs) -> None:
        self.generic_visit(node)
        if node.name is not None:
            self._add(node.name, "store", node)

    def visit_MatchStar(self, node: ast.MatchStar) -> None:
        if node.name is not None:
            self._add(node.name, "store", node)

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        self.generic_visit(node)
        if node.rest is not None:
            self._add(node.rest, "store", node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        # Python 3.14 does not evaluate the annotations of variables.
        if node.value is not None:
            self.visit(node.value)
            self.visit(node.target)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        for default in [*node.args.defaults, *(d for d in node.args.kw_defaults if d is not None)]:
            self.visit(default)
        self._function(node.args, [node.body])

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for outside in [
            *node.decorator_list,
            *node.args.defaults,
            *(d for d in node.args.kw_defaults if d is not None),
        ]:
            self.visit(outside)
        self._add(node.name, "store", node)
        self._function(node.args, node.body)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self.visit_FunctionDef(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for outside in [*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)]:
            self.visit(outside)
        self._add(node.name, "store", node)
        self._function(None, node.body)

    def _function(self, args: ast.arguments | None, body: Iterable[ast.AST]) -> None:
        statements = list(body)
        hidden: set[str] = set()
        if args is not None:
            every = [*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg]
            hidden = {a.arg for a in every if a is not None}
        own = _Uses()
        for statement in statements:
            own.visit(statement)
        outer = {name for node in statements for s in walk(node) if isinstance(s, ast.Global) for name in s.names}
        hidden |= {use.name for use in own.found if use.how == "store" and not use.inner} - outer
        self._hidden.append(hidden)
        self._inner += 1
        for statement in statements:
            self.visit(statement)
        self._inner -= 1
        self._hidden.pop()

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        first = node.generators[0]
        self.visit(first.iter)
        lazy = isinstance(node, ast.GeneratorExp)
        self._hidden.append(comprehension_targets(node))
        self._inner += lazy
        for generator in node.generators:
            if generator is not first:
                self.visit(generator.iter)
            self.visit(generator.target)
            for condition in generator.ifs:
                self.visit(condition)
        for element in elements(node):
            self.visit(element)
        self._inner -= lazy
        self._hidden.pop()

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension


def elements(node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> list[ast.expr]:
    """What a comprehension makes of an item, in order of evaluation."""
    if isinstance(node, ast.DictComp):
        # `{**d for d in ds}` of Python 3.15 has no value.
        return [node.key] if node.value is None else [node.key, node.value]
    return [node.elt]


def comprehension_targets(node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> set[str]:
    """The variables of a comprehension's own scope."""
    return {
        name.id
        for generator in node.generators
        for name in walk(generator.target)
        if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
    }


def uses(*nodes: ast.AST) -> list[Use]:
    """The appearances of names of the surrounding scope in `nodes`, roughly in the order of evaluation."""
    visitor = _Uses()
    for node in nodes:
        visitor.visit(node)
    return visitor.found


def loaded(*nodes: ast.AST) -> set[str]:
    return {use.name for use in uses(*nodes) if use.how == "load"}


def stored(*nodes: ast.AST) -> set[str]:
    return {use.name for use in uses(*nodes) if use.how == "store"}


def copied[N: ast.AST](node: N) -> N:
    """A copy of a tree, without what others have hung on its nodes: IPython's tracebacks link each node to its parent,
    also the `ast.Load()` that all trees of the process share, through which copy.deepcopy copies whole other files."""
    if not node._fields and not node._attributes:
        return node  # shared by all trees
    new = type(node).__new__(type(node))
    for name in node._attributes:
        if hasattr(node, name):
            setattr(new, name, getattr(node, name))
    for name, value in ast.iter_fields(node):
        if isinstance(value, ast.AST):
            value = copied(value)
        elif isinstance(value, list):
            value = [copied(item) if isinstance(item, ast.AST) else item for item in value]
        setattr(new, name, value)
    return new


def same_tree(first: Any, second: Any) -> bool:
    """Whether two trees say the same in the same places."""
    if first.__class__ is not second.__class__:
        return False
    if isinstance(first, list):
        return len(first) == len(second) and all(map(same_tree, first, second, strict=True))
    if not isinstance(first, ast.AST):
        return bool(first == second)
    return all(
        same_tree(getattr(first, name, None), getattr(second, name, None))
        for name in (*first._fields, *first._attributes)
    )


def walk(tree: ast.AST) -> list[ast.AST]:
    """The nodes of `ast.walk`, in its order, at half of its cost; without `ast.Load()` and its like, which say nothing."""
    found = [tree]
    for node in found:
        for field in node._fields:
            value = getattr(node, field, None)
            if isinstance(value, list):
                found += [part for part in value if isinstance(part, ast.AST)]
            elif isinstance(value, ast.AST) and value._fields:
                found.append(value)
    return found


def located[N: ast.AST](tree: N) -> N:
    """`ast.fix_missing_locations`, at a third of its cost."""
    _locate(tree, (1, 0, 1, 0))
    return tree


def _locate(node: Any, place: tuple[int, int, int, int]) -> None:
    if node._attributes:
        if getattr(node, "lineno", None) is None:
            node.lineno, node.col_offset, node.end_lineno, node.end_col_offset = place
        else:
            if getattr(node, "end_lineno", None) is None:
                node.end_lineno, node.end_col_offset = place[2:]
            place = (node.lineno, node.col_offset, node.end_lineno, node.end_col_offset)
    for field in node._fields:
        value = getattr(node, field, None)
        if isinstance(value, list):
            for part in value:
                if isinstance(part, ast.AST):
                    _locate(part, place)
        elif isinstance(value, ast.AST) and value._fields:
            _locate(value, place)


def own_statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a body with those nested in them, without the bodies of functions and classes."""
    for statement in body:
        yield statement
        if not isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield from own_statements(blocks(statement))


def with_items(loop: ast.For) -> Iterator[tuple[ast.stmt, set[str]]]:
    """The statements of a loop's body, each with the loop's variables that still are what it runs over there: not after
    `row = dict(row)`."""
    items = stored(loop.target)
    for statement in loop.body:
        yield statement, items
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)]):
                items = items - {name}


def blocks(statement: ast.stmt) -> Iterator[ast.stmt]:
    """The statements directly below a compound statement."""
    for field in ("body", "orelse", "finalbody"):
        yield from getattr(statement, field, [])
    for part in [*getattr(statement, "handlers", []), *getattr(statement, "cases", [])]:
        yield from part.body


def root(node: ast.expr) -> ast.Name | None:
    """The name at the left end of `a.b[c].d(e)`, or None."""
    while True:
        match node:
            case ast.Name():
                return node
            case ast.Attribute(value=inner) | ast.Subscript(value=inner) | ast.Starred(value=inner):
                node = inner
            case ast.Call(func=ast.Attribute(value=inner)):
                node = inner
            case _:
                return None


def global_uses(code: types.CodeType) -> tuple[set[str], set[str]]:
    """The globals that a code object reads, and those that it stores or deletes, nested functions included."""
    reads: set[str] = set()
    writes: set[str] = set()
    names = code.co_names
    for _, op, argument in instructions(code):
        if op in _READS:
            reads.add(names[argument >> _READS[op]])
        elif op in _WRITES:
            writes.add(names[argument])
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            inner = global_uses(constant)
            reads |= inner[0]
            writes |= inner[1]
    return reads, writes
