"""Classes of a `for` loop's variables: loop, temporary, broadcast, reduction; or the reason why it cannot be split."""

import ast
import inspect
from collections import Counter
from dataclasses import dataclass

from . import refusals
from .body import MUTATORS, check_expressions, mutations
from .cellfacts import CellFacts
from .champions import best
from .containers import Keyed
from .flow import Flow
from .forming import form_of
from .forms import Best, Form
from .known import HOLDERS, Known
from .places import harmless
from .presence import conditional
from .reductions import Change, change
from .scopes import Use, global_uses, own_statements, root, stored, uses, walk, with_items
from .surroundings import Body
from .unseen import unseen, without_continue

_SWALLOW_NOTHING = frozenset(
    [
        "open",
        "ZipFile",
        "TarFile",
        "StringIO",
        "BytesIO",
        "TemporaryDirectory",
        "NamedTemporaryFile",
        "TemporaryFile",
        "localcontext",
        "nullcontext",
        "redirect_stdout",
        "redirect_stderr",
        "closing",
        "scandir",
        "catch_warnings",
    ]
)


@dataclass
class LoopClasses:
    """loop: names of the target; temporary: names that each iteration assigns before it reads them; deleted: those of
    them that a `del` or an `except ... as` may unbind; broadcast: names only read; reductions: see forms."""

    loop: set[str]
    temporary: set[str]
    deleted: set[str]
    broadcast: set[str]
    reductions: dict[str, Form]
    changes: list[Change]


def cannot_swallow(expression: ast.expr) -> bool:
    """Whether a context manager is known to let every exception through."""
    match expression:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            return name in _SWALLOW_NOTHING
    return False


def classify(loop: ast.For, facts: CellFacts, before: list[ast.stmt]) -> LoopClasses:
    """before: the statements that certainly ran before the loop. Raises Refusal."""
    _check_statements(loop.body, in_loop=False)  # first, for where a `break` stands its way out is the better one
    if loop.orelse:
        raise refusals.for_else(loop.orelse[0])
    changes = _changes(loop, facts, before)
    own = {node for c in changes for node in c.own}
    found = uses(loop.target, *loop.body)
    targets = stored(loop.target)
    bound = {use.name for use in found if use.how != "load" and id(use.node) not in own}
    rest = [use for use in found if id(use.node) not in own]

    for use in rest:
        if use.name.startswith("__firn"):
            raise refusals.reserved(use.node, use.name)
    reductions: dict[str, list[Change]] = {}
    for c in changes:
        for name in c.assigns or (c.name,):
            if name not in bound:
                reductions.setdefault(name, []).append(c)
    kept = [c for c in changes if all(name in reductions for name in c.assigns or (c.name,))]
    dropped = [c for c in changes if c not in kept]
    if dropped:
        # What is no reduction after all counts as reading and binding again.
        own = {node for c in kept for node in c.own}
        rest = [use for use in found if id(use.node) not in own]
        bound = {use.name for use in rest if use.how != "load"}
        reductions = {}
        for c in kept:
            for name in c.assigns or (c.name,):
                reductions.setdefault(name, []).append(c)

    for name, cs in reductions.items():
        if len(cs) > 1 and any(c.name != name for c in cs):  # bound beside a best, and changed elsewhere
            raise refusals.mixed_changes(cs[1].statement, name, cs[0].kind.what, cs[1].kind.what)
    changing = bound | set(reductions)
    check_expressions(facts, loop.body, changing)
    _check_reads(rest, bound, reductions)
    _check_exposed(loop, bound, kept, found)
    _check_mutations(loop, facts, bound, kept)
    forms = {name: form_of(cs) for name, cs in reductions.items() if cs[0].name == name}
    for name, form in forms.items():
        if isinstance(form, Keyed):
            form.aim(facts.kind_of(name, before))
        if facts.reassociate:
            form.reassociate()
    _check_functions(loop, facts, rest, bound, set(reductions))
    _check_iterable(loop, facts, set(reductions), bound)
    broadcast = {use.name for use in rest if use.how == "load"} - bound - set(reductions)
    deleted = {use.name for use in rest if use.how == "delete"}
    return LoopClasses(targets, bound - targets, deleted, broadcast, forms, kept)


