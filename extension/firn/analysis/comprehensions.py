"""Comprehensions, and the builtins that use one up: what the workers compute and what stays in the cell."""

import ast
import builtins
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import plan, refusals
from .body import check_expressions, mutations, walrus_targets
from .cellfacts import CellFacts
from .classify import cannot_swallow, check_lazy, check_reached
from .flow import Flow
from .scopes import comprehension_targets, elements, loaded, uses
from .templates import template

Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
_NAMES: dict[type[ast.expr], str] = {
    ast.ListComp: "list comprehension",
    ast.SetComp: "set comprehension",
    ast.DictComp: "dict comprehension",
}


@dataclass
class Split:
    """A comprehension to be split. result: binds __firn_result to a chunk's result, made of __firn_items__; call(value) puts what is
    left of the surrounding call around the value that the workers give; fixed: names that must still mean the same."""

    what: str
    node: Comprehension
    result: list[ast.stmt]
    merger: plan.Merger
    call: Callable[[ast.expr], ast.expr]
    fixed: tuple[tuple[str, Any], ...]
    bound: set[str]
    also: tuple[ast.expr, ...] = ()


def _expression(source: str, where: ast.AST, **parts: ast.expr) -> ast.expr:
    [statement] = template(source, where, **parts)
    assert isinstance(statement, ast.Expr)
    return statement.value


def _over_items(node: Comprehension) -> list[ast.comprehension]:
    first, *others = node.generators
    items = ast.copy_location(ast.Name("__firn_items__", ast.Load()), first.iter)
    return [ast.comprehension(first.target, items, first.ifs, first.is_async), *others]


def _list(node: Comprehension) -> ast.expr:
    [element] = elements(node)
    return ast.copy_location(ast.ListComp(element, _over_items(node)), node)


def _distinct(node: Comprehension) -> list[ast.stmt]:
    """The keys of a dict comprehension: distinct, first one first."""
    [element] = elements(node)
    keys = ast.copy_location(ast.DictComp(element, ast.Constant(None), _over_items(node)), node)
    ast.copy_location(keys.value, node)
    source = (
        "try:\n"
        "    __firn_result = __firn_tools__.distinct(KEYS)\n"
        "except TypeError as __firn_error:\n"
        "    raise __firn_tools__.as_element_error(__firn_error)"
    )
    return template(source, node, KEYS=keys)


def _result(expression: ast.expr) -> list[ast.stmt]:
    return template("__firn_result = VALUE", expression, VALUE=expression)


def _generator(node: Comprehension) -> ast.expr:
    [element] = elements(node)
    return ast.copy_location(ast.GeneratorExp(element, _over_items(node)), node)


def _whole(value: ast.expr) -> ast.expr:
    return value


def find(node: ast.expr, facts: CellFacts) -> Split | None:
    """The split of an expression that is a comprehension, or a call that uses one up; None if it is neither."""
    match node:
        case ast.ListComp():
            return _plain(node, _result(_list(node)), plan.Lists())
        case ast.SetComp():
            return _plain(node, _distinct(node), plan.Sets())
        case ast.DictComp():
            if node.value is None:
                return None
            whole = ast.copy_location(ast.DictComp(node.key, node.value, _over_items(node)), node)
            pairs = _expression("__firn_tools__.pack_pairs(FOUND)", node, FOUND=whole)
            return _plain(node, _result(pairs), plan.Dicts())
        case ast.Call(func=ast.Name(id="len"), args=[ast.ListComp() as inner], keywords=[]) if facts.is_builtin("len"):
            count = _expression("len(VALUES)", inner, VALUES=_list(inner))
            return _split("len", node, inner, _result(count), plan.Total(), _whole)
        case ast.Call(args=[ast.GeneratorExp() as inner, *_]):
            return _consumer(node, inner, facts)
    return None


def _plain(node: Comprehension, result: list[ast.stmt], merger: plan.Merger) -> Split:
    return Split(_NAMES[type(node)], node, result, merger, _whole, (), walrus_targets_of(node))


