"""Effects that would be lost in silence: what the functions that a loop calls change outside of the loop.

Each worker has its own copy of the notebook's functions and classes, and no way to change the notebook's variables.
Stores to globals and to captured variables are read from the bytecode, which is exact. Stores to attributes and items
of globals, and calls that change a container (`seen.append(x)`), are read from the source of the notebook's cells.

Not seen: effects behind another name (`t = table; t.append(x)`: a frozen `table` still refuses at run time), through
an argument (`def add(where, x): where.append(x)`), through `globals()`, `vars()` or `exec`, in imported modules
(`random.seed`, `os.chdir`, `lru_cache`'s memory), and in methods that are only found by a computed name.
"""

from __future__ import annotations

import ast
import inspect
import linecache
import opcode
import sys
import types
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, Final

from firn import names
from firn.bytecode import instructions
from firn.names import ShippingRefusal
from firn.readable import a

_STORE_GLOBAL: Final = frozenset(opcode.opmap[name] for name in ("STORE_GLOBAL", "DELETE_GLOBAL"))
_STORE_FREE: Final = frozenset(opcode.opmap[name] for name in ("STORE_DEREF", "DELETE_DEREF"))
_MUTATORS: Final[dict[type, frozenset[str]]] = {
    list: frozenset({"append", "extend", "insert", "pop", "remove", "clear", "sort", "reverse"}),
    dict: frozenset({"update", "setdefault", "pop", "popitem", "clear", "move_to_end", "subtract"}),
    set: frozenset(
        {"add", "discard", "remove", "pop", "clear", "update", "difference_update", "intersection_update"}
        | {"symmetric_difference_update"}
    ),
    bytearray: frozenset({"append", "extend", "insert", "pop", "remove", "clear", "reverse"}),
}
_DEQUE: Final = _MUTATORS[list] | {"appendleft", "extendleft", "popleft", "rotate"}
_ALL_MUTATORS: Final = _DEQUE.union(*_MUTATORS.values())
_ANYTHING: Final = object()  # an item of a container
_CHANGING: Final = frozenset({"__setitem__", "__delitem__", "__iadd__", "__ior__", "__setattr__", "__delattr__"})
CONSTRUCTORS: Final = frozenset({"__init__", "__new__", "__post_init__"})
_OF_ANY_CLASS: Final = frozenset({"type", "__class__", "replace", "__replace__"})
_UNCALLED: Final = frozenset({"__init_subclass__", "__set_name__", "__prepare__", "__class_getitem__"})

type _Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

_functions: dict[tuple[str, int], dict[int, list[_Function]]] = {}
"""Of a file with a content: the functions that begin in each line."""


class LostEffect(ShippingRefusal):
    """Code that the loop calls changes something outside of the loop, and the notebook would never see it."""


def called_by_python(name: str, cls: type) -> bool:
    """Whether a method may run without its name standing in the code: operators, `__init__` ..."""
    if issubclass(cls, type) and name in ("__new__", "__init__"):  # the notebook has made the classes
        return False
    return name.startswith("__") and name.endswith("__") and name not in _UNCALLED


def makes_any(code: types.CodeType, read: names.Reads) -> bool:
    """Whether code may make an instance of a class that it does not name: of `type(x)`, `cls`, `x.__class__`."""
    is_method_of_class = code.co_argcount and code.co_varnames[0] == "cls"
    by_name = not _OF_ANY_CLASS.isdisjoint(read.lines) or not _OF_ANY_CLASS.isdisjoint(read.attributes)
    return bool(is_method_of_class or by_name)


def check(function: types.FunctionType, namespace: Mapping[str, object]) -> None:
    """Raises LostEffect if a function of the notebook changes something that outlives the call."""
    code = function.__code__
    for part, free in _parts(code, frozenset(code.co_freevars)):
        for index, op, argument in instructions(part):
            if op in _STORE_GLOBAL:
                raise _lost(function, part, index, part.co_names[argument], "assigns the global")
            if op in _STORE_FREE:
                name = _cell_name(part, argument)
                if name in free:
                    raise _lost(function, part, index, name, "assigns the captured variable")
    tree = source(code)
    if tree is not None:
        _Stores(function, namespace).visit(tree)


def check_calls(code: types.CodeType, namespace: Mapping[str, object], reader: str) -> None:
    """Raises LostEffect if code calls a method that changes an object of the notebook (`stats.add(x)`)."""
    read = names.reads(code)
    for name, line in read.lines.items():
        value = namespace.get(name)
        for method in (("__call__",), *sorted(read.chains.get(name, ()))):
            owner, function = _method(value, method)
            if function is not None and _changes_self(function, type(owner), set()):
                shown = ".".join((name, *method)) if method != ("__call__",) else name
                raise LostEffect(
                    f"{_where(reader)}calls {shown}(), which changes {'.'.join((name, *method[:-1]))}: each worker "
                    f"has its own copy of this {type(owner).__name__}, and the change would be lost",
                    "make the object inside the loop, or return what is to change and change it after the loop",
                    name=name,
                    line=line,
                    filename=code.co_filename,
                )