def _check_statements(body: list[ast.stmt], in_loop: bool) -> None:
    for node in body:
        match node:
            case ast.Break() if not in_loop:
                raise refusals.leaves_loop(node, "break")
            case ast.Return():
                raise refusals.leaves_loop(node, "return")
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                raise refusals.definition(node, name)
            case ast.Global() | ast.Nonlocal():
                raise refusals.not_in_body(node, "a 'global' declaration", "Leave it out: a cell's names are global.")
            case ast.TypeAlias():
                raise refusals.not_in_body(node, "a 'type' statement", "Put it before the loop.")
            case ast.ImportFrom(names=[ast.alias(name="*")]):
                raise refusals.not_in_body(node, "'from ... import *'", "Import the names that you use, by name.")
            case ast.AsyncFor() | ast.AsyncWith():
                raise refusals.not_in_body(node, "'async'", "Gather the awaited values before the loop.")
            case ast.For(body=inner, orelse=orelse) | ast.While(body=inner, orelse=orelse):
                _check_statements(inner, in_loop=True)
                _check_statements(orelse, in_loop)
            case ast.If(body=inner, orelse=orelse):
                _check_statements([*inner, *orelse], in_loop)
            case ast.With(body=inner):
                _check_statements(inner, in_loop)
            case ast.Try() | ast.TryStar():
                handlers = [s for handler in node.handlers for s in handler.body]
                _check_statements([*node.body, *handlers, *node.orelse, *node.finalbody], in_loop)
            case ast.Match(cases=cases):
                _check_statements([s for case in cases for s in case.body], in_loop)


def _changes(
    loop: ast.For, facts: CellFacts, before: list[ast.stmt], but: frozenset[str] = frozenset()
) -> list[Change]:
    """but: names that do not stand for items of what the loop changes."""
    found: list[Change] = []
    through: dict[str, set[int]] = {}  # where a name that does is changed
    whole = Body.of(loop, facts, before)
    for part in walk(loop):
        if isinstance(part, ast.For | ast.While):
            part.body = without_continue(part.body, whole)

    def recognised(node: ast.stmt, guarded: bool, known: Known) -> Change | None:
        c = (
            known.alias(node, but)
            or conditional(node, known)
            or best(node, known)
            or unseen(node, whole)
            or change(node, whole)
        )
        if c is None or not whole.means(c.fixed):
            return None
        name, own = c.name, c.own
        c = known.resolved(c)
        if c.alias:
            through.setdefault(c.alias, set())
            if (first := root(c.statement.value)) is not None and first.id in through:  # type: ignore[attr-defined]
                through[first.id].update(own)
        elif c.name != name:
            through.setdefault(name, set()).update(own)
        sure = harmless(c.parts["value"]) and c.method != "add"
        return None if c.calm and guarded and not sure else c

    def block(body: list[ast.stmt], guarded: bool, tail: bool, known: Known) -> None:
        known = known.inside()
        for number, node in enumerate(body):
            last = tail and number == len(body) - 1
            known.step(node)
            c = recognised(node, guarded, known)
            if c is not None:
                known.meet(c)
                c.guarded, c.tail = guarded, last and c.kind is not Best
                found.append(c)
                continue
            match node:
                case ast.Try() | ast.TryStar():
                    outside = guarded or _goes_on(node.finalbody)
                    block(node.body, outside or bool(node.handlers), False, known)
                    block(node.orelse, outside, last and not node.finalbody, known)
                    block(node.finalbody, guarded, last, known)
                    for handler in node.handlers:
                        block(handler.body, outside, last and not node.finalbody, known)
                case ast.With(items=items, body=inner):
                    safe = all(cannot_swallow(item.context_expr) for item in items)
                    block(inner, guarded or not safe, last and safe, known)
                case ast.For(body=inner, orelse=orelse) | ast.While(body=inner, orelse=orelse):
                    block(inner, guarded, False, known)
                    block(orelse, guarded, last, known)
                case ast.If(body=inner, orelse=orelse):
                    block(inner, guarded, last, known)
                    block(orelse, guarded, last, known)
                case ast.Match(cases=cases):
                    for case in cases:
                        block(case.body, guarded, last, known)

    block(loop.body, False, True, Known(whole))
    if not through:
        return found
    used = [use for use in uses(*loop.body) if use.name in through]
    bound = Counter(use.name for use in used if use.how != "load")
    wrong = {name for name, changed in through.items() if not changed}
    for name in through:
        holders = [c.name for c in found if c.alias == name]
        if len(holders) != bound[name] or len(set(holders)) > 1:  # it is something else, too
            wrong.add(name)
    wrong |= {use.name for use in used if use.how == "load" and id(use.node) not in through[use.name]}
    for c in found:
        if c.alias in wrong and whole.kind_of(c.name) in HOLDERS:
            other = next((other for other in found if other.name == c.alias or other.own & through[c.alias]), None)
            if other is not None:
                raise refusals.changes_by_name(other.statement, c.alias, c.name, ast.unparse(c.statement))
    return _changes(loop, facts, before, but | wrong) if wrong else found


