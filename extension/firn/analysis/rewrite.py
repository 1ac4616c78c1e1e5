"""Walks a cell and puts calls of `__firn__.split` in the place of the loops that are split."""

import ast
import copy
from functools import partial
from types import CodeType
from typing import Any

from . import codegen, comprehensions, plan
from .brief import only_applies, only_looks, only_shows
from .cellfacts import CellFacts
from .classify import cannot_swallow, classify
from .refusals import Refusal
from .scopes import COMPREHENSIONS, loaded, stored, uses, walk
from .templates import template

APPLIES = "a loop that only changes something in place was left serial"


class Rewriter:
    """One use for one cell: fills `loops`, `notes`, `read` (for each loop what it reads) and `verdicts`.

    With `explaining`, a loop that cannot be split gets its verdict and stays as it is; else its Refusal is raised.
    """

    def __init__(self, facts: CellFacts, source: str, filename: str, explaining: bool = False) -> None:
        self.facts = facts
        self.explaining = explaining
        self.verdicts: list[plan.Verdict] = []
        self._applying: list[tuple[ast.For, Refusal]] = []
        self._target: list[str] = []  # what the statement that is being rewritten binds
        self._before: list[ast.stmt] = []  # what ran before a statement that only shows something
        self.filename = filename
        self.lines = source.splitlines()
        self.loops: list[plan.SplitLoop] = []
        self.notes: list[str] = []
        self.read: list[set[str]] = []

    def block(
        self, body: list[ast.stmt], original: list[ast.stmt], before: list[ast.stmt], catching: str
    ) -> list[ast.stmt]:
        """Rewrites the statements of a block. original: their unchanged twins; before: what certainly ran before;
        catching: the statement around them that may go on after an exception, or ""."""
        return [
            self._statement(statement, [*before, *original[:number]], original[number], catching)
            for number, statement in enumerate(body)
        ]

    def _statement(self, node: ast.stmt, before: list[ast.stmt], twin: Any, catching: str) -> ast.stmt:
        match node:
            case ast.For():
                if catching:
                    self._note(node, f"a 'for' loop inside '{catching}' was left serial: a failing loop merges nothing")
                    node.iter = self._expression(node.iter, catching)
                    return node
                return self._for(node, before, twin)
            case ast.While() | ast.AsyncFor():
                if any(isinstance(part, (ast.For, *COMPREHENSIONS)) for part in walk(node)):
                    word = "while" if isinstance(node, ast.While) else "async for"
                    self._note(node, f"the loops inside '{word}' were left serial: only top-level ones are split")
            case ast.If():
                node.test = self._expression(node.test, catching)
                node.body = self.block(node.body, twin.body, before, catching)
                node.orelse = self.block(node.orelse, twin.orelse, before, catching)
            case ast.With() | ast.AsyncWith():
                for item in node.items:
                    item.context_expr = self._expression(item.context_expr, catching)
                if not all(cannot_swallow(item.context_expr) for item in node.items):
                    catching = catching or "with"
                node.body = self.block(node.body, twin.body, before, catching)
            case ast.Try() | ast.TryStar():
                inside = catching or "try"
                node.body = self.block(node.body, twin.body, before, inside)
                node.orelse = self.block(node.orelse, twin.orelse, [*before, *twin.body], inside)
                for handler, other in zip(node.handlers, twin.handlers, strict=True):
                    handler.body = self.block(handler.body, other.body, [*before, ast.Try([], [], [], [])], inside)
                node.finalbody = self.block(node.finalbody, twin.finalbody, before, inside)
            case ast.Match():
                node.subject = self._expression(node.subject, catching)
                for case, other_case in zip(node.cases, twin.cases, strict=True):
                    case.body = self.block(case.body, other_case.body, before, catching)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                if any(isinstance(part, (ast.For, *COMPREHENSIONS)) for part in walk(node)):
                    kind = "class" if isinstance(node, ast.ClassDef) else "function"
                    text = f"the loops of the {kind} '{node.name}' were left serial: only top-level ones are split"
                    self._note(node, text)
            case _:
                return self._simple(node, before, catching)
        return node

    def _simple(self, node: ast.stmt, before: list[ast.stmt], catching: str) -> ast.stmt:
        self._target = [part.id for part in _targets(node) if isinstance(part, ast.Name)]
        self._before = before if isinstance(node, ast.Expr) else []
        for name, value in ast.iter_fields(node):
            if isinstance(value, ast.expr):
                setattr(node, name, self._expression(value, catching))
            elif isinstance(value, list):
                value[:] = [self._expression(v, catching) if isinstance(v, ast.expr) else v for v in value]
        self._target, self._before = [], []
        return node

    def _expression(self, node: ast.expr, catching: str) -> ast.expr:
        return _Expressions(self, catching).rewrite(node)

    def _note(self, node: ast.AST, text: str) -> None:
        note = f"line {getattr(node, 'lineno', 1)}: {text}"
        if note not in self.notes:
            self.notes.append(note)
        self._verdict(node, "", note=text)

    def _verdict(self, node: ast.AST, what: str, classes: dict[str, str] | None = None, **decided: Any) -> None:
        first, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
        lines = (first, getattr(node, "end_lineno", None) or first)
        self.verdicts.append(plan.Verdict(lines, column, what, classes or {}, **decided))

    def _refused(self, node: ast.AST, what: str, refusal: Refusal) -> None:
        if not self.explaining:
            raise refusal
        self._verdict(node, what, refusal=refusal)

    def settle(self) -> None:
        """Leaves loops serial that only apply changes, beside others that are split; by themselves they are refused."""
        for node, refusal in self._applying:
            if self.loops:
                self._note(
                    node, f"a loop that only changes '{refusal.name}' was left serial" if refusal.name else APPLIES
                )
            else:
                self._refused(node, "for loop", refusal)

    def _shared(self, names: set[str]) -> list[str]:
        return sorted(name for name in names if not self.facts.is_builtin(name))

    def _line(self, node: ast.AST) -> str:
        number = int(getattr(node, "lineno", 1))
        return self.lines[number - 1].strip() if number <= len(self.lines) else ""

    def _split_call(self, index: int, iterable: ast.expr, where: ast.AST) -> ast.expr:
        [statement] = template(f"__firn__.split({index}, ITEMS)", where, ITEMS=iterable)
        assert isinstance(statement, ast.Expr)
        return statement.value

    def _for(self, node: ast.For, before: list[ast.stmt], twin: ast.For) -> ast.stmt:
        try:
            classes = classify(node, self.facts, before)
        except Refusal as refusal:
            if only_applies(twin, self.facts):
                self._applying.append((twin, refusal))
            else:
                self._refused(node, "for loop", refusal)
            node.iter = self._expression(node.iter, "")
            return node
        iterable = self._expression(node.iter, "")
        read = loaded(node.iter) - {"__firn__"} | classes.broadcast  # a comprehension there may have been split
        # The line of the loop is taken before its tree is used up.
        source, target = self._line(node), ast.unparse(node.target)
        shows = not classes.reductions and only_shows(node, self.facts)
        code, order = codegen.loop_code(node, classes, self.facts)
        forms = tuple(classes.reductions[name] for name in order)
        fixed = tuple(pair for form in forms for pair in form.fixed.items())
        kinds = {
            **dict.fromkeys(self._shared(classes.broadcast), "broadcast"),
            **dict.fromkeys(sorted(classes.temporary), "temporary"),
            **dict.fromkeys(sorted(classes.loop), "loop"),
            **{other: form.role for form in forms for other in (form.name, *getattr(form, "names", ()))},
        }
        loop = plan.SplitLoop(
            len(self.loops),
            node.lineno,
            "for loop",
            source,
            code,
            codegen.names_read(code),
            frozenset(read),
            frozenset(classes.loop | classes.temporary),
            forms,
            None,
            fixed,
            kinds,
            target=target,
            shows=shows,
            unmerged=partial(self._unmerged, twin, before),
        )
        self.loops.append(loop)
        self.read.append(read)
        self._verdict(node, "for loop", {**dict.fromkeys(self._shared(read), "broadcast"), **kinds}, loop=loop)
        head = ast.Pass(
            lineno=node.lineno,
            col_offset=node.col_offset,
            end_lineno=node.iter.end_lineno,
            end_col_offset=node.iter.end_col_offset,
        )
        return ast.copy_location(ast.Expr(self._split_call(loop.index, iterable, head)), head)

    def _unmerged(self, twin: ast.For, before: list[ast.stmt], names: frozenset[str]) -> CodeType:
        """A loop's code where the changes of some variables stand as they are written."""
        loop = copy.deepcopy(twin)
        classes = classify(loop, self.facts, before)
        return codegen.loop_code(loop, classes, self.facts, names)[0]

    def comprehension(self, found: comprehensions.Split, whole: ast.expr, catching: str) -> ast.expr:
        what = found.what if "comprehension" in found.what else f"{found.what}() over a comprehension"
        try:
            comprehensions.check(found, self.facts)
        except Refusal as refusal:
            self._refused(whole, what, refusal)
            return whole
        read = comprehensions.reads(found)
        first = found.node.generators[0]
        target = ast.unparse(first.target)
        iterable = self._expression(first.iter, catching)
        bound = tuple(sorted(found.bound))
        code = codegen.comprehension_code(comprehensions.made(found), whole, self.facts, bound)
        loop = plan.SplitLoop(
            len(self.loops),
            whole.lineno,
            found.what,
            self._line(whole),
            code,
            codegen.names_read(code),
            frozenset(read),
            frozenset(bound),
            (),
            found.merger,
            found.fixed,
            {**dict.fromkeys(self._shared(read), "broadcast"), **dict.fromkeys(bound, "temporary")},
            target=target,
            # The last look at what the cell has made: that would be frozen for it.
            shows=bool(_made(self._before) & read) and not bound and only_looks(found.node, self.facts),
        )
        self.loops.append(loop)
        self.read.append(read)
        items = {name: "loop" for part in found.node.generators for name in sorted(stored(part.target))}
        self._verdict(whole, what, {**items, **loop.classes, **dict.fromkeys(self._target, "output")}, loop=loop)
        return found.call(self._split_call(loop.index, iterable, found.node))


