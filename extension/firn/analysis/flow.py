"""Definite assignment: which reads of an iteration may see what an earlier iteration wrote.

A read is safe when every path from the start of the iteration assigns the name first (the rule of the Java Language
Specification, chapter 16, for Python's statements). States are sets of names; None stands for "never gets here".
"""

import ast
from collections.abc import Callable, Iterable

from .scopes import comprehension_targets, elements, uses

State = frozenset[str] | None


def _meet(states: Iterable[State]) -> State:
    reached = [state for state in states if state is not None]
    return frozenset.intersection(*reached) if reached else None


class Flow:
    """Walks one iteration. `exposed` lists the (name, node) of reads that may see an earlier iteration's value."""

    def __init__(self, names: Iterable[str], cannot_swallow: Callable[[ast.expr], bool]) -> None:
        self.names = frozenset(names)
        self.exposed: list[tuple[str, ast.AST]] = []
        self._cannot_swallow = cannot_swallow
        self._breaks: list[list[State]] = []
        self._continues: list[list[State]] = []

    def iteration(self, target: ast.expr, body: list[ast.stmt]) -> None:
        state = self._bind(target, frozenset())
        self._loop_body(body, state)

    def comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        """One iteration of a comprehension's first generator; its targets are not among `names`."""
        self._inside(node, frozenset())

    def _loop_body(self, body: list[ast.stmt], state: State) -> tuple[State, list[State]]:
        self._breaks.append([])
        self._continues.append([])
        state = self._block(body, state)
        self._continues.pop()
        return state, self._breaks.pop()

    def _block(self, body: Iterable[ast.stmt], state: State) -> State:
        for statement in body:
            if state is None:
                # Unreachable; what it reads does not matter, what it binds neither.
                return None
            state = self._statement(statement, state)
        return state

    def _statement(self, node: ast.stmt, state: frozenset[str]) -> State:
        match node:
            case ast.If(test=test, body=body, orelse=orelse):
                true, false = self._condition(test, state)
                return _meet([self._block(body, true), self._block(orelse, false)])
            case ast.For(target=target, iter=iterable, body=body, orelse=orelse):
                entered = self._read(iterable, state)
                _, breaks = self._loop_body(body, self._bind(target, entered))
                return _meet([self._block(orelse, entered), *breaks])
            case ast.While(test=test, body=body, orelse=orelse):
                true, false = self._condition(test, state)
                _, breaks = self._loop_body(body, true)
                return _meet([self._block(orelse, false), *breaks])
            case ast.Break():
                self._breaks[-1].append(state)
                return None
            case ast.Continue():
                self._continues[-1].append(state)
                return None
            case ast.Raise():
                for part in (node.exc, node.cause):
                    if part is not None:
                        self._read(part, state)
                return None
            case ast.Assert(test=test, msg=message):
                true, false = self._condition(test, state)
                if message is not None and false is not None:
                    self._read(message, false)
                return true
            case ast.Try() | ast.TryStar():
                return self._try(node, state)
            case ast.With(items=items, body=body):
                swallowed: State = None  # what is bound at least where a context manager has swallowed an exception
                for item in items:
                    state = self._read(item.context_expr, state)
                    entered = state
                    if item.optional_vars is not None:
                        state = self._bind(item.optional_vars, state)
                    if swallowed is None and not self._cannot_swallow(item.context_expr):
                        swallowed = state if isinstance(item.optional_vars, ast.Name) else entered
                inside = self._block(body, state)
                return _meet([inside, swallowed])
            case ast.Match(subject=subject, cases=cases):
                state = self._read(subject, state)
                ends: list[State] = []
                open_end = True
                for case in cases:
                    inside_case: State = self._read(case.pattern, state)
                    if case.guard is not None and inside_case is not None:
                        inside_case, _ = self._condition(case.guard, inside_case)
                    elif isinstance(case.pattern, ast.MatchAs) and case.pattern.pattern is None:
                        open_end = False
                    ends.append(self._block(case.body, inside_case))
                return _meet([*ends, state] if open_end else ends)
            case ast.Delete(targets=targets):
                for target in targets:
                    state = self._read(target, state)
                return state
            case ast.AugAssign(target=target, value=value):
                if isinstance(target, ast.Name):
                    self._check(target.id, target, state)
                    return self._read(value, state) | {target.id}
                return self._read(value, self._read(target, state))
            case ast.Assign(targets=targets, value=value):
                state = self._read(value, state)
                for target in targets:
                    state = self._bind(target, state)
                return state
            case ast.AnnAssign(target=target, value=value):
                return self._bind(target, self._read(value, state)) if value is not None else state
            case _:
                return self._read(node, state)

    def _try(self, node: ast.Try | ast.TryStar, state: frozenset[str]) -> State:
        # An exception may come before anything was assigned; `del` in the body may have taken names away.
        removed = {use.name for statement in node.body for use in uses(statement) if use.how == "delete"}
        interrupted = state - removed
        end = self._block(node.orelse, self._block(node.body, state))
        ends = [end]
        for handler in node.handlers:
            inside = interrupted if handler.type is None else self._read(handler.type, interrupted)
            caught = self._block(handler.body, inside | {handler.name} if handler.name else inside)
            ends.append(caught - {handler.name} if caught is not None and handler.name else caught)
        after = _meet(ends)
        if node.finalbody:
            gone = {use.name for h in node.handlers for s in h.body for use in uses(s) if use.how == "delete"}
            final = self._block(node.finalbody, interrupted - gone)
            if final is None or after is None:
                return None
            assigned = {use.name for s in node.finalbody for use in uses(s) if use.how == "store"}
            return after | (final & frozenset(assigned))
        return after

    def _condition(self, node: ast.expr, state: frozenset[str]) -> tuple[frozenset[str], frozenset[str]]:
        """The states when the condition holds and when it does not (all names for "cannot be")."""
        match node:
            case ast.Constant(value=value):
                return (state, self.names) if value else (self.names, state)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                true, false = self._condition(operand, state)
                return false, true
            case ast.BoolOp(op=operator, values=values):
                conjunction = isinstance(operator, ast.And)
                going = state
                stopped: list[frozenset[str]] = []
                for part in values:
                    true, false = self._condition(part, going)
                    going, out = (true, false) if conjunction else (false, true)
                    stopped.append(out)
                short = frozenset.intersection(*stopped)
                return (going, short) if conjunction else (short, going)
            case _:
                state = self._read(node, state)
                return state, state

    def _read(self, node: ast.AST, state: frozenset[str]) -> frozenset[str]:
        """Reads an expression (or a simple statement, or a pattern) in order of evaluation."""
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                self._check(name, node, state)
                return state
            case ast.Name(id=name, ctx=ast.Del()):
                self._check(name, node, state)
                return state - {name}
            case ast.Name(id=name):
                return state | {name} if name in self.names else state
            case ast.NamedExpr(target=target, value=value):
                return self._read(target, self._read(value, state))
            case ast.BoolOp():
                true, false = self._condition(node, state)
                return true & false
            case ast.IfExp(test=test, body=body, orelse=orelse):
                true, false = self._condition(test, state)
                return self._read(body, true) & self._read(orelse, false)
            case ast.Compare(left=left, comparators=[first, *others]):
                state = self._read(first, self._read(left, state))
                later = state
                for other in others:
                    later = self._read(other, later)
                return state
            case ast.Dict(keys=keys, values=values):
                for key, item in zip(keys, values, strict=True):
                    if key is not None:
                        state = self._read(key, state)
                    state = self._read(item, state)
                return state
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                state = self._read(node.generators[0].iter, state)
                self._inside(node, state)
                return state
            case ast.Lambda():
                for use in uses(node):
                    if use.how == "load":
                        self._check(use.name, use.node, state)
                return state
            case ast.alias():
                return state | ({(node.asname or node.name.partition(".")[0])} & self.names)
            case ast.MatchAs(pattern=pattern, name=name):
                if pattern is not None:
                    state = self._read(pattern, state)
                return state | {name} if name in self.names else state
            case ast.MatchStar(name=name):
                return state | {name} if name in self.names else state
            case ast.MatchMapping(rest=rest):
                for child in ast.iter_child_nodes(node):
                    state = self._read(child, state)
                return state | {rest} if rest in self.names else state
            case ast.MatchOr(patterns=patterns):
                return frozenset.intersection(*(self._read(pattern, state) for pattern in patterns))
            case _:
                for child in ast.iter_child_nodes(node):
                    state = self._read(child, state)
                return state

    def _inside(
        self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp, state: frozenset[str]
    ) -> None:
        hidden = comprehension_targets(node)
        outer, self.names = self.names, self.names - hidden
        for number, generator in enumerate(node.generators):
            if number:
                state = self._read(generator.iter, state)
            state = self._read(generator.target, state)
            for condition in generator.ifs:
                state, _ = self._condition(condition, state)
        for element in elements(node):
            state = self._read(element, state)
        self.names = outer

    def _bind(self, target: ast.expr, state: frozenset[str]) -> frozenset[str]:
        return self._read(target, state)

    def _check(self, name: str, node: ast.AST, state: frozenset[str]) -> None:
        if name in self.names and name not in state:
            self.exposed.append((name, node))
