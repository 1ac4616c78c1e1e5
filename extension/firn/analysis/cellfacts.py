"""What is known about a cell's names before it runs: from the cell itself and from the notebook's variables."""

import ast
import builtins
import functools
import gc
import inspect
import types
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from .scopes import blocks, global_uses, stored, uses, walk

_CONSTRUCTORS: dict[str, type] = {
    "list": list,
    "sorted": list,
    "dict": dict,
    "set": set,
    "Counter": Counter,
    "defaultdict": defaultdict,
    "OrderedDict": OrderedDict,
    "deque": deque,
    "int": int,
    "float": float,
    "str": str,
}


def _kept[**P, R](asked: Callable[P, R]) -> Callable[P, R]:
    """Of a question about the notebook's variables: keeps it, with the answer, until the facts are settled."""

    @functools.wraps(asked)
    def asking(self: Any, *arguments: Any) -> Any:
        answer = asked(self, *arguments)  # type: ignore[call-arg]
        if not self._settled:
            self._answers.append((asked, arguments, answer))
        return answer

    return asking  # type: ignore[return-value]


_ATOMS = frozenset({int, float, str, bytes, bool, type(None), complex})
_LAZY = (map, filter, zip, enumerate, reversed)
_SEARCHED = 100
_VISITED = 3000