def _made(before: list[ast.stmt]) -> set[str]:
    """The variables of the cell that its loops have to do with."""
    loops = [node for node in before if any(isinstance(part, (ast.For, *COMPREHENSIONS)) for part in walk(node))]
    return stored(*before) & {use.name for use in uses(*loops)}


def _targets(node: ast.stmt) -> list[ast.expr]:
    match node:
        case ast.Assign(targets=targets):
            return targets
        case ast.AnnAssign(target=target) | ast.AugAssign(target=target):
            return [target]
    return []


class _Expressions(ast.NodeTransformer):
    """Replaces the comprehensions of one expression, in the order in which they are evaluated."""

    def __init__(self, rewriter: Rewriter, catching: str) -> None:
        self._rewriter = rewriter
        self._catching = catching

    def rewrite(self, node: ast.expr) -> ast.expr:
        result = self.visit(node)
        assert isinstance(result, ast.expr)
        return result

    def visit(self, node: ast.AST) -> Any:
        if isinstance(node, ast.Lambda):
            return node
        if isinstance(node, ast.expr):
            found = comprehensions.find(node, self._rewriter.facts)
            if found is not None:
                if found.bound and self._catching:
                    self._rewriter._note(
                        node,
                        f"a comprehension with ':=' inside '{self._catching}' was left serial: its variables count",
                    )
                    return node
                if isinstance(node, ast.Call):
                    # What else stands in the call is evaluated in the notebook.
                    node.func = self.visit(node.func)
                    node.args[1:] = [self.visit(argument) for argument in node.args[1:]]
                return self._rewriter.comprehension(found, node, self._catching)
        if isinstance(node, COMPREHENSIONS):
            if isinstance(node, ast.GeneratorExp):
                self._rewriter._note(node, "a generator expression was left serial: it is not used up where it stands")
            return node
        return self.generic_visit(node)
