"""Plans a cell."""

import ast
from collections.abc import Mapping, Set

from . import refusals
from .cellfacts import CellFacts
from .inner import inner_loops
from .later import changed_later
from .plan import CellPlan
from .refusals import Refusal
from .remembered import remember, remembered
from .rewrite import Rewriter
from .scopes import copied, located, stored, walk


def analyze(
    tree: ast.Module,
    *,
    source: str,
    filename: str,
    namespace: Mapping[str, object],
    share: Set[str] = frozenset(),
    reassociate: bool = False,
    explaining: bool = False,
) -> CellPlan:
    """Plans a cell. namespace: the notebook's variables before the cell runs. share: variables that the loops' code reads
    in ways that no analysis sees. reassociate: the workers may add up numbers in parts. `tree` stays as it is.

    Raises Refusal, before anything has run, when a loop cannot be split with the result of the serial cell; with
    `explaining`, the refusals are in the plan's verdicts, and the plan is not to be run.
    """
    if uses_parallel(tree, namespace):
        return CellPlan(tree, uses_parallel=True)
    plan = None if share or explaining else remembered(tree, source, filename, namespace, reassociate)
    if plan is None:
        facts = CellFacts(tree, filename, namespace, reassociate)
        plan = _planned(tree, source, facts, share, explaining)
        if not (share or explaining):
            remember(tree, source, facts, plan)
    # What the cell does not bind before a loop can be looked at now, before anything runs.
    for loop in plan.loops:
        try:
            for name in sorted(share & (loop.changed | loop.bound)):
                raise refusals.shared_and_changed(loop.lineno, name)
            loop.check_values({name: value for name, value in namespace.items() if name not in loop.earlier})
        except Refusal as refusal:
            if not explaining:
                raise
            next(verdict for verdict in plan.verdicts if verdict.loop is loop).refusal = refusal
    return plan


def _planned(tree: ast.Module, source: str, facts: CellFacts, share: Set[str], explaining: bool) -> CellPlan:
    module = copied(tree)
    rewriter = Rewriter(facts, source, facts.filename, explaining)
    module.body = rewriter.block(module.body, tree.body, [], "")
    rewriter.settle()
    for loop in rewriter.loops:
        loop.earlier = frozenset(stored(*(node for node in tree.body if node.lineno <= loop.lineno)))
        verdict = next(verdict for verdict in rewriter.verdicts if verdict.loop is loop)
        unseen = {name for name in share if name in facts.namespace or name in loop.earlier} - loop.names
        loop.names, loop.read = loop.names | unseen, loop.read | unseen
        rewriter.read[loop.index] |= unseen
        verdict.classes = {**dict.fromkeys(sorted(unseen), "broadcast"), **verdict.classes}
    if not rewriter.loops and not rewriter.notes:
        rewriter.notes.append("the cell has no top-level loop or comprehension to split")
    located(module)
    mutated, others = changed_later(tree, rewriter.loops, rewriter.read, facts.read_through)
    for loop, besides in zip(rewriter.loops, others, strict=True):
        loop.besides = besides
    verdicts = sorted(rewriter.verdicts, key=lambda verdict: (verdict.lines[0], verdict.column))
    calls = inner_loops(tree, facts, verdicts) if explaining or not rewriter.loops else []
    if not rewriter.loops:
        rewriter.notes += [f"line {line}: {refusals.loops_inside(name)}" for line, name in calls]
    return CellPlan(module, rewriter.loops, rewriter.notes, False, mutated, verdicts, calls)


def uses_parallel(tree: ast.Module, namespace: Mapping[str, object]) -> bool:
    """Whether the cell is written for `--each`: it names parallel.rank, parallel.size or parallel.split."""
    named = [node for node in walk(tree) if isinstance(node, ast.Name) and node.id == "parallel"]
    if not named or not all(isinstance(node.ctx, ast.Load) for node in named):
        return False
    value = namespace.get("parallel")
    if value is not None and not type(value).__module__.startswith("firn"):
        return False
    return any(
        isinstance(node, ast.Attribute)
        and node.attr in ("rank", "size", "split")
        and isinstance(node.value, ast.Name)
        and node.value.id == "parallel"
        for node in walk(tree)
    )