class CellFacts:
    """reassociate: sums may be added up in parts, the cell says."""

    def __init__(
        self, tree: ast.Module, filename: str, namespace: Mapping[str, object], reassociate: bool = False
    ) -> None:
        self.namespace = namespace
        self.filename = filename
        self.reassociate = reassociate
        found = [use for use in uses(*tree.body) if use.how == "store"]
        self.stored = {use.name for use in found}
        # Names that the cell binds by imports alone: modules, and what they define.
        self._imported = self.stored - {use.name for use in found if not isinstance(use.node, ast.alias)}
        self._definitions: dict[str, list[types.CodeType]] = {}
        self._classes: set[str] = set()
        for statement in _statements(tree.body):
            self._define(statement)
        self._answers: list[tuple[Callable[..., Any], tuple[Any, ...], Any]] = []
        self._settled = False

    def settle(self) -> bool:
        """Ends the analysis; whether `hold` can be asked later. What the notebook defines is not kept alive for that."""
        self._settled = True
        return not any(isinstance(answer, type) and answer.__module__ == "__main__" for *_, answer in self._answers)

    def hold(self) -> bool:
        """Whether the notebook's variables give the answers that they gave to the analysis."""
        return all(asked(self, *arguments) == answer for asked, arguments, answer in self._answers)

    def _define(self, statement: ast.stmt) -> None:
        match statement:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                pass
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Lambda()):
                pass
            case _:
                return
        if isinstance(statement, ast.ClassDef):
            self._classes.add(name)
        try:
            module = compile(ast.Module([statement], []), self.filename, "exec", dont_inherit=True)
        except SyntaxError, ValueError:
            return
        codes = [constant for constant in module.co_consts if isinstance(constant, types.CodeType)]
        self._definitions.setdefault(name, []).extend(codes)

    @_kept
    def is_builtin(self, name: str) -> bool:
        """Whether a name means the builtin of that name wherever the cell uses it."""
        if name in self.stored or not hasattr(builtins, name):
            return False
        return self.namespace.get(name, getattr(builtins, name)) is getattr(builtins, name)

    @_kept
    def means(self, name: str, value: object) -> bool:
        """Whether a name is bound to this object: for certain, if it is a builtin, else as far as the cell tells."""
        if hasattr(builtins, name):
            return self.is_builtin(name)
        return name in self.stored or self.namespace.get(name) is value

    @_kept
    def kind_of(self, name: str, before: list[ast.stmt]) -> type | None:
        """The exact type that a name is bound to when control reaches the end of `before`; None if not certain."""
        value = self._value_of(name, before)
        if isinstance(value, ast.expr):
            return self._kind(value)
        if value is None and name in self.namespace:
            kind = type(self.namespace[name])
            shown = getattr(self.namespace[name], "__class__", kind)
            return shown if isinstance(shown, type) else kind
        return None

    @_kept
    def item_kind(self, name: str, before: list[ast.stmt]) -> type | None:
        """The type of the items that the defaultdict makes that a name is bound to then; None if not certain."""
        value = self._value_of(name, before)
        match value:
            case ast.Call(args=[ast.Name(id=factory), *_]) if self._kind(value) is defaultdict:
                return self._kind(ast.Call(ast.Name(factory), [], []))
            case ast.Call(args=[ast.Lambda(body=made), *_]) if self._kind(value) is defaultdict:
                return self._kind(made)
            case None if name in self.namespace:
                makes = getattr(self.namespace[name], "default_factory", None)
                return next((kind for kind in _CONSTRUCTORS.values() if kind is makes), None)
        return None

    def _value_of(self, name: str, before: list[ast.stmt]) -> ast.expr | str | None:
        """The expression that a name is bound to at the end of `before`; None if it is what it was before the cell, "" if
        that is not certain."""
        for statement in reversed(before):
            if name not in stored(statement):
                continue
            match statement:
                case ast.Assign(targets=targets, value=value):
                    for target in targets:
                        if isinstance(target, ast.Name) and target.id == name:
                            return value
                        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                            for part, item in zip(target.elts, value.elts, strict=False):
                                if isinstance(part, ast.Name) and part.id == name:
                                    return item
                case ast.AnnAssign(target=ast.Name(id=target_name), value=ast.expr() as value) if target_name == name:
                    return value
                case ast.AugAssign():
                    continue
                case ast.For(target=target, body=body):
                    plain = {use.name for use in uses(target) if use.how == "store"}
                    for inner in body:
                        plain |= {
                            use.name
                            for part in walk(inner)
                            if isinstance(part, ast.Assign)
                            for use in uses(*part.targets)
                            if use.how == "store"
                        }
                    if name not in plain:
                        continue
            return ""
        return None

    def _kind(self, value: ast.expr) -> type | None:
        match value:
            case ast.List() | ast.ListComp():
                return list
            case ast.Dict() | ast.DictComp():
                return dict
            case ast.Set() | ast.SetComp():
                return set
            case ast.Constant(value=constant):
                return type(constant)
            case ast.BinOp(left=ast.List(), op=ast.Mult()):
                return list
            case ast.Call(func=ast.Name(id=name)) if name in _CONSTRUCTORS:
                return _CONSTRUCTORS[name] if self._is_constructor(name) else None
            case ast.Call(func=ast.Attribute(value=ast.Name(id="collections"), attr=name)) if name in _CONSTRUCTORS:
                return _CONSTRUCTORS[name]
        return None

    def _is_constructor(self, name: str) -> bool:
        if hasattr(builtins, name):
            return self.is_builtin(name)
        return name in self.stored or self.namespace.get(name) is _CONSTRUCTORS[name]

    def is_counter(self, function: ast.expr) -> bool:
        """Whether an expression is collections.Counter as far as the cell tells (checked again when it runs)."""
        match function:
            case ast.Name(id="Counter"):
                return self.means("Counter", Counter)
            case ast.Attribute(value=ast.Name(id="collections"), attr="Counter"):
                return True
        return False

    @_kept
    def mutable_value(self, name: str) -> bool:
        """Whether a name may be bound to something whose methods called `add`, `pop`, `update` change it."""
        if name in self._imported:
            return False
        if name in self.stored or name not in self.namespace:
            return True
        value = self.namespace[name]
        if isinstance(value, (types.ModuleType, type, types.FunctionType, types.BuiltinFunctionType)):
            return False
        return not isinstance(value, (str, bytes, int, float, tuple, frozenset))

    def may_change(self, name: str, call: ast.AST) -> bool:
        """Whether a call of a method of this name may change it. What methods do that the notebook has written is looked at
        with the functions that the loop calls."""
        match call:
            case ast.Call(func=ast.Attribute(value=ast.Name(), attr=method)) if name not in self.stored:
                kind = type(self.namespace.get(name))
                own = inspect.getattr_static(kind, method, None)
                if kind.__module__ == "__main__" and isinstance(own, types.FunctionType):
                    return False
        return self.mutable_value(name)

    @_kept
    def functions(self, names: Collection[str]) -> list[tuple[str, types.CodeType]]:
        """The code that can be reached from names, and that of the notebook's classes: (the first name on the way, or
        "" for a class, code) each, once."""
        found: list[tuple[str, types.CodeType]] = []
        seen: set[int] = set()
        done: set[str] = set()
        # Objects bring their methods along without naming their class.
        classes = [name for name, value in self.namespace.items() if isinstance(value, type)]
        todo = [("", name) for name in [*classes, *self._classes]] + [(name, name) for name in names]
        while todo:
            first, name = todo.pop()
            if name in done:
                continue
            done.add(name)
            codes = list(self._definitions.get(name, ()))
            if name in self.namespace:
                codes.extend(self._codes(self.namespace[name]))
            for code in codes:
                if id(code) in seen:
                    continue
                seen.add(id(code))
                found.append((first, code))
                todo.extend((first, other) for other in global_uses(code)[0])
        return found

    def read_through(self, names: Collection[str]) -> set[str]:
        """The globals that this code reads."""
        return {name for _, code in self.functions(names) for name in global_uses(code)[0]}

    def _codes(self, value: object) -> Iterator[types.CodeType]:
        for found in functions_in(value, self.namespace):
            yield found.__code__ if isinstance(found, types.FunctionType) else found.gi_code