def _goes_on(finalbody: list[ast.stmt]) -> bool:
    """Whether a `finally` may drop an exception, by a `continue` or `break` of a loop around it."""
    for node in finalbody:
        match node:
            case ast.Continue() | ast.Break():
                return True
            case ast.For(orelse=orelse) | ast.While(orelse=orelse):
                inner = orelse
            case _:
                inner = [part for part in ast.iter_child_nodes(node) if isinstance(part, ast.stmt)]
                for part in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
                    inner += part.body
        if _goes_on(inner):
            return True
    return False


def _check_reads(rest: list[Use], bound: set[str], reductions: dict[str, list[Change]]) -> None:
    for use in rest:
        if use.name in reductions and use.name not in bound:
            change = reductions[use.name][0]
            raise refusals.reads_reduction(use.node, use.name, change.statement.lineno, change.kind.otherwise)


def _check_exposed(loop: ast.For, bound: set[str], kept: list[Change], found: list[Use]) -> None:
    flow = Flow(bound, cannot_swallow)
    flow.iteration(loop.target, loop.body)
    for name, node in flow.exposed:
        written = next(use.node for use in found if use.name == name and use.how != "load")
        raise refusals.carried(node, name, getattr(written, "lineno", loop.lineno))


def _check_mutations(loop: ast.For, facts: CellFacts, bound: set[str], kept: list[Change]) -> None:
    changes = {id(c.statement): c for c in kept}
    inside: set[int] = set()  # the statements of changes that are more than one
    for first, items in with_items(loop):
        for statement in own_statements([first]):
            if id(statement) in inside:
                continue
            c = changes.get(id(statement))
            if c is not None:
                inside.update(id(part) for part in walk(statement))
            parts = _own_expressions(statement) if c is None else [*c.parts.values(), *(step.key for step in c.path)]
            for where, owner, how in (found for part in parts for found in mutations(part)):
                _check_mutation(where, owner, how, facts, bound, items)
    for where, owner, how in mutations(loop.target):
        name = owner.id if owner else ""
        raise refusals.mutates_broadcast(where, name, how)


def _own_expressions(statement: ast.stmt) -> list[ast.AST]:
    """The expressions and patterns of a statement, without the statements inside it."""
    parts: list[ast.AST] = []
    for child in ast.iter_child_nodes(statement):
        if isinstance(child, (ast.excepthandler, ast.match_case)):
            parts += [part for part in ast.iter_child_nodes(child) if not isinstance(part, ast.stmt)]
        elif not isinstance(child, ast.stmt):
            parts.append(child)
    return parts


def _check_mutation(
    where: ast.AST, owner: ast.Name | None, how: str, facts: CellFacts, bound: set[str], items: set[str]
) -> None:
    if owner is None:
        raise refusals.mutates_broadcast(where, "", how)
    if owner.id in items:
        raise refusals.mutates_item(where, owner.id)
    if owner.id in bound:
        return
    if how.startswith(".") and not facts.may_change(owner.id, where):
        return
    raise refusals.mutates_broadcast(where, owner.id, how)


def _check_functions(
    loop: ast.For,
    facts: CellFacts,
    rest: list[Use],
    bound: set[str],
    reductions: set[str],
) -> None:
    """Functions that the body reaches see the notebook's globals, and so the loop's variables, in a serial cell."""
    where = {use.name: use.node for use in reversed(rest) if use.how == "load" and use.name not in bound}
    check_reached(facts, where, bound | reductions, loop)


