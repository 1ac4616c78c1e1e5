"""Loads test modules of CPython's own suite so that what their functions make is frozen before anything reads it.

The modules' syntax trees are changed as they are imported: every display, comprehension, constant and call of a
constructor within a function, of the kinds under test, is wrapped in a call of `frozen_value`. The class attributes by
which those suites name the type under test (`type2test = list`) become `Maker`s, which make frozen values. A statement that writes to a variable
(`a.append(x)`, `a[i] = x`, `a += b`) gets a plain copy of its value, which is frozen again behind it: a case that fills a
list and reads it then reads a frozen one.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib.abc
import importlib.machinery
import importlib.util
import operator
import sys
import types
import unittest
from array import array
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterable, Sequence
from typing import Any

import firn
from firn import _core

FREEZE, PLAIN = "__frozen_value__", "__plain_value__"
WRITES = """
append extend insert pop remove reverse sort clear update setdefault popitem add discard difference_update
intersection_update symmetric_difference_update appendleft popleft extendleft rotate move_to_end subtract __init__
__setitem__ __delitem__ __iadd__ __imul__ __ior__ __iand__ __isub__ __ixor__
"""
BUILTIN = {kind.__name__: kind for kind in (list, tuple, dict, set, frozenset, str, bytes, bytearray, memoryview)}
KINDS: dict[str, type] = BUILTIN | {kind.__name__: kind for kind in (deque, OrderedDict, defaultdict, Counter, array)}
DISPLAYS: dict[type[ast.expr], str] = {
    ast.List: "list",
    ast.ListComp: "list",
    ast.Tuple: "tuple",
    ast.Dict: "dict",
    ast.DictComp: "dict",
    ast.Set: "set",
    ast.SetComp: "set",
}


# What is frozen stays until the process ends; a case that freezes a growing container each time it grows ends here.
MEMBERS_A_CASE = 2_000_000


class Judged:
    """What is frozen here, and how often that happened since `made` was last set to 0."""

    def __init__(self, kinds: Iterable[str]) -> None:
        self.names = frozenset(kinds)
        self.types = frozenset(KINDS[name] for name in self.names if name in KINDS)
        self.instances = "dataclass" in self.names
        self.made = 0
        self.members = 0
        self.constants: dict[tuple[type, Any], Any] = {}
        self.sites: dict[int, Any] = {}

    def __call__(self, value: Any, site: int = 0) -> Any:
        """The value, frozen if it is of a kind under test. One that is always the same is frozen once for its `site`."""
        if site:
            self.made += 1
            if site not in self.sites:
                self.sites[site] = firn.freeze(value)
            return self.sites[site]
        if type(value) in (str, bytes):
            self.made += 1
            key = (type(value), value)
            if key not in self.constants:
                self.constants[key] = firn.freeze(value)
            return self.constants[key]
        if type(value) in self.types or (
            self.instances and dataclasses.is_dataclass(value) and not isinstance(value, type)
        ):
            self.made += 1
            self.members += operator.length_hint(value, 1) if type(value) in self.types else 1
            if self.members > MEMBERS_A_CASE:
                raise RuntimeError(f"more than {MEMBERS_A_CASE} members frozen in one case")
            return firn.freeze(value)
        return value


def plain_value(value: Any) -> Any:
    """A frozen container as a plain one with the same members; everything else as it is."""
    faces = (_core.FrozenList, _core.FrozenDict, _core.FrozenFace)
    return value.copy() if type(value) in faces and type(value.__class__) is type and hasattr(value, "copy") else value


class Maker:
    """Stands for a type under test: makes frozen values of it, and is the type where one derives, asks or looks up."""

    def __init__(self, kind: type, judged: Judged) -> None:
        self.kind = kind
        self.judged = judged
        vars(self).update(__new__=kind.__new__, __init__=kind.__init__)  # what subclasses call

    def __call__(self, /, *arguments: Any, **named: Any) -> Any:
        return self.judged(self.kind(*arguments, **named))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.kind, name)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return (self.kind,)

    def __instancecheck__(self, value: object) -> bool:
        return isinstance(value, self.kind)

    def __subclasscheck__(self, other: type) -> bool:
        return issubclass(other, self.kind)

    def __eq__(self, other: object) -> bool:
        return other is self.kind or (isinstance(other, Maker) and other.kind is self.kind)

    def __hash__(self) -> int:
        return hash(self.kind)


def own_names(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """The variables that a function binds itself, without those of functions within it."""
    arguments = function.args
    names = {part.arg for part in [*arguments.args, *arguments.posonlyargs, *arguments.kwonlyargs]}
    todo: list[ast.AST] = list(function.body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Global | ast.Nonlocal):
            return set()
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            todo += ast.iter_child_nodes(node)
    return names


def is_constant(node: ast.expr) -> bool:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == FREEZE:
        node = node.args[0]
    return isinstance(node, ast.Constant)


class Wrap(ast.NodeTransformer):
    """Wraps what is made within functions. Patterns, annotations, decorators, defaults and docstrings stay."""

    def __init__(self, judged: Judged) -> None:
        self.judged = judged
        self.depth = 0
        self.own: set[str] = set()
        self.sites = 0

    def wrapped(self, node: ast.expr) -> ast.expr:
        arguments = [node]
        if isinstance(node, ast.Tuple) and all(is_constant(element) for element in node.elts):
            self.sites += 1
            arguments.append(ast.copy_location(ast.Constant(self.sites), node))
        return ast.copy_location(ast.Call(ast.Name(FREEZE, ast.Load()), arguments, []), node)

    def visited(self, body: list[ast.stmt]) -> list[ast.stmt]:
        done = [self.visit(statement) for statement in body]
        return [part for found in done for part in (found if isinstance(found, list) else [found])]

    def visit(self, node: ast.AST) -> Any:
        variable = self.written(node) if self.depth and isinstance(node, ast.stmt) else None
        node = super().visit(node)
        if variable is None:
            return node

        def through(helper: str) -> ast.stmt:
            call = ast.Call(ast.Name(helper, ast.Load()), [ast.parse(variable, mode="eval").body], [])
            target = ast.parse(f"{variable} = 0").body[0]
            assert isinstance(target, ast.Assign)
            target.value = call
            for part in ast.walk(target):
                ast.copy_location(part, node)
            return target

        return [through(PLAIN), node, through(FREEZE)]

    def written(self, node: ast.AST) -> str | None:
        """The variable, or attribute of one, that holds the container that a statement writes to."""
        holder: ast.expr | None = None
        if isinstance(node, ast.AugAssign):
            holder = node.target.value if isinstance(node.target, ast.Subscript) else node.target
        elif isinstance(node, ast.Assign | ast.Delete):
            targets = [target for target in node.targets if isinstance(target, ast.Subscript)]
            holder = targets[0].value if targets else None
        elif isinstance(node, ast.Expr):
            for call in ast.walk(node):
                if isinstance(call, ast.Lambda):
                    return None
                if isinstance(call, ast.Attribute) and call.attr in WRITES.split():
                    holder = call.value
                    break
        at = holder
        while isinstance(at, ast.Attribute):
            at = at.value
        if isinstance(holder, ast.Attribute) and holder.attr == "__dict__":
            return None
        if holder is None or not isinstance(at, ast.Name) or (at is holder and at.id not in self.own):
            return None
        return ast.unparse(holder)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.depth += 1
        first = node.body[0]
        documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
        outer, self.own = self.own, own_names(node)
        node.body = node.body[:documented] + self.visited(node.body[documented:])
        self.own = outer
        self.depth -= 1
        return node

    visit_AsyncFunctionDef = visit_FunctionDef  # type: ignore[assignment]

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        node.body = self.visit(node.body)
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        outer, self.depth = self.depth, 0
        node.body = self.visited(node.body)
        self.depth = outer
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is not None:
            node.value = self.visit(node.value)
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                part.value = self.visit(part.value)
        return node

    def visit_TemplateStr(self, node: Any) -> ast.AST:
        return node  # type: ignore[no-any-return]

    def visit_match_case(self, node: ast.match_case) -> ast.AST:
        node.guard = self.visit(node.guard) if node.guard else None
        node.body = self.visited(node.body)
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        return node if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if self.depth and type(node.value).__name__ in self.judged.names:
            return self.wrapped(node)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if not self.depth:
            return node
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if isinstance(node.func, ast.Attribute):
            name = node.func.attr
        return self.wrapped(node) if name in self.judged.names or self.judged.instances else node

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        if self.depth and isinstance(node, ast.expr) and DISPLAYS.get(type(node)) in self.judged.names:
            if isinstance(getattr(node, "ctx", None), ast.Store | ast.Del):
                return node
            return self.wrapped(node)
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        # The tuple of x[1, 2] is passed on, not read by the test.
        node.value = self.visit(node.value)
        if isinstance(node.slice, ast.Tuple):
            node.slice.elts = [self.visit(element) for element in node.slice.elts]
        else:
            node.slice = self.visit(node.slice)
        return node


class Loader(importlib.machinery.SourceFileLoader):
    wrap: Wrap

    def source_to_code(self, data: Any, path: Any, *, _optimize: int = -1) -> types.CodeType:  # type: ignore[override]
        tree = ast.fix_missing_locations(self.wrap.visit(ast.parse(data, path)))
        return compile(tree, path, "exec", dont_inherit=True, optimize=_optimize)

    def get_code(self, fullname: str) -> types.CodeType | None:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)

    def exec_module(self, module: types.ModuleType) -> None:
        setattr(module, FREEZE, self.wrap.judged)
        setattr(module, PLAIN, plain_value)
        super().exec_module(module)
        for found in list(vars(module).values()):
            if isinstance(found, type) and found.__module__ == module.__name__:
                name_makers(found, self.wrap.judged)


def name_makers(owner: type, judged: Judged) -> None:
    """Class attributes of test classes that are a type under test become makers of frozen values."""
    for name, value in list(vars(owner).items()):
        if isinstance(value, type) and value in judged.types and name != "basetype":  # asked with `is`
            setattr(owner, name, Maker(value, judged))
        elif isinstance(value, type) and issubclass(value, unittest.TestCase):
            name_makers(value, judged)


class Finder(importlib.abc.MetaPathFinder):
    def __init__(self, names: Sequence[str], judged: Judged) -> None:
        self.names = frozenset(names)
        self.wrap = Wrap(judged)

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name not in self.names:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        assert spec and spec.origin
        loader = Loader(name, spec.origin)
        loader.wrap = self.wrap
        return importlib.util.spec_from_file_location(
            name, spec.origin, loader=loader, submodule_search_locations=spec.submodule_search_locations
        )


def install(names: Sequence[str], kinds: Iterable[str]) -> Judged:
    judged = Judged(kinds)
    sys.meta_path.insert(0, Finder(names, judged))
    return judged