def functions_in(
    value: object, namespace: Mapping[str, object]
) -> Iterator[types.FunctionType | types.GeneratorType[Any, Any, Any]]:
    """Functions and generators of the notebook that a value leads to: itself, what it wraps, its methods, its closure."""
    seen: set[int] = set()
    todo: list[Any] = [value]
    passed = 0
    while todo and len(seen) + passed < _VISITED:
        item = todo.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, types.FunctionType):
            if item.__globals__ is namespace or item.__module__ == "__main__":
                yield item
            for cell in item.__closure__ or ():
                try:
                    todo.append(cell.cell_contents)
                except ValueError:
                    pass
            todo += [*(item.__defaults__ or ()), *(item.__kwdefaults__ or {}).values(), *item.__dict__.values()]
        elif isinstance(item, types.GeneratorType):
            if item.gi_frame is not None and item.gi_frame.f_globals is namespace:
                yield item
        elif isinstance(item, types.MethodType):
            todo += [item.__func__, item.__self__]
        elif isinstance(item, functools.partial):
            todo += [item.func, *item.args, *item.keywords.values()]
        elif isinstance(item, (staticmethod, classmethod)):
            todo.append(item.__func__)
        elif isinstance(item, property):
            todo += [item.fget, item.fset, item.fdel]
        elif isinstance(item, (functools.cached_property, functools.partialmethod)):
            todo.append(item.func)
        elif isinstance(item, type):
            if item.__module__ == "__main__":
                todo += [*vars(item).values(), *item.__bases__]
        elif isinstance(item, dict):
            # Tables of functions are small; data is not searched for them.
            parts = [*islice(item.values(), _SEARCHED), getattr(item, "default_factory", None)]
            todo += [part for part in parts if type(part) not in _ATOMS]
            passed += len(parts)
        elif isinstance(item, (list, tuple, set, frozenset, deque)):
            parts = [*islice(item, _SEARCHED)]
            todo += [part for part in parts if type(part) not in _ATOMS]
            passed += len(parts)
        elif type(item) in _LAZY or type(item).__module__ == "itertools":
            todo += gc.get_referents(item)
        elif type(item).__module__ == "__main__" or type(item) is types.SimpleNamespace:
            todo += [type(item), *_attributes(item)]
            passed += 1
        elif hasattr(type(item), "__wrapped__") or isinstance(item, functools._lru_cache_wrapper):
            todo.append(inspect.unwrap(item))


def _attributes(value: object) -> list[Any]:
    """What an instance holds, without running its class's code."""
    found = [part for part in gc.get_referents(value) if part is not type(value)]
    own = [part for part in found if type(part) is dict]  # its __dict__, where it has none inside
    return [part for part in [*found, *(value for part in own for value in part.values())] if type(part) not in _ATOMS]


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        yield statement
        if not isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield from _statements(blocks(statement))
