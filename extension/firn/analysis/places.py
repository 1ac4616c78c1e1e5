"""What stands in a change of a variable: the place that is changed (`d`, `d[a]`, `d.setdefault(a, {})`), and what may be
evaluated twice, or anew."""

import ast
import builtins
import collections
import functools
import math
import types
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType
from typing import Any, NamedTuple

from .scopes import copied, global_uses, walk
from .values import is_plain

_MAKERS: dict[str, Any] = {
    **{kind.__name__: kind for kind in (dict, list, set, int, float, str)},
    **{kind.__name__: kind for kind in (Counter, OrderedDict, defaultdict, deque)},
}
_INFINITE = frozenset({"inf", "-inf", "infinity", "-infinity"})
_ATOMS = (int, float, complex, str, bytes, tuple, type(None))


class Step(NamedTuple):
    """One step into what a variable holds: `[key]`. creates: what stands there if nothing did, see `fresh`."""

    key: ast.expr
    creates: str = ""


@dataclass
class Place:
    """What `d`, `d[a]` or `d.setdefault(a, {})` stands for. fixed: names that must be bound to these objects."""

    name: ast.Name
    path: list[Step]
    fixed: dict[str, object]


def place(node: ast.expr) -> Place | None:
    match node:
        case ast.Name():
            return Place(node, [], {})
        case ast.Subscript(value=inner, slice=key) if not slices(key):
            creates = ""
            fixed: dict[str, object] | None = {}
        case ast.Call(func=ast.Attribute(value=inner, attr="setdefault"), args=[key, default], keywords=[]):
            creates, fixed = ast.unparse(default), makers(default)
        case _:
            return None
    outer = place(inner)
    if outer is None or fixed is None:
        return None
    return Place(outer.name, [*outer.path, Step(key, creates)], outer.fixed | fixed)


def slices(key: ast.expr) -> bool:
    return any(isinstance(part, ast.Slice) for part in (key, *getattr(key, "elts", ())))


def makers(node: ast.expr) -> dict[str, object] | None:
    """For an expression that gives a new object of always the same content (`[]`, `{"n": 0}`, `Counter()`), and cannot
    fail: what its names must be bound to. None for others."""
    match node:
        case ast.Constant():
            return {}
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float())):
            return {}
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            found = [makers(part) for part in parts]
        case ast.Dict(keys=keys, values=parts) if all(isinstance(key, ast.Constant) for key in keys):
            found = [makers(part) for part in parts]
        case ast.Call(func=ast.Name(id="float"), args=[ast.Constant(value=str(text))], keywords=[]):
            return {"float": float} if text.lower() in _INFINITE else None
        case ast.Call(func=ast.Name(id="defaultdict"), args=[ast.Name(id=inner)], keywords=[]) if inner in _MAKERS:
            return {"defaultdict": defaultdict, inner: _MAKERS[inner]}
        case ast.Call(func=ast.Name(id=name), args=[], keywords=[]) if name in _MAKERS:
            return {name: _MAKERS[name]}
        case _:
            return None
    return None if None in found else {name: value for part in found if part for name, value in part.items()}


@functools.cache
def _compiled(source: str) -> CodeType:
    return compile(source, "<firn>", "eval")


def fresh(source: str) -> Any:
    """What such an expression gives."""
    return eval(_compiled(source), {"__builtins__": {}}, _MAKERS)


def constant(node: ast.expr) -> tuple[tuple[object, ...], dict[str, object]]:
    """The value of a default that nobody can change, in a tuple, and what its names must be bound to."""
    match node:
        case ast.UnaryOp(op=ast.USub(), operand=ast.Call() | ast.Attribute() as operand):
            found, fixed = constant(operand)
            return ((-found[0],), fixed) if found and isinstance(found[0], float) else ((), {})
        case ast.Attribute(value=ast.Name(id="math"), attr="inf"):
            return (math.inf,), {"math": math}
    names = makers(node)
    value = [] if names is None else fresh(ast.unparse(node))
    settled = isinstance(value, _ATOMS) and all(isinstance(part, ast.Constant) for part in getattr(node, "elts", ()))
    return ((value,), names or {}) if settled else ((), {})