def walrus_targets_of(node: Comprehension) -> set[str]:
    """The names that a comprehension binds in the cell."""
    return {use.name for use in uses(node) if use.how == "store"} & walrus_targets(node)


def _split(
    what: str,
    call: ast.Call,
    inner: Comprehension,
    result: list[ast.stmt],
    merger: plan.Merger,
    rebuild: Callable[[ast.expr], ast.expr],
    also: tuple[ast.expr, ...] = (),
) -> Split:
    fixed: tuple[tuple[str, Any], ...] = ()
    match call.func:
        case ast.Name(id="Counter"):
            fixed = (("Counter", plan.COUNTER),)
        case ast.Attribute(value=ast.Name(id="collections"), attr="Counter"):
            fixed = (("collections.Counter", plan.COUNTER),)
        case ast.Name(id=name):
            fixed = ((name, getattr(builtins, name)),)
    return Split(what, inner, result, merger, rebuild, fixed, walrus_targets_of(inner), also)


def _consumer(node: ast.Call, inner: ast.GeneratorExp, facts: CellFacts) -> Split | None:
    def first(value: ast.expr) -> ast.expr:
        return ast.copy_location(ast.Call(node.func, [value, *node.args[1:]], node.keywords), node)

    alone = len(node.args) == 1 and not node.keywords
    match node.func:
        case ast.Attribute(attr="join") if alone:
            return Split("join", inner, _result(_list(inner)), plan.Lists(), first, (), walrus_targets_of(inner))
        case function if facts.is_counter(function) and alone:
            source = "__firn_tools__.pack_counts(__firn_tools__.Counter(VALUES), '')"
            counts = _expression(source, inner, VALUES=_generator(inner))
            return _split("Counter", node, inner, _result(counts), plan.Counts(), first)
        case ast.Name(id=name) if facts.is_builtin(name):
            pass
        case _:
            return None
    match name:
        case "any" | "all" if alone:
            decision = _expression(f"{name}(VALUES)", inner, VALUES=_generator(inner))
            return _split(name, node, inner, _result(decision), plan.Decision(name == "any"), _whole)
        case "list" if alone:
            return _split(name, node, inner, _result(_list(inner)), plan.Lists(), _whole)
        case "set" if alone:
            return _split(name, node, inner, _distinct(inner), plan.Sets(), _whole)
        case "frozenset" if alone:
            return _split(name, node, inner, _distinct(inner), plan.Lists(), first)
        case "tuple" if alone:
            return _split(name, node, inner, _result(_list(inner)), plan.Lists(), first)
        case "dict" if len(node.args) == 1:
            return _split(name, node, inner, _result(_list(inner)), plan.Lists(), first)
        case "sorted" if len(node.args) == 1:
            return _split(name, node, inner, _result(_list(inner)), plan.Lists(), first)
        case "sum" if len(node.args) <= 2:
            start = [*node.args[1:], *(k.value for k in node.keywords if k.arg == "start")]
            exact = all(isinstance(s, ast.Constant) and type(s.value) is int for s in start)
            known = len(start) == len(node.args) - 1 + len(node.keywords)
            summands = _list(inner)
            if known and facts.reassociate:
                summands = _expression("__firn_tools__.in_parts(VALUES, '+')", inner, VALUES=summands)
            if not (exact and known):
                return _split(name, node, inner, _result(summands), plan.Lists(), first)
            values = _expression("__firn_tools__.pack_values(VALUES)", inner, VALUES=summands)
            from_zero = all(isinstance(s, ast.Constant) and s.value == 0 for s in start)
            return _split(name, node, inner, _result(values), plan.Summands(from_zero), first)
        case "min" | "max" if len(node.args) == 1:
            return _extreme(name, node, inner, first)
    return None


