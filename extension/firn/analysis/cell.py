"""Plans a cell."""

import ast
import copy
from collections.abc import Mapping

from .cellfacts import CellFacts
from .later import given, mutated_later
from .plan import CellPlan
from .rewrite import Rewriter
from .scopes import stored


def analyze(tree: ast.Module, *, source: str, filename: str, namespace: Mapping[str, object]) -> CellPlan:
    """Plans a cell. namespace: the notebook's variables before the cell runs. `tree` stays as it is.

    Raises Refusal, before anything has run, when a loop cannot be split with the result of the serial cell.
    """
    if uses_parallel(tree, namespace):
        return CellPlan(tree, uses_parallel=True)
    module = copy.deepcopy(tree)
    facts = CellFacts(tree, filename, namespace)
    rewriter = Rewriter(facts, source, filename)
    module.body = rewriter.block(module.body, tree.body, [], "")
    for loop in rewriter.loops:
        # What the cell does not bind before the loop can be looked at now, before anything runs.
        earlier = stored(*(node for node in tree.body if node.lineno <= loop.lineno))
        loop.check_values({name: value for name, value in namespace.items() if name not in earlier})
    if not rewriter.loops and not rewriter.notes:
        rewriter.notes.append("the cell has no top-level loop or comprehension to split")
    ast.fix_missing_locations(module)
    later = mutated_later(tree, rewriter.loops, rewriter.read)
    kept = [given(tree, loop) & later for loop in rewriter.loops]
    return CellPlan(module, rewriter.loops, rewriter.notes, False, later, kept)


def uses_parallel(tree: ast.Module, namespace: Mapping[str, object]) -> bool:
    """Whether the cell is written for `--each`: it names parallel.rank, parallel.size or parallel.split."""
    if any(isinstance(node, ast.Name) and node.id == "parallel" and not isinstance(node.ctx, ast.Load)
           for node in ast.walk(tree)):  # fmt: skip
        return False
    value = namespace.get("parallel")
    if value is not None and not type(value).__module__.startswith("firn"):
        return False
    return any(
        isinstance(node, ast.Attribute)
        and node.attr in ("rank", "size", "split")
        and isinstance(node.value, ast.Name)
        and node.value.id == "parallel"
        for node in ast.walk(tree)
    )