def check_method(method: Any, what: str, name_of: str) -> None:
    """Raises LostEffect if a bound method changes the object that it belongs to (`append = found.append`). `what` is
    how the message starts ("append is"), `name_of` the variable that it is about."""
    owner, name = method.__self__, method.__name__
    function = getattr(method, "__func__", None)
    if isinstance(owner, type):
        return
    changes = (
        name in _mutators(owner) | _CHANGING
        or (isinstance(owner, Iterator) and name == "__next__")
        or isinstance(owner, sys.modules["random"].Random if "random" in sys.modules else ())
        or (isinstance(function, types.FunctionType) and _changes_self(function, type(owner), set()))
    )
    if changes:
        kind = type(owner).__name__
        raise LostEffect(
            f"{what} the method .{name}() of {a(kind)}, which it changes: each worker has its own copy of "
            f"the {kind}, and the change would be lost",
            f"call the method by the variable's own name in the loop, where firn can merge what it does (found.{name}(x))"
            if name in _ALL_MUTATORS
            else "return what is to change and change it after the loop",
            name=name_of,
        )


def changed_copy(name: str) -> LostEffect:
    """For a change that was only seen when it had happened, in a worker."""
    return LostEffect(
        f"the loop's code changes {name}, of which each worker has its own copy: the change would be lost",
        "make a new object in the loop and collect it, or return what is to change and change it after the loop",
        name=name,
    )


def caught_refusal(message: str, function: str, line: int) -> LostEffect:
    """For a write to frozen data whose refusal the loop's code has caught: the serial cell would have made it."""
    where = f"line {line}" if function == "<module>" else f"line {line} of {function}()"
    return LostEffect(
        f"{where} changes what the workers share, and catches the error that this raises: the serial cell would have changed it "
        f"({message.partition(': ')[0]})",
        "make a copy and change that (row = dict(row)), or return what is to change and change it after the loop",
    )


def _parts(code: types.CodeType, free: frozenset[str]) -> Iterator[tuple[types.CodeType, frozenset[str]]]:
    """A function's code objects, each with those of its variables that belong to the function's own surroundings."""
    yield code, free
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType) and constant.co_name != "__annotate__":
            yield from _parts(constant, frozenset(constant.co_freevars) & free)


def _cell_name(code: types.CodeType, argument: int) -> str:
    # Locals come first, then those cells that are not also arguments, then the free variables.
    own = [*code.co_varnames, *(name for name in code.co_cellvars if name not in code.co_varnames), *code.co_freevars]
    return own[argument]


def _lost(function: types.FunctionType, code: types.CodeType, index: int, name: str, what: str) -> LostEffect:
    lines = list(code.co_lines())
    line = next((line for start, stop, line in lines if start <= index < stop and line), code.co_firstlineno)
    return _lost_at(function, line, name, f"{what} {name!r}", f"return the value, and assign {name} in the loop's body")


def _lost_at(function: types.FunctionType, line: int, name: str, what: str, remedy: str) -> LostEffect:
    return LostEffect(
        f"{_where(function.__qualname__)}{what} (line {line}): every worker would change its own copy, "
        f"and the change would be lost",
        remedy,
        name=name,
        line=line,
        filename=function.__code__.co_filename,
    )


def _where(reader: str) -> str:
    return f"{reader}(), which the loop calls, " if reader else "the loop "


def source(code: types.CodeType) -> ast.AST | None:
    """The definition of a function in its cell's syntax tree."""
    text = linecache.getlines(code.co_filename)
    if not text:
        return None
    key = (code.co_filename, hash("".join(text)))
    if key not in _functions:
        if len(_functions) > 256:
            _functions.clear()
        try:
            tree = ast.parse("".join(text))
        except SyntaxError:  # a cell with magics in it
            tree = _transformed(text)
        _functions[key] = _by_line(tree)
    for node in _functions[key].get(code.co_firstlineno, ()):
        if not isinstance(node, ast.Lambda):
            if node.name == code.co_name:
                return node
        elif code.co_name == "<lambda>":
            spans = list(code.co_positions())
            if any(span[0] == node.body.lineno and span[2] == node.body.col_offset for span in spans):
                return node
    return None


def _by_line(tree: ast.Module) -> dict[int, list[_Function]]:
    found: dict[int, list[_Function]] = {}
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            found.setdefault(first, []).append(node)
        elif isinstance(node, ast.Lambda):
            found.setdefault(node.lineno, []).append(node)
    return found


def _transformed(text: list[str]) -> ast.Module:
    shell = sys.modules.get("IPython")
    get = getattr(shell, "get_ipython", None)
    current = get() if get is not None else None
    try:
        return ast.parse(current.transform_cell("".join(text)) if current is not None else "")
    except SyntaxError:
        return ast.Module([], [])