def _extreme(name: str, node: ast.Call, inner: ast.GeneratorExp, first: Callable[[ast.expr], ast.expr]) -> Split | None:
    keywords = {keyword.arg: keyword.value for keyword in node.keywords}
    if None in keywords or set(keywords) - {"key", "default"}:
        return None
    key = keywords.get("key")
    if key is None or (isinstance(key, ast.Constant) and key.value is None):
        values = _expression(f"__firn_tools__.pack_extreme(VALUES, {name!r})", inner, VALUES=_list(inner))
        return _split(name, node, inner, _result(values), plan.Lists(), first)
    if not isinstance(key, (ast.Lambda, ast.Name, ast.Attribute)):
        return None
    # The workers make (key, value) pairs; the cell's own call compares the keys.
    [element] = elements(inner)
    keyed = _over_items(inner)
    keyed[-1] = ast.comprehension(
        keyed[-1].target,
        keyed[-1].iter,
        [*keyed[-1].ifs, _expression("not __firn_values__.append(__firn_v := VALUE)", element, VALUE=element)],
        keyed[-1].is_async,
    )
    keys = ast.ListComp(_expression("__firn_key__(__firn_v)", element), keyed)
    result = template(
        "__firn_key__ = KEY\n"
        "__firn_values__ = []\n"
        f"__firn_result = __firn_tools__.pack_keyed(KEYS, __firn_values__, {name!r})",
        inner,
        KEY=key,
        KEYS=ast.copy_location(keys, inner),
    )

    def call(value: ast.expr) -> ast.expr:
        if "default" in keywords:
            source = f"{name}(PAIRS, key=lambda __firn_pair: __firn_pair[0], default=(None, DEFAULT))[1]"
            return _expression(source, node, PAIRS=value, DEFAULT=keywords["default"])
        return _expression(f"{name}(PAIRS, key=lambda __firn_pair: __firn_pair[0])[1]", node, PAIRS=value)

    return _split(name, node, inner, result, plan.Lists(), call, (key,))


def check(split: Split, facts: CellFacts) -> None:
    """Raises Refusal when the iterations depend on each other or change what they share."""
    node = split.node
    iterable = node.generators[0].iter
    inside: list[ast.AST] = [*_parts(node), *split.also]
    # A function that is made for an item sees the last one's, where the plain comprehension is one whole.
    check_expressions(facts, inside, split.bound | comprehension_targets(node))
    if node.generators[0].is_async:
        raise refusals.not_in_body(node, "an asynchronous comprehension", "Gather the awaited values before the loop.")
    flow = Flow(split.bound, cannot_swallow)
    flow.comprehension(node)
    for name, where in flow.exposed:
        raise refusals.carried(where, name, getattr(where, "lineno", node.lineno))
    if split.bound & {use.name for part in split.also for use in uses(part)}:
        raise refusals.carried(node, min(split.bound), node.lineno)
    for part in inside:
        for where, owner, how in mutations(part):
            if owner is not None and owner.id in comprehension_targets(node):
                raise refusals.mutates_item(where, owner.id)
            if owner is not None and (owner.id in split.bound or not facts.may_change(owner.id, where)):
                continue
            raise refusals.mutates_broadcast(where, owner.id if owner else "", how)
    for use in uses(iterable):
        if use.how == "load" and use.name in split.bound:
            raise refusals.lazy_reads(use.node, use.name)
    check_lazy(facts, iterable, split.bound, {use.name for part in inside for use in uses(part) if use.how == "load"})
    names = {use.name: use.node for use in uses(node, *split.also) if use.how == "load"}
    check_reached(facts, names, split.bound, node)


def made(split: Split) -> list[ast.stmt]:
    """The statements that bind __firn_result. A generator turns a StopIteration into another error, and the list that
    stands for one would not."""
    if not isinstance(split.node, ast.GeneratorExp):
        return split.result
    source = (
        "try:\n"
        "    pass\n"
        "except StopIteration as __firn_error:\n"
        '    raise RuntimeError("generator raised StopIteration") from __firn_error'
    )
    [guarded] = template(source, split.node)
    assert isinstance(guarded, ast.Try)
    guarded.body = split.result
    return [guarded]


def _parts(node: Comprehension) -> list[ast.AST]:
    """What a comprehension evaluates for each item."""
    first, *others = node.generators
    return [first.target, *first.ifs, *others, *elements(node)]


def reads(split: Split) -> set[str]:
    return loaded(split.node, *split.also)