def check_reached(facts: CellFacts, where: dict[str, ast.AST], changing: set[str], loop: ast.AST) -> None:
    if not changing:
        return
    for first, code in facts.functions(where):
        reads, writes = global_uses(code)
        for name in sorted(changing & writes):
            raise refusals.function_reads(where.get(first, loop), code.co_name, name, "assigns")
        for name in sorted(changing & reads):
            raise refusals.function_reads(where.get(first, loop), code.co_name, name)


_COPIES = frozenset(
    ["len", "list", "tuple", "set", "dict", "sorted", "frozenset", "range", "sum", "min", "max", "str", "int"]
)


def _check_iterable(loop: ast.For, facts: CellFacts, reductions: set[str], bound: set[str]) -> None:
    """The sequence is taken as it is before the first iteration: it must not depend on what the loop changes."""

    def look(node: ast.AST, copied: bool) -> None:
        match node:
            case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords) if name in _COPIES and facts.is_builtin(
                name
            ):
                # Taken over at once, before the first iteration.
                for part in [*args, *keywords]:
                    look(part, True)
            case ast.Call(func=ast.Attribute(value=inner, attr="copy" | "get"), args=args):
                for part in [inner, *args]:
                    look(part, True)
            case ast.Subscript(value=inner, slice=ast.Slice() as part):
                look(inner, True)
                look(part, True)
            case ast.GeneratorExp() | ast.Lambda() if not copied:
                for use in uses(node):
                    if use.name in reductions | bound:
                        raise refusals.lazy_reads(node, use.name)
            case ast.Name(id=name, ctx=ast.Load()) if name in reductions and not copied:
                raise refusals.iterated_and_changed(node, name)
            case ast.ListComp() | ast.SetComp() | ast.DictComp():
                return
            case _:
                for child in ast.iter_child_nodes(node):
                    look(child, copied)

    look(loop.iter, False)
    check_lazy(facts, loop.iter, reductions | bound, {use.name for use in uses(*loop.body) if use.how == "load"})


def check_lazy(facts: CellFacts, iterable: ast.expr, changed: set[str], read: set[str]) -> None:
    """Generators, and what map() calls, run in turns with the iterations of a serial loop: neither may see what the other
    changes."""
    called = {part.func.id for part in walk(iterable) if isinstance(part, ast.Call) and isinstance(part.func, ast.Name)}
    for part in walk(iterable):
        if isinstance(part, ast.GeneratorExp):
            for use in uses(part):
                if use.how == "store" and use.name in read:
                    raise refusals.lazy_reads(part, use.name)
        if isinstance(part, ast.GeneratorExp | ast.Lambda):
            for where, owner, _ in mutations(part):
                if owner is not None and owner.id in read:
                    raise refusals.lazy_changes(where, owner.id)
        if isinstance(part, ast.Call):
            for argument in part.args:
                owner = root(argument)
                method = argument.attr if isinstance(argument, ast.Attribute) else ""
                if method in MUTATORS and owner is not None and owner.id in read:
                    raise refusals.lazy_changes(argument, owner.id)
    names = {use.name: use.node for use in uses(iterable) if use.how == "load"}
    eager = _eager(iterable, facts)
    for first, code in facts.functions(names):
        # A function that is called here is called once, before the first iteration.
        at_once = first in eager or (
            first in called and not code.co_flags & inspect.CO_GENERATOR and code.co_name != "<lambda>"
        )
        if first and not at_once:
            reads, writes = global_uses(code)
            for name in sorted((changed & reads) | (read & writes)):
                raise refusals.lazy_reads(names[first], name)


def _eager(iterable: ast.expr, facts: CellFacts) -> set[str]:
    """The names that are only in what is taken over as a whole, before the first iteration."""
    whole: set[int] = set()
    for part in walk(iterable):
        match part:
            case ast.Call(func=ast.Name(id=name)) if name in _COPIES and facts.is_builtin(name):
                whole |= {id(inner) for inner in walk(part)}
            case ast.ListComp() | ast.SetComp() | ast.DictComp():
                whole |= {id(inner) for inner in walk(part)}
    lazy = {part.id for part in walk(iterable) if isinstance(part, ast.Name) and id(part) not in whole}
    return {part.id for part in walk(iterable) if isinstance(part, ast.Name)} - lazy