class _Stores(ast.NodeVisitor):
    """Finds stores through a global, a captured variable or the function's own class."""

    def __init__(self, function: types.FunctionType, namespace: Mapping[str, object]) -> None:
        code = function.__code__
        self._function = function
        self._local = {name for part in names.nested(code) for name in (*part.co_varnames, *part.co_cellvars)} - set(
            code.co_freevars
        )
        self._captured = {}
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            try:
                self._captured[name] = cell.cell_contents
            except ValueError:
                continue
        self._namespace = namespace

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if not isinstance(node.ctx, ast.Load):
            self._store(node.value, node, f"changes the attribute {ast.unparse(node)}")
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if not isinstance(node.ctx, ast.Load):
            self._store(node.value, node, f"changes {ast.unparse(node)}")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        function = node.func
        if isinstance(function, ast.Attribute):
            found, value = self._value(function.value)
            changes = function.attr in _mutators(value) if found else self._is_class(function.value)
            if changes and function.attr in _ALL_MUTATORS:
                self._refuse(function.value, node, f"changes {ast.unparse(function.value)} by .{function.attr}()")
        elif isinstance(function, ast.Name) and function.id in ("setattr", "delattr") and node.args:
            self._store(node.args[0], node, f"changes an attribute of {ast.unparse(node.args[0])}")
        self.generic_visit(node)

    def _store(self, target: ast.expr, node: ast.expr, what: str) -> None:
        if self._is_class(target):
            self._refuse(target, node, what)
        found, _ = self._value(target)
        if found:
            self._refuse(target, node, what)

    def _is_class(self, node: ast.expr) -> bool:
        """`cls`, `type(self)` or `self.__class__`: an object's own class, which lives longer than the call."""
        match node:
            case ast.Attribute(attr="__class__") | ast.Call(func=ast.Name(id="type"), args=[_]):
                return True
            case ast.Name(id="cls"):
                return self._function.__code__.co_varnames[:1] == ("cls",) and self._function.__name__ != "__new__"
            case ast.Attribute(value=inner) | ast.Subscript(value=inner):
                return self._is_class(inner)
        return False

    def _value(self, node: ast.expr) -> tuple[bool, object]:
        """(whether an expression is a variable of the notebook or a part of one, its value where it can be known)."""
        match node:
            case ast.Name(id=name):
                if name in self._captured:
                    return name != "__class__", self._captured[name]
                if name in self._local or name not in self._namespace:
                    return False, None
                return True, self._namespace[name]
            case ast.Attribute(value=inner, attr=name):
                found, value = self._value(inner)
                return found, inspect.getattr_static(value, name, None) if found else None
            case ast.Subscript(value=inner):
                found, value = self._value(inner)
                return found, _ANYTHING if value is _ANYTHING or _mutators(value) else None
        return False, None

    def _refuse(self, target: ast.expr, node: ast.expr, what: str) -> None:
        root: ast.expr = target
        while isinstance(root, (ast.Attribute, ast.Subscript)):
            root = root.value
        name = root.id if isinstance(root, ast.Name) else ast.unparse(root)
        remedy = "return the value, and store it in the loop's body, where firn can merge it"
        if isinstance(node, ast.Subscript):
            remedy += " (to remember results, functools.cache works: each worker keeps its own)"
        raise _lost_at(self._function, node.lineno, name, what, remedy)


def _mutators(value: object) -> frozenset[str]:
    if value is _ANYTHING:
        return _ALL_MUTATORS
    if isinstance(value, deque):
        return _DEQUE
    return next((words for kind, words in _MUTATORS.items() if isinstance(value, kind)), frozenset())


def _method(value: Any, chain: tuple[str, ...]) -> tuple[object, types.FunctionType | None]:
    """The method of a notebook class that a chain of attributes ends in, and the object that it is bound to."""
    if isinstance(value, types.MethodType) and chain == ("__call__",):
        value, chain = value.__self__, (value.__func__.__name__,)
    for word in chain[:-1]:
        value = inspect.getattr_static(value, word, None)
    if isinstance(value, (type, types.ModuleType, types.FunctionType)) or value is None:
        return value, None
    found: Any = inspect.getattr_static(type(value), chain[-1], None)
    found = found.fget if isinstance(found, property) else found
    found = inspect.unwrap(found) if isinstance(found, types.FunctionType) else found
    if isinstance(found, types.FunctionType) and found.__module__ == "__main__":
        return value, found
    return value, None


def _changes_self(function: types.FunctionType, owner: type, seen: set[types.CodeType]) -> bool:
    """Whether a method stores to its object, or calls one that does."""
    code = function.__code__
    tree = source(code)
    if tree is None or code in seen or not code.co_argcount:
        return False
    seen.add(code)
    own = code.co_varnames[0]
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(ctx=ast.Store() | ast.Del(), value=target) if _root(target) == own:
                return True
            case ast.Subscript(ctx=ast.Store() | ast.Del(), value=target) if _root(target) == own:
                return True
            case ast.Call(func=ast.Attribute(value=target, attr=word)) if _root(target) == own:
                if isinstance(target, ast.Attribute) and word in _ALL_MUTATORS:
                    return True
                other = inspect.getattr_static(owner, word, None) if isinstance(target, ast.Name) else None
                if isinstance(other, types.FunctionType) and _changes_self(other, owner, seen):
                    return True
    return False


def _root(node: ast.expr) -> str:
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""