def is_pure(factory: object) -> bool:
    """Whether what makes a defaultdict's items gives something new, and always the same: `int`, `lambda: [0, 0]`,
    `partial(defaultdict, list)`."""
    match factory:
        case None:
            return True
        case type():
            return (
                factory in _MAKERS.values() or factory in (bool, complex, bytes, bytearray, tuple) or is_plain(factory)
            )
        case functools.partial(func=made, args=parts, keywords=named):
            return not named and is_pure(made) and all(is_pure(part) for part in parts)
        case types.FunctionType(__code__=code, __globals__=known):
            names = global_uses(code)[0] - {"collections"}
            own = all(name in _MAKERS and known.get(name, _MAKERS[name]) is _MAKERS[name] for name in names)
            return own and not code.co_freevars and known.get("collections", collections) is collections
    return False


def same(first: ast.expr, second: ast.expr) -> bool:
    """Whether two expressions are written alike (loads and stores not told apart)."""
    return written(first) == written(second)


def written(*nodes: ast.AST) -> str:
    """Expressions or statements as they are written, be they loaded or stored (Python 3.15 leaves the former out)."""
    return "".join(map(ast.dump, nodes)).replace(", ctx=Store()", "").replace(", ctx=Load()", "")


_PURE_METHODS = frozenset(
    [
        "lower",
        "upper",
        "strip",
        "lstrip",
        "rstrip",
        "casefold",
        "title",
        "removeprefix",
        "removesuffix",
        "capitalize",
        "isoformat",
        "year",
        "month",
    ]
)
PURE_FUNCTIONS = frozenset(["len", "int", "str", "abs", "ord", "chr", "bool", "float", "round", "repr"])


def repeatable(*nodes: ast.expr, gets: bool = False) -> bool:
    """Whether evaluating expressions twice is the same as evaluating them once, if the names of pure functions mean those,
    and nobody changes what the names are bound to; with `gets` also `row.get("x", 0)`. See `Body.repeatable`."""
    for part in (part for node in nodes for part in walk(node)):
        match part:
            case ast.Call(func=ast.Name(id=name)) if name in PURE_FUNCTIONS:
                pass
            case ast.Call(func=ast.Attribute(attr=attr)) if attr in _PURE_METHODS:
                pass
            case ast.Call(func=ast.Attribute(attr="get"), args=[ast.Constant(), *_], keywords=[]) if gets:
                pass
            case ast.Call() | ast.NamedExpr() | ast.Await() | ast.Yield() | ast.YieldFrom() | ast.Lambda():
                return False
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                return False
    return True


def harmless(node: ast.expr) -> bool:
    """Whether evaluating an expression can neither raise nor change anything (names are bound by then)."""
    match node:
        case ast.Constant() | ast.Name():
            return True
        case ast.Tuple(elts=elts) | ast.List(elts=elts):
            return all(harmless(e) for e in elts)
        case _:
            return False


ITEM = "__firn_item__"


class _Put(ast.NodeTransformer):
    """Puts ITEM in the place of an expression."""

    def __init__(self, what: ast.expr) -> None:
        self._what = written(what)
        self.found = 0

    def visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.expr) and written(node) == self._what:
            self.found += 1
            return ast.Name(ITEM, ast.Load())
        return self.generic_visit(node)

    def into(self, node: ast.expr) -> ast.expr:
        """A copy of an expression, with that done."""
        new = self.visit(copied(node))
        assert isinstance(new, ast.expr)
        return new


def measure(new: ast.expr, old: ast.expr, value: ast.expr, held: ast.expr) -> tuple[str, dict[str, object]] | None:
    """The f in `new` and `old` if these are f(value) and f(held), as an expression of ITEM, and what its names must be
    bound to. It asks for nothing else, and can be evaluated again."""
    put = _Put(held)
    found = put.into(old)
    match found, value:
        case ast.Subscript(value=ast.Name(), slice=ast.Constant(value=int(number))), ast.Tuple(elts=parts):
            alike = 0 <= number < len(parts) and same(parts[number], new)
        case _:
            other = _Put(value)
            alike = same(other.into(new), found) and other.found > 0
    names = {part.id for part in walk(found) if isinstance(part, ast.Name)} - {ITEM}
    if not alike or not put.found or not names <= PURE_FUNCTIONS or not repeatable(found, gets=True):
        return None
    return ast.unparse(found), {name: getattr(builtins, name) for name in names}


def measuring(source: str) -> str:
    """What `measure` gave, as the text of a function."""
    return f"lambda {ITEM}: {source}"


def measured(source: str) -> Callable[[Any], Any]:
    """What `measure` gave, as a function."""
    function: Callable[[Any], Any] = eval(_compiled(measuring(source)), {})
    return function
